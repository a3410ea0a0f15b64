//! The server's own certificate: why it cannot be shown, or why clients will turn away when it is.

use std::fmt;

use rustls::pki_types::{CertificateDer, UnixTime};
use x509_cert::der::{DateTime, Decode as _};
use x509_cert::{Certificate, Version};

use crate::advice::Advice;

/// Why it cannot be shown: the end of a sentence that begins with its name.
#[derive(Debug, thiserror::Error)]
pub(in crate::serve) enum Unshown {
    #[error("is a certificate of an old version, without extensions")]
    Old,
    #[error("is a certificate that cannot be read")]
    Unread,
    #[error("is a certificate that cannot be shown: {0}")]
    Other(rustls::Error),
}

impl Unshown {
    /// Why TLS has refused a certificate with this error.
    pub(super) fn of(certificate: &CertificateDer<'_>, error: rustls::Error) -> Self {
        match Certificate::from_der(certificate) {
            Err(_) => Self::Unread,
            Ok(known) if known.tbs_certificate.version != Version::V3 => Self::Old,
            Ok(_) => Self::Other(error),
        }
    }

    /// What to do.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Old => {
                "have one made of version 3: with `-addext subjectAltName=DNS:NAME`, if openssl makes it"
            }
            Self::Unread | Self::Other(_) => "write the server's certificate first, and whole",
        }
    }
}

/// Why clients will turn away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It was good until then.
    Expired(DateTime),
    /// It is not good before.
    Early(DateTime),
}

impl Doubt {
    /// What there is to doubt about a certificate at this time.
    pub(super) fn about(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<Self> {
        let validity = Certificate::from_der(certificate).ok()?.tbs_certificate.validity;
        let [from, until] =
            [validity.not_before, validity.not_after].map(|time| time.to_date_time());
        let now = now.as_secs();
        match () {
            () if now > until.unix_duration().as_secs() => Some(Self::Expired(until)),
            () if now < from.unix_duration().as_secs() => Some(Self::Early(from)),
            () => None,
        }
    }

    /// The same of one that is called so, for people.
    pub(super) fn advice(self, what: &str) -> Advice {
        let remedy = match self {
            Self::Expired(_) => "renew it: clients turn away",
            Self::Early(_) => "set the clock of this host, or wait: clients turn away",
        };
        Advice::new(format!("{what} {self}"), remedy)
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(until) => write!(f, "has expired, at {until}"),
            Self::Early(from) => write!(f, "is not good before {from}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::trust;
    use crate::trust::itself::tests::OWN;

    #[test]
    fn clients_turn_away_before_its_first_and_behind_its_last_second() {
        let own = trust::chain(OWN.as_bytes()).unwrap().remove(0);
        let said = |time| {
            let doubt = Doubt::about(&own, UnixTime::since_unix_epoch(Duration::from_secs(time)));
            doubt.map(|doubt| doubt.advice("a.pem").to_string()).unwrap_or_default()
        };
        let (first, last) = (1_795_978_011, 1_796_064_411);
        assert_eq!([said(first), said(last)], ["", ""]);
        insta::assert_snapshot!(said(first - 1), @"a.pem is not good before 2026-11-29T18:46:51Z; set the clock of this host, or wait: clients turn away");
        insta::assert_snapshot!(said(last + 1), @"a.pem has expired, at 2026-11-30T18:46:51Z; renew it: clients turn away");
    }
}

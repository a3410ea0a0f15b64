//! A certificate that stands in the file of authorities itself, shown by a client or a server. It may be any of them: one
//! that somebody has made for itself, one of an authority below another one, or a root's, whose key signs for others too.
//!
//! Go takes such a certificate, and so do those who are written in it. Nothing leads from it to an authority, so what is
//! left to look at is what it says: until when it is good, and for what. Trusts no byte of one that is not in that file;
//! who asks for a server looks at its names.

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::ExtendedKeyUsage;

/// For anything.
const ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
/// Extensions that Go handles: of keys, names, constraints, revocation, policies and uses. A certificate with another
/// one that is critical is not let in.
const KNOWN: [ObjectIdentifier; 9] = [
    ObjectIdentifier::new_unwrap("2.5.29.14"),
    ObjectIdentifier::new_unwrap("2.5.29.15"),
    ObjectIdentifier::new_unwrap("2.5.29.17"),
    ObjectIdentifier::new_unwrap("2.5.29.19"),
    ObjectIdentifier::new_unwrap("2.5.29.30"),
    ObjectIdentifier::new_unwrap("2.5.29.31"),
    ObjectIdentifier::new_unwrap("2.5.29.32"),
    ObjectIdentifier::new_unwrap("2.5.29.35"),
    ObjectIdentifier::new_unwrap("2.5.29.37"),
];

/// Who shows a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Who asks.
    Client,
    /// Who is asked.
    Server,
}

impl Side {
    /// What the certificate has to be for, unless it does not say.
    fn usage(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::Client => "1.3.6.1.5.5.7.3.2",
            Self::Server => "1.3.6.1.5.5.7.3.1",
        })
    }
}

/// Whether such a certificate may be this side's now.
///
/// # Errors
///
/// Why not.
pub(crate) fn look_at(
    shown: &CertificateDer<'_>,
    side: Side,
    now: UnixTime,
) -> Result<(), CertificateError> {
    let certificate =
        Certificate::from_der(shown).map_err(|_| CertificateError::BadEncoding)?.tbs_certificate;
    let of = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
    let validity = certificate.validity;
    if now.as_secs() < of(validity.not_before) {
        return Err(CertificateError::NotValidYet);
    }
    if now.as_secs() > of(validity.not_after) {
        return Err(CertificateError::Expired);
    }
    if has_strange(certificate.extensions.as_ref()) {
        return Err(CertificateError::UnhandledCriticalExtension);
    }
    match certificate.get::<ExtendedKeyUsage>() {
        Ok(None) => Ok(()),
        Ok(Some((_, ExtendedKeyUsage(uses))))
            if uses.iter().any(|it| [ANY, side.usage()].contains(it)) =>
        {
            Ok(())
        }
        Ok(Some(_)) => Err(CertificateError::InvalidPurpose),
        Err(_) => Err(CertificateError::BadEncoding),
    }
}

/// Whether it has an extension that whoever does not know it may not pass over.
fn has_strange(extensions: Option<&Extensions>) -> bool {
    let mut all = extensions.into_iter().flatten();
    all.any(|extension| extension.critical && !KNOWN.contains(&extension.extn_id))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::trust;

    /// One that is its own authority, for a day.
    pub(crate) const OWN: &str = "\
-----BEGIN CERTIFICATE-----
MIIBbjCCAROgAwIBAgIUVkpaIgIBIJgqSye7IR5PMwLwDTYwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAeFw0yNjExMjkxODQ2NTFaFw0yNjExMzAxODQ2NTFaMAwx
CjAIBgNVBAMMAWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARjEsb7NJOTF/gv
PtyEo2nyZyNuAVxIVI2eAsBtbWoNwLb4EuqZwIEuustXd9A9TyUFaeiFupLG3il/
xy2q50xYo1MwUTAdBgNVHQ4EFgQUkNPlpuDRNxFgd1WPWo2u+Vd52YswHwYDVR0j
BBgwFoAUkNPlpuDRNxFgd1WPWo2u+Vd52YswDwYDVR0TAQH/BAUwAwEB/zAKBggq
hkjOPQQDAgNJADBGAiEAghHuu5w7qkkTHT4MfMEr6D1iGNtT263SF5a807nvJVEC
IQD6bEh6+SmFDtMaqDYHts1AO9aYOgJxElFeuSK4TyFeZw==
-----END CERTIFICATE-----
";

    #[test]
    fn it_is_good_from_its_first_to_its_last_second() {
        let own = trust::chain(OWN.as_bytes()).unwrap().remove(0);
        let (first, last) = (1_795_978_011, 1_796_064_411);
        for side in [Side::Client, Side::Server] {
            let at =
                |time| look_at(&own, side, UnixTime::since_unix_epoch(Duration::from_secs(time)));
            assert_eq!((at(first), at(last)), (Ok(()), Ok(())));
            assert_eq!(at(first - 1), Err(CertificateError::NotValidYet));
            assert_eq!(at(last + 1), Err(CertificateError::Expired));
        }
    }

    #[test]
    fn what_is_no_certificate_is_not_good() {
        for bytes in [&b""[..], b"x", &[0x30, 0x80], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]] {
            let said = look_at(&CertificateDer::from(bytes), Side::Server, UnixTime::now());
            assert_eq!(said, Err(CertificateError::BadEncoding), "{bytes:?}");
        }
    }
}

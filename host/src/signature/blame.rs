//! Why a certificate leads to no authority that is trusted: in words, for one that was refused already.
//!
//! Never finds one good. All that is read here is the certificate's own word, and the times are those that somebody
//! trusted has vouched for.

use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage};
use x509_cert::time::Time;

use super::error::Refused;

/// For signing code.
const CODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");

/// What is wrong with a certificate that was refused, whose signature was made at one of these times.
pub(super) fn of(certificate: &[u8], times: &[Timestamp]) -> Refused {
    let certificate = match Certificate::from_der(certificate) {
        Ok(certificate) => certificate.tbs_certificate,
        Err(error) => return Refused::damaged(&error),
    };
    if let Ok(Some((_, BasicConstraints { ca: true, .. }))) = certificate.get() {
        return Refused::Authority;
    }
    match certificate.get() {
        Ok(Some((_, ExtendedKeyUsage(uses)))) if uses.contains(&CODE) => {}
        _ => return Refused::Purpose,
    }
    let validity = certificate.validity;
    for time in times {
        let (at, time) = (time.as_second(), time.to_string());
        if at < seconds(validity.not_before) {
            return Refused::Early { from: validity.not_before.to_string(), time };
        }
        if at > seconds(validity.not_after) {
            return Refused::Expired { to: validity.not_after.to_string(), time };
        }
    }
    Refused::Stranger
}

/// Seconds after 1970.
fn seconds(time: Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

//! The names of a client in its certificate, as texts: DNS names, mail addresses, addresses and URIs.
//!
//! Trusts no byte of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Whether a certificate has one of these names, letter by letter. One that cannot be read has none.
pub(super) fn has_one(certificate: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else { return false };
    let found = certificate.tbs_certificate.get::<SubjectAltName>();
    let Ok(Some((_, SubjectAltName(found)))) = found else { return false };
    found.iter().filter_map(text).any(|name| names.contains(&name))
}

/// A name as text, if it is of a kind that is looked at.
fn text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) | GeneralName::Rfc822Name(name) => Some(name.to_string()),
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        GeneralName::IpAddress(bytes) => address(bytes.as_bytes()).map(|ip| ip.to_string()),
        _ => None,
    }
}

/// An address of 4 or 16 bytes. One of IPv4 that is written as IPv6 is the former, as in Go.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(IpAddr::from(Ipv6Addr::from(sixteen)).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_texts() {
        let text = |bytes: &[u8]| address(bytes).map(|ip| ip.to_string());
        assert_eq!(text(&[192, 0, 2, 1]).as_deref(), Some("192.0.2.1"));
        let mut mapped = [0; 16];
        mapped[10..].copy_from_slice(&[255, 255, 192, 0, 2, 1]);
        assert_eq!(text(&mapped).as_deref(), Some("192.0.2.1"));
        assert_eq!(text(&[0; 16]).as_deref(), Some("::"));
        assert_eq!(text(&[1, 2, 3]), None);
    }

    #[test]
    fn what_is_no_certificate_has_no_name() {
        for bytes in [&b""[..], b"x", &[0x30, 0x80], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]] {
            assert!(!has_one(&CertificateDer::from(bytes), &[String::new()]), "{bytes:?}");
        }
    }
}

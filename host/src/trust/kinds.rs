//! Kinds of keys that are not known here, in words: the curves and lengths that ring leaves out.
//!
//! Asked when ring has refused a private key, or before it looks at what an authority has signed. Lets nobody in.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::der::asn1::{ContextSpecific, ObjectIdentifier, OctetStringRef, UintRef};
use x509_cert::der::{self, Decode as _, Reader, SliceReader, TagNumber};
use x509_cert::spki::AlgorithmIdentifierRef;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ECDSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// P-256 and P-384, which are known here.
const CURVES: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
    ObjectIdentifier::new_unwrap("1.3.132.0.34"),
];
/// What others are called that people have.
const NAMES: [(ObjectIdentifier, &str); 5] = [
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), "ECDSA on P-521"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.33"), "ECDSA on P-224"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.10"), "ECDSA on secp256k1"),
    (ObjectIdentifier::new_unwrap("1.3.101.113"), "Ed448"),
    (ObjectIdentifier::new_unwrap("1.2.840.10040.4.1"), "DSA"),
];
/// Bits of RSA that one can sign with here, and those that can be looked at.
const TO_SIGN: std::ops::RangeInclusive<usize> = 2048..=4096;
const TO_LOOK_AT: std::ops::RangeInclusive<usize> = 2048..=8192;
const LEAST_EXPONENT: u64 = 65537;

/// Of which kind a private key is; none if it is of a known one, or is damaged.
pub(super) fn of(key: &PrivateKeyDer<'_>) -> Option<String> {
    match key {
        PrivateKeyDer::Pkcs1(key) => rsa(key.secret_pkcs1_der()).ok()?,
        PrivateKeyDer::Sec1(key) => curve(key.secret_sec1_der()).ok()?.and_then(named),
        PrivateKeyDer::Pkcs8(key) => wrapped(key.secret_pkcs8_der()).ok()?,
        _ => None,
    }
}

/// Of which kind an authority's key is; none if it is of a known one.
pub(super) fn of_authority(certificate: &CertificateDer<'_>) -> Option<String> {
    let key = Certificate::from_der(certificate).ok()?.tbs_certificate.subject_public_key_info;
    if key.algorithm.oid == RSA {
        let bits = modulus(key.subject_public_key.as_bytes()?, 0).ok()?.0;
        return (!TO_LOOK_AT.contains(&bits)).then(|| format!("RSA with {bits} bits"));
    }
    let parameters = key.algorithm.parameters.as_ref();
    let curve = parameters.and_then(|parameters| parameters.decode_as().ok());
    algorithm(key.algorithm.oid, curve)
}

/// A key of PKCS #8: which algorithm it is for, and a text that depends on that.
fn wrapped(text: &[u8]) -> der::Result<Option<String>> {
    let mut reader = SliceReader::new(text)?;
    reader.sequence(|reader| {
        u8::decode(reader)?;
        let AlgorithmIdentifierRef { oid, parameters } = reader.decode()?;
        let key: OctetStringRef<'_> = reader.decode()?;
        reader.read_slice(reader.remaining_len())?;
        match oid == RSA {
            true => rsa(key.as_bytes()),
            false => {
                let curve = parameters.and_then(|parameters| parameters.decode_as().ok());
                Ok(algorithm(oid, curve))
            }
        }
    })
}

fn rsa(text: &[u8]) -> der::Result<Option<String>> {
    let (bits, exponent) = modulus(text, 1)?;
    let few = exponent.filter(|exponent| *exponent < LEAST_EXPONENT);
    Ok(match few {
        _ if !TO_SIGN.contains(&bits) => Some(format!("RSA with {bits} bits")),
        Some(exponent) => Some(format!("RSA with the exponent {exponent}")),
        None => None,
    })
}

/// The bits of a key of RSA, and its exponent unless that is a large one. So many numbers stand before them.
fn modulus(text: &[u8], before: usize) -> der::Result<(usize, Option<u64>)> {
    let mut reader = SliceReader::new(text)?;
    reader.sequence(|reader| {
        for _ in 0..before {
            u8::decode(reader)?;
        }
        let [modulus, exponent]: [UintRef<'_>; 2] = [reader.decode()?, reader.decode()?];
        reader.read_slice(reader.remaining_len())?;
        let bytes = modulus.as_bytes();
        let unused = bytes.first().map_or(0, |first| first.leading_zeros() as usize);
        let digits = exponent.as_bytes();
        let exponent = digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit));
        Ok((bytes.len() * 8 - unused, (digits.len() <= 8).then_some(exponent)))
    })
}

/// The curve of a key of SEC 1, if it says one.
fn curve(text: &[u8]) -> der::Result<Option<ObjectIdentifier>> {
    let mut reader = SliceReader::new(text)?;
    reader.sequence(|reader| {
        u8::decode(reader)?;
        OctetStringRef::decode(reader)?;
        let curve = ContextSpecific::decode_explicit(reader, TagNumber::N0)?;
        reader.read_slice(reader.remaining_len())?;
        Ok(curve.map(|curve| curve.value))
    })
}

/// An algorithm other than RSA, on this curve if it has one.
fn algorithm(oid: ObjectIdentifier, curve: Option<ObjectIdentifier>) -> Option<String> {
    match (oid, curve) {
        (ECDSA, curve) => curve.and_then(named),
        (ED25519, _) => None,
        _ => Some(name(oid).map_or_else(|| format!("the kind {oid}"), ToOwned::to_owned)),
    }
}

/// ECDSA on a curve that is not known here.
fn named(curve: ObjectIdentifier) -> Option<String> {
    let named =
        || name(curve).map_or_else(|| format!("ECDSA on the curve {curve}"), ToOwned::to_owned);
    (!CURVES.contains(&curve)).then(named)
}

fn name(oid: ObjectIdentifier) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}

//! Certificates of clients: who is let in, for each type and each kind of name.

use std::fs;

use crate::certificates::openssl;
use crate::site::{Site, TLS};

/// Without a certificate, with one of the authority, with one of another.
fn let_in(site: &Site) -> [bool; 3] {
    let of = |name: &str| format!("--cert {name}.pem --key {name}.key");
    // What the server says of a certificate comes behind the handshake in TLS 1.3, and within it before.
    [String::new(), of("client"), of("stranger")].map(|client| {
        let came = ["", "--tls-max 1.2"].map(|version| site.curl(&format!("{client} {version}")));
        assert_eq!(came[0].code == 0, came[1].code == 0, "{came:?}");
        came[0].came.starts_with("200")
    })
}

pub fn each_type_lets_in_whom_go_does() {
    for (word, ca, expected) in [
        ("NoClientCert", false, [true, true, true]),
        ("RequestClientCert", false, [true, true, true]),
        ("RequestClientCert", true, [true, true, true]),
        ("RequireAnyClientCert", false, [false, true, true]),
        ("RequireClientCert", true, [false, true, true]),
        ("VerifyClientCertIfGiven", true, [true, true, false]),
        ("RequireAndVerifyClientCert", true, [false, true, false]),
    ] {
        let ca = if ca { "  client_ca_file: ca.pem\n" } else { "" };
        let site = Site::new(&format!("{TLS}  client_auth_type: {word}\n{ca}"));
        assert_eq!(let_in(&site), expected, "{word}");
    }
}

pub fn names_are_allowed_by_kind() {
    for (names, known) in [
        ("a.example", true),
        ("192.0.2.7", true),
        ("a@b.example", true),
        ("spiffe://c/d", true),
        ("x, y, a.example", true),
        ("A.example", false),
        ("example", false),
        ("named", false),
        ("192.0.2.8", false),
    ] {
        for auth in ["RequireAndVerifyClientCert\n  client_ca_file: ca.pem", "RequireAnyClientCert"]
        {
            let web =
                format!("{TLS}  client_auth_type: {auth}\n  client_allowed_sans: [{names}]\n");
            let site = Site::new(&web);
            let came = site.curl("--cert named.pem --key named.key");
            assert_eq!(came.came.starts_with("200"), known, "{names}: {came:?}");
            assert_ne!(site.curl("").code, 0);
        }
    }
}

/// One that is its own authority is let in if it stands among the authorities, as Go has it: `x509.Certificate.Verify`
/// takes a certificate that is among the roots, if its dates and uses are good.
pub fn one_that_is_its_own_authority_is_let_in() {
    let auth = "RequireAndVerifyClientCert\n  client_ca_file: other.pem";
    let site = Site::new(&format!("{TLS}  client_auth_type: {auth}\n"));
    let shown = |name: &str| {
        let client = format!("--cert {name}.pem --key {name}.key");
        let came = ["", "--tls-max 1.2"].map(|version| site.curl(&format!("{client} {version}")));
        // Whoever is not let in finds no fault with the server.
        assert!(came.iter().all(|came| came.code != 60), "{came:?}");
        assert_eq!(came[0].code == 0, came[1].code == 0, "{came:?}");
        came[0].came.starts_with("200")
    };
    let made = |name: &str, more: &str| {
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        let files = format!("-subj /CN={name} -keyout {name}.key -out {name}.pem");
        openssl(site.dir.path(), &format!("req -x509 {key} {files} {more}"));
        fs::read(site.dir.path().join(format!("{name}.pem"))).unwrap()
    };
    let mut all = Vec::new();
    for (name, more, expected) in [
        ("authority", "-days 2 -addext basicConstraints=critical,CA:TRUE", true),
        ("leaf", "-days 2 -addext extendedKeyUsage=clientAuth", true),
        ("anything", "-days 2 -addext extendedKeyUsage=anyExtendedKeyUsage", true),
        ("serving", "-days 2 -addext extendedKeyUsage=serverAuth", false),
        ("strange", "-days 2 -addext 1.2.3.4=critical,ASN1:UTF8String:x", false),
    ] {
        all.extend(made(name, more));
        site.put("other.pem", &all);
        assert_eq!(shown(name), expected, "{name}");
    }
    // One of another key with the same name is another one.
    let known = made("authority", "-days 2 -addext basicConstraints=critical,CA:TRUE");
    assert!(!shown("authority"), "it is not among them yet");
    site.put("other.pem", known);
    assert!(shown("authority"));
    assert!(!shown("leaf"), "it is among them no more");
}

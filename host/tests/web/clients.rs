//! Certificates of clients: who is let in, for each type and each kind of name.

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

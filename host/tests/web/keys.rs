//! Keys and certificates of every kind that openssl makes: those that can be used, and what is said of the others.

use std::fs;
use std::path::Path;

use ebpf_wasm_exporter::serve::Web;

use crate::certificates::openssl;
use crate::site::{Site, TLS, folder};

const EC: &str = "ec -pkeyopt ec_paramgen_curve";
const P521: &str = "ec -pkeyopt ec_paramgen_curve:secp521r1";

/// Certifies a new key of this kind as the server's.
fn make(dir: &Path, kind: &str) {
    openssl(
        dir,
        &format!(
            "req -x509 -newkey {kind} -nodes -days 2 -subj /CN=server -keyout server.key -out server.pem"
        ),
    );
}

/// What is said of the server's key and certificate, without where they stand.
fn said(dir: &Path) -> String {
    let faults = Web::open(&dir.join("web.yml")).err().unwrap_or_default();
    let said = faults.iter().map(|fault| format!("{fault}\n")).collect::<String>();
    let place = dir.display().to_string();
    said.replace(&format!("{place}/"), "").replace("web.yml:", "").trim_end().to_owned()
}

pub fn those_that_can_be_used_are_used() {
    let kinds = ["prime256v1", "secp384r1"].map(|curve| format!("{EC}:{curve}"));
    for kind in kinds.iter().map(String::as_str).chain(["ed25519", "rsa:2048", "rsa:4096"]) {
        let dir = folder(TLS);
        make(dir.path(), kind);
        assert_eq!(said(dir.path()), "", "{kind}");
    }
    let dir = folder(TLS);
    openssl(dir.path(), "ec -in server.key -out sec1.key");
    fs::rename(dir.path().join("sec1.key"), dir.path().join("server.key")).unwrap();
    assert_eq!(said(dir.path()), "");
}

pub fn others_are_named() {
    let of = |kind: &str| {
        let dir = folder(TLS);
        make(dir.path(), kind);
        said(dir.path())
    };
    insta::assert_snapshot!(of(P521), @"3: tls_server_config.key_file: server.key holds a private key of ECDSA on P-521, which TLS is not spoken with here; use a key on P-256 or P-384, of Ed25519, or of RSA with 2048 to 4096 bits, and have it certified");
    let kind = |said: String| {
        let (_, said) =
            said.split_once("holds a private key of ").unwrap_or_else(|| panic!("{said}"));
        said.split_once(", which").unwrap().0.to_owned()
    };
    assert_eq!(kind(of(&format!("{EC}:secp256k1"))), "ECDSA on secp256k1");
    assert_eq!(
        kind(of(&format!("{EC}:brainpoolP256r1"))),
        "ECDSA on the curve 1.3.36.3.3.2.8.1.1.7"
    );
    assert_eq!(kind(of("rsa:1024")), "RSA with 1024 bits");
    assert_eq!(kind(of("rsa:2048 -pkeyopt rsa_keygen_pubexp:3")), "RSA with the exponent 3");
    assert_eq!(kind(of("ed448")), "Ed448");
    // In formats of old.
    for (kind_of_key, command, expected) in
        [(P521, "ec", "ECDSA on P-521"), ("rsa:1024", "rsa -traditional", "RSA with 1024 bits")]
    {
        let dir = folder(TLS);
        make(dir.path(), kind_of_key);
        openssl(dir.path(), &format!("{command} -in server.key -out old.key"));
        fs::rename(dir.path().join("old.key"), dir.path().join("server.key")).unwrap();
        let text = fs::read_to_string(dir.path().join("server.key")).unwrap();
        assert!(!text.contains("BEGIN PRIVATE KEY"), "{text}");
        assert_eq!(kind(said(dir.path())), expected);
    }
}

pub fn what_is_wrong_with_a_file_is_said() {
    let dir = folder(TLS);
    let dir = dir.path();
    let put = |name: &str, text: &[u8]| fs::write(dir.join(name), text).unwrap();
    let (key, certificate) =
        (fs::read(dir.join("server.key")).unwrap(), fs::read(dir.join("server.pem")).unwrap());
    openssl(dir, "pkey -in server.key -aes256 -passout pass:x -out locked.key");
    openssl(dir, "ec -in server.key -aes256 -passout pass:x -out old.key");
    for name in ["locked.key", "old.key"] {
        put("server.key", &fs::read(dir.join(name)).unwrap());
        insta::allow_duplicates! {
            insta::assert_snapshot!(said(dir), @"3: tls_server_config.key_file: server.key holds a private key that needs a passphrase; write it without one, as `openssl pkey -in FILE -out NEW` does");
        }
    }
    put("server.key", &fs::read(dir.join("client.key")).unwrap());
    insta::assert_snapshot!(said(dir), @"2: tls_server_config.cert_file: server.pem is the certificate of another key than the one that is named; write a certificate and the key that it was made with");
    put("server.key", b"-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----\n");
    insta::assert_snapshot!(said(dir), @"3: tls_server_config.key_file: server.key holds a private key that is damaged; write it whole, as `openssl pkey -in FILE -out NEW` does");
    put("server.key", &key);
    put("server.pem", b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n");
    insta::assert_snapshot!(said(dir), @"2: tls_server_config.cert_file: server.pem holds a certificate that is damaged; write it in PEM format, as `openssl x509 -in FILE -out NEW` does");
    put("server.pem", b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    insta::assert_snapshot!(said(dir), @"2: tls_server_config.cert_file: server.pem is a certificate that cannot be read; write the server's certificate first, and whole");
    put("server.pem", &certificate);
    openssl(dir, "req -new -key server.key -subj /CN=server -out server.csr");
    openssl(dir, "x509 -req -in server.csr -signkey server.key -days 2 -out server.pem");
    insta::assert_snapshot!(said(dir), @"2: tls_server_config.cert_file: server.pem is a certificate of an old version, without extensions; have one made of version 3: with `-addext subjectAltName=DNS:NAME`, if openssl makes it");
}

pub fn authorities_that_nobody_can_look_at_are_refused() {
    let web = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: strange.pem\n"
    );
    let dir = folder(&web);
    let dir = dir.path();
    let authority = |kind: &str, name: &str| {
        let command = format!("req -x509 -newkey {kind} -nodes -days 2 -subj /CN={name}");
        openssl(dir, &format!("{command} -keyout {name}.key -out {name}.pem"));
    };
    authority(P521, "strange");
    insta::assert_snapshot!(said(dir), @"5: tls_server_config.client_ca_file: strange.pem holds no authority whose signatures can be looked at: a key of ECDSA on P-521 is not known here; name an authority with a key on P-256 or P-384, of Ed25519, or of RSA with 2048 to 8192 bits");
    authority("rsa:1024", "strange");
    assert!(said(dir).contains("a key of RSA with 1024 bits is not known here"), "{}", said(dir));
    // Beside others it does no harm.
    let both = ["strange.pem", "ca.pem"].map(|name| fs::read(dir.join(name)).unwrap());
    fs::write(dir.join("strange.pem"), both.concat()).unwrap();
    assert_eq!(said(dir), "");
}

pub fn a_client_with_such_a_key_is_turned_away() {
    let site = Site::new(&format!("{TLS}  client_auth_type: RequireAnyClientCert\n"));
    for (kind, let_in) in [(P521, false), (&*format!("{EC}:secp384r1"), true)] {
        let command = format!("req -x509 -newkey {kind} -nodes -days 2 -subj /CN=odd");
        openssl(site.dir.path(), &format!("{command} -keyout odd.key -out odd.pem"));
        let came = site.curl("--cert odd.pem --key odd.key").came;
        assert_eq!(came.starts_with("200"), let_in, "{kind}: {came}");
    }
}

pub fn clients_turn_away_from_one_that_has_expired() {
    let dir = folder(TLS);
    let web = Web::open(&dir.path().join("web.yml")).unwrap();
    assert!(web.doubt().is_none());
    openssl(dir.path(), "x509 -in server.pem -signkey server.key -days -1 -out old.pem");
    fs::rename(dir.path().join("old.pem"), dir.path().join("server.pem")).unwrap();
    web.reopen().unwrap();
    let said = web.doubt().unwrap().to_string();
    for told in [
        "web.yml:2: warning: tls_server_config.cert_file: ",
        "server.pem has expired, at 2",
        "Z; renew it: clients turn away",
    ] {
        assert!(said.contains(told), "{said}");
    }
}

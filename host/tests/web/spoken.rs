//! What is spoken: versions, suites and curves of TLS, HTTP/1 and HTTP/2, and what is said to those who speak less.

use crate::server::TEXT;
use crate::site::{Site, TLS, curl};

pub fn a_page_is_the_same_with_tls() {
    let site = Site::new(TLS);
    for (arguments, version) in [
        ("", "2"),
        ("--http2", "2"),
        ("--http1.1", "1.1"),
        ("--http2-prior-knowledge", "2"),
        ("--tls-max 1.2", "2"),
    ] {
        let came = site.curl(arguments);
        assert_eq!((&*came.body, came.came), (TEXT, format!("200 {version}")), "{arguments}");
        let zipped = site.curl(&format!("--compressed {arguments}"));
        assert_eq!(zipped.body, TEXT, "{arguments}");
        assert_eq!(site.curl(&format!("-I {arguments}")).came, format!("200 {version}"));
    }
    assert!(site.web.speaks_tls());
    let old = Site::new(&format!("{TLS}http_server_config: {{http2: false}}\n"));
    assert_eq!(old.curl("--http2").came, "200 1.1");
}

pub fn versions_are_those_of_the_file() {
    let old = "-cipher DEFAULT@SECLEVEL=0";
    for (lines, spoken) in [
        ("", [false, true, true]),
        ("  min_version: TLS13\n", [false, false, true]),
        ("  max_version: TLS12\n", [false, true, false]),
    ] {
        let site = Site::new(&format!("{TLS}{lines}"));
        let versions = [format!("-tls1_1 {old}"), "-tls1_2".to_owned(), "-tls1_3".to_owned()];
        let found = versions.map(|version| site.s_client(&version).0);
        assert_eq!(found, spoken, "{lines}");
    }
}

pub fn suites_are_those_of_the_file() {
    let suites = "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n";
    let theirs = "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305";
    for (prefer, first) in [("true", "CHACHA20"), ("false", "AES256-GCM")] {
        let site = Site::new(&format!("{TLS}{suites}  prefer_server_cipher_suites: {prefer}\n"));
        let (spoken, said) = site.s_client(theirs);
        let line = said.lines().find(|line| line.contains("Cipher is")).unwrap();
        assert!(spoken && line.contains(first), "{said}");
        assert!(!site.s_client("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256").0);
        // Those of TLS 1.3 are always there.
        assert!(site.s_client("-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256").0);
    }
}

pub fn curves_are_those_of_the_file() {
    let site = Site::new(&format!("{TLS}  curve_preferences: [CurveP384, CurveP256]\n"));
    assert!(site.s_client("-groups P-256").0 && site.s_client("-groups P-384").0);
    assert!(!site.s_client("-groups X25519").0);
}

pub fn texts_may_stand_in_the_file() {
    let made = crate::site::folder("");
    let indented = |name: &str| {
        let text = std::fs::read_to_string(made.path().join(name)).unwrap();
        text.lines().map(|line| format!("    {line}\n")).collect::<String>()
    };
    let web = format!(
        "tls_server_config:\n  cert: |\n{}  key: |\n{}  client_ca: |\n{}  client_auth_type: RequireAndVerifyClientCert\n",
        indented("server.pem"),
        indented("server.key"),
        indented("ca.pem"),
    );
    let site = Site::new(&web);
    assert_eq!(site.curl("--cert client.pem --key client.key").came, "200 2");
    assert_ne!(site.curl("--cert stranger.pem --key stranger.key").code, 0);
}

pub fn who_has_no_tls_is_told() {
    let site = Site::new(TLS);
    let url = format!("http://localhost:{}/metrics", site.server.address.port());
    let came = curl(site.dir.path(), &url, "");
    assert_eq!(came.came, "400 1.1");
    assert_eq!(came.body, "this port speaks HTTPS; ask again with https in front\n");
}

pub fn responses_have_the_headers_of_the_file() {
    let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    \
                   Strict-Transport-Security: max-age=60\n    X-Content-Type-Options: nosniff\n";
    for web in [headers.to_owned(), format!("{TLS}{headers}")] {
        let site = Site::new(&web);
        let scheme = if site.web.speaks_tls() { "https" } else { "http" };
        for path in ["/metrics", "/nothing"] {
            let url = format!("{scheme}://localhost:{}{path}", site.server.address.port());
            let came = curl(site.dir.path(), &url, "-i").body.to_lowercase();
            assert!(came.contains("x-frame-options: deny"), "{came}");
            assert!(came.contains("strict-transport-security: max-age=60"), "{came}");
            assert_eq!(came.matches("nosniff").count(), 1, "{came}");
        }
    }
}

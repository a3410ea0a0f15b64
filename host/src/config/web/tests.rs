//! Web configs: what they mean, and what is said of those that mean nothing.

use super::*;

fn read(text: &str) -> Result<WebPlan, String> {
    parse(&ConfigFile::new("dir/web.yml", text))
        .map_err(|faults| faults.iter().map(|fault| format!("{fault}\n")).collect())
}

fn said(text: &str) -> String {
    read(text).unwrap_err()
}

fn tls(more: &str) -> Result<TlsPlan, String> {
    let text = format!("tls_server_config: {{cert_file: a.pem, key_file: a.key{more}}}");
    read(&text).map(|plan| plan.tls.unwrap())
}

const HASH: &str = "$2y$10$abcdefghijklmnopqrstuu0123456789./ABCDEFGHIJKLMNOPQRO";

#[test]
fn a_file_that_says_nothing_changes_nothing() {
    for text in [
        "",
        "# nothing\n",
        "---\n",
        "{}",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n",
        "tls_server_config: {}\nbasic_auth_users: {}\n",
        "tls_server_config: {cert_file: '', key_file: '', client_allowed_sans: }\n",
        "rate_limit: {interval: 0, burst: 0}\nhttp_server_config: {http2: true, headers: {}}\n",
        "http_server_config: {headers: {Content-Security-Policy: ''}}\n",
    ] {
        assert_eq!(read(text).unwrap(), WebPlan::default(), "{text:?}");
    }
}

#[test]
fn everything_is_read() {
    let plan = read(&format!(
        "tls_server_config:\n\
         \x20 cert_file: server.pem\n\
         \x20 key_file: /etc/server.key\n\
         \x20 client_auth_type: RequireAndVerifyClientCert\n\
         \x20 client_ca_file: ca.pem\n\
         \x20 client_allowed_sans: [prometheus.example, 192.0.2.1]\n\
         \x20 min_version: TLS12\n\
         \x20 max_version: TLS12\n\
         \x20 cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]\n\
         \x20 prefer_server_cipher_suites: false\n\
         \x20 curve_preferences: [CurveP384, X25519]\n\
         http_server_config:\n\
         \x20 http2: false\n\
         \x20 headers: {{X-Frame-Options: deny, Strict-Transport-Security: max-age=1}}\n\
         basic_auth_users:\n\
         \x20 alice: {HASH}\n\
         rate_limit: {{interval: 100ms, burst: 5}}\n"
    ))
    .unwrap();
    let tls = plan.tls.unwrap();
    assert_eq!(tls.certificate.file.as_deref(), Some(Path::new("dir/server.pem")));
    assert_eq!(tls.key.file.as_deref(), Some(Path::new("/etc/server.key")));
    assert_eq!(tls.clients, ClientAuth::NeededAndVerified);
    assert_eq!(tls.authorities.unwrap().file.as_deref(), Some(Path::new("dir/ca.pem")));
    assert_eq!(tls.names, ["prometheus.example", "192.0.2.1"]);
    assert_eq!((tls.versions, tls.prefers), ((true, false), false));
    assert_eq!(tls.suites, [SuitePlan::RsaAes256]);
    assert_eq!(tls.curves, [CurvePlan::P384, CurvePlan::X25519]);
    assert!(!plan.http2);
    let names: Vec<_> = plan.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["Strict-Transport-Security", "X-Frame-Options"]);
    assert_eq!((&*plan.users[0].name, plan.users[0].cost), ("alice", 10));
    let rate = RatePlan { interval: Duration::from_millis(100), burst: 5 };
    assert_eq!(plan.rate, Some(rate));
}

#[test]
fn texts_may_stand_in_the_file_itself() {
    let plan = read("tls_server_config: {cert: C, key: K}").unwrap().tls.unwrap();
    assert_eq!((&*plan.certificate.text, &*plan.key.text), ("C", "K"));
    assert_eq!((plan.versions, plan.prefers), ((true, true), true));
    assert!(!format!("{plan:?}").contains("\"K\""));
}

#[test]
fn client_auth_types_are_those_of_go() {
    for (word, ca, auth) in [
        ("NoClientCert", false, ClientAuth::NotAsked),
        ("RequestClientCert", false, ClientAuth::Asked),
        ("RequestClientCert", true, ClientAuth::Asked),
        ("RequireAnyClientCert", false, ClientAuth::Needed),
        ("RequireClientCert", true, ClientAuth::Needed),
        ("VerifyClientCertIfGiven", true, ClientAuth::VerifiedIfGiven),
        ("RequireAndVerifyClientCert", true, ClientAuth::NeededAndVerified),
    ] {
        let ca = if ca { ", client_ca: X" } else { "" };
        let plan = tls(&format!(", client_auth_type: {word}{ca}")).unwrap();
        assert_eq!(plan.clients, auth, "{word}");
        assert_eq!(plan.authorities.is_some(), auth.verifies(), "{word}");
    }
}

#[test]
fn says_all_that_is_wrong_with_tls() {
    insta::assert_snapshot!(said("tls_server_config: {cert_file: a, key: b, cert: c, min_version: TLS11}"), @"");
    insta::assert_snapshot!(said("tls_server_config: {key_file: b}"), @"");
    insta::assert_snapshot!(said("tls_server_config: {min_version: TLS13, client_ca: x}"), @"");
    insta::assert_snapshot!(tls(", max_version: TLS12, min_version: TLS13").unwrap_err(), @"");
    insta::assert_snapshot!(tls(", max_version: SSL30, client_auth_type: RequireClientCerts").unwrap_err(), @"");
    insta::assert_snapshot!(tls(", client_ca_file: ca.pem").unwrap_err(), @"");
    insta::assert_snapshot!(tls(", client_auth_type: VerifyClientCertIfGiven").unwrap_err(), @"");
    insta::assert_snapshot!(tls(", client_allowed_sans: [a], client_auth_type: RequestClientCert").unwrap_err(), @"");
    insta::assert_snapshot!(tls(", client_allowed_sans: [], client_auth_type: RequireAnyClientCert").unwrap_err(), @"");
    insta::assert_snapshot!(
        tls(", cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_AES_128_GCM_SHA265, x]").unwrap_err(),
        @""
    );
    insta::assert_snapshot!(tls(", curve_preferences: [CurveP521, CurveP255]").unwrap_err(), @"");
}

#[test]
fn says_all_else_that_is_wrong() {
    insta::assert_snapshot!(said("tls_server_confg: {}\nbasic_auth_users: [a]\n"), @"");
    insta::assert_snapshot!(said("http_server_config:\n  http2: maybe\n  headers: {x-frame-options: deny, X-Frame-Options: denied, X-XSS-Protection: \"a\\nb\"}\n"), @"");
    insta::assert_snapshot!(said(&format!("basic_auth_users:\n  a: secret\n  'b:c': {HASH}\n  d: {}\n  e: {}\n", HASH.replace("10", "17"), HASH.replace("10", "03"))), @"");
    insta::assert_snapshot!(said("rate_limit: {interval: 1, burst: 2}"), @"");
    insta::assert_snapshot!(said("rate_limit: {interval: 48h, burst: 2}"), @"");
    insta::assert_snapshot!(said("rate_limit: {interval: 1s}"), @"");
    insta::assert_snapshot!(said("rate_limit: {interval: 1s, burst: -1}"), @"");
    insta::assert_snapshot!(said(&format!("basic_auth_users:\n  a: {HASH}\n  a: {HASH}\n")), @"");
    insta::assert_snapshot!(said("a: 1\n---\nb: 2\n"), @"");
    insta::assert_snapshot!(said("[]"), @"");
    insta::assert_snapshot!(said("{"), @"");
}

#[test]
fn no_message_shows_a_secret() {
    for text in [
        "basic_auth_users: {a: secret}",
        "basic_auth_users: {a: $2y$99$secret}",
        "tls_server_config: {key: secret, key_file: x}",
        "tls_server_config: {key: secret}",
    ] {
        assert!(!said(text).contains("secret"), "{text}");
    }
}

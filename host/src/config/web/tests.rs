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
    insta::assert_snapshot!(said("tls_server_config: {cert_file: a, key: b, cert: c, min_version: TLS11}"), @"
    dir/web.yml:1: tls_server_config.cert_file: `cert` says the same; leave one of the two out
    dir/web.yml:1: tls_server_config.min_version: TLS 1.0 and 1.1 are broken, and are not spoken here; write TLS12 or TLS13
    ");
    insta::assert_snapshot!(said("tls_server_config: {key_file: b}"), @"dir/web.yml:1: tls_server_config: the certificate is missing; add `cert_file` with its file, or `cert` with its text");
    insta::assert_snapshot!(said("tls_server_config: {min_version: TLS13, client_ca: x}"), @"
    dir/web.yml:1: tls_server_config.client_ca: there are authorities of clients, who are not asked for a certificate; add `client_auth_type: RequireAndVerifyClientCert`, or leave the authorities out
    dir/web.yml:1: tls_server_config: the certificate is missing; add `cert_file` with its file, or `cert` with its text
    dir/web.yml:1: tls_server_config: the private key is missing; add `key_file` with its file, or `key` with its text
    ");
    insta::assert_snapshot!(tls(", max_version: TLS12, min_version: TLS13").unwrap_err(), @"dir/web.yml:1: tls_server_config.max_version: no TLS is at least 1.3 and at most 1.2; leave `max_version` out");
    insta::assert_snapshot!(tls(", max_version: SSL30, client_auth_type: RequireClientCerts").unwrap_err(), @"
    dir/web.yml:1: tls_server_config.client_auth_type: no type is called so; did you mean `RequireClientCert`?
    dir/web.yml:1: tls_server_config.max_version: no version of TLS is called so; write TLS12 or TLS13
    ");
    insta::assert_snapshot!(tls(", client_ca_file: ca.pem").unwrap_err(), @"dir/web.yml:1: tls_server_config.client_ca_file: there are authorities of clients, who are not asked for a certificate; add `client_auth_type: RequireAndVerifyClientCert`, or leave the authorities out");
    insta::assert_snapshot!(tls(", client_auth_type: VerifyClientCertIfGiven").unwrap_err(), @"dir/web.yml:1: tls_server_config.client_auth_type: clients' certificates are to be verified, and no authority is named; add `client_ca_file` with the authorities that may certify clients");
    insta::assert_snapshot!(tls(", client_allowed_sans: [a], client_auth_type: RequestClientCert").unwrap_err(), @"dir/web.yml:1: tls_server_config.client_allowed_sans: names are allowed of clients, who need no certificate; add `client_auth_type: RequireAndVerifyClientCert`, or leave them out");
    insta::assert_snapshot!(tls(", client_allowed_sans: [], client_auth_type: RequireAnyClientCert").unwrap_err(), @"dir/web.yml:1: tls_server_config.client_allowed_sans: no client can have one of no names; name some, or leave the key out");
    insta::assert_snapshot!(
        tls(", cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_AES_128_GCM_SHA265, x]").unwrap_err(),
        @"
        dir/web.yml:1: tls_server_config.cipher_suites[0]: suites of this kind are old, and not spoken here; leave it out: who speaks TLS 1.2 knows a suite of GCM
        dir/web.yml:1: tls_server_config.cipher_suites[1]: suites of this kind are old, and not spoken here; leave it out: who speaks TLS 1.2 knows a suite of GCM
        dir/web.yml:1: tls_server_config.cipher_suites[2]: no suite that is known here is called so; did you mean `TLS_AES_128_GCM_SHA256`?
        dir/web.yml:1: tls_server_config.cipher_suites[3]: no suite that is known here is called so; write one of TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256
        "
    );
    insta::assert_snapshot!(tls(", cipher_suites: [TLS_AES_128_GCM_SHA256]").unwrap_err(), @"dir/web.yml:1: tls_server_config.cipher_suites: TLS 1.2 is spoken, and none of its suites is named; add one, or `min_version: TLS13`");
    tls(", cipher_suites: [TLS_AES_128_GCM_SHA256], min_version: TLS13").unwrap();
    insta::assert_snapshot!(tls(", curve_preferences: [CurveP521, CurveP255]").unwrap_err(), @"
    dir/web.yml:1: tls_server_config.curve_preferences[0]: `CurveP521` is not spoken here; leave it out: hardly anybody has no other
    dir/web.yml:1: tls_server_config.curve_preferences[1]: no curve that is known here is called so; did you mean `CurveP256`?
    ");
}

#[test]
fn says_all_else_that_is_wrong() {
    insta::assert_snapshot!(said("tls_server_confg: {}\nbasic_auth_users: [a]\n"), @"
    dir/web.yml:1: tls_server_confg: unknown key, which does nothing; did you mean `tls_server_config`?
    dir/web.yml:2: basic_auth_users: expected a mapping, found a list; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    ");
    insta::assert_snapshot!(said("http_server_config:\n  http2: maybe\n  headers: {x-frame-options: deny, X-Frame-Options: denied, X-XSS-Protection: \"a\\nb\"}\n"), @"
    dir/web.yml:2: http_server_config.http2: expected true or false, found a text; write one of the two
    dir/web.yml:3: http_server_config.headers.x-frame-options: unknown key, which does nothing; did you mean `X-Frame-Options`?
    dir/web.yml:3: http_server_config.headers.X-Frame-Options: the header has no such value; write deny, sameorigin
    dir/web.yml:3: http_server_config.headers.X-XSS-Protection: a header cannot hold that text; write one line of plain text
    ");
    insta::assert_snapshot!(said(&format!("basic_auth_users:\n  a: secret\n  'b:c': {HASH}\n  d: {}\n  e: {}\n", HASH.replace("10", "17"), HASH.replace("10", "03"))), @r#"
    dir/web.yml:2: basic_auth_users.a: it has no bcrypt hash of a password; write what `htpasswd -nBC 10 "" | tr -d ':\n'` prints, in quotes
    dir/web.yml:3: basic_auth_users.b…: no user can be called so: a colon ends the name; leave the colon out
    dir/web.yml:4: basic_auth_users.d: the hash has a cost of 17; make it anew with one from 4 to 16: 10 takes less than 0.1 s to check, 16 some seconds
    dir/web.yml:5: basic_auth_users.e: the hash has a cost of 3; make it anew with one from 4 to 16: 10 takes less than 0.1 s to check, 16 some seconds
    "#);
    insta::assert_snapshot!(said("rate_limit: {interval: 1, burst: 2}"), @"dir/web.yml:1: rate_limit.interval: it is no time between two requests; write one up to 24h, such as 100ms; 0 for none");
    insta::assert_snapshot!(said("rate_limit: {interval: 48h, burst: 2}"), @"dir/web.yml:1: rate_limit.interval: it is no time between two requests; write one up to 24h, such as 100ms; 0 for none");
    insta::assert_snapshot!(said("rate_limit: {interval: 1s, burst: 9223372036854775808}"), @"dir/web.yml:1: rate_limit.burst: a burst of that many is more than can be counted; write a `burst` of 1 or more, or leave `rate_limit` out");
    insta::assert_snapshot!(said("rate_limit: {interval: 1s}"), @"dir/web.yml:1: rate_limit: no request would be answered without a burst; write a `burst` of 1 or more, or leave `rate_limit` out");
    insta::assert_snapshot!(said("rate_limit: {interval: 1s, burst: -1}"), @"dir/web.yml:1: rate_limit.burst: no request would be answered with a burst below 0; write a `burst` of 1 or more, or leave `rate_limit` out");
    insta::assert_snapshot!(said(&format!("basic_auth_users:\n  a: {HASH}\n  a: {HASH}\n")), @"dir/web.yml:2: a: the key comes again in the same mapping; write it once");
    insta::assert_snapshot!(said("rate_limit: {}\nbasic_auth_users:\n  $2y$10$secret: x\n  $2y$10$secret: x\n"), @r#"
    dir/web.yml:3: …: the key comes again in the same mapping; write it once
    dir/web.yml:4: basic_auth_users.…: it has no bcrypt hash of a password; write what `htpasswd -nBC 10 "" | tr -d ':\n'` prints, in quotes
    "#);
    insta::assert_snapshot!(said("a: 1\n---\nb: 2\n"), @"
    dir/web.yml:1: a: unknown key, which does nothing; remove it, or write one of tls_server_config, http_server_config, basic_auth_users, rate_limit
    dir/web.yml:2: another document begins here; write one document
    ");
    insta::assert_snapshot!(said("[]"), @"dir/web.yml: expected a mapping, found a list; write lines of `KEY: VALUE`, or `{KEY: VALUE}`");
    insta::assert_snapshot!(said("rate_limit: {burst: !!int x}"), @"dir/web.yml:1: failed to read the YAML: what stands there is not of the kind that it has to be; correct the YAML there");
    insta::assert_snapshot!(said("{"), @"dir/web.yml:1: failed to read the YAML: unclosed bracket '{' at line 1 column 1; correct the YAML there");
}

#[test]
fn a_text_where_a_file_is_to_be_named_is_not_shown() {
    let pem = "|\n    -----BEGIN PRIVATE KEY-----\n    secret\n";
    insta::assert_snapshot!(said(&format!("tls_server_config:\n  cert_file: a.pem\n  key_file: {pem}")), @"dir/web.yml:3: tls_server_config.key_file: it is the text itself, and not the name of its file; write it under `key`");
    insta::assert_snapshot!(said("tls_server_config: {key_file: a.key, cert_file: -----BEGIN CERTIFICATE----- secret}"), @"dir/web.yml:1: tls_server_config.cert_file: it is the text itself, and not the name of its file; write it under `cert`");
    insta::assert_snapshot!(tls(", client_auth_type: RequireAndVerifyClientCert, client_ca_file: \"a\\nsecret\"").unwrap_err(), @"dir/web.yml:1: tls_server_config.client_ca_file: it is the text itself, and not the name of its file; write it under `client_ca`");
    let line = "MC4CAQAwBQYDK2VwBCIEIHKbHhbpVxyzUhMcbcDGUIwfl4iB";
    insta::assert_snapshot!(said(&format!("tls_server_config: {{cert_file: a.pem, key_file: {line}}}")), @"dir/web.yml:1: tls_server_config.key_file: it is the text itself, and not the name of its file; write it under `key`");
    insta::assert_snapshot!(said(&format!("tls_server_config: {{cert_file: a.pem, key_file: {HASH}}}")), @"dir/web.yml:1: tls_server_config.key_file: it is the hash of a password, and not the name of a file; write it behind a user of `basic_auth_users`");
}

#[test]
fn a_burst_is_as_large_as_the_toolkit_takes_it() {
    let burst = |text: &str| {
        let plan = read(&format!("rate_limit: {{interval: 100µs, burst: {text}}}")).unwrap();
        plan.rate.unwrap().burst
    };
    assert_eq!(burst("4294967295"), u32::MAX);
    assert_eq!((burst("9999999999999"), burst("9223372036854775807")), (u32::MAX, u32::MAX));
}

/// Wherever it stands, and whatever it is taken for.
#[test]
fn no_value_is_shown() {
    let sections = [
        ("{", "}", &raw::WEB),
        ("{tls_server_config: {", "}}", &raw::TLS),
        ("{http_server_config: {", "}}", &raw::HTTP),
        ("{http_server_config: {headers: {", "}}}", &raw::HEADERS),
        ("{rate_limit: {interval: 1s, ", "}}", &raw::RATE),
    ];
    let values = [
        "'$2y$10$secret-secret'",
        "secret",
        "[secret]",
        "[[secret]]",
        "{a$: secret}",
        "*secret",
        "!!int secret",
        "!!bool secret",
        "!secret x",
        "{'$2y$10$secret-secret': !!int x}",
        "'-----BEGIN PRIVATE KEY-----\n\nsecret'",
    ];
    for (before, behind, section) in sections {
        for key in section.keys {
            for value in values {
                let text = format!("{before}{}: {value}{behind}", key.name);
                let said = read(&text).map_or_else(|said| said, |_| String::new());
                assert!(!said.contains("secret"), "{text}: {said}");
            }
        }
    }
}

#[test]
fn no_message_shows_a_secret() {
    for text in [
        "basic_auth_users: {a: secret}",
        "basic_auth_users: {a: $2y$99$secret}",
        "basic_auth_users: prometheus:$2y$10$secret",
        "basic_auth_users:\n  prometheus:$2y$10$secret\n",
        "basic_auth_users: {prometheus:$2y$10$secret}",
        "basic_auth_users: {prometheus:secret}",
        "basic_auth_users: {$2y$10$secret: prometheus}",
        "basic_auth_users: {$2y$10$secret: [prometheus]}",
        "basic_auth_users: [\"prometheus:$2y$10$secret\"]",
        "basic_auth_users: {a: [$2y$10$secret]}",
        "{prometheus:$2y$10$secret}",
        "prometheus:$2y$10$secret",
        "tls_server_config: -----BEGIN PRIVATE KEY----- secret",
        "tls_server_config: {key: secret, key_file: x}",
        "tls_server_config: {key: secret}",
        "tls_server_config: {key: [secret]}",
        "tls_server_config: {cert: a, key: secret, key_file: \"-----BEGIN PRIVATE KEY-----secret\"}",
    ] {
        assert!(!said(text).contains("secret"), "{text}");
    }
    insta::assert_snapshot!(said("basic_auth_users: prometheus:$2y$10$secret"), @"dir/web.yml:1: basic_auth_users: expected a mapping, found a text; write lines of `KEY: VALUE`, or `{KEY: VALUE}`");
    insta::assert_snapshot!(said("basic_auth_users: {prometheus:$2y$10$secret}"), @"dir/web.yml:1: basic_auth_users.prometheus…: no user can be called so: a colon ends the name; leave the colon out");
}

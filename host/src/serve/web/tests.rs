//! Web configs that change while they are at work.

use std::fs;
use std::task::{Context, Waker};

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::said::News;
use super::*;
use crate::workers::Workers;

/// The hash of `secret`, as cheap as one can be.
fn hash() -> String {
    bcrypt::hash_with_salt("secret", 4, [7; 16]).unwrap().to_string()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.0.path().join("new"), text).unwrap();
        fs::rename(self.0.path().join("new"), self.0.path().join(name)).unwrap();
    }

    fn open(&self) -> Result<Web, String> {
        Web::open(&self.0.path().join("web.yml")).map_err(|faults| self.said(&faults))
    }

    fn said(&self, faults: &[Fault]) -> String {
        let lines: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
        lines.replace(&self.0.path().display().to_string(), "DIR")
    }
}

fn web(text: &str) -> (Folder, Web) {
    let folder = Folder::new();
    folder.put("web.yml", text);
    let web = folder.open().unwrap();
    (folder, web)
}

/// What comes of asking, if that is known at once: a status, or `admitted`.
fn at_once(web: &Web, headers: &HeaderMap, peer: Peer) -> Option<String> {
    let mut asked = Box::pin(web.admit(headers, peer));
    let status = |refused: Refused| refused.into_response().status().as_str().to_owned();
    match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Pending => None,
        std::task::Poll::Ready(Ok(_)) => Some("admitted".to_owned()),
        std::task::Poll::Ready(Err(refused)) => Some(status(refused)),
    }
}

fn login(user: &str, password: &str) -> HeaderMap {
    let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(&value).unwrap())])
}

/// What comes of it in the end.
fn asked(web: &Web, user: &str, password: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let admitted = runtime.block_on(web.admit(&login(user, password), Peer::Local));
    match admitted {
        Ok(_) => "admitted".to_owned(),
        Err(refused) => refused.into_response().status().as_str().to_owned(),
    }
}

fn hired(web: &Web) -> Workers {
    let mut hired = Hired::default();
    web.hire(&mut hired).unwrap();
    hired.begin()
}

#[test]
fn files_that_are_none_are_named() {
    let folder = Folder::new();
    let said = || folder.open().unwrap_err();
    insta::assert_snapshot!(said(), @"DIR/web.yml: the web config cannot be read: no such file or directory; name a file of at most 1 MiB that can be read, as the user whom the exporter becomes");
    folder.put("web.yml", "tls_server_config:\n  cert_file: a.pem\n  key_file: a.key\n");
    insta::assert_snapshot!(said(), @"
    DIR/web.yml:2: tls_server_config.cert_file: DIR/a.pem cannot be read: no such file or directory; let it be a file that the exporter can read, as the user whom it becomes
    DIR/web.yml:3: tls_server_config.key_file: DIR/a.key cannot be read: no such file or directory; let it be a file that the exporter can read, as the user whom it becomes
    ");
    folder.put("a.pem", "");
    folder.put("a.key", "x");
    insta::assert_snapshot!(said(), @"
    DIR/web.yml:2: tls_server_config.cert_file: DIR/a.pem holds no certificate in PEM format; write it in PEM format, as `openssl x509 -in FILE -out NEW` does
    DIR/web.yml:3: tls_server_config.key_file: DIR/a.key holds no private key in PEM format; write it in PEM format, without a passphrase
    ");
    folder.put("web.yml", "tls_server_config: {cert: a, key: b, client_ca: c, client_auth_type: RequireAndVerifyClientCert}");
    insta::assert_snapshot!(said(), @"
    DIR/web.yml:1: tls_server_config.cert: it holds no certificate in PEM format; write it in PEM format, as `openssl x509 -in FILE -out NEW` does
    DIR/web.yml:1: tls_server_config.key: it holds no private key in PEM format; write it in PEM format, without a passphrase
    DIR/web.yml:1: tls_server_config.client_ca: it holds no certificate that can be trusted; write the certificates of authorities, in PEM format
    ");
    let mut bytes = b"basic_auth_users: {a: ".to_vec();
    bytes.push(0xff);
    fs::write(folder.0.path().join("web.yml"), bytes).unwrap();
    insta::assert_snapshot!(said(), @"DIR/web.yml: the web config is not UTF-8; write it as UTF-8");
    fs::write(folder.0.path().join("web.yml"), vec![b'#'; 2 << 20]).unwrap();
    insta::assert_snapshot!(said(), @"DIR/web.yml: the web config is too large, with 2097152 bytes; name a file of at most 1 MiB that can be read, as the user whom the exporter becomes");
}

#[test]
fn users_change_while_it_serves() {
    let (folder, web) = web(&format!("basic_auth_users: {{a: {}}}\n", hash()));
    let workers = hired(&web);
    assert_eq!(at_once(&web, &HeaderMap::new(), Peer::Local).as_deref(), Some("401"));
    assert_eq!(asked(&web, "a", "secret"), "admitted");
    for (user, password) in
        [("a", "Secret"), ("a", ""), ("b", "secret"), ("", "secret"), ("A", "secret")]
    {
        assert_eq!(asked(&web, user, password), "401", "{user}:{password}");
    }
    // What was found out is known.
    assert_eq!(at_once(&web, &login("a", "secret"), Peer::Local).as_deref(), Some("admitted"));
    assert_eq!(at_once(&web, &login("b", "secret"), Peer::Local).as_deref(), Some("401"));
    folder.put("web.yml", &format!("basic_auth_users: {{b: {}}}\n", hash()));
    assert_eq!(asked(&web, "a", "secret"), "401");
    assert_eq!(asked(&web, "b", "secret"), "admitted");
    workers.stop();
}

#[test]
fn a_password_that_is_known_waits_for_nobody() {
    let (_folder, web) = web(&format!("basic_auth_users: {{a: {}}}\n", hash()));
    let workers = hired(&web);
    assert_eq!(asked(&web, "a", "secret"), "admitted");
    // From here on nobody checks.
    workers.stop();
    assert_eq!(at_once(&web, &login("a", "secret"), Peer::Local).as_deref(), Some("admitted"));
}

#[test]
fn a_flood_of_wrong_passwords_keeps_out_nobody_else() {
    let (_folder, web) = web(&format!("basic_auth_users: {{a: {}}}\n", hash()));
    let many: Vec<_> = (0..100).map(|n| login("a", &n.to_string())).collect();
    let (flood, other) = (Peer::of([192, 0, 2, 1].into()), Peer::of([192, 0, 2, 2].into()));
    let mut cx = Context::from_waker(Waker::noop());
    let mut waiting: Vec<_> =
        many.iter().map(|headers| Box::pin(web.admit(headers, flood))).collect();
    let answered = waiting.iter_mut().filter_map(|asked| match asked.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(Err(refused)) => Some(refused.into_response().status().as_u16()),
        _ => None,
    });
    // Each that comes is the last of the address that has the most.
    assert_eq!(answered.collect::<Vec<_>>(), [503; 36]);
    let headers = login("a", "secret");
    let mut good = Box::pin(web.admit(&headers, other));
    assert!(good.as_mut().poll(&mut cx).is_pending(), "it has a place");
    let workers = hired(&web);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(good).is_ok());
    workers.stop();
}

#[test]
fn what_protects_it_is_not_lost() {
    let users = format!("basic_auth_users: {{a: {}}}\n", hash());
    let (folder, web) = web(&users);
    for text in ["", "{}", "rate_limit: {interval: 1s, burst: 9}\n", "basic_auth_users: {}"] {
        folder.put("web.yml", text);
        assert_eq!(
            at_once(&web, &login("a", "secret"), Peer::Local).as_deref(),
            Some("500"),
            "{text}"
        );
    }
    insta::assert_snapshot!(web.state().said_rules.0[0].replace(&folder.0.path().display().to_string(), "DIR"), @"DIR/web.yml: there were users, and the file has none now; restart the exporter if it is to go without");
    folder.put("web.yml", &users);
    assert_eq!(at_once(&web, &HeaderMap::new(), Peer::Local).as_deref(), Some("401"));
    assert!(web.state().said_rules.0.is_empty());

    let plan = |clients| {
        let text = format!(
            "tls_server_config: {{cert: a, key: b, client_ca: c, client_auth_type: {clients}}}"
        );
        config::web::parse(&ConfigFile::new("web.yml", text)).unwrap()
    };
    let lost =
        |from, to: &WebPlan| Protection::of(&plan(from)).lost(to).map(|advice| advice.to_string());
    insta::assert_snapshot!(lost("RequestClientCert", &WebPlan::default()).unwrap(), @"there was TLS, and the file has no certificate now; restart the exporter if it is to go without");
    insta::assert_snapshot!(lost("RequireAndVerifyClientCert", &plan("RequireAnyClientCert")).unwrap(), @"clients needed certificates, and the file asks for less now; restart the exporter if it is to go without");
    assert_eq!(lost("RequestClientCert", &plan("RequireAndVerifyClientCert")), None);
    assert_eq!(lost("VerifyClientCertIfGiven", &plan("RequestClientCert")), None);
}

#[test]
fn what_comes_to_protect_it_is_not_lost() {
    let users = format!("basic_auth_users: {{a: {}}}\n", hash());
    let (folder, web) = web("");
    let ask = || at_once(&web, &HeaderMap::new(), Peer::Local).unwrap();
    assert_eq!(ask(), "admitted");
    folder.put("web.yml", &users);
    assert_eq!(ask(), "401");
    for text in ["", "rate_limit: {interval: 1s, burst: 9}\n"] {
        folder.put("web.yml", text);
        assert_eq!(ask(), "500", "{text}");
        assert!(web.reopen().is_err(), "{text}");
    }
    folder.put("web.yml", &users);
    assert_eq!(ask(), "401");

    let plan = |more: &str| {
        let tls = format!("tls_server_config: {{cert: a, key: b, client_ca: c, {more}}}");
        config::web::parse(&ConfigFile::new("web.yml", tls)).unwrap()
    };
    let loose = plan("client_auth_type: RequestClientCert");
    let strict = plan("client_auth_type: RequireAndVerifyClientCert");
    let named = plan("client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [a]");
    let lost = |plans: [&WebPlan; 3]| {
        let [began, came, now] = plans;
        Protection::of(began).and(came).lost(now).map(|advice| advice.to_string())
    };
    insta::assert_snapshot!(lost([&loose, &strict, &loose]).unwrap(), @"clients needed certificates, and the file asks for less now; restart the exporter if it is to go without");
    insta::assert_snapshot!(lost([&loose, &named, &strict]).unwrap(), @"clients needed certain names, and the file has none now; restart the exporter if it is to go without");
    assert_eq!(
        lost([&strict, &loose, &loose]),
        lost([&loose, &strict, &loose]),
        "it never shrinks"
    );
    assert_eq!(lost([&loose, &strict, &named]), None);
    // Without TLS from the start certificates keep out nobody.
    let plain = WebPlan::default();
    assert_eq!(lost([&plain, &named, &plain]), None);
    assert!(!Protection::of(&plain).and(&named).speaks_tls());
}

#[test]
fn a_fault_is_said_once_for_each_change() {
    let (folder, web) = web("");
    assert_eq!(at_once(&web, &HeaderMap::new(), Peer::Local).as_deref(), Some("admitted"));
    folder.put("web.yml", "users: 1\n");
    for _ in 0..3 {
        assert_eq!(at_once(&web, &HeaderMap::new(), Peer::Local).as_deref(), Some("500"));
    }
    let told = web.state().said_rules.0.len();
    assert_eq!(told, 1);
    let mut said = Said::default();
    let fault = || Err(vec![Fault::of_file(Path::new("web.yml"), Advice::plain("bad"))]);
    assert!(matches!(said.take(Ok(())), News::Nothing));
    assert!(matches!(said.take(fault()), News::Faults(faults) if faults == ["web.yml: bad"]));
    assert!(matches!(said.take(fault()), News::Nothing));
    assert!(matches!(said.take(Ok(())), News::Good));
    // One that is not there is another fault, and all is well when it is back.
    fs::remove_file(folder.0.path().join("web.yml")).unwrap();
    assert_eq!(at_once(&web, &HeaderMap::new(), Peer::Local).as_deref(), Some("500"));
    folder.put("web.yml", "");
    assert_eq!(at_once(&web, &HeaderMap::new(), Peer::Local).as_deref(), Some("admitted"));
}

#[test]
fn a_rate_goes_on_when_something_else_changes() {
    let rate = "rate_limit: {interval: 1h, burst: 2}\n";
    let (folder, web) = web(rate);
    let ask = || at_once(&web, &HeaderMap::new(), Peer::Local).unwrap();
    assert_eq!(ask(), "admitted");
    folder.put("web.yml", &format!("{rate}http_server_config: {{http2: false}}\n"));
    assert_eq!((&*ask(), &*ask()), ("admitted", "429"));
    folder.put("web.yml", "rate_limit: {interval: 1h, burst: 1}\n");
    assert_eq!((&*ask(), &*ask()), ("admitted", "429"));
}

#[test]
fn responses_have_the_headers() {
    let (_folder, web) = web(&format!(
        "http_server_config: {{headers: {{X-Frame-Options: deny}}}}\nbasic_auth_users: {{a: {}}}",
        hash()
    ));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(web.admit(&HeaderMap::new(), Peer::Local)).err().unwrap();
    let response = refused.into_response();
    assert_eq!(response.headers()["x-frame-options"], "deny");
    assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"ebpf_wasm_exporter\"");
}

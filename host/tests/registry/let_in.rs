//! Who a registry lets in.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use crate::certificates::openssl;
use crate::debian::{Registry, Wants};
use crate::made::{Made, answer};
use crate::typed::Desk;

/// `me` with the password `secret`, as bcrypt has it.
const PASSWORDS: &str = "me:$2b$04$EQxa14HtgROxHsWozPUMlOsAExlN8RdCNgCo819TXQqtLe3FgzLwa\n";
const HTPASSWD: Wants<'_> =
    Wants { tls: false, auth: Some("{htpasswd: {realm: here, path: DIR/passwords}}") };

/// docker's file that lets `me` into a registry with this password.
fn noted(host: &str, password: &str) -> String {
    let auth = BASE64_STANDARD.encode(format!("me:{password}"));
    json!({"auths": {host: {"auth": auth}}}).to_string()
}

pub fn passwords_are_those_of_docker() {
    let (registry, desk) = (Registry::start(&HTPASSWD, &[("passwords", PASSWORDS)]), Desk::new());
    let host = registry.host();
    let push = format!("push echo.wasm {host}/zone:1.0.0 --plain-http");
    insta::assert_snapshot!(desk.refused(&push, &host), @"1 HOST refuses manifest 1.0.0 of zone without credentials: authentication required; log in with `docker login` or `podman login`");
    desk.write(".docker/config.json", &noted(&host, "wrong"));
    insta::assert_snapshot!(desk.refused(&push, &host), @"1 HOST refuses manifest 1.0.0 of zone: authentication required; log in with `docker login` or `podman login` as somebody who may");
    desk.write(".docker/config.json", &noted(&host, "secret"));
    desk.done(&push, &host);
    // As podman has it.
    let file = desk.write("auth.json", &noted(&host, "secret")).display().to_string();
    let other = Desk::new().with("REGISTRY_AUTH_FILE", &file);
    other.done(&format!("pull {host}/zone:1.0.0 --plain-http"), &host);
}

pub fn helpers_are_asked() {
    let (registry, desk) = (Registry::start(&HTPASSWD, &[("passwords", PASSWORDS)]), Desk::new());
    let host = registry.host();
    let script = format!(
        "#!/bin/sh\nread -r host\ntest \"$host\" = {host} || {{ echo nobody >&2; exit 1; }}\n\
         echo '{{\"ServerURL\":\"\",\"Username\":\"me\",\"Secret\":\"secret\"}}'\n"
    );
    let program = desk.write("bin/text", &script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    // What this process has open for writing, whoever it starts meanwhile has too, and nobody can start it.
    desk.run("cp".as_ref(), "bin/text bin/docker-credential-test");
    let path = format!("{}:{}", desk.path("bin").display(), std::env::var("PATH").unwrap());
    let desk = desk.with("PATH", &path);
    let push = format!("push echo.wasm {host}/zone:1.0.0 --plain-http");
    for file in [json!({"credsStore": "test"}), json!({"credHelpers": {&host: "test"}})] {
        desk.write(".docker/config.json", &file.to_string());
        desk.done(&push, &host);
    }
    desk.write(".docker/config.json", &json!({"credsStore": "gone"}).to_string());
    let said = desk.refused(&push, &host).replace(&desk.path("").display().to_string(), "DIR/");
    insta::assert_snapshot!(said, @"1 DIR/.docker/config.json names the credential helper `docker-credential-gone`, which cannot be started: no such file or directory; install it or repair it, or take it out of that file");
}

/// A token service that lets `me` do what is asked for, and others only read.
pub fn tokens_are_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let key = "-newkey rsa:2048 -nodes -days 2 -subj /CN=tokens";
    openssl(dir.path(), &format!("req -x509 {key} -keyout tokens.key -out tokens.pem"));
    let keys = dir.path().to_owned();
    let service = Made::serve(move |request, client| {
        let me = request.header("authorization") == Some("Basic bWU6c2VjcmV0");
        let actions: &[&str] = if me { &["pull", "push"] } else { &["pull"] };
        let token = signed(&keys, actions);
        answer(client, "200 OK", &[], json!({ "token": token }).to_string().as_bytes())
    });
    let auth = format!(
        "{{token: {{realm: 'http://{}/token', service: here, issuer: tokens, rootcertbundle: DIR/tokens.pem}}}}",
        service.host()
    );
    let registry = Registry::start_in(dir, &Wants { tls: false, auth: Some(&auth) });
    let (host, desk) = (registry.host(), Desk::new());
    let push = format!("push echo.wasm {host}/zone:1.0.0 --plain-http");
    insta::assert_snapshot!(desk.refused(&push, &host), @"1 HOST refuses upload without credentials: authentication required; log in with `docker login` or `podman login`");
    desk.write(".docker/config.json", &noted(&host, "secret"));
    desk.done(&push, &host);
    // Whoever is not known may read.
    Desk::new().done(&format!("pull {host}/zone:1.0.0 --plain-http"), &host);
    // No more than what is needed was asked for.
    let asked = service.asked().join("\n");
    insta::assert_snapshot!(asked, @"
    GET /token?scope=repository%3Azone%3Apull%2Cpush&service=here
    GET /token?scope=repository%3Azone%3Apull%2Cpush&service=here
    GET /token?scope=repository%3Azone%3Apull%2Cpush&service=here
    GET /token?scope=repository%3Azone%3Apull&service=here
    ");
}

/// A token of this service for the repository `zone`, as docker-registry reads it.
fn signed(keys: &std::path::Path, actions: &[&str]) -> String {
    let certificate = fs::read_to_string(keys.join("tokens.pem")).unwrap();
    let lines = certificate.lines().filter(|line| !line.starts_with("-----"));
    let certificate: String = lines.collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let head = json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]});
    let claims = json!({
        "iss": "tokens", "sub": "", "aud": "here", "exp": now + 300, "nbf": now - 300, "iat": now, "jti": "1",
        "access": [{"type": "repository", "name": "zone", "actions": actions}],
    });
    let part = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&head), part(&claims));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let signature =
        openssl(keys, &format!("dgst -sha256 -sign tokens.key {}", file.path().display()));
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

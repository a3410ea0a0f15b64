//! What files and helpers know, and what is said when they cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// What is known of `host/team/zone` by a file that holds this.
fn known_of(text: &str, repository: &str) -> Result<Option<Credentials>, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.json"), text).unwrap();
    let path = dir.path().as_os_str().to_owned();
    let keychain = Keychain::of(&|name| (name == "DOCKER_CONFIG").then(|| path.clone()));
    let said = |error: CredentialsError| {
        error.advice().to_string().replace(&dir.path().display().to_string(), "DIR")
    };
    look_up(&keychain, repository).map_err(said)
}

fn look_up(keychain: &Keychain, repository: &str) -> Result<Option<Credentials>, CredentialsError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(keychain.look_up(&repository.parse().unwrap()))
}

fn password(user: &str, secret: &str) -> Option<Credentials> {
    Some(Credentials::Password { user: user.to_owned(), secret: Secret(secret.to_owned()) })
}

#[test]
fn entries_are_found_by_host_and_by_place() {
    let auth = |text: &str| format!(r#"{{"auth":"{}"}}"#, BASE64_STANDARD.encode(text));
    let file = |key: &str| format!(r#"{{"auths":{{"{key}":{}}}}}"#, auth("me:a:b"));
    for (key, repository, found) in [
        ("host.io", "host.io/team/zone", true),
        ("host.io:5000", "host.io/team/zone", false),
        ("host.io:5000", "host.io:5000/team/zone", true),
        ("https://host.io/v1/", "host.io/team/zone", true),
        ("http://host.io", "host.io/team/zone", true),
        ("host.io/team", "host.io/team/zone", true),
        ("host.io/team/zone", "host.io/team/zone", true),
        ("host.io/tea", "host.io/team/zone", false),
        ("host.io/team", "host.io/other/zone", false),
        ("https://index.docker.io/v1/", "docker.io/team/zone", true),
        ("evil.host.io", "host.io/team/zone", false),
    ] {
        let expected = found.then(|| password("me", "a:b")).flatten();
        assert_eq!(known_of(&file(key), repository).unwrap(), expected, "{key} {repository}");
    }
    let both = format!(r#"{{"auths":{{"h.io":{},"h.io/a":{}}}}}"#, auth("far:1"), auth("near:2"));
    assert_eq!(known_of(&both, "h.io/a/b").unwrap(), password("near", "2"));
    assert_eq!(known_of(&both, "h.io/b/a").unwrap(), password("far", "1"));
}

#[test]
fn entries_hold_passwords_or_tokens() {
    let known = |entry: &str| {
        known_of(&format!(r#"{{"auths":{{"h.io":{entry}}},"psFormat":1}}"#), "h.io/a").unwrap()
    };
    let secret = |text: &str| Secret(text.to_owned());
    assert_eq!(known("{}"), None);
    assert_eq!(known(r#"{"auth":""}"#), None);
    assert_eq!(known(r#"{"username":"me","password":"x"}"#), password("me", "x"));
    assert_eq!(known(r#"{"identitytoken":"x"}"#), Some(Credentials::Identity(secret("x"))));
    assert_eq!(known(r#"{"registrytoken":"x"}"#), Some(Credentials::Token(secret("x"))));
    assert_eq!(format!("{:?}", password("me", "x")), r#"Some(Password { user: "me", secret: … })"#);
}

#[test]
fn files_are_those_of_docker_and_podman() {
    let files = |variables: &[(&str, &str)]| {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let Keychain { files, named } = Keychain::of(&get);
        let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        (files.join(" "), named)
    };
    let all = [("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/1")];
    assert_eq!(files(&[]), (String::new(), false));
    assert_eq!(
        files(&all),
        ("/h/.docker/config.json /run/1/containers/auth.json".to_owned(), false)
    );
    let docker = [&all[..], &[("DOCKER_CONFIG", "/d")]].concat();
    assert_eq!(files(&docker), ("/d/config.json /run/1/containers/auth.json".to_owned(), false));
    let podman = [&all[..], &[("REGISTRY_AUTH_FILE", "/f.json")]].concat();
    assert_eq!(files(&podman), ("/f.json".to_owned(), true));
}

#[test]
fn what_cannot_be_used_is_told_without_secrets() {
    let said = |text: &str| known_of(text, "h.io/a").unwrap_err();
    insta::assert_snapshot!(said(r#"{"auths":{"h.io":{"auth":7777}}}"#), @"DIR/config.json is not what it should be at line 1, column 29; correct it, or write it anew with `docker login` or `podman login`");
    insta::assert_snapshot!(said(r#"{"auths":{"h.io":{"auth":"hunter2"}}}"#), @"DIR/config.json has an `auth` of h.io that is not NAME:PASSWORD in base64; correct it, or write it anew with `docker login` or `podman login`");
    insta::assert_snapshot!(said(r#"{"credsStore":"../../bin/sh"}"#), @"DIR/config.json names the credential helper `docker-credential-../../bin/sh`, which is no name of a program; install it or repair it, or take it out of that file");
    insta::assert_snapshot!(said(r#"{"credHelpers":{"h.io":"is-nowhere"}}"#), @"DIR/config.json names the credential helper `docker-credential-is-nowhere`, which cannot be started: no such file or directory; install it or repair it, or take it out of that file");
    let named = Keychain { files: vec!["/gone.json".into()], named: true };
    insta::assert_snapshot!(look_up(&named, "h.io/a").unwrap_err().advice(), @"/gone.json cannot be read: no such file or directory; correct it, or write it anew with `docker login` or `podman login`");
    let other = Keychain { named: false, ..named };
    assert_eq!(look_up(&other, "h.io/a").unwrap(), None);
}

/// What a helper of this script says of a host.
fn helped(script: &str) -> Result<Option<Credentials>, String> {
    let dir = tempfile::tempdir().unwrap();
    let (text, program) = (dir.path().join("text"), dir.path().join("helper"));
    fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&text, fs::Permissions::from_mode(0o700)).unwrap();
    // What this process has open for writing, whoever it starts meanwhile has too, and nobody can start it.
    let copied = std::process::Command::new("cp").args([&text, &program]).status().unwrap();
    assert!(copied.success());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answered = runtime.block_on(helper::ask_program(&program, "h.io"));
    answered.map_err(|why| why.replace(&dir.path().display().to_string(), "DIR"))
}

#[test]
fn helpers_are_asked_within_bounds() {
    let good = r#"test "$1" = get && read -r host; echo "{\"ServerURL\":\"$host\",\"Username\":\"$host\",\"Secret\":\"x\"}""#;
    assert_eq!(helped(good).unwrap(), password("h.io", "x"));
    let token = r#"echo '{"Username":"<token>","Secret":"x"}'"#;
    assert_eq!(helped(token).unwrap(), Some(Credentials::Identity(Secret("x".to_owned()))));
    assert_eq!(helped("echo credentials not found in native keychain; exit 1").unwrap(), None);
    insta::assert_snapshot!(helped("echo hunter2; exit 1").unwrap_err(), @"failed");
    insta::assert_snapshot!(helped("echo hunter2").unwrap_err(), @"says nothing that can be read");
    insta::assert_snapshot!(helped("exec cat /dev/zero").unwrap_err(), @"cannot be asked: it says too much");
}

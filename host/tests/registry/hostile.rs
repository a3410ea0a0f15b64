//! Registries that mean harm: each is refused in words, in bounded time and memory.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::LazyLock;

use ebpf_wasm_exporter::plugin::Digest;
use serde_json::json;

use crate::certificates::{certify, openssl};
use crate::guests;
use crate::made::{Made, Request, answer, begin, endless};
use crate::tls;
use crate::typed::{Desk, lettered};

/// What writes an answer.
type Answers = fn(&Request, &mut TcpStream) -> io::Result<()>;

/// What is no plugin is not kept, whoever gives it.
fn component() -> &'static [u8] {
    static ECHO: LazyLock<Vec<u8>> = LazyLock::new(|| guests::component("echo"));
    &ECHO
}

/// A component whose code is none: a function that is to return a number, and does not.
pub fn damaged() -> Vec<u8> {
    let module = b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\x0a\x04\x01\x02\0\x0b";
    let section = [1, u8::try_from(module.len()).unwrap()];
    [component(), &section, module].concat()
}
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A manifest whose layer is [`component`].
fn manifest() -> Vec<u8> {
    manifest_of(component())
}

/// A manifest whose layer is said to be a component.
fn manifest_of(layer: &[u8]) -> Vec<u8> {
    let layer = json!({
        "mediaType": "application/wasm", "size": layer.len(), "digest": Digest::of(layer).tagged(),
    });
    let config = json!({
        "mediaType": "application/vnd.wasm.config.v0+json", "size": 2, "digest": Digest::of(b"{}").tagged(),
    });
    let all =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    all.to_string().into_bytes()
}

/// What is said of each of these when `words` are typed, one a line.
fn said(words: &str, cases: &[(&str, Answers)]) -> String {
    let mut all = String::new();
    for (name, answers) in cases {
        let (server, desk) = (Made::serve(*answers), Desk::new());
        let host = server.host();
        let words = format!("{} --plain-http --timeout=60s", words.replace("HOST", &host));
        let _ = writeln!(all, "{name}: {}", lettered(&desk.refused(&words, &host)));
        assert_eq!(desk.files(), ["echo.wasm", "pass.wasm"], "{name}");
    }
    all
}

pub fn manifests() {
    let cases: [(&str, Answers); 7] = [
        ("no JSON", |_, client| answer(client, "200 OK", &[], b"<html>")),
        ("an index", |_, client| {
            let index =
                json!({"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []});
            answer(client, "200 OK", &[], index.to_string().as_bytes())
        }),
        ("without an end", |_, client| endless(client, "200 OK", &[b' '; 4096])),
        ("of another digest than it says", |_, client| {
            let digest = Digest::of(b"other").tagged();
            answer(client, "200 OK", &[("Docker-Content-Digest", &digest)], &manifest())
        }),
        ("cut", |_, client| {
            begin(client, "200 OK", &[], 1000)?;
            client.write_all(&manifest())
        }),
        ("without an end of headers", |_, client| {
            client.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                client.write_all(b"A: b\r\n")?;
            }
        }),
        ("nothing", |_, _| Ok(())),
    ];
    insta::assert_snapshot!(said("pull HOST/zone:1.0.0", &cases), @"
    no JSON: 3 HOST/zone:1.0.0: the manifest is damaged: expected value at line 1 column 1; push it again
    an index: 3 HOST/zone:1.0.0: it is an index of several artifacts, not a plugin; name one of them by its digest
    without an end: 3 HOST/zone:1.0.0: the manifest has more than 4194304 bytes; push something smaller: no plugin is so large
    of another digest than it says: 3 HOST/zone:1.0.0: the registry gave another manifest than the one asked for: its digest is sha256:A, not sha256:B; try again; if that does not help, the registry or somebody before it cannot be trusted
    cut: 1 failed to ask HOST: error reading a body from connection: end of file before message length reached; see whether the host is the right one, and can be reached
    without an end of headers: 1 failed to ask HOST: client error (SendRequest): message head is too large; see whether the host is the right one, and can be reached
    nothing: 1 failed to ask HOST: client error (SendRequest): connection closed before message completed; see whether the host is the right one, and can be reached
    ");
    let cases: [(&str, Answers); 1] =
        [("another one", |_, client| answer(client, "200 OK", &[], &manifest()))];
    let pinned = format!("pull HOST/zone@{}", Digest::of(b"pinned").tagged());
    insta::assert_snapshot!(said(&pinned, &cases), @"another one: 3 HOST/zone@sha256:A: the registry gave another manifest than the one asked for: its digest is sha256:B, not sha256:A; try again; if that does not help, the registry or somebody before it cannot be trusted");
}

/// The manifest to who asks for it, and something else in place of the component.
fn with_manifest(request: &Request, client: &mut TcpStream, other: Answers) -> io::Result<()> {
    if request.line.contains("/manifests/") {
        return answer(client, "200 OK", &[], &manifest());
    }
    other(request, client)
}

pub fn components() {
    let cases: [(&str, Answers); 4] = [
        ("without an end", |request, client| {
            with_manifest(request, client, |_, client| endless(client, "200 OK", &[0; 4096]))
        }),
        ("another one", |request, client| {
            with_manifest(request, client, |_, client| {
                answer(client, "200 OK", &[], &component().to_ascii_uppercase())
            })
        }),
        ("gone", |request, client| {
            with_manifest(request, client, |_, client| answer(client, "404 Not Found", &[], b""))
        }),
        ("a part that was not asked for", |request, client| {
            with_manifest(request, client, |_, client| {
                answer(client, "206 Partial Content", &[], component())
            })
        }),
    ];
    // Nothing is left of any of them.
    said("pull HOST/zone:1.0.0", &cases);
    let of_inspect = said("inspect oci:HOST/zone:1.0.0", &cases);
    insta::assert_snapshot!(of_inspect, @"
    without an end: 3 HOST/zone: the registry gave more bytes of the component than the 1384 that its manifest says; try again; if that does not help, the registry or somebody before it cannot be trusted
    another one: 3 HOST/zone: the registry gave another component than the one asked for: its digest is sha256:A, not sha256:B; try again; if that does not help, the registry or somebody before it cannot be trusted
    gone: 1 HOST has no blob sha256:A; push it again: its manifest is there without it
    a part that was not asked for: 1 HOST answers 206 Partial Content when asked for blob sha256:A; see whether the host is a registry
    ");
    let server = Made::serve(|request, client| {
        with_manifest(request, client, |_, client| answer(client, "200 OK", &[], &component()[1..]))
    });
    let (host, desk) = (server.host(), Desk::new());
    let refused = desk.refused(&format!("pull {host}/zone:1.0.0 --plain-http"), &host);
    insta::assert_snapshot!(refused, @"3 HOST/zone: the registry gave 1383 bytes of the component, not the 1384 that its manifest says; try again; if that does not help, the registry or somebody before it cannot be trusted");
}

pub fn answers() {
    let cases: [(&str, Answers); 7] = [
        ("redirects to itself", |_, client| {
            answer(client, "307 Temporary Redirect", &[("Location", "/v2/again")], b"")
        }),
        ("redirects to nowhere", |_, client| answer(client, "307 Temporary Redirect", &[], b"")),
        ("redirects to a file", |_, client| {
            answer(client, "307 Temporary Redirect", &[("Location", "file:///etc/passwd")], b"")
        }),
        ("refuses without an end", |_, client| {
            endless(client, "500 Internal Server Error", b"no ")
        }),
        ("refuses in colours", |_, client| {
            let body = br#"{"errors":[{"code":"DENIED","message":"\u001b[31mno\nno"}]}"#;
            answer(client, "403 Forbidden", &[], body)
        }),
        ("has had enough", |_, client| answer(client, "429 Too Many Requests", &[], b"")),
        ("speaks something else", |_, client| client.write_all(b"220 mail ready\r\n")),
    ];
    insta::assert_snapshot!(said("pull HOST/zone:1.0.0", &cases), @r"
    redirects to itself: 1 HOST redirects more than 5 times; tell who runs the registry
    redirects to nowhere: 1 HOST gives no good answer: it leads to no address; see whether the host is a registry
    redirects to a file: 1 HOST gives no good answer: it leads to no address; see whether the host is a registry
    refuses without an end: 1 HOST answers 500 Internal Server Error when asked for manifest 1.0.0 of zone; try again later
    refuses in colours: 1 HOST refuses manifest 1.0.0 of zone without credentials: \u{1b}[31mno\nno; log in with `docker login` or `podman login`
    has had enough: 1 HOST answers 429 Too Many Requests when asked for manifest 1.0.0 of zone; try again later, or log in
    speaks something else: 1 failed to ask HOST: client error (SendRequest): invalid HTTP version parsed; see whether the host is the right one, and can be reached
    ");
    let server = Made::serve(|_, client| {
        begin(client, "200 OK", &[], 1000)?;
        // Until the other side has had enough.
        client.read_to_end(&mut Vec::new()).map(drop)
    });
    let (host, desk) = (server.host(), Desk::new());
    let refused =
        desk.refused(&format!("pull {host}/zone:1.0.0 --plain-http --timeout=300ms"), &host);
    insta::assert_snapshot!(refused, @"1 it took longer than 300ms; raise --timeout, or try again: a pull would go on where it ended");
}

pub fn tags() {
    let cases: [(&str, Answers); 6] = [
        ("a page without an end", |_, client| endless(client, "200 OK", &[b' '; 4096])),
        ("pages without an end", |_, client| {
            let next = [("Link", "</v2/zone/tags/list?last=x>; rel=\"next\"")];
            answer(client, "200 OK", &next, br#"{"name":"zone","tags":["x"]}"#)
        }),
        ("a page of somebody else", |_, client| {
            let next = [("Link", "<http://localhost:1/v2/zone/tags/list>; rel=\"next\"")];
            answer(client, "200 OK", &next, br#"{"tags":[]}"#)
        }),
        ("too many", |_, client| {
            let body = json!({"tags": vec!["x"; 50_001]}).to_string();
            answer(client, "200 OK", &[], body.as_bytes())
        }),
        ("that a terminal obeys", |_, client| {
            answer(client, "200 OK", &[], br#"{"tags":["\u001b[2J"]}"#)
        }),
        ("no JSON", |_, client| answer(client, "200 OK", &[], b"<html>")),
    ];
    insta::assert_snapshot!(said("list HOST/zone", &cases), @"
    a page without an end: 1 HOST gives no good answer: a page of tags is too large; see whether the host is a registry
    pages without an end: 1 HOST gives no good answer: there are more than 50000 tags, or 100 pages of them; see whether the host is a registry
    a page of somebody else: 1 HOST gives no good answer: it has no good address of the next page; see whether the host is a registry
    too many: 1 HOST gives no good answer: there are more than 50000 tags, or 100 pages of them; see whether the host is a registry
    that a terminal obeys: 1 HOST gives no good answer: a tag has characters that none may have; see whether the host is a registry
    no JSON: 1 HOST gives no good answer: a page of tags is damaged; see whether the host is a registry
    ");
}

/// A registry that wants a token of `realm`, which gives none.
fn wants_token(
    request: &Request,
    client: &mut TcpStream,
    realm: &str,
    token: Answers,
) -> io::Result<()> {
    if request.line.contains("/token") {
        return token(request, client);
    }
    let host = request.header("host").unwrap_or_default();
    let wants = format!("Bearer realm=\"{}\",service=\"s\"", realm.replace("HOST", host));
    answer(client, "401 Unauthorized", &[("WWW-Authenticate", &wants)], b"")
}

pub fn tokens() {
    const REALM: &str = "http://HOST/token";
    let cases: [(&str, Answers); 6] = [
        ("without an end", |request, client| {
            wants_token(request, client, REALM, |_, client| {
                endless(client, "200 OK", &[b' '; 4096])
            })
        }),
        ("none", |request, client| {
            wants_token(request, client, REALM, |_, client| answer(client, "200 OK", &[], b"{}"))
        }),
        ("with a line feed", |request, client| {
            wants_token(request, client, REALM, |_, client| {
                answer(client, "200 OK", &[], br#"{"token":"a\nb"}"#)
            })
        }),
        ("that does not help", |request, client| {
            wants_token(request, client, REALM, |_, client| {
                answer(client, "200 OK", &[], br#"{"access_token":"a"}"#)
            })
        }),
        ("refused", |request, client| {
            wants_token(request, client, REALM, |_, client| {
                answer(client, "401 Unauthorized", &[], b"")
            })
        }),
        ("of nobody", |request, client| {
            wants_token(request, client, "nobody", |_, client| answer(client, "200 OK", &[], b"{}"))
        }),
    ];
    insta::assert_snapshot!(said("list HOST/zone", &cases), @"
    without an end: 1 HOST gives no good answer: it was asked for a token, and gave none; see whether the host is a registry
    none: 1 HOST gives no good answer: it was asked for a token, and gave none; see whether the host is a registry
    with a line feed: 1 HOST gives no good answer: its token has characters that none may have; see whether the host is a registry
    that does not help: 1 HOST refuses repository zone without credentials; log in with `docker login` or `podman login`
    refused: 1 HOST refuses token without credentials; log in with `docker login` or `podman login`
    of nobody: 1 HOST gives no good answer: it leads to no address; see whether the host is a registry
    ");
}

pub fn uploads() {
    let cases: [(&str, Answers); 3] = [
        ("lead to nowhere", |request, client| match &*request.line {
            line if line.starts_with("POST") => answer(client, "202 Accepted", &[], b""),
            _ => answer(client, "404 Not Found", &[], b""),
        }),
        ("are refused", |request, client| match &*request.line {
            line if line.starts_with("POST") => {
                let body = br#"{"errors":[{"code":"DENIED","message":"quota exceeded"}]}"#;
                answer(client, "403 Forbidden", &[], body)
            }
            _ => answer(client, "404 Not Found", &[], b""),
        }),
        ("become something else", |request, client| match &*request.line {
            line if line.starts_with("HEAD") => answer(client, "200 OK", &[], b""),
            line if line.starts_with("PUT") => {
                let other = Digest::of(b"other").tagged();
                answer(client, "201 Created", &[("Docker-Content-Digest", &other)], b"")
            }
            _ => answer(client, "404 Not Found", &[], b""),
        }),
    ];
    insta::assert_snapshot!(said("push echo.wasm HOST/zone:1.0.0", &cases), @"
    lead to nowhere: 1 HOST gives no good answer: it leads to no address; see whether the host is a registry
    are refused: 1 HOST refuses upload without credentials: quota exceeded; log in with `docker login` or `podman login`
    become something else: 1 HOST gives no good answer: it has kept another manifest than the one sent, sha256:A; see whether the host is a registry
    ");
}

pub fn what_lets_in_goes_to_nobody_else() {
    let other = Made::serve(|_, client| answer(client, "200 OK", &[], component()));
    let elsewhere = format!("http://{}/blob", other.host());
    let registry = Made::serve(move |request, client| match request.header("authorization") {
        None => {
            answer(client, "401 Unauthorized", &[("WWW-Authenticate", "Basic realm=\"x\"")], b"")
        }
        Some(_) if request.line.contains("/manifests/") => {
            answer(client, "200 OK", &[], &manifest())
        }
        Some(_) => answer(client, "307 Temporary Redirect", &[("Location", &elsewhere)], b""),
    });
    let (host, desk) = (registry.host(), Desk::new());
    let auths = json!({"auths": {&host: {"username": "me", "password": "secret"}}});
    desk.write(".docker/config.json", &auths.to_string());
    desk.done(&format!("pull {host}/zone:1.0.0 --plain-http"), &host);
    assert_eq!(desk.read("zone.wasm"), component());
    let [request] = &*other.requests() else { panic!("one request") };
    assert_eq!((request.what(), request.header("authorization")), ("GET /blob", None));
    let known =
        registry.requests().iter().filter(|it| it.header("authorization").is_some()).count();
    assert_eq!((registry.asked().len(), known), (3, 2));
}

pub fn what_began_with_tls_goes_on_with_it() {
    let other = Made::serve(|_, client| answer(client, "200 OK", &[], component()));
    let elsewhere = format!("http://{}/blob", other.host());
    let registry = Made::serve(move |request, client| match &*request.line {
        line if line.contains("/manifests/redirected") => {
            answer(client, "307 Temporary Redirect", &[("Location", &elsewhere)], b"")
        }
        line if line.contains("/manifests/") => {
            let wants = format!("Bearer realm=\"{elsewhere}\"");
            answer(client, "401 Unauthorized", &[("WWW-Authenticate", &wants)], b"")
        }
        _ => answer(client, "404 Not Found", &[], b""),
    });
    let dir = tempfile::tempdir().unwrap();
    certify(dir.path());
    let (host, desk) = (tls::before(registry.host(), dir.path(), false), Desk::new());
    let authority = dir.path().join("ca.pem").display().to_string();
    let auths = json!({"auths": {&host: {"username": "me", "password": "secret"}}});
    desk.write(".docker/config.json", &auths.to_string());
    let refused = |tag: &str| {
        let said = desk.refused(&format!("pull {host}/zone:{tag} --ca-file={authority}"), &host);
        said.replace(&other.host(), "OTHER")
    };
    insta::assert_snapshot!(refused("redirected"), @"1 HOST redirects to OTHER without TLS; tell who runs the registry");
    insta::assert_snapshot!(refused("1.0.0"), @"1 HOST redirects to OTHER without TLS; tell who runs the registry");
    assert_eq!(other.asked(), Vec::<String>::new());
}

/// `oras` pushes whatever it is told to, and says what it is told to.
pub fn what_is_no_plugin_is_not_kept() {
    let foreign = [
        ("a text", b"hi".to_vec()),
        ("a module", b"\0asm\x01\0\0\0".to_vec()),
        ("without code", damaged()),
    ];
    let mut all = String::new();
    for (name, bytes) in foreign {
        let manifest = manifest_of(&bytes);
        let served = manifest.clone();
        let server = Made::serve(move |request, client| match &*request.line {
            line if line.contains("/manifests/") => answer(client, "200 OK", &[], &served),
            _ => answer(client, "200 OK", &[], &bytes),
        });
        let (host, desk) = (server.host(), Desk::new());
        desk.write("zone.wasm", "what was there before");
        let refused = desk.refused(&format!("pull {host}/zone:1.0.0 --plain-http"), &host);
        let _ = writeln!(all, "{name}: {}", lettered(&refused));
        assert_eq!(desk.files(), ["echo.wasm", "pass.wasm", "zone.wasm"], "{name}");
        assert_eq!(desk.read("zone.wasm"), b"what was there before", "{name}");
        let digest = Digest::of(&manifest).tagged();
        desk.write("configs/work.yaml", &format!("plugins: {{zone: {{oci: '{host}/zone@{digest}'}}}}\nmetrics: {{counters: [{{name: a_total, help: h, labels: [{{name: id, size: 8, decoders: [{{name: uint}}]}}]}}]}}\n"));
        let fetch =
            "fetch --config.dir=configs --config.names=work --plugins.dir=plugins --plain-http";
        let (code, told) = desk.plugin(fetch, &host);
        assert_eq!(code, 1, "{name}: {told}");
        let left: Vec<_> = fs::read_dir(desk.path("plugins")).unwrap().collect();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
    insta::assert_snapshot!(all, @"
    a text: 3 HOST/zone:1.0.0@sha256:A: found no WebAssembly, expected a component; see whether the reference is the right one; if it is, push a plugin there
    a module: 3 HOST/zone:1.0.0@sha256:A: found a core module, expected a component; see whether the reference is the right one; if it is, push a plugin there
    without code: 3 HOST/zone:1.0.0@sha256:A: the component is damaged: type mismatch: expected i32 but nothing on stack at byte 1410; see whether the reference is the right one; if it is, push a plugin there
    ");
}

/// What Docker says how to make: a certificate that is its own authority.
pub fn a_certificate_of_its_own_is_trusted_if_it_is_the_one_in_the_file() {
    let registry = Made::serve(|_, client| answer(client, "200 OK", &[], br#"{"tags":["1.0.0"]}"#));
    let (made, other, desk) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Desk::new());
    for (dir, name) in [(&made, "localhost"), (&other, "elsewhere")] {
        let recipe = format!(
            "req -newkey rsa:2048 -nodes -sha256 -keyout server.key -subj /CN=x -addext subjectAltName=DNS:{name} -x509 -days 2 -out server.pem"
        );
        openssl(dir.path(), &recipe);
    }
    let list = |host: &str, dir: &tempfile::TempDir| {
        let file = dir.path().join("server.pem").display().to_string();
        let (code, said) = desk.plugin(&format!("list {host}/zone --ca-file={file}"), host);
        format!("{code} {said}")
    };
    let host = tls::before(registry.host(), made.path(), false);
    assert_eq!(list(&host, &made), "0 1.0.0\n");
    insta::assert_snapshot!(list(&host, &other), @"1 error: failed to ask HOST: client error (Connect): invalid peer certificate: Other(OtherError(CaUsedAsEndEntity)); name the authority that has signed the certificate, or the certificate itself, in --ca-file, if you trust it");
    // The same, but for another name than the one that was asked.
    let elsewhere = tls::before(registry.host(), other.path(), false);
    insta::assert_snapshot!(list(&elsewhere, &other), @r#"1 error: failed to ask HOST: client error (Connect): invalid peer certificate: certificate not valid for name "localhost"; certificate is only valid for DnsName("elsewhere"); write the host by a name that its certificate is for"#);
}

pub fn a_pull_goes_on_where_it_stopped() {
    let server = Made::serve(|request, client| {
        with_manifest(request, client, |request, client| match request.header("range") {
            Some("bytes=5-") => {
                let range = format!("bytes 5-{}/{}", component().len() - 1, component().len());
                answer(
                    client,
                    "206 Partial Content",
                    &[("Content-Range", &range)],
                    &component()[5..],
                )
            }
            // The connection ends early.
            _ => {
                begin(client, "200 OK", &[], component().len())?;
                client.write_all(&component()[..5])
            }
        })
    });
    let (host, desk) = (server.host(), Desk::new());
    let pull = format!("pull {host}/zone:1.0.0 --plain-http");
    insta::assert_snapshot!(desk.refused(&pull, &host), @"1 failed to ask HOST: error reading a body from connection: end of file before message length reached; see whether the host is the right one, and can be reached");
    let part = desk.path(&format!(".zone.wasm.{}.part", Digest::of(component())));
    assert_eq!(fs::read(&part).unwrap(), &component()[..5]);
    desk.done(&pull, &host);
    assert_eq!(desk.read("zone.wasm"), component());
    assert!(!part.exists());
}

//! Signatures of plugins: made with a key of openssl as `cosign` makes them, put into the registry as `cosign` puts
//! them there, fetched, and checked without a registry.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ebpf_wasm_exporter::plugin::Digest;
use serde_json::json;

use crate::guests;
use crate::locked::Site;
use crate::made::{Made, Request, answer, endless};
use crate::signer::{BUNDLE, attach, key, sign, signature, signed};
use crate::typed::{Desk, lettered};

pub const KEYS: &str = "rules: [{repositories: ['*'], files: ['*'], keys: [{file: signer.pub}]}]";

/// A bundle about a file that holds these bytes, as `cosign sign-blob --key` makes it.
pub fn of_file(dir: &Path, name: &str, bytes: &[u8]) -> String {
    let hex = Digest::of(bytes).to_string();
    let digest: Vec<_> =
        (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    let bundle = json!({
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": ""}},
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(digest)},
            "signature": signature(dir, name, bytes),
        },
    });
    bundle.to_string()
}

/// The exit code of fetching by a policy, and what is said.
fn fetch(site: &Site) -> String {
    let words = "plugin fetch --config.dir=configs --config.names=work --plugins.dir=plugins";
    let (code, said) = site.said(&format!("{words} --plugins.policy=policy.yaml --plain-http"));
    format!("{code} {said}")
}

pub fn what_is_signed_is_fetched_and_served() {
    let mut site = Site::new();
    let zone = site.pushed("echo", "zone");
    site.config(&format!("{{zone: {{oci: '{zone}'}}}}"));
    key(&site.desk.path(""), "signer");
    key(&site.desk.path(""), "other");
    site.desk.write("policy.yaml", KEYS);
    insta::assert_snapshot!(fetch(&site), @"1 error: configs/work.yaml:1: plugins.zone.oci: HOST/team/zone has no signature, and the policy needs one; sign it with `cosign`, and fetch it again, or let a rule have `unsigned: true`");
    sign(&site.desk.path(""), "other", &zone);
    insta::assert_snapshot!(fetch(&site), @"1 error: configs/work.yaml:1: plugins.zone.oci: HOST/team/zone has no signature that the policy trusts: a signature is made with a key that the rule does not have, or was changed; do not use it, unless you know who has signed it; then add them to the policy's rule");
    // Nothing of it was kept.
    assert_eq!(site.files(), Vec::<String>::new());
    sign(&site.desk.path(""), "signer", &zone);
    insta::assert_snapshot!(fetch(&site), @"0 fetched HOST/team/zone:1.2.0@sha256:A, a decoder, signed by the key signer.pub (sha256:B)");
    insta::assert_snapshot!(fetch(&site), @"0 has HOST/team/zone:1.2.0@sha256:A, a decoder, signed by the key signer.pub (sha256:B)");
    let lock = String::from_utf8(site.desk.read("plugins/plugins.lock")).unwrap();
    insta::assert_snapshot!(lettered(&lock.replace(&site.host, "HOST")), @r#"
    {
      "version": 2,
      "plugins": [
        {
          "reference": "HOST/team/zone:1.2.0",
          "manifest": "sha256:A",
          "component": "sha256:B",
          "size": 1384,
          "contract": "0.1.0",
          "world": "decoder",
          "signatures": [
            "sha256:C",
            "sha256:D"
          ],
          "signer": "the key signer.pub (sha256:E)"
        }
      ]
    }
    "#);
    // A component, a manifest, two signatures and the lock.
    assert_eq!(site.files().len(), 5);
    let words = format!("inspect oci:{zone} --plugins.policy=policy.yaml --plain-http");
    let said = site.desk.done(&words, &site.host);
    insta::assert_snapshot!(lettered(said.lines().next().unwrap()), @"signed by    the key signer.pub (sha256:A)");
    let words = format!("pull {zone} --plugins.policy=policy.yaml --plain-http");
    insta::assert_snapshot!(lettered(&site.desk.done(&words, &site.host)), @"
    pulled HOST/team/zone:1.2.0@sha256:A to zone.wasm
    signed by the key signer.pub (sha256:B), which `plugin fetch` keeps; the file alone has no signature
    ");
    fs::remove_file(site.desk.path("zone.wasm")).unwrap();
    // Nobody is asked any more.
    drop(site.registry.take());
    let by = " --plugins.dir=plugins --plugins.policy=policy.yaml";
    assert_eq!(site.served(by).0, 0);
    site.desk.write("policy.yaml", &KEYS.replace("signer", "other"));
    assert_eq!(site.served(by).0, 0);
    site.desk.write("policy.yaml", &KEYS.replace("'*'], files", "ghcr.io/acme/*], files"));
    let refused = || {
        let (code, said) = site.served(by);
        assert_eq!(code, 3, "{said}");
        said
    };
    insta::assert_snapshot!(refused(), @"
    configs/work.yaml:1: plugins.zone.oci: the policy has no rule for HOST/team/zone; add one to the file of --plugins.policy, with who may sign it or `unsigned: true`
    error: 1 fault in the configs; nothing was loaded
    ");
    site.desk.write("policy.yaml", "rules: [{repositories: ['*'], key: []}]");
    insta::assert_snapshot!(refused(), @"
    policy.yaml:1: rules[0].key: unknown key, which does nothing; did you mean `keys`?
    policy.yaml:1: rules[0]: the rule names nobody who may sign; add `keys:` or `identities:`; or `unsigned: true` if nobody needs to sign
    error: 2 faults in the configs; nothing was loaded
    ");
    site.desk.write("policy.yaml", KEYS);
    for file in site.files().iter().filter(|file| file.ends_with(".sigstore.json")) {
        site.desk.write(&format!("plugins/{file}"), "{}");
    }
    insta::assert_snapshot!(refused(), @"
    configs/work.yaml:1: plugins.zone.oci: plugins/sha256-A.sigstore.json was changed: its SHA-256 is B; find out who has done that, then run `ebpf_wasm_exporter plugin fetch --plugins.dir=plugins` with the same configs
    error: 1 fault in the configs; nothing was loaded
    ");
    // Without a policy nobody is asked for, and that is said.
    let (code, said) = site.warned(" --plugins.dir=plugins");
    assert_eq!(code, 0, "{said}");
    insta::assert_snapshot!(&said[said.find("WARN").unwrap()..said.find("--plugins.policy").unwrap()], @"WARN plugins of registries are used whoever has signed them; say who may in a file of ");
}

pub fn other_pushes_keep_no_signature_away() {
    let site = Site::new();
    let (zone, pods) = (site.pushed("echo", "zone"), site.pushed("pass", "pods"));
    site.config(&format!("{{zone: {{oci: '{zone}'}}}}"));
    key(&site.desk.path(""), "signer");
    site.desk.write("policy.yaml", KEYS);
    // The signature of another manifest, put where it is not of.
    let digest = &pods[pods.len() - 64..];
    let swapped = signed(&site.desk.path(""), "signer", digest).to_string();
    attach(&site.desk.path(""), &swapped, &zone);
    attach(&site.desk.path(""), "{}", &zone);
    attach(&site.desk.path(""), &"x".repeat(300 << 10), &zone);
    insta::assert_snapshot!(fetch(&site), @"1 error: configs/work.yaml:1: plugins.zone.oci: HOST/team/zone has no signature that the policy trusts: a signature is of another artifact / a bundle is damaged: it has no `mediaType` / what is said to be a signature is no bundle, or one that is too large; do not use it before somebody whom the rule names has signed it anew");
    sign(&site.desk.path(""), "signer", &zone);
    insta::assert_snapshot!(fetch(&site), @"0 fetched HOST/team/zone:1.2.0@sha256:A, a decoder, signed by the key signer.pub (sha256:B)");
    // Only the signature of this one was kept.
    let kept = site.files();
    assert_eq!(kept.iter().filter(|file| file.ends_with(".sigstore.json")).count(), 1);
}

pub fn a_file_has_its_signature_beside_it() {
    let site = Site::new();
    let desk = &site.desk;
    key(&desk.path(""), "signer");
    site.config("{zone: {file: echo.wasm}}");
    desk.write("policy.yaml", KEYS);
    let component = desk.read("echo.wasm");
    let said = || {
        let (code, said) = site.served(" --plugins.dir=. --plugins.policy=policy.yaml");
        format!("{code} {}", said.lines().next().unwrap_or_default())
    };
    insta::assert_snapshot!(said(), @"3 configs/work.yaml:1: plugins.zone.file: ./echo.wasm has no signature, and the policy needs one; sign the file itself with `cosign sign-blob`, as in a registry only a manifest is signed, or let a rule have `unsigned: true`");
    desk.write("echo.wasm.sigstore.json", &of_file(&desk.path(""), "signer", &component));
    assert!(said().starts_with("0 "), "{}", said());
    let words = "inspect echo.wasm --plugins.policy=policy.yaml";
    insta::assert_snapshot!(lettered(desk.done(words, "HOST").lines().next().unwrap()), @"signed by    the key signer.pub (sha256:A)");
    let by = "--plugins.policy=policy.yaml";
    assert!(desk.done(&format!("run echo.wasm abc {by}"), "HOST").contains("label       abc"));
    // It takes no bytes that are not UTF-8, which is another point.
    let (_, check) = desk.plugin(&format!("check echo.wasm {by}"), "HOST");
    insta::assert_snapshot!(lettered(check.lines().nth(1).unwrap()), @"ok      is signed as the policy wants     the key signer.pub (sha256:A)");
    // Another file beside the same signature.
    fs::write(desk.path("echo.wasm"), [&component[..], b"\0\x01\0"].concat()).unwrap();
    insta::assert_snapshot!(said(), @"3 configs/work.yaml:1: plugins.zone.file: ./echo.wasm has no signature that the policy trusts: a signature is of another artifact; do not use it before somebody whom the rule names has signed it anew");
    for verb in ["run", "bench", "check"] {
        let (code, told) = desk.plugin(&format!("{verb} echo.wasm abc {by}"), "HOST");
        assert_eq!(code, 3, "{told}");
        assert!(told.contains("a signature is of another artifact"), "{told}");
    }
    desk.write("echo.wasm.sigstore.json", &" ".repeat(300 << 10));
    insta::assert_snapshot!(said(), @"3 configs/work.yaml:1: plugins.zone.file: ./echo.wasm.sigstore.json is too large, with 307200 bytes; write it with `cosign sign-blob --bundle`");
    site.config("{zone: {file: gone.wasm}}");
    insta::assert_snapshot!(said(), @"3 configs/work.yaml:1: plugins.zone.file: there is no configs/gone.wasm and no ./gone.wasm; put the file there, or into the directory of --plugins.dir");
    site.config("{zone: {file: echo.wasm}}");
    desk.write("policy.yaml", "rules: [{files: ['*'], unsigned: true}]");
    desk.write("echo.wasm.sigstore.json", "");
    fs::write(desk.path("echo.wasm"), &component).unwrap();
    assert!(said().starts_with("0 "), "{}", said());
}

fn component() -> Vec<u8> {
    guests::component("echo")
}

/// A manifest with this layer.
fn manifest(kind: &str, layer: &[u8]) -> Vec<u8> {
    let part = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "size": bytes.len(), "digest": Digest::of(bytes).tagged()});
    let all = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": part("application/vnd.oci.empty.v1+json", b"{}"), "layers": [part(kind, layer)],
    });
    all.to_string().into_bytes()
}

/// Debian's registry leaves it to who signs to keep a list. Newer ones keep it themselves.
pub fn lists_of_registries_are_used() {
    let desk = Desk::new();
    key(&desk.path(""), "signer");
    desk.write("policy.yaml", KEYS);
    let plugin = manifest("application/wasm", &component());
    let bundle = signed(&desk.path(""), "signer", &Digest::of(&plugin).to_string()).to_string();
    let artifact = manifest(BUNDLE, bundle.as_bytes());
    let listed = json!({"manifests": [
        {"mediaType": "x", "digest": Digest::of(b"x").tagged(), "size": 1, "artifactType": "x"},
        {"mediaType": "x", "digest": Digest::of(&artifact).tagged(), "size": 1, "artifactType": BUNDLE},
    ]});
    let of = |bytes: &[u8]| Digest::of(bytes).tagged();
    let kept = [
        ("/manifests/1.0.0".to_owned(), plugin.clone()),
        (
            format!(
                "/referrers/{}?artifactType=application%2Fvnd.dev.sigstore.bundle.v0.3%2Bjson",
                of(&plugin)
            ),
            listed.to_string().into_bytes(),
        ),
        (format!("/manifests/{}", of(&artifact)), artifact),
        (format!("/blobs/{}", of(bundle.as_bytes())), bundle.into_bytes()),
        (format!("/blobs/{}", of(&component())), component()),
    ];
    let server = Made::serve(move |request, client| {
        match kept.iter().find(|(end, _)| request.what().ends_with(&**end)) {
            Some((_, body)) => answer(client, "200 OK", &[], body),
            None => answer(client, "404 Not Found", &[], b""),
        }
    });
    let host = server.host();
    let words = format!("pull {host}/zone:1.0.0 --plugins.policy=policy.yaml --plain-http");
    insta::assert_snapshot!(lettered(&desk.done(&words, &host)), @"
    pulled HOST/zone:1.0.0@sha256:A to zone.wasm
    signed by the key signer.pub (sha256:B), which `plugin fetch` keeps; the file alone has no signature
    ");
    assert_eq!(server.requests().len(), 5);
}

/// What writes an answer to who asks for signatures.
type Answers = fn(&Request, &mut TcpStream) -> io::Result<()>;

fn thousand() -> Vec<u8> {
    let one = |n: u32| {
        let digest = Digest::of(&n.to_le_bytes()).tagged();
        json!({"mediaType": "x", "digest": digest, "size": 1, "artifactType": BUNDLE})
    };
    json!({"manifests": (0..1000).map(one).collect::<Vec<_>>()}).to_string().into_bytes()
}

/// Registries that mean harm to who asks for signatures.
pub fn lists_of_signatures() {
    let cases: [(&str, Answers); 6] = [
        ("none", |_, client| answer(client, "404 Not Found", &[], b"")),
        ("damaged", |_, client| answer(client, "200 OK", &[], b"<html>")),
        ("without an end", |_, client| endless(client, "200 OK", &[b' '; 4096])),
        ("pages without an end", |_, client| {
            let next = [("Link", "</v2/zone/referrers/x>; rel=\"next\"")];
            answer(client, "200 OK", &next, br#"{"manifests":[]}"#)
        }),
        ("refused", |_, client| answer(client, "403 Forbidden", &[], b"")),
        ("a thousand", |request, client| match request.line.contains("/referrers/") {
            true => answer(client, "200 OK", &[], &thousand()),
            false => answer(client, "200 OK", &[], b"another"),
        }),
    ];
    let mut all = String::new();
    for (name, answers) in cases {
        let server = Made::serve(move |request, client| match &request.line {
            line if line.contains("/manifests/1.0.0") => {
                answer(client, "200 OK", &[], &manifest("application/wasm", &component()))
            }
            line if line.contains("/blobs/") => answer(client, "200 OK", &[], &component()),
            _ => answers(request, client),
        });
        let (host, desk) = (server.host(), Desk::new());
        key(&desk.path(""), "signer");
        desk.write("policy.yaml", KEYS);
        let words = format!(
            "pull {host}/zone:1.0.0 --plugins.policy=policy.yaml --plain-http --timeout=60s"
        );
        all += &format!("{name}: {}\n", desk.refused(&words, &host));
        assert!(server.requests().len() < 70, "{name}: {}", server.requests().len());
        assert!(!desk.path("zone.wasm").exists());
    }
    insta::assert_snapshot!(lettered(&all), @"
    none: 3 HOST/zone has no signature, and the policy needs one; sign it with `cosign`, and fetch it again, or let a rule have `unsigned: true`
    damaged: 1 HOST gives no good answer: a list of signatures is damaged; see whether the host is a registry
    without an end: 1 HOST gives no good answer: a list of signatures is too large; see whether the host is a registry
    pages without an end: 3 HOST/zone has no signature, and the policy needs one; sign it with `cosign`, and fetch it again, or let a rule have `unsigned: true`
    refused: 1 HOST refuses manifest sha256:A of zone without credentials; log in with `docker login` or `podman login`
    a thousand: 3 HOST/zone has no signature that the policy trusts among the first 64, and no more are read: what is said to be a signature is no bundle, or one that is too large; have what is no good signature removed from the repository
    ");
}

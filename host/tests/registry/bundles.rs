//! Bundles in registries: pushed, pulled by their digest, and used without a registry.

use std::io::Write as _;
use std::path::Path;

use ebpf_wasm_exporter::bundle::BundlePlace;

use crate::debian::{Registry, Wants};
use crate::laid::lay_out;
use crate::made::{self, Made};
use crate::signed;
use crate::signer;
use crate::typed::{Desk, lettered};

const PACK: &str = "bundle pack cfg --plugins.dir=plugins --version=1.2.0";

/// A desk with a bundle, packed of a plugin that was fetched, and the registry that the plugin came from.
fn packed() -> (Registry, Desk) {
    let (registry, desk) = (Registry::start(&Wants::default(), &[]), Desk::new());
    let host = registry.host();
    let said = desk.done(&format!("push echo.wasm {host}/zone:1.0.0 --plain-http"), &host);
    let zone = said.trim_end().trim_start_matches("pushed ").replace("HOST", &host);
    lay_out(&desk.path("cfg"), &format!("oci: '{zone}'"));
    let fetch = "--config.dir=cfg --config.names=work --plugins.dir=plugins --plain-http";
    desk.done(&format!("fetch {fetch}"), &host);
    let pack = exporter(&desk, PACK, &host);
    assert!(pack.starts_with("0 "), "{pack}");
    (registry, desk)
}

/// The exit code of the exporter with these words, and what it says.
fn exporter(desk: &Desk, words: &str, host: &str) -> String {
    let (code, said) = desk.run(Path::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter")), words);
    format!("{code} {}", lettered(&said.replace(host, "HOST")))
}

pub fn a_bundle_goes_there_and_back() {
    let (registry, desk) = packed();
    let host = registry.host();
    let said = |words: &str| exporter(&desk, words, &host);
    insta::assert_snapshot!(said(PACK), @"
    0 packed work.tar with the digest sha256:A
      config      work.yaml
      object      work.bpf.o
      plugin      sha256-B.wasm
      lock        plugins.lock
      origin      sha256-C.json
      recording   work.rec
      exposition  work.prom
    5 readings become 9 lines
    ");
    insta::assert_snapshot!(said(&format!("bundle push work.tar {host}/team/work:1.2.0 --plain-http")), @"0 pushed HOST/team/work:1.2.0@sha256:A");
    insta::assert_snapshot!(said(&format!("bundle push work.tar {host}/team/work:1.3.0 --plain-http")), @"
    0 pushed HOST/team/work:1.3.0@sha256:A
    the tag is 1.3.0, but the bundle says that it is 1.2.0: pack it with --version
    ");
    insta::assert_snapshot!(said(&format!("bundle push echo.wasm {host}/team/work:1.4.0 --plain-http")), @"3 error: echo.wasm: it is no tar, or a damaged one; name what `bundle pack` or `bundle pull` has written");
    insta::assert_snapshot!(said(&format!("bundle push work.tar {host}/zone:1.0.0 --plain-http")), @"3 error: HOST/zone:1.0.0 is there already, with the digest sha256:A; push another version; --force puts this one in its place, which breaks who relies on it");
    insta::assert_snapshot!(said(&format!("bundle pull {host}/zone:1.0.0 --plain-http")), @"3 error: HOST/zone:1.0.0: it is an artifact of the type `application/vnd.wasm.config.v0+json`, not a bundle; name what `bundle pack` or `bundle pull` has written");
    insta::assert_snapshot!(said(&format!("bundle pull {host}/team/work:1.2.0 -o back.tar --plain-http")), @"0 pulled HOST/team/work:1.2.0@sha256:A to back.tar");
    assert_eq!(desk.read("back.tar"), desk.read("work.tar"));
    insta::assert_snapshot!(said(&format!("bundle verify oci:{host}/team/work:1.2.0 --plain-http")), @"
    0 RESULT  POINT       FOUND
    ok      digests     7 files of sha256:A
    hint    signer      nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    ok      config      fits the object and the plugins
    ok      recording   5 readings of maps that the object has
    ok      exposition  9 lines, as packed
    ");
    let inspected = said(&format!("bundle inspect oci:{host}/team/work:1.2.0 --plain-http"));
    assert_eq!(inspected, said("bundle inspect work.tar"));
}

pub fn a_bundle_is_found_by_its_digest_without_a_registry() {
    let (registry, desk) = packed();
    let host = registry.host();
    let push = format!("bundle push work.tar {host}/team/work:1.2.0 --plain-http");
    let (_, pushed) = desk.run(Path::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter")), &push);
    let reference = pushed.trim_end().trim_start_matches("pushed ").to_owned();
    let served = |dir: &str| {
        exporter(
            &desk,
            &format!("--config.bundle=oci:{reference} --plugins.dir={dir} --config.check"),
            &host,
        )
    };
    assert!(served("held").starts_with("3 "), "{}", served("held"));
    insta::assert_snapshot!(served("held"), @"
    3 held/sha256-A.tar: it cannot be read: no such file or directory; name a file that the exporter may read; `bundle pull` gets one
    error: 1 fault in the configs; nothing was loaded
    ");
    let pull = format!("bundle pull {reference} --plugins.dir=held --plain-http");
    insta::assert_snapshot!(exporter(&desk, &pull, &host), @"0 pulled HOST/team/work:1.2.0@sha256:A to held/sha256-A.tar");
    // Nobody is asked any more, and nothing but the bundle is looked at.
    drop(registry);
    assert!(served("held").starts_with("0 ok"), "{}", served("held"));
    let file = format!("held/sha256-{}.tar", &reference[reference.len() - 64..]);
    exporter(&desk, "bundle pack cfg --plugins.dir=plugins --version=9.9.9", &host);
    std::fs::copy(desk.path("work.tar"), desk.path(&file)).unwrap();
    insta::assert_snapshot!(served("held"), @"
    3 held/sha256-A.tar: it is another bundle: its digest is sha256:B, not sha256:A; find out who has put it there, then pull it again
    error: 1 fault in the configs; nothing was loaded
    ");
}

pub fn oras_reads_a_bundle() {
    let (registry, desk) = packed();
    let host = registry.host();
    let oras = |words: &str| {
        let (code, said) = desk.run(Path::new("oras"), words);
        assert_eq!(code, 0, "oras {words}: {said}");
        said
    };
    let manifest = lettered(&oras("manifest fetch --pretty --oci-layout work.tar:1.2.0"));
    // How large they are is for compilers and ports to say.
    let sizes = regex::Regex::new("\"size\": [0-9]+").unwrap();
    insta::assert_snapshot!(sizes.replace_all(&manifest, "\"size\": N"), @r#"
    {
      "schemaVersion": 2,
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "artifactType": "application/vnd.ebpf-wasm-exporter.bundle.v1",
      "config": {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": "sha256:A",
        "size": N
      },
      "layers": [
        {
          "mediaType": "application/vnd.ebpf-wasm-exporter.config.v1+yaml",
          "digest": "sha256:B",
          "size": N,
          "annotations": {
            "org.opencontainers.image.title": "work.yaml"
          }
        },
        {
          "mediaType": "application/vnd.ebpf-wasm-exporter.object.v1",
          "digest": "sha256:C",
          "size": N,
          "annotations": {
            "org.opencontainers.image.title": "work.bpf.o"
          }
        },
        {
          "mediaType": "application/wasm",
          "digest": "sha256:D",
          "size": N,
          "annotations": {
            "org.opencontainers.image.title": "sha256-D.wasm"
          }
        },
        {
          "mediaType": "application/vnd.ebpf-wasm-exporter.lock.v1+json",
          "digest": "sha256:E",
          "size": N,
          "annotations": {
            "org.opencontainers.image.title": "plugins.lock"
          }
        },
        {
          "mediaType": "application/vnd.ebpf-wasm-exporter.origin.v1+json",
          "digest": "sha256:F",
          "size": N,
          "annotations": {
            "org.opencontainers.image.title": "sha256-F.json"
          }
        },
        {
          "mediaType": "application/vnd.ebpf-wasm-exporter.recording.v1+zstd",
          "digest": "sha256:G",
          "size": N,
          "annotations": {
            "org.opencontainers.image.title": "work.rec"
          }
        },
        {
          "mediaType": "application/vnd.ebpf-wasm-exporter.exposition.v1",
          "digest": "sha256:H",
          "size": N,
          "annotations": {
            "org.opencontainers.image.title": "work.prom"
          }
        }
      ],
      "annotations": {
        "org.opencontainers.image.created": "1970-01-01T00:00:00Z",
        "org.opencontainers.image.title": "work",
        "org.opencontainers.image.version": "1.2.0"
      }
    }
    "#);
    // A file that is copied by others is what was pushed, and a bundle that is pulled has its files.
    oras(&format!("cp --from-oci-layout work.tar:1.2.0 --to-plain-http {host}/copied:1.2.0"));
    exporter(&desk, &format!("bundle pull {host}/copied:1.2.0 --plain-http"), &host);
    assert_eq!(desk.read("copied.tar"), desk.read("work.tar"));
    oras("pull --oci-layout work.tar:1.2.0 -o unpacked");
    let check = "--config.dir=unpacked --config.names=work --plugins.dir=unpacked --config.check";
    let said = exporter(&desk, check, &host);
    assert!(said.starts_with("0 ok"), "{said}");
    assert_eq!(desk.read("unpacked/work.rec"), desk.read("cfg/work.rec"));
}

pub fn a_policy_is_for_bundles_too() {
    let desk = Desk::new();
    signer::key(&desk.path(""), "signer");
    lay_out(&desk.path("cfg"), "file: echo.wasm");
    desk.run(Path::new("cp"), "echo.wasm cfg/echo.wasm");
    exporter(&desk, "bundle pack cfg", "HOST");
    desk.write("policy.yaml", signed::KEYS);
    let words = "--config.bundle=work.tar --plugins.policy=policy.yaml --config.check";
    let served = || exporter(&desk, words, "HOST");
    insta::assert_snapshot!(served(), @"
    3 work.tar: work.tar has no signature, and the policy needs one; sign the file itself with `cosign sign-blob`, as in a registry only a manifest is signed, or let a rule have `unsigned: true`
    error: 1 fault in the configs; nothing was loaded
    ");
    let signature = signed::of_file(&desk.path(""), "signer", &desk.read("work.tar"));
    desk.write("work.tar.sigstore.json", &signature);
    assert!(served().starts_with("0 ok"), "{}", served());
    // Another bundle beside the same signature.
    exporter(&desk, "bundle pack cfg --version=2.0.0", "HOST");
    insta::assert_snapshot!(served(), @"
    3 work.tar: work.tar has no signature that the policy trusts: a signature is of another artifact; do not use it before somebody whom the rule names has signed it anew
    error: 1 fault in the configs; nothing was loaded
    ");
}

pub fn a_bundle_is_signed_in_its_registry() {
    let (registry, desk) = packed();
    let host = registry.host();
    exporter(&desk, &format!("bundle push work.tar {host}/work:1.2.0 --plain-http"), &host);
    let bundle = BundlePlace { file: desk.path("work.tar"), reference: None }.open().unwrap();
    let pinned = format!("{host}/work:1.2.0@{}", bundle.digest().tagged());
    let dir = desk.path("");
    ["signer", "other"].iter().for_each(|name| signer::key(&dir, name));
    desk.write("policy.yaml", "rules: [{repositories: ['*'], keys: [{file: signer.pub}]}]");
    let by = "--plugins.policy=policy.yaml";
    let verify = |bundle: &str| {
        let said = exporter(&desk, &format!("bundle verify {bundle} {by} --plain-http"), &host);
        let told = said.lines().find(|line| line.contains("signer")).unwrap_or(&said);
        lettered(told.trim())
    };
    let oci = format!("oci:{pinned}");
    insta::assert_snapshot!(verify(&oci), @"3 error: HOST/work has no signature, and the policy needs one; sign it with `cosign`, and fetch it again, or let a rule have `unsigned: true`");
    signer::sign(&dir, "other", &pinned);
    insta::assert_snapshot!(verify(&oci), @"3 error: HOST/work has no signature that the policy trusts: a signature is made with a key that the rule does not have, or was changed; do not use it, unless you know who has signed it; then add them to the policy's rule");
    let pull = format!("bundle pull {pinned} --plugins.dir=kept {by} --plain-http");
    insta::assert_snapshot!(lettered(&exporter(&desk, &pull, &host)), @"3 error: HOST/work has no signature that the policy trusts: a signature is made with a key that the rule does not have, or was changed; do not use it, unless you know who has signed it; then add them to the policy's rule");
    assert!(!desk.path("kept").exists());
    signer::sign(&dir, "signer", &pinned);
    insta::assert_snapshot!(verify(&oci), @"ok      signer      the key signer.pub (sha256:B)");
    insta::assert_snapshot!(lettered(&exporter(&desk, &pull, &host)), @"
    0 pulled HOST/work:1.2.0@sha256:A to kept/sha256-A.tar
    signed by the key signer.pub (sha256:B)
    ");
    // Nobody is asked any more.
    drop(registry);
    let check = || {
        let words = format!("--config.bundle={oci} --plugins.dir=kept {by} --config.check");
        lettered(&exporter(&desk, &words, &host))
    };
    assert!(check().starts_with("0 ok"), "{}", check());
    desk.write("policy.yaml", "rules: [{repositories: ['*'], keys: [{file: other.pub}]}]");
    assert!(check().starts_with("0 ok"), "{}", check());
    desk.write("policy.yaml", "rules: [{repositories: [ghcr.io/*], keys: [{file: signer.pub}]}]");
    insta::assert_snapshot!(check(), @"
    3 kept/sha256-A.tar: the policy has no rule for HOST/work; add one to the file of --plugins.policy, with who may sign it or `unsigned: true`
    error: 1 fault in the configs; nothing was loaded
    ");
    desk.write("policy.yaml", "rules: [{repositories: ['*'], keys: [{file: signer.pub}]}]");
    let signatures = desk.path("kept").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut signatures =
        signatures.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    std::fs::write(signatures.next().unwrap(), "{}\nnone\n").unwrap();
    insta::assert_snapshot!(check(), @"
    3 kept/sha256-A.tar: HOST/work has no signature that the policy trusts: a bundle is damaged: it has no `mediaType` / a bundle is damaged: expected ident at line 1 column 2; do not use it before somebody whom the rule names has signed it anew
    error: 1 fault in the configs; nothing was loaded
    ");
    // The same bytes as a file have a signature of their own.
    insta::assert_snapshot!(verify("work.tar"), @"3 error: the policy has no rule for work.tar; add one to the file of --plugins.policy, with who may sign it or `unsigned: true`");
    desk.write("policy.yaml", signed::KEYS);
    let signature = signed::of_file(&dir, "signer", &desk.read("work.tar"));
    desk.write("work.tar.sigstore.json", &signature);
    insta::assert_snapshot!(verify("work.tar"), @"ok      signer      the key signer.pub (sha256:B)");
}

/// A rule that lets bundles be unsigned says nothing of the plugins that they bring.
pub fn plugins_in_an_unsigned_bundle_are_held_against_the_policy() {
    let (registry, desk) = packed();
    let (host, dir) = (registry.host(), desk.path(""));
    signer::key(&dir, "signer");
    let check = |rules: &str| {
        let bundles = "{files: [work.tar], unsigned: true}";
        desk.write("policy.yaml", &format!("rules: [{bundles}, {rules}]"));
        let words = "--config.bundle=work.tar --plugins.policy=policy.yaml --config.check";
        lettered(&exporter(&desk, words, &host))
    };
    let signed = "{repositories: ['*'], keys: [{file: signer.pub}]}";
    insta::assert_snapshot!(check(signed), @"
    3 work.tar/work.yaml:1: plugins.zone.oci: HOST/zone has no signature, and the policy needs one; sign it with `cosign`, and fetch it again, or let a rule have `unsigned: true`
    error: 1 fault in the configs; nothing was loaded
    ");
    let verify = || {
        let words = "bundle verify work.tar --plugins.policy=policy.yaml";
        lettered(&exporter(&desk, words, &host))
    };
    insta::assert_snapshot!(verify(), @"3 error: work.tar/work.yaml:1: plugins.zone.oci: HOST/zone has no signature, and the policy needs one; sign it with `cosign`, and fetch it again, or let a rule have `unsigned: true`");
    assert!(check("{repositories: ['*'], unsigned: true}").starts_with("0 ok"));
    assert!(verify().starts_with("0 "), "{}", verify());
    // As it is packed again with a signature.
    let lock = String::from_utf8(desk.read("plugins/plugins.lock")).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    let manifest = lock["plugins"][0]["manifest"].as_str().unwrap();
    signer::sign(&dir, "signer", &format!("{host}/zone:1.0.0@{manifest}"));
    std::fs::remove_dir_all(desk.path("plugins")).unwrap();
    let fetch = "fetch --config.dir=cfg --config.names=work --plugins.dir=plugins --plain-http";
    desk.done(fetch, &host);
    exporter(&desk, PACK, &host);
    assert!(check(signed).starts_with("0 ok"), "{}", check(signed));
    assert!(verify().starts_with("0 "), "{}", verify());
}

pub fn a_file_is_packed_with_the_signature_beside_it() {
    let desk = Desk::new();
    let dir = desk.path("");
    lay_out(&desk.path("cfg"), "file: echo.wasm");
    std::fs::copy(desk.path("echo.wasm"), desk.path("cfg/echo.wasm")).unwrap();
    signer::key(&dir, "signer");
    let rules = "{files: [work.tar], unsigned: true}, {files: ['*'], keys: [{file: signer.pub}]}";
    desk.write("policy.yaml", &format!("rules: [{rules}]"));
    let check = || {
        exporter(&desk, "bundle pack cfg", "HOST");
        let words = "--config.bundle=work.tar --plugins.policy=policy.yaml --config.check";
        lettered(&exporter(&desk, words, "HOST"))
    };
    insta::assert_snapshot!(check(), @"
    3 work.tar/work.yaml:1: plugins.zone.file: echo.wasm has no signature, and the policy needs one; sign the file itself with `cosign sign-blob`, as in a registry only a manifest is signed, or let a rule have `unsigned: true`
    error: 1 fault in the configs; nothing was loaded
    ");
    let pack =
        || lettered(&exporter(&desk, "bundle pack cfg --plugins.policy=policy.yaml", "HOST"));
    insta::assert_snapshot!(pack(), @"3 error: cfg/work.yaml:1: plugins.zone.file: echo.wasm has no signature, and the policy needs one; sign the file itself with `cosign sign-blob`, as in a registry only a manifest is signed, or let a rule have `unsigned: true`");
    let signature = signed::of_file(&dir, "signer", &desk.read("echo.wasm"));
    desk.write("cfg/echo.wasm.sigstore.json", &signature);
    assert!(check().starts_with("0 ok"), "{}", check());
    assert!(pack().starts_with("0 packed"), "{}", pack());
}

pub fn what_a_registry_gives_otherwise_is_refused() {
    let desk = Desk::new();
    lay_out(&desk.path("cfg"), "file: echo.wasm");
    desk.run(Path::new("cp"), "echo.wasm cfg/echo.wasm");
    exporter(&desk, "bundle pack cfg", "HOST");
    let place = BundlePlace { file: desk.path("work.tar"), reference: None };
    let manifest = place.open().unwrap().manifest().clone();
    let first = manifest.files[0].size as usize;
    let refused = |blob: &'static [u8], length: Option<usize>| {
        let (manifest, bytes) = (manifest.bytes.clone(), blob.repeat(length.unwrap_or(1)));
        let made =
            Made::serve(move |request, client| match request.what().contains("/manifests/") {
                true => made::answer(client, "200 OK", &[], &manifest),
                false if length.is_none() => made::endless(client, "200 OK", blob),
                false => made::answer(client, "200 OK", &[], &bytes),
            });
        let host = made.host();
        let said = exporter(
            &desk,
            &format!("bundle pull {host}/work:1.0.0 --plain-http -o other.tar"),
            &host,
        );
        assert!(!desk.path("other.tar").exists(), "{said}");
        said
    };
    insta::assert_snapshot!(refused(b"x", Some(first - 1)), @"3 error: HOST/work: the registry gave 232 bytes of the file, not the 233 that its manifest says; try again; if that does not help, the registry or somebody before it cannot be trusted");
    insta::assert_snapshot!(refused(b"x", Some(first + 1)), @"3 error: HOST/work: the registry gave more bytes of the file than the 233 that its manifest says; try again; if that does not help, the registry or somebody before it cannot be trusted");
    insta::assert_snapshot!(refused(b"x", Some(first)), @"3 error: HOST/work: the registry gave another file than the one asked for: its digest is sha256:A, not sha256:B; try again; if that does not help, the registry or somebody before it cannot be trusted");
    insta::assert_snapshot!(refused(b"x", None), @"3 error: HOST/work: the registry gave more bytes of the file than the 233 that its manifest says; try again; if that does not help, the registry or somebody before it cannot be trusted");
}

pub fn a_bundle_goes_on_where_it_stopped() {
    let desk = Desk::new();
    lay_out(&desk.path("cfg"), "file: echo.wasm");
    desk.run(Path::new("cp"), "echo.wasm cfg/echo.wasm");
    exporter(&desk, "bundle pack cfg", "HOST");
    let bundle = BundlePlace { file: desk.path("work.tar"), reference: None }.open().unwrap();
    let (manifest, files) = (bundle.manifest().clone(), bundle.files().to_vec());
    let tagged: Vec<_> = manifest.files.iter().map(|file| file.digest.tagged()).collect();
    let served = tagged.clone();
    // The second file comes in two pieces.
    let made = Made::serve(move |request, client| {
        let Some((_, wanted)) = request.what().split_once("/blobs/") else {
            return made::answer(client, "200 OK", &[], &manifest.bytes);
        };
        let n = served.iter().position(|digest| digest == wanted).unwrap();
        let (bytes, last) = (&files[n].bytes, files[n].bytes.len() - 1);
        match request.header("range") {
            Some("bytes=7-") => {
                let range = format!("bytes 7-{last}/{}", bytes.len());
                made::answer(
                    client,
                    "206 Partial Content",
                    &[("Content-Range", &range)],
                    &bytes[7..],
                )
            }
            _ if n == 1 => {
                made::begin(client, "200 OK", &[], bytes.len())?;
                client.write_all(&bytes[..7])
            }
            _ => made::answer(client, "200 OK", &[], bytes),
        }
    });
    let host = made.host();
    let pull = |more: &str| {
        exporter(&desk, &format!("bundle pull {host}/work:1.0.0 --plain-http {more}"), &host)
    };
    let parts = || -> Vec<_> {
        let names = desk.files().into_iter();
        names.filter(|name| name.ends_with(".part")).collect()
    };
    let asked = |n: usize| made.asked().iter().filter(|what| what.ends_with(&tagged[n])).count();
    insta::assert_snapshot!(pull("-o other.tar"), @"1 error: failed to ask HOST: error reading a body from connection: end of file before message length reached; see whether the host is the right one, and can be reached");
    assert_eq!((parts().len(), desk.path("other.tar").exists()), (2, false));
    insta::assert_snapshot!(pull("-o other.tar"), @"0 pulled HOST/work:1.0.0@sha256:A to other.tar");
    assert_eq!(desk.read("other.tar"), desk.read("work.tar"));
    assert_eq!((parts(), asked(0), asked(1), asked(2)), (Vec::new(), 1, 2, 1));
    // What somebody else has put there is no part of it.
    pull("-o again.tar");
    let (first, _) = parts()
        .iter()
        .map(|name| desk.path(name))
        .partition::<Vec<_>, _>(|part| std::fs::read(part).unwrap() == desk.read("cfg/work.yaml"));
    std::fs::write(&first[0], "x".repeat(desk.read("cfg/work.yaml").len())).unwrap();
    assert!(pull("-o again.tar").starts_with("0 "));
    assert_eq!(desk.read("again.tar"), desk.read("work.tar"));
    assert_eq!((parts(), asked(0), asked(1)), (Vec::new(), 3, 4));
    // By its digest it goes into a directory in the same way.
    assert!(pull("--plugins.dir=store").starts_with("1 "));
    assert!(pull("--plugins.dir=store").starts_with("0 "));
    let kept = std::fs::read_dir(desk.path("store")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(
        kept.map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>(),
        [desk.read("work.tar")]
    );
}

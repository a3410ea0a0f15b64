//! Somebody who signs plugins with a key of openssl, as `cosign` does, and puts what is signed into a registry by `oras`.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::certificates::openssl;

/// The form of a bundle.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Why nothing can be put into a registry here.
pub fn lacks() -> Option<String> {
    let there =
        Command::new("oras").arg("version").output().is_ok_and(|told| told.status.success());
    (!there).then(|| "no oras; `make test` gets it, if there is a Go".to_owned())
}

/// Makes a pair of keys, `NAME.key` and `NAME.pub`.
pub fn key(dir: &Path, name: &str) {
    let make = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1";
    openssl(dir, &format!("{make} -out {name}.key"));
    openssl(dir, &format!("pkey -in {name}.key -pubout -out {name}.pub"));
}

/// The signature of these bytes.
pub fn signature(dir: &Path, name: &str, bytes: &[u8]) -> String {
    fs::write(dir.join("bytes"), bytes).unwrap();
    let signature = openssl(dir, &format!("dgst -sha256 -sign {name}.key bytes"));
    fs::remove_file(dir.join("bytes")).unwrap();
    STANDARD.encode(signature)
}

/// A bundle about a manifest with this digest, as `cosign sign --key` makes it.
pub fn signed(dir: &Path, name: &str, digest: &str) -> Value {
    let kind = "application/vnd.in-toto+json";
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "subject": [{"digest": {"sha256": digest}, "annotations": {}}], "predicate": {},
    });
    let payload = statement.to_string();
    let pae = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
    let sig = signature(dir, name, pae.as_bytes());
    json!({
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": ""}},
        "dsseEnvelope": {
            "payload": STANDARD.encode(payload), "payloadType": kind, "signatures": [{"sig": sig}],
        },
    })
}

/// Puts a bundle into the registry, as one about what a reference names.
pub fn attach(dir: &Path, bundle: &str, pinned: &str) {
    fs::write(dir.join("bundle.json"), bundle).unwrap();
    let (reference, digest) = pinned.split_once('@').unwrap();
    let repository = reference.rsplit_once(':').unwrap().0;
    let mut oras = Command::new("oras");
    oras.args(["attach", "--plain-http", "--artifact-type", BUNDLE]).current_dir(dir);
    oras.args([format!("{repository}@{digest}"), format!("bundle.json:{BUNDLE}")]);
    let said = oras.output().unwrap();
    assert!(said.status.success(), "{said:?}");
}

/// Signs what a reference names, in the registry.
pub fn sign(dir: &Path, name: &str, pinned: &str) {
    let bundle = signed(dir, name, &pinned[pinned.len() - 64..]);
    attach(dir, &bundle.to_string(), pinned);
}

//! Signatures of real keys and real people, and each attack on them with its words. Where they come from stands in
//! `tests/signatures/README.md`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::advice::Advise as _;
use crate::config::ConfigFile;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/signatures/", $name))
    };
}

const MANIFEST: &[u8] = fixture!("cosign/manifest.json");
const SIGNED: &[u8] = fixture!("cosign/manifest.json.sigstore.json");
const GOOD: &[u8] = fixture!("made/good.sigstore.json");
const BLOB: &[u8] = fixture!("public/blob.txt");
const BLOB_SIGNED: &[u8] = fixture!("public/blob.txt.sigstore.json");
const KEYED: &[u8] = fixture!("public/keyed.txt");
const KEYED_SIGNED: &[u8] = fixture!("public/keyed.txt.sigstore.json");

const MAIL: &str = "{issuer: 'https://github.com/login/oauth', subject: w.vollprecht@gmail.com}";
const RELEASE: &str = "{issuer: 'https://token.actions.githubusercontent.com', subject: 'https://github.com/acme/plugins/.github/workflows/release.yaml@refs/tags/v1.2.0'}";

/// A policy that lies beside the fixtures.
fn read(text: &str) -> Result<Policy, Vec<Fault>> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signatures"));
    let file = ConfigFile::new(folder.join("policy.yaml"), text);
    config::policy::parse(file).and_then(Policy::new)
}

fn policy(text: &str) -> Policy {
    read(text).unwrap()
}

/// A policy of one rule for everything.
fn rule(text: &str) -> Policy {
    policy(&format!("rules: [{{repositories: ['*'], files: ['*'], {text}}}]"))
}

/// The same, with a Sigstore of its own.
fn made(text: &str) -> Policy {
    policy(&format!(
        "{{trusted_root: made/trusted_root.json, rules: [{{repositories: ['*'], {text}}}]}}"
    ))
}

/// What the policy says of a manifest with these bundles.
fn checked(policy: &Policy, bytes: &[u8], bundles: &[&[u8]]) -> String {
    let repository: Repository = "ghcr.io/acme/zone".parse().unwrap();
    match policy.check(SignedAs::Repository(&repository), bytes, bundles) {
        Ok(signer) => format!("signed by {signer}"),
        Err(error) => error.advice().to_string(),
    }
}

/// The same of a file.
fn checked_file(policy: &Policy, bytes: &[u8], bundle: &[u8]) -> String {
    match policy.check(SignedAs::File(Path::new("plugins/zone.wasm")), bytes, &[bundle]) {
        Ok(signer) => format!("signed by {signer}"),
        Err(error) => error.advice().to_string(),
    }
}

/// A bundle that was changed.
fn changed(bundle: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value = serde_json::from_slice(bundle).unwrap();
    change(&mut value);
    value.to_string().into_bytes()
}

#[test]
fn a_key_of_cosign_signs_a_manifest() {
    let policy = rule("keys: [{file: cosign/other.pub}, {file: cosign/cosign.pub}]");
    insta::assert_snapshot!(checked(&policy, MANIFEST, &[SIGNED]), @"signed by the key cosign/cosign.pub (sha256:6b60e6d523a210d53ab5926ca4d29ee7cc64e898a8f1c3ee3f8ac55a62c2b763)");
    // Others do no harm, in any order.
    assert!(checked(&policy, MANIFEST, &[b"", GOOD, SIGNED]).starts_with("signed by"));
    let pem = include_str!("../../tests/signatures/cosign/cosign.pub").replace('\n', "\n      ");
    let inline = policy_of_pem(&pem);
    insta::assert_snapshot!(checked(&inline, MANIFEST, &[SIGNED]), @"signed by the key sha256:6b60e6d523a210d53ab5926ca4d29ee7cc64e898a8f1c3ee3f8ac55a62c2b763");
}

fn policy_of_pem(pem: &str) -> Policy {
    policy(&format!("rules:\n- repositories: ['*']\n  keys:\n  - pem: |\n      {pem}"))
}

#[test]
fn keys_of_all_kinds_sign_files() {
    for (key, bundle) in [
        ("cosign", &fixture!("cosign/component.wasm.sigstore.json")[..]),
        ("ed25519", fixture!("cosign/ed25519.sigstore.json")),
        ("p384", fixture!("cosign/p384.sigstore.json")),
        ("rsa", fixture!("cosign/rsa.sigstore.json")),
    ] {
        let policy = rule(&format!("keys: [{{file: cosign/{key}.pub}}]"));
        let said = checked_file(&policy, fixture!("cosign/component.wasm"), bundle);
        assert!(said.starts_with(&format!("signed by the key cosign/{key}.pub")), "{said}");
        let said = checked_file(&policy, b"\0asn", bundle);
        assert!(!said.starts_with("signed by"), "{key}: {said}");
    }
}

#[test]
fn identities_of_the_public_instance_sign_files() {
    insta::assert_snapshot!(checked_file(&rule(&format!("identities: [{MAIL}]")), BLOB, BLOB_SIGNED), @"signed by w.vollprecht@gmail.com (https://github.com/login/oauth)");
    let pattern = "identities: [{issuer_regexp: 'https://github\\.com/.+', subject_regexp: '.+@gmail\\.com'}]";
    assert!(checked_file(&rule(pattern), BLOB, BLOB_SIGNED).starts_with("signed by"));
    // A key whose signature the public log has noted.
    insta::assert_snapshot!(checked_file(&rule("keys: [{file: public/keyed.pub, log: true}]"), KEYED, KEYED_SIGNED), @"signed by the key public/keyed.pub (sha256:4cb32c4837c6dda8cfb1681efb3fef5f94ffce5b979e6bdb9139302c857af139)");
    insta::assert_snapshot!(checked_file(&rule("keys: [{file: cosign/cosign.pub, log: true}]"), fixture!("cosign/component.wasm"), fixture!("cosign/component.wasm.sigstore.json")), @"plugins/zone.wasm has no signature that the policy trusts: a signature is not to be believed: no log has noted it; do not use it before somebody whom the rule names has signed it anew");
}

#[test]
fn identities_of_an_instance_of_its_own_sign_manifests() {
    insta::assert_snapshot!(checked(&made(&format!("identities: [{RELEASE}]")), MANIFEST, &[GOOD]), @"signed by https://github.com/acme/plugins/.github/workflows/release.yaml@refs/tags/v1.2.0 (https://token.actions.githubusercontent.com)");
    // Who states that they have built it vouches for it.
    let built: &[u8] = fixture!("made/built.sigstore.json");
    assert!(
        checked(&made(&format!("identities: [{RELEASE}]")), MANIFEST, &[built])
            .starts_with("signed by")
    );
}

#[test]
fn nobody_else_may_sign() {
    let other =
        |text: &str| checked_file(&rule(&format!("identities: [{text}]")), BLOB, BLOB_SIGNED);
    insta::assert_snapshot!(other("{issuer: 'https://github.com/login/oauth', subject: w.vollprecht@gmail.co}"), @"plugins/zone.wasm has no signature that the policy trusts: w.vollprecht@gmail.com has signed it, for whom https://github.com/login/oauth vouches, and the rule does not have them; do not use it, unless you know who has signed it; then add them to the policy's rule");
    insta::assert_snapshot!(other("{issuer: 'https://accounts.google.com', subject: w.vollprecht@gmail.com}"), @"plugins/zone.wasm has no signature that the policy trusts: w.vollprecht@gmail.com has signed it, for whom https://github.com/login/oauth vouches, and the rule does not have them; do not use it, unless you know who has signed it; then add them to the policy's rule");
    // A pattern is of all of a text.
    insta::assert_snapshot!(other("{issuer: 'https://github.com/login/oauth', subject_regexp: vollprecht}"), @"plugins/zone.wasm has no signature that the policy trusts: w.vollprecht@gmail.com has signed it, for whom https://github.com/login/oauth vouches, and the rule does not have them; do not use it, unless you know who has signed it; then add them to the policy's rule");
    insta::assert_snapshot!(checked(&rule("keys: [{file: cosign/other.pub}]"), MANIFEST, &[SIGNED]), @"ghcr.io/acme/zone has no signature that the policy trusts: a signature is made with a key that the rule does not have, or was changed; do not use it, unless you know who has signed it; then add them to the policy's rule");
    insta::assert_snapshot!(checked_file(&rule("keys: [{file: cosign/cosign.pub}]"), BLOB, BLOB_SIGNED), @"plugins/zone.wasm has no signature that the policy trusts: a signature has a certificate, and the rule has no identities; do not use it, unless you know who has signed it; then add them to the policy's rule");
    insta::assert_snapshot!(checked(&rule(&format!("identities: [{MAIL}]")), MANIFEST, &[SIGNED]), @"ghcr.io/acme/zone has no signature that the policy trusts: a signature is made with a key, and the rule has none; do not use it, unless you know who has signed it; then add them to the policy's rule");
    // Whoever the public instance does not know.
    insta::assert_snapshot!(checked(&rule(&format!("identities: [{RELEASE}]")), MANIFEST, &[GOOD]), @"ghcr.io/acme/zone has no signature that the policy trusts: a signature is not to be believed: no log has noted it; do not use it before somebody whom the rule names has signed it anew");
    let strange: &[u8] = fixture!("made/strange.sigstore.json");
    let said = checked(&made(&format!("identities: [{RELEASE}]")), MANIFEST, &[strange]);
    insta::assert_snapshot!(said, @"ghcr.io/acme/zone has no signature that the policy trusts: a certificate is by no authority of the trusted root; do not use it, unless the authority is one of yours; then add it to the policy's `trusted_root`");
}

#[test]
fn nothing_else_may_be_signed() {
    let key = rule("keys: [{file: cosign/cosign.pub}]");
    let tampered = [MANIFEST, b" "].concat();
    insta::assert_snapshot!(checked(&key, &tampered, &[SIGNED]), @"ghcr.io/acme/zone has no signature that the policy trusts: a signature is of another artifact; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(checked(&key, MANIFEST, &[fixture!("cosign/component.wasm.sigstore.json")]), @"ghcr.io/acme/zone has no signature that the policy trusts: a signature is of another artifact; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(checked(&key, MANIFEST, &[fixture!("cosign/attestation.sigstore.json")]), @"ghcr.io/acme/zone has no signature that the policy trusts: a statement of the type `https://in-toto.io/Statement/v0.1` is no signature: only https://in-toto.io/Statement/v1 is read; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(checked_file(&rule(&format!("identities: [{MAIL}]")), b"test content", BLOB_SIGNED), @"plugins/zone.wasm has no signature that the policy trusts: a signature is of another artifact; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(checked_file(&rule("identities: [{issuer: 'https://token.actions.githubusercontent.com', subject_regexp: '.+'}]"), fixture!("public/package.conda"), fixture!("public/package.conda.sigstore.json")), @"plugins/zone.wasm has no signature that the policy trusts: an attestation of `https://schemas.conda.org/attestations-publish-1.schema.json` is no signature; do not use it before somebody whom the rule names has signed it anew");
    // What the signature is of was changed to what is wanted.
    let other = changed(SIGNED, |bundle| {
        let payload = json!({
            "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "subject": [{"digest": {"sha256": Digest::of(&tampered).to_string()}}], "predicate": {},
        });
        bundle["dsseEnvelope"]["payload"] = base64(&payload.to_string()).into();
    });
    insta::assert_snapshot!(checked(&key, &tampered, &[&other]), @"ghcr.io/acme/zone has no signature that the policy trusts: a signature is made with a key that the rule does not have, or was changed; do not use it, unless you know who has signed it; then add them to the policy's rule");
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn certificates_times_and_logs_are_held_against_each_other() {
    let release = made(&format!("identities: [{RELEASE}]"));
    insta::assert_snapshot!(checked(&release, MANIFEST, &[fixture!("made/late.sigstore.json")]), @"ghcr.io/acme/zone has no signature that the policy trusts: a certificate was good until 2026-01-01T00:10:00Z, and the signature was made at 2026-11-29T23:41:29Z; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(checked(&release, MANIFEST, &[fixture!("made/early.sigstore.json")]), @"ghcr.io/acme/zone has no signature that the policy trusts: a certificate is good from 2100-01-01T00:00:00Z on, and the signature was made at 2026-11-29T23:41:30Z; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(checked(&release, MANIFEST, &[fixture!("made/plain.sigstore.json")]), @"ghcr.io/acme/zone has no signature that the policy trusts: a certificate is not for signing code; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(checked(&release, MANIFEST, &[fixture!("made/authority.sigstore.json")]), @"ghcr.io/acme/zone has no signature that the policy trusts: a certificate is that of an authority, which signs certificates and nothing else; do not use it before somebody whom the rule names has signed it anew");
    let without = |path: &str, bundle: &[u8]| {
        changed(bundle, |bundle| *bundle.pointer_mut(path).unwrap() = json!([]))
    };
    let times = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps";
    insta::assert_snapshot!(checked(&release, MANIFEST, &[&without(times, GOOD)]), @"ghcr.io/acme/zone has no signature that the policy trusts: a signature is not to be believed: nobody says when it was made; do not use it before somebody whom the rule names has signed it anew");
    let mail = rule(&format!("identities: [{MAIL}]"));
    let logs = "/verificationMaterial/tlogEntries";
    insta::assert_snapshot!(checked_file(&mail, BLOB, &without(logs, BLOB_SIGNED)), @"plugins/zone.wasm has no signature that the policy trusts: a signature is not to be believed: no log has noted it; do not use it before somebody whom the rule names has signed it anew");
    let later = changed(BLOB_SIGNED, |bundle| {
        bundle["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "1764787000".into();
    });
    insta::assert_snapshot!(checked_file(&mail, BLOB, &later), @"plugins/zone.wasm has no signature that the policy trusts: a signature is not to be believed: invalid inclusion promise: SET verification failed: Verification error: the signature of ECDSA_P256_SHA256 is not good; do not use it before somebody whom the rule names has signed it anew");
    let keyed = rule("keys: [{file: public/keyed.pub, log: true}]");
    insta::assert_snapshot!(checked_file(&keyed, KEYED, &without(logs, KEYED_SIGNED)), @"plugins/zone.wasm has no signature that the policy trusts: a signature is not to be believed: no log has noted it; do not use it before somebody whom the rule names has signed it anew");
}

#[test]
fn what_is_no_bundle_is_told() {
    let key = rule("keys: [{file: cosign/cosign.pub}]");
    let said = |bundle: &[u8]| checked(&key, MANIFEST, &[bundle]);
    insta::assert_snapshot!(said(b""), @"ghcr.io/acme/zone has no signature that the policy trusts: what is said to be a signature is no bundle, or one that is too large; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(said(&SIGNED[..SIGNED.len() - 9]), @"ghcr.io/acme/zone has no signature that the policy trusts: a bundle is damaged: EOF while parsing a string at line 1 column 650; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(said(b"\xff"), @"ghcr.io/acme/zone has no signature that the policy trusts: a bundle is damaged: invalid utf-8 sequence of 1 bytes from index 0; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(said(b"[]"), @"ghcr.io/acme/zone has no signature that the policy trusts: a bundle is damaged: it has no `mediaType`; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(said(&b"[".repeat(100_000)), @"ghcr.io/acme/zone has no signature that the policy trusts: a bundle is damaged: recursion limit exceeded at line 1 column 128; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(said(&vec![b' '; LARGEST_BUNDLE + 1]), @"ghcr.io/acme/zone has no signature that the policy trusts: a bundle is too large, with 262145 bytes; do not use it before somebody whom the rule names has signed it anew");
    let typed = |form: &str| changed(SIGNED, |bundle| bundle["mediaType"] = form.into());
    insta::assert_snapshot!(said(&typed("application/vnd.dev.sigstore.bundle+json;version=0.2")), @"ghcr.io/acme/zone has no signature that the policy trusts: a bundle has the form `application/vnd.dev.sigstore.bundle+json;version=0.2`, and only v0.3 is read; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(said(&typed("\u{1b}[2J")), @r"ghcr.io/acme/zone has no signature that the policy trusts: a bundle has the form `\u{1b}[2J`, and only v0.3 is read; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(said(&changed(SIGNED, |bundle| bundle["dsseEnvelope"]["signatures"] = json!([]))), @"ghcr.io/acme/zone has no signature that the policy trusts: a bundle is damaged: DSSE envelope must contain exactly one signature, found 0; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(said(&changed(SIGNED, |bundle| bundle["dsseEnvelope"]["payloadType"] = "text/plain".into())), @"ghcr.io/acme/zone has no signature that the policy trusts: an attestation of `text/plain` is no signature; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(checked(&key, MANIFEST, &[]), @"ghcr.io/acme/zone has no signature, and the policy needs one; sign it with `cosign`, and fetch it again, or let a rule have `unsigned: true`");
    let states = |kind: &str| {
        let statement = json!({
            "_type": kind, "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {},
            "subject": [{"digest": {"sha256": Digest::of(MANIFEST).to_string()}}],
        });
        let payload = base64(&statement.to_string());
        changed(SIGNED, |bundle| bundle["dsseEnvelope"]["payload"] = payload.into())
    };
    insta::assert_snapshot!(said(&states("https://in-toto.io/Statement/v0.1")), @"ghcr.io/acme/zone has no signature that the policy trusts: a statement of the type `https://in-toto.io/Statement/v0.1` is no signature: only https://in-toto.io/Statement/v1 is read; do not use it before somebody whom the rule names has signed it anew");
    // Of two it would not be said which one counts.
    let both = |path: &str, key: &str, value: Value| {
        changed(SIGNED, |bundle| bundle.pointer_mut(path).unwrap()[key] = value)
    };
    insta::assert_snapshot!(said(&both("", "messageSignature", json!({"signature": "AA=="}))), @"ghcr.io/acme/zone has no signature that the policy trusts: a bundle is damaged: it has both `messageSignature` and `dsseEnvelope`; do not use it before somebody whom the rule names has signed it anew");
    insta::assert_snapshot!(said(&both("/verificationMaterial", "certificate", json!({"rawBytes": "AA=="}))), @"ghcr.io/acme/zone has no signature that the policy trusts: a bundle is damaged: it has both `certificate` and `publicKey`; do not use it before somebody whom the rule names has signed it anew");
    // A thousand take no longer than those that are looked at, and the good one is not among them.
    let mut many = vec![&b"{}"[..]; 1000];
    many.push(SIGNED);
    insta::assert_snapshot!(checked(&key, MANIFEST, &many), @"ghcr.io/acme/zone has no signature that the policy trusts among the first 64, and no more are read: a bundle is damaged: it has no `mediaType`; have what is no good signature removed from the repository");
}

#[test]
fn a_policy_that_names_nobody_trusts_nobody() {
    let said = |text: &str| {
        let faults = read(&format!("rules: [{{repositories: ['*'], {text}}}]")).unwrap_err();
        let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
        texts.join("\n").replace(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signatures/"), "")
    };
    insta::assert_snapshot!(said("keys: []"), @"policy.yaml:1: rules[0]: the rule names nobody who may sign; add `keys:` or `identities:`; or `unsigned: true` if nobody needs to sign");
    insta::assert_snapshot!(said("identities: []"), @"policy.yaml:1: rules[0]: the rule names nobody who may sign; add `keys:` or `identities:`; or `unsigned: true` if nobody needs to sign");
    insta::assert_snapshot!(said("unsigned: false"), @"policy.yaml:1: rules[0]: the rule names nobody who may sign; add `keys:` or `identities:`; or `unsigned: true` if nobody needs to sign");
    insta::assert_snapshot!(said("identities: [{}]"), @"
    policy.yaml:1: rules[0].identities[0]: the identity has neither of `issuer` and `issuer_regexp`; write one of them: who may sign is a subject and its issuer
    policy.yaml:1: rules[0].identities[0]: the identity has neither of `subject` and `subject_regexp`; write one of them: who may sign is a subject and its issuer
    ");
    insta::assert_snapshot!(said("identities: [{issuer: '', subject: ''}]"), @"
    policy.yaml:1: rules[0].identities[0]: the identity has neither of `issuer` and `issuer_regexp`; write one of them: who may sign is a subject and its issuer
    policy.yaml:1: rules[0].identities[0]: the identity has neither of `subject` and `subject_regexp`; write one of them: who may sign is a subject and its issuer
    ");
    insta::assert_snapshot!(said("identities: [{issuer_regexp: '.*', subject_regexp: 'a|'}]"), @"policy.yaml:1: rules[0].identities[0].issuer_regexp: `.*` matches even an empty text, and with it anybody; write a pattern that says who they are");
    insta::assert_snapshot!(said("identities: [{issuer_regexp: '.+', subject_regexp: '.+'}]"), @"policy.yaml:1: rules[0].identities[0]: the identity is anybody's: both patterns match any text; write a pattern that says who they are");
    insta::assert_snapshot!(said("identities: [{issuer_regexp: '(?s)..*', subject_regexp: '\\S+'}]"), @"policy.yaml:1: rules[0].identities[0]: the identity is anybody's: both patterns match any text; write a pattern that says who they are");
    assert!(
        read(r"rules: [{files: ['*'], identities: [{issuer: a, subject_regexp: '.+'}]}]").is_ok()
    );
    // Nor does one that was not read.
    let root = root(None).unwrap();
    let all = vec![NamePattern::all()];
    let rules = vec![Rule { repositories: all, files: Vec::new(), signers: Some(Vec::new()) }];
    insta::assert_snapshot!(checked(&Policy { root, rules }, MANIFEST, &[SIGNED, GOOD]), @"ghcr.io/acme/zone has no signature that the policy trusts: a signature is made with a key, and the rule has none / a signature has a certificate, and the rule has no identities; do not use it, unless you know who has signed it; then add them to the policy's rule");
}

#[test]
fn the_nearest_rule_counts() {
    let policy = policy(
        "rules:
- {repositories: ['*'], unsigned: true}
- {repositories: ['GHCR.io:443/*'], keys: [{file: cosign/cosign.pub}]}
- {repositories: [ghcr.io/acme/*], keys: [{file: cosign/other.pub}]}
- {repositories: [ghcr.io/acme/zone], unsigned: true}
- {files: [zone.wasm], unsigned: true}",
    );
    let said = |repository: &str| {
        let repository: Repository = repository.parse().unwrap();
        match policy.check(SignedAs::Repository(&repository), MANIFEST, &[SIGNED]) {
            Ok(signer) => signer.to_string().chars().take(12).collect(),
            Err(error) => error.advice().problem,
        }
    };
    assert_eq!(said("docker.io/acme/zone"), "nobody");
    assert_eq!(said("ghcr.io/other/zone"), "the key cosi");
    assert_eq!(said("ghcr.io/acme2/zone"), "the key cosi");
    // Another spelling of a registry is no other registry.
    assert_eq!(said("GHCR.io/other/zone"), "the key cosi");
    assert_eq!(said("ghcr.io:443/other/zone"), "the key cosi");
    insta::assert_snapshot!(said("ghcr.io/acme/pods"), @"ghcr.io/acme/pods has no signature that the policy trusts: a signature is made with a key that the rule does not have, or was changed");
    assert_eq!(said("ghcr.io/acme/zone"), "nobody");
    insta::assert_snapshot!(said("ghcr.io/acme/zone/more"), @"ghcr.io/acme/zone/more has no signature that the policy trusts: a signature is made with a key that the rule does not have, or was changed");
    assert_eq!(checked_file(&policy, b"", b""), "signed by nobody");
    let file = SignedAs::File(Path::new("pods.wasm"));
    let said = policy.check(file, b"", &[b""]).unwrap_err().advice().to_string();
    insta::assert_snapshot!(said, @"the policy has no rule for pods.wasm; add one to the file of --plugins.policy, with who may sign it or `unsigned: true`");
}

#[test]
fn faults_have_their_lines() {
    let told = |text: &str| {
        let faults = read(text).unwrap_err();
        let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
        texts.join("\n").replace(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signatures/"), "")
    };
    insta::assert_snapshot!(told(
        "trusted_root: cosign/cosign.pub
rules:
- repositories: [acme/zone, 'ghcr.io/*/zone', 'ghcr.io/acme/*', 'ghcr.io/acme/*']
  keys: [{file: gone.pub}, {pem: no key}, {file: cosign/cosign.pub, pem: x}, {fil: x}]
- files: [a/b.wasm, zone*]
  identities:
  - {issuer: a, issuer_regexp: b, subject: c}
  - {issuer: a, subject_regexp: '('}
- {repositories: ['quay.io/*'], unsigned: true, keys: [{file: cosign/cosign.pub}]}
- {unsigned: true}
- {repository: ['*'], unsigned: true}"
    ), @"
    policy.yaml:4: rules[0].keys[3].fil: unknown key, which does nothing; did you mean `file`?
    policy.yaml:11: rules[4].repository: unknown key, which does nothing; did you mean `repositories`?
    policy.yaml:3: rules[0].repositories[0]: `acme/zone` names no repository; write REGISTRY/REPOSITORY, REGISTRY/* or REGISTRY/REPOSITORY/* for all below, or `*` for all
    policy.yaml:3: rules[0].repositories[1]: `ghcr.io/*/zone` names no repository; write REGISTRY/REPOSITORY, REGISTRY/* or REGISTRY/REPOSITORY/* for all below, or `*` for all
    policy.yaml:3: rules[0].repositories[3]: `ghcr.io/acme/*` comes twice; name it in one rule, with all who may sign it
    policy.yaml:4: rules[0].keys[0].file: gone.pub cannot be read: no such file or directory; name a file that can be read; a relative one is beside the policy
    policy.yaml:4: rules[0].keys[2]: the key has both `file` and `pem`; write `file:` with its name, or `pem:` with the key itself
    policy.yaml:4: rules[0].keys[3]: the key has neither of `file` and `pem`; write `file:` with its name, or `pem:` with the key itself
    policy.yaml:5: rules[1].files[0]: `a/b.wasm` names no file; write a file's name without a directory, or `*` for all
    policy.yaml:5: rules[1].files[1]: `zone*` names no file; write a file's name without a directory, or `*` for all
    policy.yaml:7: rules[1].identities[0]: the identity has both `issuer` and `issuer_regexp`; write one of them: who may sign is a subject and its issuer
    policy.yaml:9: rules[2]: the rule needs signatures, and needs none; leave `unsigned` out, or who may sign
    policy.yaml:10: rules[3]: the rule is for nothing; add `repositories:` or `files:` with the names that it is for
    policy.yaml:11: rules[4]: the rule is for nothing; add `repositories:` or `files:` with the names that it is for
    ");
    insta::assert_snapshot!(told(
        "trusted_root: cosign/cosign.pub
rules:
- {files: ['*'], keys: [{pem: no key}], identities: [{issuer: a, subject_regexp: '('}]}"
    ), @"
    policy.yaml:1: trusted_root: it is no trusted root: failed to parse JSON: invalid number at line 1 column 2; write one with `cosign trusted-root create`
    policy.yaml:3: rules[0].keys[0].pem: it is no public key; write a public key in PEM format, as `cosign generate-key-pair` writes `cosign.pub`
    policy.yaml:3: rules[0].identities[0].subject_regexp: `(` is no pattern, or too large a one; write a regular expression in RE2's syntax
    ");
    insta::assert_snapshot!(told("{trusted_root: gone.json, rules: [{files: ['*'], unsigned: true}]}"), @"policy.yaml:1: trusted_root: gone.json cannot be read: no such file or directory; name a file that can be read; a relative one is beside the policy");
    insta::assert_snapshot!(told(""), @"policy.yaml: expected a mapping, found nothing; write lines of `KEY: VALUE`, or `{KEY: VALUE}`");
    insta::assert_snapshot!(told("rules: []"), @"policy.yaml:1: rules: the policy has no rule; add `rules:`; `unsigned: true` in one lets in what nobody has signed");
    insta::assert_snapshot!(told("rules: [{files: ['*'], unsigned: true}]\nrules: []"), @"
    policy.yaml:1: rules: the key comes again in the same mapping; write it once
    policy.yaml:2: rules: the policy has no rule; add `rules:`; `unsigned: true` in one lets in what nobody has signed
    ");
    insta::assert_snapshot!(told("rules: {"), @"policy.yaml:1: failed to read the YAML: unclosed bracket '{' at line 1 column 8; correct the YAML there");
    let gone = Policy::read(Path::new("/gone/policy.yaml")).unwrap_err();
    insta::assert_snapshot!(gone[0].to_string(), @"/gone/policy.yaml: the policy cannot be read: no such file or directory; name a file of --plugins.policy that can be read");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    /// Whatever is done to a bundle, it is refused in words or good.
    #[test]
    fn no_damage_is_too_much(
        at in 0..10_000_usize, with in proptest::collection::vec(proptest::num::u8::ANY, 0..4), kind in 0..3_usize,
    ) {
        let bundle = [SIGNED, GOOD, BLOB_SIGNED][kind];
        let at = at % bundle.len();
        let damaged = [&bundle[..at], &with, &bundle[(at + with.len()).min(bundle.len())..]].concat();
        let policy = made(&format!("keys: [{{file: cosign/cosign.pub}}], identities: [{RELEASE}]"));
        let said = checked(&policy, MANIFEST, &[&damaged]);
        proptest::prop_assert!(!said.contains("gives up"), "{}", said);
    }
}

//! What is written, what is refused, and the words of it.

use std::fs;

use super::*;
use crate::advice::Advise as _;

fn plugin(name: &str, what: &[u8]) -> LockedPlugin {
    let reference: ArtifactReference = name.parse().unwrap();
    LockedPlugin {
        reference: PinnedReference::new(reference.pinned(Digest::of(what))).unwrap(),
        component: Digest::of(b"component"),
        size: 9,
        contract: "0.1.0".to_owned(),
        world: World::Decoder,
        signatures: Vec::new(),
        signer: None,
    }
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut lock = PluginLock::default();
    lock.put(plugin("ghcr.io/acme/zone:1.2.0", b"b"));
    lock.put(plugin("ghcr.io/acme/pods", b"a"));
    lock.write(dir.path()).unwrap();
    assert_eq!(PluginLock::read(dir.path()).unwrap(), lock);
    insta::assert_snapshot!(fs::read_to_string(dir.path().join(NAME)).unwrap(), @r#"
    {
      "version": 2,
      "plugins": [
        {
          "reference": "ghcr.io/acme/pods",
          "manifest": "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
          "component": "sha256:6985ca1f4daa5a584a28eae043a239cb96689af1337ea13afb63e00c2bf512fa",
          "size": 9,
          "contract": "0.1.0",
          "world": "decoder"
        },
        {
          "reference": "ghcr.io/acme/zone:1.2.0",
          "manifest": "sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d",
          "component": "sha256:6985ca1f4daa5a584a28eae043a239cb96689af1337ea13afb63e00c2bf512fa",
          "size": 9,
          "contract": "0.1.0",
          "world": "decoder"
        }
      ]
    }
    "#);
    let other = plugin("ghcr.io/acme/zone:2.0.0", b"b");
    lock.put(other.clone());
    assert_eq!(lock.find(&other.reference), Some(&other));
    assert_eq!(lock.keep(&[Digest::of(b"b")]), [plugin("ghcr.io/acme/pods", b"a")]);
    assert_eq!(lock.plugins(), [other]);
    lock.write(dir.path()).unwrap();
    assert_eq!(PluginLock::read(dir.path()).unwrap(), lock);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn damage_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let said = || {
        let error = PluginLock::read(dir.path()).unwrap_err().advice().to_string();
        error.replace(dir.path().to_str().unwrap(), "DIR")
    };
    let with = |text: &str| {
        fs::write(dir.path().join(NAME), text).unwrap();
        said()
    };
    insta::assert_snapshot!(said(), @"there is no DIR/plugins.lock; fetch it: `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
    insta::assert_snapshot!(with(""), @"DIR/plugins.lock is damaged: EOF while parsing a value at line 1 column 0; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
    insta::assert_snapshot!(with("{\"version\": 1, \"plugins\": {}}"), @"DIR/plugins.lock has the form 1, and this exporter knows 2; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
    insta::assert_snapshot!(with("{\"version\": 2, \"plugins\": [], \"more\": 1}"), @"DIR/plugins.lock is damaged: unknown field `more`, expected `version` or `plugins` at line 1 column 36; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
    let deep = "[".repeat(100_000);
    insta::assert_snapshot!(with(&format!("{{\"version\": 2, \"plugins\": {deep}")), @"DIR/plugins.lock is damaged: EOF while parsing a list at line 1 column 100026; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
    let mut lock = PluginLock::default();
    lock.put(plugin("ghcr.io/acme/zone:1.2.0", b"b"));
    lock.write(dir.path()).unwrap();
    let good = fs::read_to_string(dir.path().join(NAME)).unwrap();
    insta::assert_snapshot!(with(&good.replace("ghcr.io", "../..")), @"DIR/plugins.lock is damaged: `../../acme/zone:1.2.0` is no reference; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
    insta::assert_snapshot!(with(&good.replace("sha256:", "md5:")), @"DIR/plugins.lock is damaged: `md5:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d` is no digest; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
    insta::assert_snapshot!(with(&good.replace("decoder", "\\u001b[31m")), @"DIR/plugins.lock is damaged: a world is neither `decoder` nor `transform`; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
    let row = &good[good.find('[').unwrap() + 1..good.find(']').unwrap()];
    insta::assert_snapshot!(with(&good.replace(row, &format!("{row},{row}"))), @"DIR/plugins.lock is damaged: the manifest of ghcr.io/acme/zone:1.2.0@sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d comes twice; remove it, and run `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
    insta::assert_snapshot!(with(&" ".repeat(5 << 20)), @"DIR/plugins.lock is too large, with 5242880 bytes; make it a file that can be read, or remove it and run `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
    fs::remove_file(dir.path().join(NAME)).unwrap();
    fs::create_dir(dir.path().join(NAME)).unwrap();
    insta::assert_snapshot!(said(), @"DIR/plugins.lock is a directory; make it a file that can be read, or remove it and run `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
}

#[test]
fn faults_have_words() {
    let said = |error: LockError| error.advice().to_string();
    let file = || Path::new("/plugins").join(file_name(Digest::of(b"")));
    let reference = Box::new(plugin("ghcr.io/acme/zone:1.2.0", b"").reference);
    insta::assert_snapshot!(said(LockError::NoDirectory), @"a plugin of a registry needs --plugins.dir; name the directory that was filled by `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
    insta::assert_snapshot!(said(LockError::NoEntry { file: "/plugins/plugins.lock".into(), reference }), @"/plugins/plugins.lock has no ghcr.io/acme/zone:1.2.0@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855; fetch it: `ebpf_wasm_exporter plugin fetch --plugins.dir=/plugins` with the same configs");
    insta::assert_snapshot!(said(LockError::NoFile(file())), @"there is no /plugins/sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.wasm, which plugins.lock names; fetch it: `ebpf_wasm_exporter plugin fetch --plugins.dir=/plugins` with the same configs");
    insta::assert_snapshot!(said(LockError::Changed { file: file(), found: Digest::of(b"x") }), @"/plugins/sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.wasm was changed: its SHA-256 is 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881; find out who has done that, then run `ebpf_wasm_exporter plugin fetch --plugins.dir=/plugins` with the same configs");
}

#[test]
fn only_one_has_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let taken = take(dir.path()).unwrap();
    assert!(taken.is_some());
    assert!(take(dir.path()).unwrap().is_none());
    drop(taken);
    assert!(take(dir.path()).unwrap().is_some());
    assert!(take(&dir.path().join("gone")).is_err());
}

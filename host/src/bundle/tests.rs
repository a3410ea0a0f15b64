//! What is written, and what is refused.

use std::collections::HashMap;
use std::path::Path;

use tar::{Builder, EntryType, Header};

use super::part::MOST_FILES;
use super::*;
use crate::advice::Advise as _;
use crate::digest::Digest;
use crate::manifest::Annotations;
use bytes::Bytes;

fn file(part: Part, name: &str, bytes: &'static [u8]) -> BundledFile {
    BundledFile { part, name: name.to_owned(), bytes: Bytes::from_static(bytes) }
}

fn files() -> Vec<BundledFile> {
    vec![
        file(Part::Exposition, "work.prom", b"a 1\n"),
        file(Part::Config, "work.yaml", b"metrics: {}\n"),
        file(Part::Object, "work.bpf.o", b"\x7fELF"),
        file(Part::Recording, "work.rec", b"EWEREC01"),
    ]
}

fn annotations() -> Annotations {
    [("org.opencontainers.image.version".to_owned(), "1.2.0+a".to_owned())].into()
}

fn bundle() -> Bundle {
    Bundle::new(files(), annotations()).unwrap()
}

fn tar() -> Bytes {
    bundle().to_tar().unwrap().into()
}

/// What is said of a tar that is refused.
fn refused(tar: impl Into<Bytes>) -> String {
    Bundle::read(&tar.into()).unwrap_err().advice().to_string()
}

/// The entries of a tar: names and bytes.
fn entries(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let entry = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), bytes)
    };
    archive.entries().unwrap().map(entry).collect()
}

/// Adds an entry of any type with any name.
fn add(tar: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, bytes: &[u8]) {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    tar.append(&header, bytes).unwrap();
}

/// A good tar, with each entry as `edit` makes it, if it leaves any.
fn edited(edit: impl Fn(&str, Vec<u8>) -> Option<(String, Vec<u8>)>) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, bytes) in entries(&self::tar()) {
        if let Some((name, bytes)) = edit(&name, bytes) {
            add(&mut tar, EntryType::Regular, &name, &bytes);
        }
    }
    tar.into_inner().unwrap()
}

/// A good tar with another entry behind all others.
fn with(kind: EntryType, name: &str) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, bytes) in entries(&self::tar()) {
        add(&mut tar, EntryType::Regular, &name, &bytes);
    }
    add(&mut tar, kind, name, b"");
    tar.into_inner().unwrap()
}

/// A good tar with another text as its index.
fn indexed(index: &str) -> Vec<u8> {
    edited(|name, bytes| {
        let bytes = if name == "index.json" { index.as_bytes().to_vec() } else { bytes };
        Some((name.to_owned(), bytes))
    })
}

/// What is said of a manifest that is refused.
fn no_manifest(text: impl Into<Bytes>) -> String {
    BundleManifest::read(text.into()).unwrap_err().advice().to_string()
}

/// A good manifest with one text in the place of another.
fn replaced(from: &str, to: &str) -> String {
    let text = String::from_utf8(bundle().manifest().bytes.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    text.replace(from, to)
}

/// What is said of files that no bundle may have.
fn no_bundle(change: impl FnOnce(&mut Vec<BundledFile>)) -> String {
    let mut files = files();
    change(&mut files);
    Bundle::new(files, Annotations::new()).unwrap_err().advice().to_string()
}

#[test]
fn what_is_written_is_read_and_always_the_same() {
    let (bundle, tar) = (bundle(), tar());
    let read = Bundle::read(&tar).unwrap();
    assert_eq!((read.digest(), read.manifest().version()), (bundle.digest(), "1.2.0+a".into()));
    let named: Vec<_> = read.files().iter().map(|file| &*file.name).collect();
    assert_eq!(named, ["work.yaml", "work.bpf.o", "work.rec", "work.prom"]);
    assert_eq!(read.to_tar().unwrap(), tar);
    let mut turned = files();
    turned.reverse();
    assert_eq!(Bundle::new(turned, annotations()).unwrap().to_tar().unwrap(), tar);
    // Somebody who relies on a digest relies on this.
    insta::assert_snapshot!(bundle.digest(), @"0fe2e0b40c7b6eff0476e356645d6ecfb99212288b1287bfffd2ed210c515379");
    let config = read.config(Path::new("x/work.tar"), None);
    assert_eq!(
        (config.path.to_str(), config.name()),
        (Some("x/work.tar/work.yaml"), "work".into())
    );
    let held = config.bundle().unwrap();
    assert_eq!(held.get(Path::new("work.bpf.o")).unwrap(), &b"\x7fELF"[..]);
    assert_eq!(held.get(Path::new("work.rec")), None, "what is served is not made of it");
}

#[test]
fn names_of_entries_are_those_of_a_layout() {
    let names: Vec<_> = entries(&tar()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..2], ["oci-layout", "index.json"]);
    assert!(
        names[2..].is_sorted() && names[2..].iter().all(|name| name.starts_with("blobs/sha256/"))
    );
    // As others write a layout.
    let dotted = edited(|name, bytes| Some((format!("./{name}"), bytes)));
    assert!(Bundle::read(&dotted.into()).is_ok());
    assert!(Bundle::read(&with(EntryType::Directory, "./blobs/sha256/").into()).is_ok());
}

#[test]
fn tars_of_something_else_are_refused() {
    insta::assert_snapshot!(refused(&b""[..]), @"it is no tar, or a damaged one; name what `bundle pack` or `bundle pull` has written");
    insta::assert_snapshot!(refused(vec![b'x'; 2048]), @"it is no tar, or a damaged one; name what `bundle pack` or `bundle pull` has written");
    insta::assert_snapshot!(refused(vec![0; 4096]), @"it is no tar, or a damaged one; name what `bundle pack` or `bundle pull` has written");
    for (kind, name) in [
        (EntryType::Regular, "../etc/passwd"),
        (EntryType::Regular, "/etc/passwd"),
        (EntryType::Regular, "blobs/sha256/../../x"),
        (EntryType::Regular, "blobs/sha256/zz"),
        (EntryType::Regular, "\u{1b}[2J"),
        (EntryType::Directory, "etc/"),
        (EntryType::Symlink, "index.json"),
        (EntryType::Link, "index.json"),
        (EntryType::GNUSparse, "index.json"),
        (EntryType::Fifo, "index.json"),
        (EntryType::XHeader, "PaxHeaders/index.json"),
        (EntryType::GNULongName, "././@LongLink"),
        (EntryType::Regular, "index.json"),
        (EntryType::Regular, "./oci-layout"),
    ] {
        let said = refused(with(kind, name));
        assert!(said.starts_with("it has "), "{said}");
    }
    insta::assert_snapshot!(refused(with(EntryType::Regular, "../etc/passwd")), @"it has ../etc/passwd, which is no part of a bundle; write it with `bundle pack` or `bundle pull`, which put nothing else into it");
    insta::assert_snapshot!(refused(with(EntryType::Regular, "\u{1b}[2J")), @r#"it has \u{1b}[2J, which is no part of a bundle; write it with `bundle pack` or `bundle pull`, which put nothing else into it"#);
    insta::assert_snapshot!(refused(with(EntryType::Symlink, "index.json")), @"it has index.json, which is a link; write it with `bundle pack` or `bundle pull`, which put nothing else into it");
    insta::assert_snapshot!(refused(with(EntryType::GNUSparse, "index.json")), @"it has index.json, which is a sparse file; write it with `bundle pack` or `bundle pull`, which put nothing else into it");
    insta::assert_snapshot!(refused(with(EntryType::XHeader, "index.json")), @"it has index.json, which is an extended header; write it with `bundle pack` or `bundle pull`, which put nothing else into it");
    insta::assert_snapshot!(refused(with(EntryType::Directory, "etc")), @"it has etc, which is a directory that no bundle has; write it with `bundle pack` or `bundle pull`, which put nothing else into it");
    insta::assert_snapshot!(refused(with(EntryType::Regular, "./index.json")), @"it has ./index.json, which is there twice; write it with `bundle pack` or `bundle pull`, which put nothing else into it");
    // Other readers may go on behind the end.
    let twice = [&tar()[..], &tar()[..]].concat();
    insta::assert_snapshot!(refused(twice), @"it is no tar, or a damaged one; name what `bundle pack` or `bundle pull` has written");
    let unnamed = format!("blobs/sha256/{}", Digest::of(b""));
    insta::assert_snapshot!(refused(with(EntryType::Regular, &unnamed)), @"it has the blob sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, which its manifest does not name; write it with `bundle pack` or `bundle pull`, which put nothing else into it");
}

#[test]
fn tars_that_were_cut_or_say_too_much_are_refused() {
    let tar = tar();
    for end in [tar.len() / 2, 700, 513, 100] {
        assert!(Bundle::read(&tar.slice(..end)).is_err(), "{end}");
    }
    insta::assert_snapshot!(refused(tar.slice(..700)), @"it ends in the middle of oci-layout; copy or pull it again");
    let sized = |size: &[u8]| {
        let mut bytes = tar.to_vec();
        bytes[124..136].copy_from_slice(size);
        let mut header = Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&bytes[..512]);
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        refused(bytes)
    };
    insta::assert_snapshot!(sized(b"77777777777\0"), @"it ends in the middle of oci-layout; copy or pull it again");
    insta::assert_snapshot!(sized(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), @"it is no tar, or a damaged one; name what `bundle pack` or `bundle pull` has written");
    let mut many = Builder::new(Vec::new());
    for n in 0..=MOST_FILES + 8 {
        let name = format!("blobs/sha256/{}", Digest::of(n.to_string().as_bytes()));
        add(&mut many, EntryType::Regular, &name, b"");
    }
    insta::assert_snapshot!(refused(many.into_inner().unwrap()), @"it has more than 100 files; pack something smaller");
}

#[test]
fn layouts_that_lack_something_are_refused() {
    let without =
        |gone: &str| edited(|name, bytes| (name != gone).then(|| (name.to_owned(), bytes)));
    let blob = |text: &[u8]| format!("blobs/sha256/{}", Digest::of(text));
    insta::assert_snapshot!(refused(without("oci-layout")), @"it has no oci-layout; name what `bundle pack` or `bundle pull` has written");
    insta::assert_snapshot!(refused(without("index.json")), @"it has no index.json; name what `bundle pack` or `bundle pull` has written");
    insta::assert_snapshot!(refused(without(&blob(&bundle().manifest().bytes))), @"it has no manifest; name what `bundle pack` or `bundle pull` has written");
    insta::assert_snapshot!(refused(without(&blob(b"a 1\n"))), @"it has no work.prom; name what `bundle pack` or `bundle pull` has written");
    insta::assert_snapshot!(refused(without(&blob(b"{}"))), @"it has no empty config; name what `bundle pack` or `bundle pull` has written");
    let changed = |of: &[u8], to: &[u8]| {
        edited(|name, bytes| {
            let bytes = if name == blob(of) { to.to_vec() } else { bytes };
            Some((name.to_owned(), bytes))
        })
    };
    insta::assert_snapshot!(refused(changed(b"\x7fELF", b"\x7fBAD")), @"work.bpf.o of it was changed: its digest is sha256:45fa54f87bbf8f64cb48fc1d4d992297f863f165bd01e3476acea8ed96126f20, not sha256:3bdbb4fe8397cd2b842430b39ccff01a8663c751945ef5e9a09e267fb8b1d359; find out who has done that, then copy or pull it again");
    insta::assert_snapshot!(refused(changed(b"\x7fELF", b"")), @"work.bpf.o of it has 0 bytes, not 4; find out who has done that, then copy or pull it again");
    let manifest = bundle().manifest().bytes.clone();
    let other = replaced("1.2.0", "1.2.1");
    insta::assert_snapshot!(refused(changed(&manifest, other.as_bytes())), @"the manifest of it was changed: its digest is sha256:fb171cc11b17bca06f254d50aa02321e54586eaec0a60625d53e005532dbf587, not sha256:0fe2e0b40c7b6eff0476e356645d6ecfb99212288b1287bfffd2ed210c515379; find out who has done that, then copy or pull it again");
}

#[test]
fn indexes_of_something_else_are_refused() {
    insta::assert_snapshot!(refused(indexed("<html>")), @"index.json of it is damaged: expected value at line 1 column 1; copy or pull it again");
    insta::assert_snapshot!(refused(indexed(&"[".repeat(100_000))), @"index.json of it is damaged: invalid type: sequence, expected u32 at line 1 column 1; copy or pull it again");
    insta::assert_snapshot!(refused(indexed(r#"{"schemaVersion":2,"manifests":[]}"#)), @"it has 0 artifacts, expected one; write it with `bundle pack` or `bundle pull`, which put nothing else into it");
    let one = r#"{"mediaType":"x","digest":"sha512:0","size":1}"#;
    let of = |manifests: &str| format!(r#"{{"schemaVersion":2,"manifests":[{manifests}]}}"#);
    insta::assert_snapshot!(refused(indexed(&of(&format!("{one},{one}")))), @"it has 2 artifacts, expected one; write it with `bundle pack` or `bundle pull`, which put nothing else into it");
    insta::assert_snapshot!(refused(indexed(&of(one))), @"index.json of it is damaged: a manifest has no digest of SHA-256; copy or pull it again");
    insta::assert_snapshot!(refused(indexed(&" ".repeat((1 << 20) + 1))), @"index.json has more than 1048576 bytes; pack something smaller");
}

#[test]
fn manifests_of_something_else_are_refused() {
    insta::assert_snapshot!(no_manifest("{}"), @"the manifest of it is damaged: missing field `schemaVersion` at line 1 column 2; copy or pull it again");
    insta::assert_snapshot!(no_manifest("[".repeat(100_000)), @"the manifest of it is damaged: invalid type: sequence, expected u32 at line 1 column 1; copy or pull it again");
    insta::assert_snapshot!(no_manifest(" ".repeat((1 << 20) + 1)), @"the manifest has more than 1048576 bytes; pack something smaller");
    insta::assert_snapshot!(no_manifest(replaced("vnd.oci.image.manifest.v1+json", "vnd.\\u001b")), @r#"its manifest is of the type `application/vnd.\u{1b}`, not application/vnd.oci.image.manifest.v1+json; name what `bundle pack` or `bundle pull` has written"#);
    insta::assert_snapshot!(no_manifest(replaced("bundle.v1", "bundle.v2")), @"it is an artifact of the type `application/vnd.ebpf-wasm-exporter.bundle.v2`, not a bundle; name what `bundle pack` or `bundle pull` has written");
    insta::assert_snapshot!(no_manifest(replaced(r#""artifactType":"application/vnd.ebpf-wasm-exporter.bundle.v1","#, "")), @"it is an artifact of the type `application/vnd.oci.empty.v1+json`, not a bundle; name what `bundle pack` or `bundle pull` has written");
    insta::assert_snapshot!(no_manifest(replaced("recording.v1+zstd", "music.v1")), @"it has a layer of the type `application/vnd.ebpf-wasm-exporter.music.v1`, which this exporter does not know; use a newer exporter, or pack it with this one");
    insta::assert_snapshot!(no_manifest(replaced("work.yaml", "../work.yaml")), @"it has a file that is called `../work.yaml`; pack it again with `bundle pack`");
    insta::assert_snapshot!(no_manifest(replaced("work.yaml", "a\\u0007.yaml")), @r#"it has a file that is called `a\u{7}.yaml`; pack it again with `bundle pack`"#);
    insta::assert_snapshot!(no_manifest(replaced("image.title", "image.name")), @"it has a file that is called ``; pack it again with `bundle pack`");
    insta::assert_snapshot!(no_manifest(replaced(r#""size":12"#, r#""size":16777217"#)), @"work.yaml has more than 16777216 bytes; pack something smaller");
    insta::assert_snapshot!(no_manifest(replaced(&Digest::of(b"a 1\n").tagged(), "sha512:00")), @"the manifest of it is damaged: a layer has no digest of SHA-256; copy or pull it again");
    insta::assert_snapshot!(no_manifest(replaced(&Digest::of(b"{}").tagged(), "sha256:00")), @"the manifest of it is damaged: it names a config, and a bundle has none; copy or pull it again");
    insta::assert_snapshot!(no_manifest(replaced("work.prom", "work.rec")), @"it has two files that are called `work.rec`; pack it again with `bundle pack`");
}

#[test]
fn files_that_are_no_bundle_are_refused() {
    insta::assert_snapshot!(no_bundle(|files| drop(files.pop())), @"it has no recording; pack it again with `bundle pack`");
    insta::assert_snapshot!(no_bundle(|files| files.push(file(Part::Config, "b.yaml", b""))), @"it has several files that are its config; pack it again with `bundle pack`");
    insta::assert_snapshot!(no_bundle(|files| files[2].name = "a.bpf.o".to_owned()), @"its config is called `work.yaml`, and its object `a.bpf.o`; pack it again with `bundle pack`");
    insta::assert_snapshot!(no_bundle(|files| files[1].name = "sub/work.yaml".to_owned()), @"its config is called `sub/work.yaml`, and its object `work.bpf.o`; pack it again with `bundle pack`");
    insta::assert_snapshot!(no_bundle(|files| files[1].bytes = Bytes::from_static(b"\xff")), @"work.yaml of it is not UTF-8; pack it again with `bundle pack`");
    insta::assert_snapshot!(no_bundle(|files| {
        files.extend((0..MOST_FILES).map(|n| file(Part::Setting, &format!("{n}.json"), b"")));
    }), @"it has more than 100 files; pack something smaller");
    // Of the same bytes there may be two.
    let mut twins = files();
    twins.push(file(Part::Setting, "a.json", b"a 1\n"));
    let tar: Bytes = Bundle::new(twins, Annotations::new()).unwrap().to_tar().unwrap().into();
    assert_eq!(Bundle::read(&tar).unwrap().files().len(), 5);
}

#[test]
fn a_manifest_without_its_files_is_no_bundle() {
    let manifest = bundle().manifest().clone();
    let said = manifest.fill(&HashMap::new()).unwrap_err().advice().to_string();
    insta::assert_snapshot!(said, @"it has no work.yaml; name what `bundle pack` or `bundle pull` has written");
}

#[test]
fn places_are_files_or_what_was_pulled() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let place = |text: &str, dir: Option<&str>| BundlePlace::parse(text, dir.map(Path::new));
    assert_eq!(place("a/oci.tar", None).unwrap().file, Path::new("a/oci.tar"));
    let pulled = place(&format!("oci:a.b/c:1@{digest}"), Some("p")).unwrap();
    assert_eq!(pulled.file, Path::new(&format!("p/sha256-{}.tar", "0".repeat(64))));
    let said = |text: &str| place(text, None).unwrap_err().advice().to_string();
    insta::assert_snapshot!(said("oci:c"), @"--config.bundle: `oci:c` names nothing in a registry: it begins with no registry's host; write REGISTRY/REPOSITORY:TAG, such as ghcr.io/acme/plugins/zone:1.2.0");
    insta::assert_snapshot!(said("oci:a.b/c:1"), @"--config.bundle=oci:a.b/c:1 has no digest; write @sha256:… behind it: `bundle push` and `bundle inspect` print it");
    insta::assert_snapshot!(said(&format!("oci:a.b/c:1@{digest}")), @"--config.bundle=oci:a.b/c:1@sha256:0000000000000000000000000000000000000000000000000000000000000000 needs --plugins.dir; name the directory that was filled by `ebpf_wasm_exporter bundle pull a.b/c:1@sha256:0000000000000000000000000000000000000000000000000000000000000000 --plugins.dir=DIR`");
}

#[test]
fn what_is_kept_by_a_digest_is_that_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let other = "0".repeat(64);
    let text = format!("oci:a.b/c:1@sha256:{other}");
    let place = BundlePlace::parse(&text, Some(dir.path())).unwrap();
    let said = || {
        place.open().unwrap_err().advice().to_string().replace(&bundle().digest().to_string(), "A")
    };
    insta::assert_snapshot!(said(), @"it cannot be read: no such file or directory; name a file that the exporter may read; `bundle pull` gets one");
    std::fs::write(&place.file, tar()).unwrap();
    insta::assert_snapshot!(said().replace(&other, "B"), @"it is another bundle: its digest is sha256:A, not sha256:B; find out who has put it there, then pull it again");
    let place = BundlePlace { reference: None, ..place };
    assert_eq!(place.open().unwrap().digest(), bundle().digest());
}

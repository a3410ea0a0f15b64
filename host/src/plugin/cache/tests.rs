//! Which directories are taken, and what becomes of the code in them.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::*;
use crate::plugin::engine::{Engine, Origin};
use crate::plugin::guests;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn refusal(dir: &Path, root: &Path) -> String {
    let error = CacheDir(dir.to_owned()).open().expect_err("it is refused").to_string();
    error.replace(&fs::canonicalize(root).unwrap().display().to_string(), "DIR")
}

/// Where the code of a guest comes from, with an engine of its own.
fn origin(dir: &Path, guest: &str) -> Origin {
    let engine = Engine::start(Some(&CacheDir(dir.to_owned()))).unwrap();
    engine.compile(&guests::component(guest)).unwrap().1
}

#[test]
fn the_flag_counts_before_systemd() {
    let chosen = |flag: Option<&str>, systemd: Option<&str>| {
        let dir = CacheDir::chosen(flag.map(OsStr::new), systemd.map(OsStr::new));
        dir.map(|dir| dir.path().to_str().unwrap().to_owned())
    };
    assert_eq!(chosen(None, None), None);
    assert_eq!(chosen(Some("/a"), Some("/b")).as_deref(), Some("/a"));
    assert_eq!(chosen(Some("a:b"), None).as_deref(), Some("a:b"));
    assert_eq!(chosen(None, Some("/var/cache/x:/var/cache/y")).as_deref(), Some("/var/cache/x"));
    assert_eq!(chosen(Some(""), Some("/b")), None);
    assert_eq!(chosen(None, Some("")), None);
}

#[test]
fn code_is_compiled_once() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("new/cache");
    assert_eq!(origin(&dir, "echo"), Origin::Kept);
    assert_eq!(origin(&dir, "echo"), Origin::Cache);
    assert_eq!(origin(&dir, "late"), Origin::Kept, "another component");
    assert_eq!(look(&dir).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn damaged_code_is_compiled_anew() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(origin(root.path(), "echo"), Origin::Kept);
    let code = files(root.path());
    assert!(!code.is_empty());
    for file in &code {
        fs::write(file, b"").unwrap();
    }
    assert_eq!(origin(root.path(), "echo"), Origin::Kept);
    assert_eq!(origin(root.path(), "echo"), Origin::Cache);
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn what_others_may_write_is_not_taken() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("above/cache");
    fs::create_dir_all(&dir).unwrap();
    mode(&dir, 0o775);
    insta::assert_snapshot!(refusal(&dir, root.path()), @"compiled code is not kept: others may write DIR/above/cache, and could have the exporter run code of theirs; take that from them (chmod go-w)");
    // Sticky helps those below it only.
    mode(&dir, 0o1777);
    assert!(refusal(&dir, root.path()).contains("others may write DIR/above/cache,"));
    mode(&dir, 0o755);
    mode(dir.parent().unwrap(), 0o757);
    assert!(refusal(&dir, root.path()).contains("others may write DIR/above,"));
    mode(dir.parent().unwrap(), 0o1757);
    assert!(CacheDir(dir.clone()).open().is_ok());
    // What was put there while it was open to all stays suspicious.
    fs::create_dir(dir.join("modules")).unwrap();
    fs::write(dir.join("modules/code"), "").unwrap();
    mode(&dir.join("modules/code"), 0o666);
    assert!(refusal(&dir, root.path()).contains("others may write DIR/above/cache/modules/code,"));
    fs::remove_file(dir.join("modules/code")).unwrap();
    symlink("/etc/passwd", dir.join("modules/code")).unwrap();
    insta::assert_snapshot!(refusal(&dir, root.path()), @"compiled code is not kept: DIR/above/cache/modules/code is nothing that the exporter has put there; name a directory of its own");
}

#[test]
fn what_belongs_to_others_is_not_taken() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("cache");
    fs::create_dir(&dir).unwrap();
    let wanted = std::env::var_os("CI").is_some();
    if let Err(error) = chown(&dir, Some(12345), None) {
        assert!(!wanted, "only root can give files away: {error}");
        eprintln!("what_belongs_to_others_is_not_taken: SKIPPED, only root can give files away");
        return;
    }
    insta::assert_snapshot!(refusal(&dir, root.path()), @"compiled code is not kept: DIR/cache belongs to the user 12345, who could have it run code of theirs; give it to root or to who the exporter runs as");
}

#[test]
fn what_cannot_be_used_is_told_and_plugins_are_compiled() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    insta::assert_snapshot!(refusal(&file, root.path()), @"failed to use DIR/file for compiled code: file exists; make it a directory that the exporter may write");
    assert_eq!(origin(&file, "echo"), Origin::Compiled);
    // Nothing can be made in /proc, whoever one is.
    assert_eq!(origin(Path::new("/proc/ebpf_wasm_exporter"), "echo"), Origin::Compiled);
}

//! Finding and reading files.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use crate::config::{Fault, load, read};

/// The faults of reading these names from a directory, which is called `DIR` in them.
fn faults(dir: &Path, names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let (_, faults) = read(dir, &names);
    super::lines(&faults).replace(&dir.display().to_string(), "DIR")
}

fn dir(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).expect("a file in it");
    }
    dir
}

#[test]
fn files_are_read_in_the_order_of_names() {
    let dir = dir(&[("a.yaml", b"1"), ("b.yaml", "ü".as_bytes())]);
    let (files, faults) = read(dir.path(), &["b".to_owned(), "a".to_owned()]);
    assert_eq!(faults, Vec::<Fault>::new());
    let texts: Vec<_> = files.iter().map(|file| (file.name(), &*file.text)).collect();
    assert_eq!(texts, [("b".to_owned(), "ü"), ("a".to_owned(), "1")]);
    assert_eq!(files[0].path, dir.path().join("b.yaml"));
}

#[test]
fn what_is_missing_is_told_with_what_is_near() {
    let dir =
        dir(&[("timers.yaml", b""), ("syscalls.yaml", b""), ("old.yml", b""), ("x.bpf.o", b"")]);
    assert_snapshot!(faults(dir.path(), &["timer", "TIMERS", "timers.yaml", "biolatency", "old", ""]), @"
    DIR/timer.yaml: the config is missing; did you mean `timers`?
    DIR/TIMERS.yaml: the config is missing; did you mean `timers`?
    DIR/timers.yaml.yaml: the config is missing; did you mean `timers`?
    DIR/biolatency.yaml: the config is missing; there are syscalls, timers
    DIR/old.yaml: the config is missing: configs end in .yaml, not .yml; rename old.yml to old.yaml
    DIR: a config's name is empty; write --config.names as NAME,NAME without spaces or empty names
    ");
}

#[test]
fn an_empty_or_absent_directory_is_told() {
    let dir = dir(&[]);
    assert_snapshot!(faults(dir.path(), &["a"]), @"DIR/a.yaml: the config is missing; no .yaml is there; check --config.dir");
    let gone = dir.path().join("gone");
    assert_snapshot!(faults(&gone, &["a", "b"]), @"DIR: failed to read the directory of configs: no such file or directory; name another with --config.dir");
}

#[test]
fn what_is_no_text_is_told() {
    let dir = dir(&[("latin.yaml", b"a: b\nc: \xfc\n"), ("zeros.yaml", b"\0\0")]);
    fs::create_dir(dir.path().join("folder.yaml")).expect("a directory");
    std::os::unix::net::UnixListener::bind(dir.path().join("socket.yaml")).expect("a socket");
    let large = fs::File::create(dir.path().join("large.yaml")).expect("a file");
    large.set_len(1 << 40).expect("a hole");
    assert_snapshot!(faults(dir.path(), &["latin", "folder", "socket", "large", "zeros", "latin.yaml/x"]), @"
    DIR/latin.yaml:2: the text is not UTF-8; save the file as UTF-8
    DIR/folder.yaml: expected a config, found a directory; put the config's YAML in its place
    DIR/socket.yaml: expected a config, found no regular file; put the config's YAML in its place
    DIR/large.yaml: the config has 1099511627776 bytes, more than 16777216; split it
    DIR/latin.yaml/x.yaml: failed to read the config: not a directory; make it a file that the exporter may read
    ");
}

#[test]
fn our_own_examples_have_no_faults() {
    let examples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples"));
    // A copy, for one of them asks for a key, which is no part of the repository.
    let dir = dir(&[("redact.key", b"sixteen bytes or more\n")]);
    let mut names = Vec::new();
    for entry in fs::read_dir(examples).expect("the examples").flatten() {
        let file = entry.file_name().into_string().expect("a name");
        if let Some(name) = file.strip_suffix(".yaml") {
            fs::copy(entry.path(), dir.path().join(&file)).expect("a copy");
            names.push(name.to_owned());
        }
    }
    assert!(!names.is_empty());
    for name in names {
        let (files, unread) = read(dir.path(), std::slice::from_ref(&name));
        // Each alone: two of them need not agree on what they share.
        let (configs, faults) = load(files, &[]);
        assert_eq!(super::lines(&unread) + &super::lines(&faults), "");
        assert_eq!(configs.len(), 1, "{name}");
    }
}

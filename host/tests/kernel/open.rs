//! Opening takes no privilege.

use ebpf_wasm_exporter::advice::Advise as _;
use ebpf_wasm_exporter::bpf::{ObjectSource, Opened};

use crate::object;

/// Runs `test` in a thread that has no capability at all.
pub fn without_capabilities(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            caps::clear(None, caps::CapSet::Effective).unwrap();
            test();
        });
        thread.join().expect("the test passes without capabilities");
    });
}

pub fn needs_no_capability() {
    let file = object::file("workload");
    without_capabilities(|| {
        let opened = Opened::open("workload", &ObjectSource::File(file), None).unwrap();
        assert_eq!(opened.maps().len(), 16, "libbpf's own map of constants is left out");
        assert_eq!(opened.maps()[0].name, "work_hash_total");
        assert_eq!(opened.maps()[0].key_size, 32);
    });
}

/// Also a type that libbpf-rs does not know, on kernels that do not know it either.
pub fn maps_have_the_names_of_their_types() {
    let file = object::file("cgroup_ids");
    let opened = Opened::open("cgroup_ids", &ObjectSource::File(file), None).unwrap();
    let kinds: Vec<_> =
        opened.maps().iter().map(|map| format!("{} {}", map.name, map.kind)).collect();
    insta::assert_snapshot!(kinds.join("\n"), @r"
    ids hash
    calls_in_ids_total hash
    stored cgrp_storage
    calls_in_storage_total hash
    calls_of_others_total hash
    ");
}

pub fn a_missing_file() {
    let source = ObjectSource::File("/no/such/dir/x.bpf.o".into());
    let error = Opened::open("x", &source, None).unwrap_err();
    insta::assert_snapshot!(error.advice(), @"failed to open /no/such/dir/x.bpf.o: no such file; compile NAME.bpf.c to NAME.bpf.o beside NAME.yaml");
}

pub fn a_file_that_is_no_object() {
    for bytes in [&b""[..], b"metrics:\n", &[0x7f, b'E', b'L', b'F'], &[0; 4096]] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.bpf.o");
        std::fs::write(&file, bytes).unwrap();
        let error = Opened::open("x", &ObjectSource::File(file), None).unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(error.advice, @"not a BPF object; compile it with `clang -target bpf -g`");
        }
    }
    let source = ObjectSource::Embedded(b"not an object");
    let error = Opened::open("x", &source, None).unwrap_err();
    insta::assert_snapshot!(error.advice(), @"failed to open <built-in>/x.bpf.o: not a BPF object; compile it with `clang -target bpf -g`");
}

pub fn a_file_that_was_cut_short() {
    let bytes = std::fs::read(object::file("hooks")).unwrap();
    for size in [64, bytes.len() / 2, bytes.len() - 1] {
        let cut = bytes[..size].to_vec();
        let error = Opened::open("x", &ObjectSource::Embedded(cut.leak()), None).unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(error.advice, @"its end is missing or damaged; compile it again");
        }
    }
}

pub fn embedded_bytes() {
    let bytes = std::fs::read(object::file("hooks")).unwrap();
    let source = ObjectSource::Embedded(bytes.leak());
    let opened = Opened::open("hooks", &source, None).unwrap();
    assert_eq!(opened.file().to_str(), Some("<built-in>/hooks.bpf.o"));
    assert_eq!(opened.maps().len(), 3);
}

pub fn names_that_are_no_text() {
    let mut bytes = std::fs::read(object::file("kaddrs")).unwrap();
    let name = b"max_entries";
    while let Some(at) = bytes.windows(name.len()).position(|part| part == name) {
        bytes[at..at + 3].fill(0xff);
    }
    let error = Opened::open("x", &ObjectSource::Embedded(bytes.leak()), None).unwrap_err();
    insta::assert_snapshot!(error.advice, @"operation not supported; libbpf says: map 'constants': unknown field '���_entries'");
}

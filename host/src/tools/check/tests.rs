//! How often a call is made, and how an input is shown.

use std::fs;

use clap::Parser as _;

use super::*;
use crate::cli::{Command, Flags, Tool};
use crate::plugin::{Compiler, guests};

/// Calls of a guest that one question takes, and how many of them ran too long.
fn calls(name: &str) -> (u64, u64) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("guest.wasm");
    fs::write(&file, guests::component(name)).unwrap();
    let typed = ["ebpf_wasm_exporter", "plugin", "check", file.to_str().unwrap(), "--deadline=5ms"];
    let Some(Command::Plugin { tool: Tool::Check { subject } }) =
        Flags::try_parse_from(typed).unwrap().command
    else {
        panic!("no check");
    };
    let compiler = Compiler::default();
    let bench = Bench::load(&subject, &compiler).unwrap();
    let mut guest = bench.start(&mut bench.loader()).unwrap();
    assert!(answers(&mut guest, &[vec![1]]).is_err());
    (guest.failures(), guest.late())
}

#[test]
fn a_call_that_a_deadline_ends_is_made_again_a_few_times_and_no_other() {
    assert_eq!(calls("loop"), (TRIES as u64, TRIES as u64));
    assert_eq!(calls("panic").0, 1);
}

#[test]
fn inputs_are_shown_as_they_can_be_typed() {
    insta::assert_snapshot!(shown(b"a b"), @"`a b`");
    insta::assert_snapshot!(shown(b""), @"``");
    insta::assert_snapshot!(shown(b"\x00a\xff"), @"--hex 0061ff");
    insta::assert_snapshot!(shown("é".as_bytes()), @"--hex c3a9");
    insta::assert_snapshot!(shown(&[0; 65]).len(), @"137");
}

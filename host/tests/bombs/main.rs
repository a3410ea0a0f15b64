//! Files that are made to cost the host something before anything of them runs: each has to end in
//! one message, within the limits of `limits.compile`, and nothing else.
//!
//! Neither time nor memory is measured, as machines are busy and a child's peak is told together with
//! that of this process: that the messages name a limit shows that it held.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

#[path = "../guests/compose.rs"]
mod guests;
mod made;

const BINARY: &str = env!("CARGO_BIN_EXE_ebpf_wasm_exporter");

/// What `plugin VERB` says of a component: its exit code, and what stands on standard error.
fn tool(verb: &str, bytes: &[u8], more: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("bomb.wasm");
    fs::write(&file, bytes).expect("a file");
    let mut command = Command::new(BINARY);
    // A slow machine is told how long compiling took.
    command.env("RUST_LOG", "warn").args(["plugin", verb]).args(more).arg(&file);
    if verb != "inspect" {
        command.arg("input");
    }
    let Output { status, stderr, .. } = command.output().expect("it runs");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

/// That it cannot be used is told in one line, by all tools that compile.
fn refusal(bytes: &[u8], more: &[&str]) -> String {
    let (code, said) = tool("run", bytes, more);
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.len() < 1000, "{said}");
    said
}

/// A debug build takes more memory to look at types, before it comes to what is refused.
const ROOMY: [&str; 1] = ["--compile-memory=1GiB"];
/// Tight limits, so that what has to end does so soon.
const TIGHT: [&str; 2] = ["--compile-time=1s", "--compile-memory=128MiB"];

#[test]
fn types_that_share_parts_do_not_multiply() {
    insta::assert_snapshot!(refusal(&made::shared_types(18, 1), &ROOMY), @"error: the component has 17 imported instances within each other, more than 16; build it from fewer or smaller parts");
    insta::assert_snapshot!(refusal(&made::shared_types(14, 20_000), &ROOMY), @"error: the component has 10001 imported items, more than 10000; build it from fewer or smaller parts");
    insta::assert_snapshot!(refusal(&made::named("a", 90_000, 20), &[]), @"error: the component has 1080027 bytes in the names of its imports, more than 1048576; build it from fewer or smaller parts");
    insta::assert_snapshot!(refusal(&made::imports(1500), &[]), @"error: the component has 1500 imports, more than 1000; build it from fewer or smaller parts");
    insta::assert_snapshot!(refusal(&made::component_exports(1500), &[]), @"error: the component has 1501 exports, more than 1000; build it from fewer or smaller parts");
    insta::assert_snapshot!(refusal(&made::deep_instances(40), &[]), @"error: the component has 17 imported instances within each other, more than 16; build it from fewer or smaller parts");
}

#[test]
fn what_the_parser_cannot_deal_with_is_told() {
    for (what, bytes) in [
        ("types within each other, by name", made::deep_types(2000)),
        ("types within each other, in the file", made::nested_types(300)),
        ("lists of lists", made::deep_lists(2000)),
        ("components within each other", made::nested_components(20_000)),
        ("aliases of aliases", made::aliases(5000)),
    ] {
        for verb in ["inspect", "run"] {
            let (code, said) = tool(verb, &bytes, &[]);
            assert!(matches!(code, Some(0 | 3)), "{what}: {verb}: {said}");
            assert!(said.lines().count() <= 1, "{what}: {verb}: {said}");
        }
    }
}

/// Time or memory, whichever is used up first on this machine.
#[test]
fn code_that_takes_long_to_compile_is_given_up() {
    let fills = "(table.fill $t (i32.const 0) (ref.null func) (i32.const 9))";
    for bytes in [made::repeated(fills, 20_000), made::functions(60_000)] {
        let said = refusal(&bytes, &TIGHT);
        assert!(said.starts_with("error: compiling it took all of the "), "{said}");
        assert!(said.contains(" that `limits.compile."), "{said}");
    }
}

#[test]
fn code_that_takes_much_memory_to_compile_is_given_up() {
    insta::assert_snapshot!(refusal(&made::functions(60_000), &["--compile-time=60s", "--compile-memory=64MiB"]), @"error: compiling it took all of the 67108864 bytes that `limits.compile.memory` gives; raise that limit if you trust where the file comes from, or build it smaller");
}

#[test]
fn whatever_it_is_made_of_the_end_is_in_words() {
    for (what, bytes) in [
        ("a branch with many ways", made::branches(200_000)),
        ("many locals", made::locals(50_000, 100)),
        ("segments of a table", made::segments(90_000, 1)),
        ("a segment of a table", made::segments(1, 400_000)),
        ("segments of data", made::data(90_000)),
        ("a custom section", made::custom(16 << 20)),
        ("modules", made::modules(990)),
        ("instances of instances", made::doubled(30)),
        ("instances", made::instances(900)),
        ("exports", made::exports(50_000)),
    ] {
        let (code, said) = tool("run", &bytes, &TIGHT);
        assert!(matches!(code, Some(0 | 3)), "{what}: {code:?} {said}");
        assert!(said.lines().count() <= 2, "{what}: {said}");
        assert!(!said.contains("panicked"), "{what}: {said}");
    }
}

#[test]
fn globals_and_tables_count_as_memory() {
    insta::assert_snapshot!(refusal(&made::globals(99_000, 100), &[]), @"error: the plugin failed at its start: it wanted more memory than `limits.memory` allows; raise that limit, or use a plugin that wants less");
    insta::assert_snapshot!(refusal(&made::globals(99_000, 3), &["--memory=4MiB"]), @"error: the plugin failed at its start: it wanted more memory than `limits.memory` allows; raise that limit, or use a plugin that wants less");
    let (code, said) = tool("run", &made::globals(99_000, 3), &["--memory=8MiB"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn instances_that_double_are_counted_before_they_are_made() {
    insta::assert_snapshot!(refusal(&made::doubled(30), &[]), @"error: the component has 1073741825 core instances, more than 10000; build it from fewer or smaller parts");
}

/// A service may be given less than a child has otherwise; what it is given it cannot raise.
#[test]
fn a_child_takes_the_limits_of_the_exporter_for_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("echo.wasm");
    fs::write(&file, guests::component("echo")).expect("a file");
    let limits = "ulimit -c 0; ulimit -n 14; ulimit -t 9; ulimit -d 500000; ulimit -f 200000";
    let output = Command::new("sh")
        .args(["-c", &format!("{limits}; exec \"$0\" plugin run \"$1\" abc"), BINARY])
        .arg(&file)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}

#[test]
fn a_child_has_nothing_and_is_nobodys_tool() {
    // Asked by somebody else than who it says, it does nothing.
    let output = Command::new(BINARY)
        .args(["compile-plugin", "inspect", "1", "67108864", "1"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stderr), @"nobody waits for it");
}

#[test]
fn an_exporter_without_proc_says_what_it_needs() {
    let gone = Path::new("/nowhere/ebpf_wasm_exporter");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("echo.wasm");
    fs::write(&file, guests::component("echo")).expect("a file");
    use ebpf_wasm_exporter::advice::Advise as _;
    use ebpf_wasm_exporter::plugin::{CompileLimits, Compiler, inspect_file};
    let error = inspect_file(&file, &Compiler::program(gone), CompileLimits::default());
    let error = error.expect_err("there is no such program");
    insta::assert_snapshot!(error.advice(), @"failed to start /nowhere/ebpf_wasm_exporter to compile it: no such file or directory; allow the exporter to start itself: mount /proc, lift the limit on processes, and let the file be executed");
}

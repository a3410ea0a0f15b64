//! What a person who has a plugin sees.

use std::fs;
use std::path::PathBuf;

use clap::Parser;

use super::*;
use crate::advice::Advise as _;
use crate::cli::{Command, Flags};
use crate::plugin::guests;

struct Folder(tempfile::TempDir);

impl Folder {
    fn of(guests: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in guests {
            fs::write(dir.path().join(format!("{name}.wasm")), guests::component(name)).unwrap();
        }
        Self(dir)
    }

    /// What `plugin VERB FILE …` gives.
    fn plugin(&self, verb: &str, file: &str, more: &[&str]) -> Result<String, String> {
        let file: PathBuf = self.0.path().join(format!("{file}.wasm"));
        let start = ["ebpf_wasm_exporter", "plugin", verb, file.to_str().unwrap()];
        let flags = Flags::try_parse_from(start.iter().chain(more)).unwrap();
        let Some(Command::Plugin { tool }) = flags.command else { panic!("no tool") };
        let place = self.0.path().display().to_string();
        let said = |error: ToolError| {
            format!("{}{}", error.report(), error.advice()).replace(&place, "DIR")
        };
        run(&tool, &Compiler::default()).map_err(said)
    }
}

#[test]
fn inspecting_runs_nothing() {
    let folder = Folder::of(&["start", "import", "core", "newer"]);
    let start = folder.plugin("inspect", "start", &[]).unwrap();
    let digest = plugin::Digest::of(&guests::component("start")).to_string();
    insta::assert_snapshot!(start.replace(&digest, "DIGEST"), @"
    world        decoder
    contract     0.1.0
    size         1126 bytes
    sha256       DIGEST
    memory       131072 bytes at the start
    imports      nothing
    ");
    let import = folder.plugin("inspect", "import", &[]).unwrap();
    insta::assert_snapshot!(import.split_once("imports").unwrap().1, @"

    wasi:random/random@0.2.0  (not given: a call of it traps)
    ");
    insta::assert_snapshot!(folder.plugin("inspect", "core", &[]).unwrap_err(), @"found a core module, expected a component; make a component of it: `ebpf_wasm_exporter plugin componentize`");
    insta::assert_snapshot!(folder.plugin("inspect", "gone", &[]).unwrap_err(), @"failed to read DIR/gone.wasm: no such file or directory; make it readable");
}

#[test]
fn what_a_plugin_says_of_itself_is_shown() {
    let folder = Folder::of(&["import"]);
    let bytes = guests::with_section(guests::described("echo"), "version", b"2");
    fs::write(folder.0.path().join("zone.wasm"), &bytes).unwrap();
    let digest = plugin::Digest::of(&bytes).to_string();
    let inspect =
        |more: &[&str]| folder.plugin("inspect", "zone", more).unwrap().replace(&digest, "DIGEST");
    insta::assert_snapshot!(inspect(&[]), @r"
    world        decoder
    contract     0.1.0
    name         zone
    version      1.2.0
    description  Says what it\u{1b}[31m is\nand more
    licenses     MIT OR Apache-2.0
    homepage     https://example.org/
    size         1826 bytes
    sha256       DIGEST
    memory       131072 bytes at the start
    imports      nothing
    settings
      default  a text
      order  network or host
      prefixes  a mapping (needed)
    notes
      `version` of the metadata is there twice, and is left out
    ");
    insta::assert_snapshot!(inspect(&["--json"]), @r#"{"artifact":null,"contract":"0.1.0","imports":[],"memory":131072,"metadata":{"description":"Says what it\u001b[31m is\nand more","homepage":"https://example.org/","licenses":"MIT OR Apache-2.0","name":"zone","version":"1.2.0"},"notes":["`version` of the metadata is there twice, and is left out"],"settings":{"additionalProperties":false,"properties":{"default":{"type":"string"},"order":{"enum":["network","host"]},"prefixes":{"additionalProperties":{"type":"string"},"type":"object"}},"required":["prefixes"]},"sha256":"DIGEST","signer":null,"size":1826,"world":"decoder"}"#);
    let silent = folder.plugin("inspect", "import", &["--json"]).unwrap();
    let silent: serde_json::Value = serde_json::from_str(&silent).unwrap();
    assert_eq!(silent["metadata"], serde_json::json!({}));
    assert_eq!(silent["settings"], serde_json::Value::Null);
}

#[test]
fn settings_are_held_against_what_the_plugin_says() {
    let folder = Folder::of(&[]);
    fs::write(folder.0.path().join("zone.wasm"), guests::described("echo")).unwrap();
    let run = |settings: &str| folder.plugin("run", "zone", &["--settings", settings, "abc"]);
    assert!(run("{prefixes: {}}").is_ok());
    insta::assert_snapshot!(run("{}").unwrap_err(), @"--settings:1: the setting `prefixes` is missing; add `prefixes:`");
    insta::assert_snapshot!(run("prefixes:\n  ::1: [x]\nodrer: host\n").unwrap_err(), @"
    --settings:2: prefixes.::1: expected a text, found a list; write a text
      --settings:3: odrer: the plugin knows no such setting; did you mean `order`?
    ");
}

#[test]
fn what_a_plugin_says_of_itself_is_checked() {
    let folder = Folder::of(&[]);
    let zone = folder.0.path().join("zone.wasm");
    fs::write(&zone, guests::described("pass")).unwrap();
    let cache = folder.0.path().join("cache").display().to_string();
    let check = || {
        let settings = ["--deadline=10s", "--labels=a,b", "--settings={prefixes: {}}"];
        folder.plugin("check", "zone", &[&settings[..], &["--plugins.cache-dir", &cache]].concat())
    };
    let lines = |report: String, with: &str| -> String {
        let lines = report.lines().filter(|line| line.contains(with));
        lines.map(|line| format!("{line}\n")).collect()
    };
    insta::assert_snapshot!(lines(check().unwrap(), "says"), @"
    ok      says what it is                       zone, 1.2.0, MIT OR Apache-2.0
    ok      says which settings it takes
    ");
    assert!(check().is_ok());
    let is_code = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|is| is == "code");
    assert_eq!(fs::read_dir(&cache).unwrap().flatten().filter(is_code).count(), 1);
    fs::write(&zone, guests::with_section(guests::described("pass"), "version", b"\xff")).unwrap();
    insta::assert_snapshot!(lines(check().unwrap_err(), "FAIL"), @"FAIL    says it in a sound way            `version` of the metadata is not UTF-8, and is left out");
}

#[test]
fn all_limits_can_be_given() {
    let folder = Folder::of(&["echo"]);
    let run = |more: &[&str]| folder.plugin("run", "echo", &[more, &["for"]].concat());
    let all = [
        "--memory=32MiB",
        "--deadline=1s",
        "--output=1KiB",
        "--table=1000",
        "--instances=10",
        "--answers=0",
        "--text=1MiB",
        "--hold=45s",
        "--compile-time=60s",
        "--compile-memory=1GiB",
    ];
    insta::assert_snapshot!(run(&all).unwrap().lines().last().unwrap(), @"for    label-for   for (for 45 s)");
    let none = [
        "--memory=1",
        "--deadline=x",
        "--output=1TiB",
        "--table=0",
        "--instances=many",
        "--answers=-1",
        "--text=",
        "--hold=2d",
        "--compile-time=1ms",
        "--compile-memory=1KiB",
    ];
    insta::assert_snapshot!(run(&none).unwrap_err(), @"
    --instances: `many` is no number; write it in digits
      --memory: `1` is no size that this can have; write one from 64KiB to 1GiB
      --deadline: `x` is no time that a call can have; write one from 1ms to 10s
      --output: `1TiB` is no size that this can have; write one from 1KiB to 64MiB
      --table: 0 is no number that this can have; write one from 1 to 10000000
      --answers: `-1` is no size that this can have; write one from 0 to 1GiB
      --text: `` is no size that this can have; write one from 1KiB to 1GiB
      --hold: `2d` is no time that an answer can hold; write one from 0s to 24h
      --compile-time: `1ms` is no time that compiling can have; write one from 1s to 10m
      --compile-memory: `1KiB` is no size that this can have; write one from 64MiB to 16GiB
    ");
}

#[test]
fn components_are_made() {
    let folder = Folder::of(&["echo", "core", "import"]);
    let at = |name: &str| folder.0.path().join(name).display().to_string();
    let made = |file, more: &[&str]| {
        folder.plugin("componentize", file, &[&[&*at("made.wasm")], more].concat())
    };
    let said = made("echo", &["--name=echo", "--version=1.2.0"]).unwrap();
    insta::assert_snapshot!(said.replace(&at(""), "DIR/"), @"DIR/made.wasm: 1406 bytes, a decoder for 0.1.0");
    assert!(folder.plugin("run", "made", &["abc"]).is_ok());
    insta::assert_snapshot!(made("core", &[]).unwrap_err(), @"it exports no plugin; call export_decoder! or export_transform!, or export an interface of wit/0.1.0");
    insta::assert_snapshot!(made("import", &[]).unwrap_err(), @"a plugin may import ebpf-exporter:plugin/data@0.1.0 and ebpf-exporter:plugin/log@0.1.0 only, not wasi:random/random@0.2.0; build it without what needs a system, such as files, clocks or WASI: componentize-py and componentize-qjs leave that out with `--stub-wasi`");
    insta::assert_snapshot!(made("echo", &["--homepage=example.org"]).unwrap_err(), @"`homepage` of the metadata is no URL; write all of it, such as https://example.org/plugin");
    insta::assert_snapshot!(made("echo", &[&*format!("--name={}", "a".repeat(2000))]).unwrap_err(), @"`name` of the metadata has 2000 bytes, more than 1024; shorten it");
    insta::assert_snapshot!(made("echo", &["--settings-schema", &at("gone")]).unwrap_err(), @"failed to read DIR/gone: no such file or directory; name a file that can be read");
    let nowhere = at("gone/made.wasm");
    insta::assert_snapshot!(folder.plugin("componentize", "echo", &[&nowhere]).unwrap_err(), @"failed to write DIR/gone/made.wasm: no such file or directory; name a file that you may write");
}

#[test]
fn answers_are_shown() {
    let folder = Folder::of(&["echo", "pass", "panic", "picky"]);
    let inputs = ["abc", "drop", "err\n", "for", ""];
    insta::assert_snapshot!(folder.plugin("run", "echo", &inputs).unwrap(), @r"
    INPUT  OUTCOME     ANSWER
    abc    label       abc
    drop   drop
    err\n  error       err\n
    for    label-for   for (for 30 s)
           label
    ");
    let json = [&["--json"][..], &inputs].concat();
    insta::assert_snapshot!(folder.plugin("run", "echo", &json).unwrap(), @r#"
    {"input":"abc","label":"abc","outcome":"label"}
    {"input":"drop","outcome":"drop"}
    {"error":"err\\n","input":"err\n","outcome":"error"}
    {"input":"for","label":"for","outcome":"label-for","seconds":30}
    {"input":"","label":"","outcome":"label"}
    "#);
    let json = ["--json", "\u{9b}2J\u{202e}\u{e0041}ü\u{7f}"];
    insta::assert_snapshot!(folder.plugin("run", "echo", &json).unwrap(), @r#"{"input":"\u009b2J\u202e\udb40\udc41ü\u007f","label":"\u009b2J\u202e\udb40\udc41ü\u007f","outcome":"label"}"#);
    insta::assert_snapshot!(folder.plugin("run", "echo", &["--hex", "616263"]).unwrap(), @"
    INPUT   OUTCOME     ANSWER
    616263  label       abc
    ");
    let rows = ["--labels=a,b", "x,y", "\"x\","];
    insta::assert_snapshot!(folder.plugin("run", "pass", &rows).unwrap(), @r#"
    INPUT  OUTCOME     ANSWER
    x,y    label       a="x" b="y"
    "x",   label       a="\"x\"" b=""
    "#);
    let rows = ["--json", "--labels=a,b", "x,y"];
    insta::assert_snapshot!(folder.plugin("run", "pass", &rows).unwrap(), @r#"{"input":"x,y","label":{"a":"x","b":"y"},"outcome":"label"}"#);
    insta::assert_snapshot!(folder.plugin("run", "panic", &["a"]).unwrap(), @"
    INPUT  OUTCOME     ANSWER
    a      error       it trapped at `unreachable`: a panic, an exception that nothing caught, or a call that needs a system
    ");
    insta::assert_snapshot!(folder.plugin("run", "picky", &["abc", "two", "def"]).unwrap(), @"
    INPUT  OUTCOME     ANSWER
    abc    label       abc
    two    error       it trapped at `unreachable`: a panic, an exception that nothing caught, or a call that needs a system
    def    label       def
    ");
}

#[test]
fn what_makes_no_sense_is_told() {
    let folder = Folder::of(&["echo", "pass", "refuse"]);
    let refusal = |file, more: &[&str]| folder.plugin("run", file, more).unwrap_err();
    insta::assert_snapshot!(refusal("echo", &[]), @"no input was given; write some behind the file");
    insta::assert_snapshot!(refusal("echo", &["--hex", "abc"]), @"--hex: `abc` is not written in pairs of digits; write two for each byte, and nothing else: `0a00`");
    insta::assert_snapshot!(refusal("echo", &["--labels=a,__c", "x"]), @"--labels: `__c` is no label's name: Prometheus keeps names that start with `__`; take the `__` away");
    insta::assert_snapshot!(refusal("echo", &["--labels=a", "x"]), @"--labels: the plugin is a decoder, which takes bytes; leave it out");
    insta::assert_snapshot!(refusal("pass", &["--labels=a,b", "x,y", "x"]), @"`x` has more or fewer values than --labels names; write one for each of a, b, with commas between them");
    insta::assert_snapshot!(refusal("pass", &["--labels=a", "x,y"]), @"`x,y` has more or fewer values than --labels names; write one for each of a, with commas between them");
    insta::assert_snapshot!(refusal("pass", &["x"]), @"the labels of `x` have no names; name them: `--labels a,b`");
    insta::assert_snapshot!(refusal("echo", &["--settings={a: {file: gone}}", "x"]), @"--settings:1: a.file: failed to read `gone`: no such file or directory; put the file beside the config, as text that the exporter may read");
    insta::assert_snapshot!(refusal("echo", &["--settings=[", "x"]), @"--settings:1: failed to read the YAML: unclosed bracket '[' at line 1 column 1; correct the YAML there");
    insta::assert_snapshot!(refusal("echo", &["--settings=x", "x"]), @"--settings: expected a mapping of settings; write lines of `KEY: VALUE`, or `{KEY: VALUE}`");
    insta::assert_snapshot!(refusal("echo", &["--memory=1KiB", "x"]), @"--memory: `1KiB` is no size that this can have; write one from 64KiB to 1GiB");
    insta::assert_snapshot!(refusal("echo", &["--deadline=1h", "x"]), @"--deadline: `1h` is no time that a call can have; write one from 1ms to 10s");
    insta::assert_snapshot!(refusal("echo", &["--memory=64KiB", "x"]), @"the plugin failed at its start: it wanted more memory than `limits.memory` allows; raise that limit, or use a plugin that wants less");
    insta::assert_snapshot!(refusal("refuse", &["x"]), @r"the plugin refuses its configuration: `zones` is missing\n\u{1b}[31m; write one; correct its `settings`");
}

#[test]
fn costs_are_measured_by_the_size_of_batches() {
    let folder = Folder::of(&["echo", "pass"]);
    for (file, more) in [("echo", &["abc"][..]), ("pass", &["--labels=a,b"])] {
        let text = folder.plugin("bench", file, more).unwrap();
        let costs: Vec<_> =
            text.lines().filter(|line| line.starts_with("input, batch of")).collect();
        assert_eq!(costs.len(), 4, "{text}");
        assert!(text.contains("\ninput, remembered "), "{text}");
        assert!(costs.iter().all(|line| line.ends_with(" ns")), "{text}");
        assert!(!text.contains("failed"), "{text}");
    }
}

#[test]
fn the_contract_is_checked_point_by_point() {
    let folder = Folder::of(&["pass", "few", "fickle", "late"]);
    // Whose deadline is not what is tried here.
    let check =
        |file, more: &[&str]| folder.plugin("check", file, &[&["--deadline=10s"], more].concat());
    insta::assert_snapshot!(check("pass", &["--labels=a,b"]).unwrap(), @"
    RESULT  POINT                                 FOUND
    ok      is a plugin                           a transform for 0.1.0
    ok      starts and takes its settings
    hint    says what it is                       no name, version, licenses; `plugin componentize` adds them
    hint    says which settings it takes          no JSON Schema; `plugin componentize --settings-schema` adds one
    ok      answers an empty input
    ok      answers bytes that are not UTF-8
    ok      answers 16 KiB in one input
    ok      answers 1,024 random inputs
    ok      answers the same again
    ok      answers the same one by one
    ok      answers the same in another instance
    ok      keeps its memory                      132880 bytes
    ");
    insta::assert_snapshot!(check("few", &[]).unwrap_err(), @"
    RESULT  POINT                             FOUND
    ok      is a plugin                       a decoder for 0.1.0
    ok      starts and takes its settings
    hint    says what it is                   no name, version, licenses; `plugin componentize` adds them
    hint    says which settings it takes      no JSON Schema; `plugin componentize --settings-schema` adds one
    FAIL    answers an empty input            it returned 0 outcomes for 1 inputs
    FAIL    answers bytes that are not UTF-8  it returned 0 outcomes for 2 inputs
    FAIL    answers 16 KiB in one input       it returned 0 outcomes for 1 inputs
    FAIL    answers 1,024 random inputs       it returned 0 outcomes for 1024 inputs
    the plugin breaks the contract in 4 of 8 points
    ");
    let fickle = check("fickle", &["x"]).unwrap_err();
    insta::assert_snapshot!(fickle.split_once("inputs given\n").unwrap().1, @r#"
    FAIL    answers the same again                input `x`: label ["a"] for 0 s, then label ["b"] for 0 s
                                                  an answer may depend on its input alone, not on those before it or beside it
    FAIL    answers the same one by one           input `x`: label ["a"] for 0 s, then label ["c"] for 0 s
                                                  an answer may depend on its input alone, not on those before it or beside it
    ok      answers the same in another instance
    ok      keeps its memory                      132928 bytes
    the plugin breaks the contract in 2 of 13 points
    "#);
    insta::assert_snapshot!(check("late", &["x"]).unwrap_err(), @r#"
    RESULT  POINT                                 FOUND
    ok      is a plugin                           a decoder for 0.1.0
    ok      starts and takes its settings
    hint    says what it is                       no name, version, licenses; `plugin componentize` adds them
    hint    says which settings it takes          no JSON Schema; `plugin componentize --settings-schema` adds one
    ok      answers an empty input
    ok      answers bytes that are not UTF-8
    ok      answers 16 KiB in one input
    ok      answers 1,024 random inputs
    ok      answers the inputs given
    FAIL    answers the same again                it trapped at `unreachable`: a panic, an exception that nothing caught, or a call that needs a system
    FAIL    answers the same one by one           it trapped at `unreachable`: a panic, an exception that nothing caught, or a call that needs a system
    ok      answers the same in another instance
    FAIL    keeps its memory                      it fails when it is asked on and on: it trapped at `unreachable`: a panic, an exception that nothing caught, or a call that needs a system
    the plugin breaks the contract in 3 of 13 points
    "#);
}

#[test]
fn nothing_is_looked_into_before_it_is_known_who_has_signed_it() {
    let folder = Folder::of(&["pass"]);
    fs::write(folder.0.path().join("none.wasm"), "no component").unwrap();
    let at = |name: &str| folder.0.path().join(name);
    let flag = format!("--plugins.policy={}", at("policy.yaml").display());
    let said = |verb: &str, file: &str| {
        let inputs = if verb == "inspect" { &[][..] } else { &["--labels=a", "abc"] };
        folder.plugin(verb, file, &[&[&*flag][..], inputs].concat())
    };
    let verbs = ["inspect", "run", "bench", "check"];
    let refused = |file: &str| {
        let [first, rest @ ..] = verbs.map(|verb| said(verb, file).unwrap_err());
        rest.iter().for_each(|other| assert_eq!(*other, first));
        first
    };
    insta::assert_snapshot!(refused("pass"), @"DIR/policy.yaml: the policy cannot be read: no such file or directory; name a file of --plugins.policy that can be read");
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signatures/cosign/cosign.pub");
    let rule = format!("rules: [{{files: [none.wasm], keys: [{{file: '{key}'}}]}}]");
    fs::write(at("policy.yaml"), rule).unwrap();
    insta::assert_snapshot!(refused("none"), @"DIR/none.wasm has no signature, and the policy needs one; sign the file itself with `cosign sign-blob`, as in a registry only a manifest is signed, or let a rule have `unsigned: true`");
    insta::assert_snapshot!(refused("pass"), @"the policy has no rule for DIR/pass.wasm; add one to the file of --plugins.policy, with who may sign it or `unsigned: true`");
    fs::write(at("policy.yaml"), "rules: [{files: [pass.wasm], unsigned: true}]").unwrap();
    let check = said("check", "pass").unwrap();
    insta::assert_snapshot!(check.lines().nth(1).unwrap(), @"ok      is signed as the policy wants         nobody");
    for verb in verbs {
        assert!(said(verb, "pass").is_ok(), "{verb}");
    }
}

#[test]
fn a_file_that_a_plugin_reads_is_named_with_what_it_is_called() {
    let folder = Folder::of(&["data", "echo"]);
    let at = |name: &str| folder.0.path().join(name).display().to_string();
    fs::write(at("pods"), "web").unwrap();
    let run = |guest: &str, data: &[String]| {
        let flags = data.iter().flat_map(|data| ["--data", data]);
        let arguments: Vec<_> = flags.chain(["a"]).collect();
        folder.plugin("run", guest, &arguments)
    };
    let named = |name: &str, file: &str| [format!("{name}={}", at(file))];
    insta::assert_snapshot!(run("data", &named("data", "pods")).unwrap(), @"
    INPUT  OUTCOME     ANSWER
    a      label       web
    ");
    insta::assert_snapshot!(run("data", &named("other", "pods")).unwrap(), @"
    INPUT  OUTCOME     ANSWER
    a      error       unnamed
    ");
    insta::assert_snapshot!(run("data", &named("data", "gone")).unwrap_err(), @"--data: DIR/gone is not there; name a file that can be read");
    insta::assert_snapshot!(run("data", &named("p/q", "pods")).unwrap_err(), @"--data: `p/q` cannot be what a plugin calls a file; use letters, digits, `_`, `-` and `.`, 128 of them at most");
    insta::assert_snapshot!(run("data", &["pods".to_owned()]).unwrap_err(), @"--data: `pods` names no file; write what the plugin calls it, `=`, and the file");
    insta::assert_snapshot!(run("echo", &named("data", "pods")).unwrap_err(), @"--data: the plugin reads no data; leave it out");
    let inspect = folder.plugin("inspect", "data", &[]).unwrap();
    insta::assert_snapshot!(inspect.split_once("imports").unwrap().1, @"

    ebpf-exporter:plugin/data@0.1.0  (given: it reads files that a config names as `data`)
    ");
}

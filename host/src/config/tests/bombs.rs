//! Files that ask for more than a host has: each is checked, or refused by the name of a bound.
//!
//! What each costs does not show here: that none is told by more than a person would read, and that
//! the test ends at all, is what holds a bound that is gone.

use std::fmt::Write as _;
use std::fs;

use insta::assert_snapshot;

use super::{faults, faults_of, file, good, lines, with_labels};
use crate::config::bounds::NODES;
use crate::config::error::{SHOWN, Severity, shown};
use crate::config::load;

/// Lines that `line` writes for each number below `count`.
fn repeat(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "{}", line(n));
        text
    })
}

/// What is told of a file: all lines if they are few, else the first and what stands for the others.
fn told(text: &str) -> String {
    let faults = faults(text);
    assert!(faults.len() < 2 << 20, "{} bytes", faults.len());
    let all: Vec<_> = faults.lines().collect();
    assert!(all.len() <= 2 * (SHOWN + 1), "{} lines", all.len());
    let few = all.iter().filter(|line| line.contains("are not shown"));
    let first = all.iter().take(2).chain(few);
    first.map(|line| format!("{line}\n")).collect()
}

const METRICS: &str = "metrics: {counters: [{name: a, help: A}]}\n";

#[test]
fn what_is_only_much_is_taken() {
    let map = repeat(300_000, |n| format!("  {n}: text {n}"));
    let text = format!(
        "metrics:\n counters:\n - name: a\n   help: A\n   labels:\n   - name: l\n     size: 8\n     \
         decoders:\n     - name: uint\n     - name: static_map\n       static_map: &map\n{}",
        map.replace("  ", "        ")
    );
    assert_eq!(good(&text).metrics.len(), 1);
    // What stands in quotes is no list.
    let quoted = text.replace(": text", ": \"Vendor, Inc. [formerly: another, - one], text");
    let quoted: String = quoted
        .lines()
        .map(|line| if line.contains('"') { format!("{line}\"\n") } else { format!("{line}\n") })
        .collect();
    assert_eq!(good(&quoted).metrics.len(), 1);
    let kaddrs = repeat(10_000, |n| format!("- symbol_{n}"));
    assert_eq!(good(&format!("{METRICS}kaddrs:\n{kaddrs}")).kaddrs.len(), 10_000);
}

/// What once took a parser longer than it was worth.
#[test]
fn long_numbers_and_many_directives_are_taken() {
    let number = format!("0.{}", "1".repeat(1 << 20));
    let list = format!("[&n {number}, {}]", "*n, ".repeat(20));
    assert_snapshot!(told(&format!("{METRICS}kaddrs: [{number}]")), @"x.yaml:2: kaddrs[0]: `0.1111111111111111111111111111111111111111111111111111111111…` cannot be a symbol with a `kaddr_` variable; write a kernel symbol made of letters, digits and `_`");
    assert_snapshot!(told(&format!("{METRICS}plugins: {{p: {{file: a.wasm, settings: {{a: {list}}}}}}}")), @"x.yaml:2: warning: plugins.p: nothing uses the plugin; name it as `plugin:` of a decoder `wasm` or of a transform, or remove it");
    let directives = repeat(65_000, |n| format!("%TAG !{n}! a"));
    assert_snapshot!(told(&format!("{directives}---\n{METRICS}")), @"");
}

#[test]
fn of_many_faults_some_are_shown() {
    let keys = repeat(20_000, |n| format!("key_{n}: 1"));
    assert_snapshot!(told(&format!("{METRICS}{keys}")), @"
    x.yaml:2: warning: key_0: unknown key, which does nothing; remove it, or write one of metrics, kaddrs, plugins, tracing, cgroup_id_map
    x.yaml:3: warning: key_1: unknown key, which does nothing; remove it, or write one of metrics, kaddrs, plugins, tracing, cgroup_id_map
    x.yaml: warning: 19900 more warnings of this file are not shown; correct those that are
    ");
    let keys = repeat(20_000, |n| format!("key_{n}: &key_{n} 1"));
    assert_snapshot!(told(&format!("{METRICS}{keys}")), @"
    x.yaml:2: warning: key_0: unknown key, which does nothing; remove it, or write one of metrics, kaddrs, plugins, tracing, cgroup_id_map
    x.yaml:3: warning: key_1: unknown key, which does nothing; remove it, or write one of metrics, kaddrs, plugins, tracing, cgroup_id_map
    x.yaml: warning: 19900 more warnings of this file are not shown; correct those that are
    ");
    let keys = repeat(20_000, |_| "key: 1".to_owned());
    assert_snapshot!(told(&format!("{METRICS}{keys}")), @"
    x.yaml:2: warning: key: the key comes again in the same mapping, and the last one counts; write it once
    x.yaml:3: warning: key: the key comes again in the same mapping, and the last one counts; write it once
    x.yaml: warning: 19900 more warnings of this file are not shown; correct those that are
    ");
    let kaddrs = repeat(20_000, |n| format!("- ${n}"));
    assert_snapshot!(told(&format!("{METRICS}kaddrs:\n{kaddrs}")), @"
    x.yaml:3: kaddrs[0]: `$0` cannot be a symbol with a `kaddr_` variable; write a kernel symbol made of letters, digits and `_`
    x.yaml:4: kaddrs[1]: `$1` cannot be a symbol with a `kaddr_` variable; write a kernel symbol made of letters, digits and `_`
    x.yaml: 19900 more faults of this file are not shown; correct those that are
    ");
    let steps = repeat(5_000, |_| "{name: wasm, plugin: none}, ".to_owned());
    let steps = with_labels(&format!("{{name: l, size: 4, decoders: [{steps}]}}"));
    assert_snapshot!(told(&format!("plugins: {{nine: {{file: a.wasm}}}}\n{steps}")), @"
    x.yaml:1: warning: plugins.nine: nothing uses the plugin; name it as `plugin:` of a decoder `wasm` or of a transform, or remove it
    x.yaml:3: metrics.counters[0].labels[0].decoders[0].plugin: the file has no plugin `none`; did you mean `nine`?
    x.yaml: 4900 more faults of this file are not shown; correct those that are
    ");
    let labels = repeat(5_000, |n| format!("{{name: l{n}, size: 4, decoders: [{{name: d{n}}}]}},"));
    assert_snapshot!(told(&with_labels(&labels)), @"
    x.yaml:2: metrics.counters[0].labels[0].decoders[0].name: no decoder is called `d0`; a decoder of your own is a plugin: add its `file` to `plugins`, and write `{name: wasm, plugin: NAME}` here; built in are cgroup, dname, errno, hex, ifname, inet_ip, kstack, ksym, majorminor, pci_class, pci_device, pci_subclass, pci_vendor, regexp, static_map, string, syscall, uint, wasm
    x.yaml:3: metrics.counters[0].labels[1].decoders[0].name: no decoder is called `d1`; a decoder of your own is a plugin: add its `file` to `plugins`, and write `{name: wasm, plugin: NAME}` here; built in are cgroup, dname, errno, hex, ifname, inet_ip, kstack, ksym, majorminor, pci_class, pci_device, pci_subclass, pci_vendor, regexp, static_map, string, syscall, uint, wasm
    x.yaml: 4900 more faults of this file are not shown; correct those that are
    ");
}

#[test]
fn later_stages_show_no_more() {
    let config = good(METRICS);
    let faults =
        |count| (0..count).map(|n| config.fault("metrics", format!("fault {n}"), "mend it"));
    assert_eq!(shown(faults(SHOWN).collect()).len(), SHOWN);
    let more = shown(faults(SHOWN + 7).collect());
    assert_snapshot!(lines(&more[SHOWN..]), @"x.yaml: 7 more faults of this file are not shown; correct those that are");
    assert!(more.iter().all(|fault| fault.severity == Severity::Error));
    assert_eq!(more.iter().map(|fault| fault.count as usize).sum::<usize>(), SHOWN + 7);
}

#[test]
fn long_texts_are_cut() {
    let long = "x".repeat(200_000);
    for text in [
        format!("{METRICS}? {long}\n: 1\n"),
        format!("metrics: {{counters: [{{name: {long}, help: A}}]}}"),
        format!("metrics: {{counters: [{{name: {long}-, help: A}}]}}"),
        with_labels(&format!("{{name: {long}, size: 4}}")),
        with_labels(&format!("{{name: a, size: 4, decoders: [{{name: {long}}}]}}")),
        with_labels(&format!("{{name: a, size: {long}}}")),
        with_labels(&format!(
            "{{name: a, size: 4, decoders: [{{name: regexp, regexps: ['({long}']}}]}}"
        )),
        with_labels(&format!("{{name: a, size: 4, decoders: [{{name: uint, on_error: {long}}}]}}")),
        format!("{METRICS}plugins: {{? {long} : {{file: a}}}}"),
        format!("{METRICS}plugins: {{a: {{file: a, sha256: {long}, limits: {{memory: {long}}}}}}}"),
        format!("{METRICS}plugins: {{a: {{file: a, settings: {{? {long} : {{file: {long}}}}}}}}}"),
        format!("{METRICS}kaddrs: [{long}$]"),
    ] {
        let told = faults(&text);
        assert!(!told.is_empty() && told.len() < 2000, "{} of {}", told.len(), &text[..60]);
    }
    assert_snapshot!(faults(&format!("metrics: {{counters: [{{name: {long}, help: A}}]}}")), @"x.yaml:1: metrics.counters[0].name: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` cannot be a metric's name: it has 200000 bytes, more than 1024; shorten it");
    assert_snapshot!(faults(&with_labels(&format!("{{name: {long}, size: 4}}"))), @"x.yaml:2: metrics.counters[0].labels[0].name: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` cannot be a label's name: it has 200000 bytes, more than 1024; shorten it");
    assert_snapshot!(faults(&format!("{METRICS}plugins: {{? {long} : {{file: a}}}}")), @"x.yaml:2: plugins: the plugin's name `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is too long; use 128 characters at most");
}

#[test]
fn what_is_too_much_is_refused_by_the_name_of_the_bound() {
    let kaddrs = repeat(20_001, |n| format!("- symbol_{n}"));
    assert_snapshot!(told(&format!("{METRICS}kaddrs:\n{kaddrs}")), @"x.yaml:2: kaddrs: the configs have more than 20000 kaddrs; serve fewer in one process");
    let metrics = repeat(10_001, |n| format!("- {{name: m{n}, help: A}}"));
    assert_snapshot!(told(&format!("metrics:\n  counters:\n{metrics}").replace("\n-", "\n  -")), @"x.yaml:1: metrics: the configs have more than 10000 metrics; serve fewer in one process");
    let plugins = repeat(1_001, |n| format!("  p{n}: {{file: a.wasm}}"));
    assert_snapshot!(told(&format!("{METRICS}plugins:\n{plugins}")), @"
    x.yaml:2: plugins: the configs have more than 1000 plugins; let labels share plugins, or serve fewer configs
    x.yaml:3: warning: plugins.p0: nothing uses the plugin; name it as `plugin:` of a decoder `wasm` or of a transform, or remove it
    x.yaml: warning: 900 more warnings of this file are not shown; correct those that are
    ");
    let histograms = repeat(101, |n| {
        format!(
            "  - {{name: h{n}, help: A, bucket_type: linear, bucket_max: 9999, labels: [{{name: \
             b, size: 8, decoders: [{{name: uint}}]}}]}}"
        )
    });
    assert_snapshot!(told(&format!("metrics:\n  histograms:\n{histograms}")), @"x.yaml:103: metrics.histograms[100]: the histograms have more than 1000000 buckets together; count in wider steps, or serve fewer in one process");
    assert_snapshot!(told(&format!("a: [{}]", "1, ".repeat(NODES + 1))), @"x.yaml:1: failed to read the YAML: with its aliases written out, and with the configs before it, it has more than 650000 keys, items and texts; use fewer aliases, list less, or split the files");
    assert_snapshot!(told(&format!("a: {}", "[".repeat(30_000))), @"x.yaml:1: failed to read the YAML: it is nested more than 128 levels deep; flatten it, and let no anchor hold its own alias");
    assert_snapshot!(told(&format!("a: {}", "[\n".repeat(300_000))), @"x.yaml:129: failed to read the YAML: it is nested more than 128 levels deep; flatten it, and let no anchor hold its own alias");
    assert_snapshot!(told(&"- ".repeat(20_000)), @"x.yaml:1: failed to read the YAML: it is nested more than 128 levels deep; flatten it, and let no anchor hold its own alias");
}

#[test]
fn merges_that_grow_are_refused() {
    let chain = repeat(2_000, |n| format!("m{}: &m{} {{<<: *m{n}, k{n}: 1}}", n + 1, n + 1));
    assert_snapshot!(told(&format!("m0: &m0 {{a: 1}}\n{chain}{METRICS}")), @"x.yaml:128: failed to read the YAML: it is nested more than 128 levels deep; flatten it, and let no anchor hold its own alias");
}

/// Each alias of a long text, key or tag costs as much as what it stands for.
#[test]
fn long_texts_have_few_aliases() {
    let long = "x".repeat(1 << 20);
    let list = format!("[{}]", "*a, ".repeat(300_000));
    let too_long = "with its aliases written out, and with the configs before it, it has more than 33554432 bytes";
    for text in [
        format!("{METRICS}a: &a {long}\nb: {list}"),
        format!("{METRICS}a: &a '{long}'\nb: {list}"),
        format!("{METRICS}a: &a !{long} x\nb: {list}"),
        format!("{METRICS}a: &a {long}\nb:\n{}", "- {*a : 1}\n".repeat(100_000)),
    ] {
        let told = told(&text);
        assert!(told.contains(too_long), "{told}");
    }
}

#[test]
fn configs_share_what_there_is() {
    let metrics = |prefix: &str| {
        let metrics = repeat(6_000, |n| format!("  - {{name: {prefix}{n}, help: A}}"));
        format!("metrics:\n  counters:\n{metrics}")
    };
    let files = [("x.yaml", &*metrics("x")), ("y.yaml", &*metrics("y"))];
    assert_snapshot!(faults_of(&files), @"y.yaml:1: metrics: the configs have more than 10000 metrics; serve fewer in one process");

    // What is refused leaves the others their room.
    let bomb = format!("a: &a [{}]\nb: [{}]\n", "1, ".repeat(1_000), "*a, ".repeat(1_000));
    assert_snapshot!(faults_of(&[("x.yaml", &bomb), ("y.yaml", METRICS)]), @"x.yaml:2: failed to read the YAML: with its aliases written out, and with the configs before it, it has more than 650000 keys, items and texts; use fewer aliases, list less, or split the files");

    let labels = |count: usize| {
        let labels = repeat(count, |n| format!("    - {{name: l{n}, size: 1}}"));
        format!("metrics:\n  counters:\n  - name: a\n    help: A\n    labels:\n{labels}")
    };
    assert_eq!(good(&labels(20_000)).metrics[0].labels.len(), 20_000);
    let files = [("x.yaml", &*labels(15_000)), ("y.yaml", &*labels(5_001))];
    assert_snapshot!(faults_of(&files), @"y.yaml:5: metrics.counters[0].labels: the configs have more than 20000 labels; serve fewer in one process");
}

#[test]
fn files_of_settings_are_read_no_further_than_they_may() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("large"), "x".repeat(1 << 20)).expect("a file");
    let of = |plugins: usize, files: usize| {
        let files = "{file: large}, ".repeat(files);
        let plugins =
            repeat(plugins, |n| format!("  p{n}: {{file: a.wasm, settings: {{a: [{files}]}}}}"));
        let text = format!("{METRICS}plugins:\n{plugins}");
        let file = file(&dir.path().join("x.yaml").display().to_string(), &text);
        let (configs, faults) = load(vec![file], &[]);
        let errors: Vec<_> =
            faults.into_iter().filter(|fault| fault.severity == Severity::Error).collect();
        let told = lines(&errors[..errors.len().min(1)]);
        (configs[0].plugins.len(), told.replace(&dir.path().display().to_string(), "DIR"))
    };
    assert_eq!(of(1, 3), (1, String::new()));
    assert_snapshot!(of(1, 2_000).1, @"DIR/x.yaml:3: plugins.p0.settings: the settings are more than 4194304 bytes of JSON; leave some out, or shorten the files that they name");
    // What cannot be taken is read no more often either.
    fs::write(dir.path().join("large"), "x".repeat(6 << 20)).expect("a file");
    assert_snapshot!(of(1, 2_000).1, @"DIR/x.yaml:3: plugins.p0.settings.a[0].file: failed to read `large`: it has more than 4194304 bytes; put the file beside the config, as text that the exporter may read");
    fs::write(
        dir.path().join("large"),
        "\u{e9}".repeat(1 << 20).as_bytes().split_last().expect("bytes").1,
    )
    .expect("a file");
    assert_snapshot!(of(1, 2_000).1, @"DIR/x.yaml:3: plugins.p0.settings.a[0].file: failed to read `large`: it is not UTF-8; put the file beside the config, as text that the exporter may read");
    fs::write(dir.path().join("large"), "x".repeat(1 << 20)).expect("a file");
    let (kept, told) = of(70, 1);
    assert_eq!(kept, 63);
    assert_snapshot!(told, @"DIR/x.yaml:66: plugins.p63.settings: the settings of all plugins are more than 67108864 bytes of JSON; leave some out, or serve fewer configs in one process");
}

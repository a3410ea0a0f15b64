//! What configs with plugins are refused for, and what their chains do.

use std::fs;

use super::*;
use crate::config::{self, ConfigFile, Severity};
use crate::decode::{Decodings, Outcome};
use crate::plugin::{CacheDir, Compiler, Gauge, Loader, guests};
use crate::startup::plugins::{self, Shelf};
use crate::transform::{LabelRows, Transformed};

/// A directory with guests, and configs in it.
struct Fixture(tempfile::TempDir);

impl Fixture {
    fn of(guests: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in guests {
            let bytes = guests::component(name);
            fs::write(dir.path().join(format!("{name}.wasm")), bytes).unwrap();
        }
        Self(dir)
    }

    fn configs(&self, texts: &[&str]) -> Vec<Config> {
        let file = |(n, text): (usize, &&str)| {
            ConfigFile::new(self.0.path().join(format!("{n}.yaml")), *text)
        };
        let files = texts.iter().enumerate().map(file).collect();
        let (configs, faults) = config::load(files, &[]);
        assert_eq!(faults, []);
        configs
    }

    /// The metrics of these configs, their plugins and their faults.
    fn linked(&self, texts: &[&str]) -> (Vec<Vec<Linked>>, Vec<Gauge>, String) {
        let configs = self.configs(texts);
        let (mut linked, mut gauges, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for config in &configs {
            let (metrics, more, found) = link(config, &mut Loader::default());
            linked.push(metrics);
            gauges.extend(more);
            faults.extend(found);
        }
        faults.extend(compare(configs.iter().zip(linked.iter().map(Vec::as_slice))));
        let faults: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
        (linked, gauges, faults.replace(&self.0.path().display().to_string(), "DIR"))
    }
}

fn link(config: &Config, loader: &mut Loader) -> (Vec<Linked>, Vec<Gauge>, Vec<Fault>) {
    let (mut loaded, mut faults) =
        plugins::load(config, loader, &Shelf::of(&[], None, None), Severity::Error);
    let (linked, more) = metrics(config, &mut loaded, &System::default());
    faults.extend(more);
    (linked, plugins::gauges(config, &loaded), faults)
}

/// What does not fit is told with its line, all of it, before the guest is asked.
#[test]
fn settings_are_held_against_what_the_plugin_says() {
    let fixture = Fixture::of(&[]);
    fs::write(fixture.0.path().join("zone.wasm"), guests::described("refuse")).unwrap();
    let config = "plugins:
  zone:
    file: zone.wasm
    settings:
      prefixs: {10.0.0.0/8: lan}
      order: netwrok
      default: 7
metrics:
  counters:
    - name: a
      help: A
      labels: [{name: one, size: 2, decoders: [{name: wasm, plugin: zone}]}]
";
    insta::assert_snapshot!(fixture.linked(&[config]).2, @"
    DIR/0.yaml:7: plugins.zone.settings.default: expected a text, found a number; put it in quotes
    DIR/0.yaml:6: plugins.zone.settings.order: it is none of the values that this setting can have; did you mean `network`?
    DIR/0.yaml:5: plugins.zone.settings.prefixs: the plugin knows no such setting; did you mean `prefixes`?
    DIR/0.yaml:4: plugins.zone.settings: the setting `prefixes` is missing; add `prefixes:`
    ");
    // What fits is the guest's to refuse.
    let fits = config.replace("prefixs", "prefixes").replace("netwrok", "host").replace("7", "x");
    insta::assert_snapshot!(fixture.linked(&[&fits]).2, @r"DIR/0.yaml:4: plugins.zone.settings: the plugin refuses its configuration: `zones` is missing\n\u{1b}[31m; write one; correct its `settings`");
}

const ECHO: &str = "plugins: {zone: {file: echo.wasm}}
metrics:
  counters:
    - name: a
      help: A
      labels:
        - {name: one, size: 2, decoders: [{name: hex}, {name: wasm, plugin: zone}, {name: static_map, static_map: {'6162': ab}}]}
        - {name: two, size: 2, decoders: [{name: wasm, plugin: zone, on_error: raw}]}
";

#[test]
fn plugins_are_steps_like_others() {
    let (mut linked, gauges, faults) = Fixture::of(&["echo"]).linked(&[ECHO]);
    assert_eq!(faults, "");
    let chains = &mut linked[0][0].chains;
    let decodings = Decodings::of(&mut chains[0], [&b"ab"[..], b"\xf0\0", b"\xd0\0"]);
    let texts: Vec<_> = decodings.iter().map(|decoded| decoded.text.to_vec()).collect();
    assert_eq!(texts, [&b"ab"[..], b"unknown:f000", b""]);
    assert_eq!(decodings.get(2).outcome, Outcome::Drop);
    let decodings = Decodings::of(&mut chains[1], [&b"er"[..]]);
    assert_eq!(decodings.get(0).text, b"6572");
    // Both labels asked the same one.
    let stats = gauges[0].read();
    assert_eq!((gauges.len(), gauges[0].plugin(), stats.inputs), (1, "zone", 4));
}

#[test]
fn a_config_without_plugins_starts_no_engine() {
    let fixture = Fixture::of(&["echo"]);
    let cache = fixture.0.path().join("cache");
    let dir = CacheDir::chosen(Some(cache.as_os_str()), None);
    let mut loader = Loader::new(Compiler::default(), dir);
    let text = "metrics: {counters: [{name: a, help: A}]}";
    assert!(link(&fixture.configs(&[text])[0], &mut loader).1.is_empty());
    assert!(!loader.has_engine() && !cache.exists());
    assert!(!link(&fixture.configs(&[ECHO])[0], &mut loader).1.is_empty());
    assert!(loader.has_engine() && cache.exists());
}

#[test]
fn all_faults_of_plugins_are_told_at_once() {
    let fixture =
        Fixture::of(&["core", "foreign", "newer", "start", "refuse", "pass", "echo", "names"]);
    let text = "plugins:
  gone: {file: gone.wasm}
  core: {file: core.wasm}
  foreign: {file: foreign.wasm}
  newer: {file: newer.wasm}
  start: {file: start.wasm}
  refuse: {file: refuse.wasm}
  pass: {file: pass.wasm}
  echo: {file: echo.wasm}
  names: {file: names.wasm}
  pinned: {file: echo.wasm, sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855}
metrics:
  counters:
    - name: a
      help: A
      labels:
        - name: l
          size: 1
          decoders:
            - {name: wasm, plugin: gone}
            - {name: wasm, plugin: core}
            - {name: wasm, plugin: foreign}
            - {name: wasm, plugin: newer}
            - {name: wasm, plugin: start}
            - {name: wasm, plugin: start}
            - {name: wasm, plugin: refuse}
            - {name: wasm, plugin: pinned}
            - {name: wasm, plugin: pass}
      transforms: [{plugin: echo}]
    - {name: b, help: B, transforms: [{plugin: pass}, {plugin: names}]}
";
    let (_, _, faults) = fixture.linked(&[text]);
    let pin = crate::plugin::Digest::of(&guests::component("echo")).to_string();
    insta::assert_snapshot!(faults.replace(&pin, "PIN"), @r"
    DIR/0.yaml:2: plugins.gone.file: there is no DIR/gone.wasm; put the file there, or into the directory of --plugins.dir
    DIR/0.yaml:3: plugins.core.file: found a core module, expected a component; make a component of it: `ebpf_wasm_exporter plugin componentize`
    DIR/0.yaml:4: plugins.foreign.file: found a component that exports `wasi:cli/run@0.2.0`, expected one that exports `ebpf-exporter:plugin/decoding@0.1.0` or `ebpf-exporter:plugin/transforming@0.1.0`; build it for a world of wit/0.1.0
    DIR/0.yaml:5: plugins.newer.file: found a decoder for version 0.2.0 of the contract, expected 0.1.0; build it against the wit/ directory of this exporter, or use an exporter that knows that version
    DIR/0.yaml:11: plugins.pinned.sha256: the file's SHA-256 is PIN, not the one that is pinned; find out where the file comes from, and if it is right write `sha256: PIN`
    DIR/0.yaml:6: plugins.start: the plugin failed at its start: it trapped at `unreachable`: a panic, an exception that nothing caught, or a call that needs a system; try it with `ebpf_wasm_exporter plugin check`, and tell its author
    DIR/0.yaml:7: plugins.refuse.settings: the plugin refuses its configuration: `zones` is missing\n\u{1b}[31m; write one; correct its `settings`
    DIR/0.yaml:28: metrics.counters[0].labels[0].decoders[8].plugin: the plugin is a transform, not a decoder; name a plugin that is a decoder
    DIR/0.yaml:29: metrics.counters[0].transforms[0].plugin: the plugin is a decoder, not a transform; name a plugin that is a transform
    DIR/0.yaml:30: metrics.counters[1].transforms[1].plugin: the plugin refuses its configuration: it returns `__bad`, which cannot be a label's name: Prometheus keeps names that start with `__`; correct its `settings`
    ");
}

#[test]
fn transforms_are_bound_to_their_metric() {
    let text = "plugins: {pass: {file: pass.wasm}}
metrics: {counters: [{name: a, help: A, labels: [{name: x, size: 1}, {name: y, size: 1}], transforms: [{plugin: pass}, {plugin: pass}]}]}";
    let (mut linked, gauges, faults) = Fixture::of(&["pass"]).linked(&[text]);
    assert_eq!(faults, "");
    let transforms = &mut linked[0][0].transforms;
    let labels: Vec<_> = transforms.labels().unwrap().iter().map(LabelName::as_str).collect();
    assert_eq!(labels, ["x", "y"]);
    let (mut rows, mut out) = (LabelRows::default(), Transformed::default());
    rows.reset(2);
    rows.push([&b"a"[..], b"b"]);
    transforms.apply(&rows, &mut out);
    assert!(out.get(0).values().eq([&b"a"[..], b"b"]));
    assert_eq!(gauges[0].read().inputs, 2, "two instances of one plugin");
}

#[test]
fn metrics_of_two_configs_agree_after_their_transforms() {
    let text = |label: &str| {
        format!("plugins: {{pass: {{file: pass.wasm}}}}
metrics: {{counters: [{{name: a, help: A, labels: [{{name: {label}, size: 1}}], transforms: [{{plugin: pass}}]}}]}}")
    };
    let fixture = Fixture::of(&["pass"]);
    assert_eq!(fixture.linked(&[&text("x"), &text("x")]).2, "");
    insta::assert_snapshot!(fixture.linked(&[&text("x"), &text("y")]).2, @"DIR/1.yaml:2: metrics.counters[0]: `a` has the labels `y`, and `x` in another config; make them equal, or rename one and its map");
}

#[test]
fn labels_of_spans_pass_plugins_too() {
    const TRACED: &str = "plugins: {zone: {file: echo.wasm}}
tracing:
  spans:
    - ringbuf: r
      labels: [{name: a, size: 2, decoders: [{name: wasm, plugin: zone}, {name: hex}]}]
";
    let fixture = Fixture::of(&["echo"]);
    let configs = fixture.configs(&[TRACED]);
    let (mut loaded, faults) = plugins::load(
        &configs[0],
        &mut Loader::default(),
        &Shelf::of(&[], None, None),
        Severity::Error,
    );
    let (mut linked, more) = spans(&configs[0], &mut loaded, &System::default());
    assert_eq!((faults, more), (Vec::new(), Vec::new()));
    let decodings = Decodings::of(&mut linked[0].chains[0], [&b"ab"[..], b"cd"]);
    let texts: Vec<_> = decodings.iter().map(|decoded| decoded.text.to_vec()).collect();
    assert_eq!(texts, [b"6162", b"6364"]);
}

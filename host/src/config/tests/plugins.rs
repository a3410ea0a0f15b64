//! Plugins, and the steps that name them.

use std::time::Duration;

use insta::assert_snapshot;

use super::{faults, file, good, lines};
use crate::config::limits::{CompileLimits, Limits};
use crate::config::{DataPlan, DecoderStep, OnRowError, PluginOrigin, PluginStep, data_file, load};
use crate::decode::{OnError, builtin};
use crate::digest::Digest;

/// A file with these plugins and one counter with these decoders.
fn with(plugins: &str, decoders: &str) -> String {
    format!(
        "plugins:\n{plugins}\nmetrics: {{counters: [{{name: a, help: A, labels: [\n\
         {{name: l, size: 4, decoders: [{decoders}]}}]}}]}}"
    )
}

fn settings(yaml: &str) -> String {
    let text =
        with(&format!("  zone: {{file: f, settings: {yaml}}}"), "{name: wasm, plugin: zone}");
    good(&text).plugins[0].settings.as_str().to_owned()
}

#[test]
fn steps_stand_where_they_were_written() {
    let decoders =
        "{name: wasm, plugin: zone}, {name: hex}, {name: wasm, plugin: pod, on_error: drop}";
    let config = good(&with("  zone: {file: zone.wasm}\n  pod: {file: /x/pod.wasm}", decoders));
    let path = "metrics.counters[0].labels[0].decoders";
    let step = |plugin: &str, at: usize, on_error| {
        let (plugin, path) = (plugin.to_owned(), format!("{path}[{at}]"));
        DecoderStep::Plugin(PluginStep { plugin, path, on_error })
    };
    let hex = builtin::find("hex").unwrap().with(&builtin::DecoderSettings::default()).unwrap();
    assert_eq!(
        config.metrics[0].labels[0].steps,
        [
            step("zone", 0, OnError::default()),
            DecoderStep::Builtin(hex, OnError::default()),
            step("pod", 2, OnError::Drop),
        ]
    );
    assert_eq!(config.plugins[1].origin, PluginOrigin::File("/x/pod.wasm".into()));
    assert_eq!(config.plugins[1].limits, Limits::default());
}

#[test]
fn transforms_are_a_metrics_own() {
    let text = "plugins: {pods: {file: p}}\nmetrics: {counters: [{name: a, help: A, transforms: [\
                {plugin: pods}, {plugin: pods, on_error: drop}, {plugin: pods, on_error: {label: x}}]}]}";
    let config = good(text);
    let steps: Vec<_> =
        config.metrics[0].transforms.iter().map(|step| step.on_error.clone()).collect();
    let label = |text: &str| OnRowError::Label(text.to_owned());
    assert_eq!(steps, [label("error"), OnRowError::Drop, label("x")]);
}

#[test]
fn limits_have_units() {
    let limits = "limits: {memory: 64MiB, deadline: 1.5s, output: 65536, table: 5, instances: 7, \
                  answers: 0, text: 1MiB, hold: 1m, \
                  compile: {time: 2m, memory: 1GiB}}";
    let pin = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let plugin = format!("  zone: {{file: f, sha256: {pin}, {limits}}}");
    let config = good(&with(&plugin, "{name: wasm, plugin: zone}"));
    let expected = Limits {
        memory: 64 << 20,
        deadline: Duration::from_millis(1500),
        output: 65536,
        table: 5,
        instances: 7,
        answers: 0,
        text: 1 << 20,
        hold: Duration::from_secs(60),
        compile: CompileLimits { time: Some(Duration::from_secs(120)), memory: 1 << 30 },
    };
    assert_eq!(config.plugins[0].limits, expected);
    assert_eq!(config.plugins[0].sha256, Some(Digest::of(b"")));
}

#[test]
fn settings_become_json_in_their_order() {
    assert_eq!(settings("~"), "{}");
    assert_eq!(
        settings("{z: 1, a: -2.5, m: 0x10, b: true, n: ~, t: '1', w: yes, p: 10.0.0.0/8}"),
        r#"{"z":1,"a":-2.5,"m":16,"b":true,"n":null,"t":"1","w":"yes","p":"10.0.0.0/8"}"#
    );
    assert_eq!(
        settings(r#"{list: [{a: []}, {}, "\"\n\u00fc"], 10: x}"#),
        r#"{"list":[{"a":[]},{},"\"\nü"],"10":"x"}"#
    );
    // Aliases and merges are what they stand for.
    assert_eq!(
        settings("{a: &a {x: 1}, b: {<<: *a, y: *a}}"),
        r#"{"a":{"x":1},"b":{"x":1,"y":{"x":1}}}"#
    );
}

#[test]
fn settings_can_be_filled_from_files() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("key", b"s3cret \"\n");
    write("latin", b"\xff");
    let load = |settings: &str| {
        let plugin = format!("  zone: {{file: f, settings: {settings}}}");
        let text = with(&plugin, "{name: wasm, plugin: zone}");
        let path = dir.path().join("x.yaml");
        let (mut configs, faults) = load(vec![file(path.to_str().unwrap(), &text)], &[]);
        let faults = lines(&faults).replace(&dir.path().display().to_string(), "DIR");
        (configs.remove(0), faults)
    };
    let (config, faults) = load("{key: {file: key}, list: [{file: key}], file: key}");
    assert_eq!(faults, "");
    assert_eq!(
        config.plugins[0].settings.as_str(),
        r#"{"key":"s3cret \"","list":["s3cret \""],"file":"key"}"#
    );
    assert!(!format!("{config:?}").contains("s3cret"));
    let (_, faults) = load("{a: {file: gone}, b: {file: latin}, c: {file: .}}");
    assert_snapshot!(faults, @"
    DIR/x.yaml:2: plugins.zone.settings.a.file: failed to read `gone`: no such file or directory; put the file beside the config, as text that the exporter may read
    DIR/x.yaml:2: plugins.zone.settings.b.file: failed to read `latin`: it is not UTF-8; put the file beside the config, as text that the exporter may read
    DIR/x.yaml:2: plugins.zone.settings.c.file: failed to read `.`: it is no regular file; put the file beside the config, as text that the exporter may read
    ");
}

#[test]
fn plugins_are_checked() {
    let plugins = "  a: {}
  'b c': {file: f}
  d: {file: f, sha256: 3f1a, settings: [x]}
  e: {file: f, limits: {memory: 1KiB, deadline: 100, output: 1TB, table: 0, instances: x, fuel: 3,
               hold: 25h, text: 2GiB, compile: {time: 1ms, memory: 1MiB, cores: 2}}}
  f: [x]
  g: {file: f, limits: 3, path: x}";
    let decoders = ["a", "b c", "d", "e", "f", "g"]
        .map(|name| format!("{{name: wasm, plugin: {name}}}"))
        .join(", ");
    assert_snapshot!(faults(&with(plugins, &decoders)), @"
    x.yaml:2: plugins.a: the plugin has no file; add `file:` with its .wasm, or `oci:` with its reference in a registry
    x.yaml:3: plugins.b c: `b c` cannot be a plugin's name; use letters, digits, `_`, `-` and `.`
    x.yaml:4: plugins.d.sha256: `3f1a` is no SHA-256; write the 64 hexadecimal digits that `sha256sum` prints
    x.yaml:4: plugins.d.settings: expected a mapping of settings; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    x.yaml:5: warning: plugins.e.limits.fuel: unknown key, which does nothing; remove it, or write one of memory, deadline, output, table, instances, answers, text, hold, compile
    x.yaml:5: plugins.e.limits.instances: expected a whole number, found `x`; write digits alone, such as 8
    x.yaml:5: plugins.e.limits.memory: `1KiB` is no size that this can have; write one from 64KiB to 1GiB
    x.yaml:5: plugins.e.limits.deadline: `100` is no time that a call can have; write one from 1ms to 10s
    x.yaml:5: plugins.e.limits.output: `1TB` is no size that this can have; write one from 1KiB to 64MiB
    x.yaml:5: plugins.e.limits.table: 0 is no number that this can have; write one from 1 to 10000000
    x.yaml:6: warning: plugins.e.limits.compile.cores: unknown key, which does nothing; remove it, or write one of time, memory
    x.yaml:6: plugins.e.limits.text: `2GiB` is no size that this can have; write one from 1KiB to 1GiB
    x.yaml:6: plugins.e.limits.hold: `25h` is no time that an answer can hold; write one from 0s to 24h
    x.yaml:6: plugins.e.limits.compile.time: `1ms` is no time that compiling can have; write one from 1s to 10m
    x.yaml:6: plugins.e.limits.compile.memory: `1MiB` is no size that this can have; write one from 64MiB to 16GiB
    x.yaml:7: plugins.f: expected a mapping, found a list; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    x.yaml:8: warning: plugins.g.path: unknown key, which does nothing; remove it, or write one of file, oci, sha256, settings, data, limits
    x.yaml:8: plugins.g.limits: expected a mapping, found `3`; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    ");
}

#[test]
fn a_plugin_of_a_registry_is_pinned() {
    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let step = "{name: wasm, plugin: zone}";
    let config =
        good(&with(&format!("  zone: {{oci: 'oci:ghcr.io/acme/zone:1.2.0@sha256:{HEX}'}}"), step));
    let PluginOrigin::Registry(pinned) = &config.plugins[0].origin else { panic!("{config:?}") };
    assert_eq!(pinned.digest(), Digest::of(b""));
    assert_eq!(pinned.to_string(), format!("ghcr.io/acme/zone:1.2.0@sha256:{HEX}"));
    let plugins = format!(
        "  a: {{oci: ghcr.io/acme/zone:1.2.0}}
  b: {{oci: ghcr.io/acme/zone}}
  c: {{oci: 'zone:1.2.0'}}
  d: {{file: f, oci: 'ghcr.io/acme/zone@sha256:{HEX}'}}
  e: {{file: '', oci: ''}}
  f: {{oci: [x]}}
  g: {{oci: 'ghcr.io/acme/zone@sha256:{}'}}",
        &HEX[1..],
    );
    let steps = ["a", "b", "c", "d", "e", "f", "g"]
        .map(|name| format!("{{name: wasm, plugin: {name}}}"))
        .join(", ");
    assert_snapshot!(faults(&with(&plugins, &steps)), @"
    x.yaml:2: plugins.a.oci: `ghcr.io/acme/zone:1.2.0` has no digest, so it may become another plugin; write it with the digest that `ebpf_wasm_exporter plugin inspect oci:ghcr.io/acme/zone:1.2.0` prints
    x.yaml:3: plugins.b.oci: `ghcr.io/acme/zone` has neither tag nor digest; write both behind it; `ebpf_wasm_exporter plugin list ghcr.io/acme/zone` lists the tags
    x.yaml:4: plugins.c.oci: `zone:1.2.0` names nothing in a registry: it begins with no registry's host; write REGISTRY/REPOSITORY:TAG, such as ghcr.io/acme/plugins/zone:1.2.0
    x.yaml:5: plugins.d.oci: the plugin has a `file` and an `oci`; leave one of them out
    x.yaml:6: plugins.e: the plugin has no file; add `file:` with its .wasm, or `oci:` with its reference in a registry
    x.yaml:7: plugins.f.oci: expected a text, found a list; write one text, in quotes if it has special characters
    x.yaml:8: plugins.g.oci: `ghcr.io/acme/zone@sha256:3b0c44298fc1c149afbf4c8996fb92427ae…` names nothing in a registry: its digest is not `sha256:` and 64 digits; write @sha256: and 64 hexadecimal digits in lowercase
    ");
}

#[test]
fn steps_are_checked() {
    let decoders = "{name: wasm}, {name: wasm, plugin: zome}, {name: hex, plugin: zone}, {plugin: zone}, \
                    {name: wasm, plugin: zone, on_error: ignore}";
    let text = with("  zone: {file: f}\n  other: {file: f}", decoders);
    assert_snapshot!(faults(&text), @"
    x.yaml:3: warning: plugins.other: nothing uses the plugin; name it as `plugin:` of a decoder `wasm` or of a transform, or remove it
    x.yaml:5: metrics.counters[0].labels[0].decoders[0]: no plugin is named; add `plugin:` with a name of `plugins`
    x.yaml:5: metrics.counters[0].labels[0].decoders[1].plugin: the file has no plugin `zome`; did you mean `zone`?
    x.yaml:5: metrics.counters[0].labels[0].decoders[2].plugin: `hex` is built in and takes no plugin; write `name: wasm` for the plugin, or remove `plugin`
    x.yaml:5: metrics.counters[0].labels[0].decoders[3]: the decoder has a plugin and no name; add `name: wasm`
    x.yaml:5: metrics.counters[0].labels[0].decoders[4].on_error: `ignore` is nothing to do on an error; write `drop`, `raw` or `{label: TEXT}`
    ");
    let text = "metrics: {counters: [{name: a, help: A, transforms: [{}, {plugin: pods}, {plugin: p, on_error: raw}]}]}";
    assert_snapshot!(faults(text), @"
    x.yaml:1: metrics.counters[0].transforms[0]: no plugin is named; add `plugin:` with a name of `plugins`
    x.yaml:1: metrics.counters[0].transforms[1].plugin: the file has no plugin `pods`; add it to `plugins`, with its `file`
    x.yaml:1: metrics.counters[0].transforms[2].on_error: `raw` is nothing to do on an error of a row; write `drop` or `{label: TEXT}`
    x.yaml:1: metrics.counters[0].transforms[2].plugin: the file has no plugin `p`; add it to `plugins`, with its `file`
    ");
}

#[test]
fn files_that_a_plugin_reads_are_relative_to_the_config() {
    let data = |data: &str| {
        let text =
            with(&format!("  zone: {{file: f, data: {data}}}"), "{name: wasm, plugin: zone}");
        let (mut configs, faults) = load(vec![file("/etc/x.yaml", &text)], &[]);
        assert_eq!(lines(&faults), "", "{data}");
        configs.remove(0).plugins.remove(0).data
    };
    let plan = |name: &str, below: &str, file: &str| DataPlan {
        name: name.to_owned(),
        unnamed: below.is_empty(),
        path: format!("plugins.zone.data{below}"),
        file: file.into(),
        refresh: Duration::from_secs(10),
        size: 4 << 20,
    };
    assert_eq!(data("{file: pods.json}"), [plan("data", "", "/etc/pods.json")]);
    let own = DataPlan {
        refresh: Duration::from_millis(1500),
        size: 1 << 10,
        ..plan("pods", ".pods", "/run/pods.json")
    };
    assert_eq!(
        data("{pods: {file: /run/pods.json, refresh: 1.5s, size: 1KiB}, file: {file: d/file}}"),
        [own, plan("file", ".file", "/etc/d/file")]
    );
    assert_eq!(data("{}"), []);
    // Where nothing is served there is no sandbox that `/` would open.
    assert!(data_file("pods", "/pods.json").is_ok());
}

#[test]
fn many_configs_may_each_have_a_plugin_that_reads_a_file() {
    let text = with("  zone: {file: f, data: {file: pods.json}}", "{name: wasm, plugin: zone}");
    let files = |count| (0..count).map(|n| file(&format!("/etc/{n}.yaml"), &text)).collect();
    let (configs, faults) = load(files(256), &[]);
    assert_eq!((configs.len(), lines(&faults)), (256, String::new()));
    let (_, faults) = load(files(257), &[]);
    assert_snapshot!(lines(&faults), @"/etc/256.yaml:2: plugins.zone.data: the files that plugins read may have more than 1GiB, all together; write a smaller `size`, or serve fewer configs in one process");
}

#[test]
fn files_that_a_plugin_reads_are_checked() {
    let many: String = (0..9).map(|n| format!("d{n}: {{file: f}}, ")).collect();
    let plugins = format!(
        "  a: {{file: f, data: pods.json}}
  b: {{file: f, data: {{file: pods.json, refresh: 1ms, size: 1GiB, path: x}}}}
  c: {{file: f, data: {{'p/q': {{file: x}}, pods: {{}}, list: [x]}}}}
  d: {{file: f, data: {{pods: {{file: pods/..}}}}}}
  e: {{file: f, data: {{{many}}}}}
  f: {{file: f, data: {{file: x, refresh: 25h, size: 0}}}}"
    );
    let steps = ["a", "b", "c", "d", "e", "f"]
        .map(|name| format!("{{name: wasm, plugin: {name}}}"))
        .join(", ");
    assert_snapshot!(faults(&with(&plugins, &steps)), @"
    x.yaml:2: plugins.a.data: expected a mapping, found `pods.json`; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    x.yaml:3: warning: plugins.b.data.path: unknown key, which does nothing; remove it, or write one of file, refresh, size
    x.yaml:3: plugins.b.data.refresh: `1ms` is no time that can lie between two looks at a file; write one from 1s to 24h
    x.yaml:3: plugins.b.data.size: `1GiB` is no size that this can have; write one from 1 to 64MiB
    x.yaml:4: plugins.c.data.list: expected a mapping, found a list; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    x.yaml:4: plugins.c.data.p/q: `p/q` cannot be what a plugin calls a file; use letters, digits, `_`, `-` and `.`, 128 of them at most
    x.yaml:4: plugins.c.data.pods: no file is named; add `file:` with its path
    x.yaml:5: plugins.d.data.pods.file: `pods/..` names no file; write the path of a file
    x.yaml:6: plugins.e.data: the plugin reads 9 files, more than 8; write what it needs into fewer files
    x.yaml:7: plugins.f.data.refresh: `25h` is no time that can lie between two looks at a file; write one from 1s to 24h
    x.yaml:7: plugins.f.data.size: `0` is no size that this can have; write one from 1 to 64MiB
    ");
}

#[test]
fn files_that_plugins_read_are_bounded_together() {
    let plugin = |n: usize| {
        let data: String = (0..8).map(|d| format!("d{d}: {{file: f, size: 64MiB}}, ")).collect();
        format!("  p{n}: {{file: f, data: {{{data}}}}}\n")
    };
    let steps = |n: usize| format!("{{name: wasm, plugin: p{n}}}, ");
    let of = |plugins: usize| {
        let steps: String = (0..plugins).map(steps).collect();
        faults(&with(&(0..plugins).map(plugin).collect::<String>(), &steps))
    };
    assert_eq!(of(2), "");
    let one_more = "  p2: {file: f, data: {file: f, size: 1}}";
    let text = with(
        &format!("{}{}{one_more}", plugin(0), plugin(1)),
        &(0..3).map(steps).collect::<String>(),
    );
    assert_snapshot!(faults(&text), @"x.yaml:4: plugins.p2.data: the files that plugins read may have more than 1GiB, all together; write a smaller `size`, or serve fewer configs in one process");
}

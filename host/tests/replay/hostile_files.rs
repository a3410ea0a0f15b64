//! Recordings that mean harm, or are not all there: what is read for them of the host that replays them, and what is
//! said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ebpf_wasm_exporter::source::recording::{Head, RecordedConfig, RecordedMap, file_of};
use ebpf_wasm_exporter::system::System;

use crate::guests;
use crate::tape::BINARY;

/// A config whose label is a number of 8 bytes, which this step decodes.
fn yaml(plugins: &str, step: &str) -> String {
    format!(
        "{plugins}
metrics: {{counters: [{{name: m_total, help: h, labels: [{{name: id, size: 8, decoders: [{step}]}}]}}]}}
"
    )
}

const UINT: &str = "{name: uint}";
const WASM: &str = "{name: wasm, plugin: p}";

/// A recording of one config, in a directory of its own.
struct Recording {
    dir: tempfile::TempDir,
    head: Head,
    /// What stands behind the head.
    readings: Vec<u8>,
}

impl Recording {
    /// Of a map with one key, which is 1.
    fn of(yaml: &str) -> Self {
        let map = RecordedMap {
            name: "m_total".into(),
            kind: 1,
            key_size: 8,
            max_entries: 10,
            flags: 0,
            cpus: 1,
        };
        let config = RecordedConfig { name: "c".into(), yaml: yaml.into(), maps: vec![map] };
        let (exporter, kernel, boot) = ("0".into(), "6".into(), String::new());
        let head = Head { exporter, kernel, boot, configs: vec![config] };
        let mut recording = Self { dir: tempfile::tempdir().unwrap(), head, readings: Vec::new() };
        recording.read(&[1], 5);
        recording
    }

    /// One more reading, in which these keys have this value.
    fn read(&mut self, keys: &[u64], value: u64) {
        self.readings.extend([&[1][..], &[0; 8], &[1, 0, 0, 0, 0]].concat());
        self.readings.extend((keys.len() as u32).to_le_bytes());
        for key in keys {
            self.readings.extend([key.to_le_bytes(), value.to_le_bytes()].concat());
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self) {
        let json = serde_json::to_vec(&self.head).unwrap();
        let size = (json.len() as u32).to_le_bytes();
        let plain = [&size[..], &json, &self.readings].concat();
        let packed = zstd::encode_all(&*plain, 1).unwrap();
        fs::write(self.path("x.rec"), file_of(&packed).unwrap()).unwrap();
    }

    /// The exit code, the series that are printed, and all that is told but of the reading that it was.
    fn replay(&self, arguments: &[&str]) -> (i32, String, String) {
        self.write();
        let mut command = Command::new(BINARY);
        let command = command.arg("replay").arg(self.path("x.rec")).args(arguments);
        let output = command.output().unwrap();
        let [printed, told] = [&output.stdout, &output.stderr].map(|text| {
            let text = String::from_utf8_lossy(text);
            text.replace(&*self.dir.path().to_string_lossy(), "DIR")
        });
        let series = printed.lines().filter(|line| !line.starts_with('#'));
        let told = told.lines().filter(|line| !line.contains("; recorded by ebpf_wasm_exporter "));
        // Without the time.
        let told = told.map(|line| line.split_once(" INFO ").map_or(line, |(_, text)| text));
        let [series, told] = [series.collect::<Vec<_>>(), told.collect()].map(|all| all.join("\n"));
        (output.status.code().unwrap(), series, told)
    }

    fn put_plugin(&self, guest: &str, dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("p.wasm"), guests::component(guest)).unwrap();
    }
}

pub fn no_file_is_read_for_a_recorded_config() {
    let told = |plugin: &str| {
        let recording = Recording::of(&yaml(&format!("plugins: {{p: {plugin}}}"), WASM));
        fs::write(recording.path("secret"), "secret").unwrap();
        recording.put_plugin("data", &recording.path("plugins"));
        let dir = recording.path("plugins");
        let plugins = format!("--plugins.dir={}", dir.display());
        let (code, series, told) = recording.replay(&["--once", &plugins]);
        assert!(!series.contains("secret") && !told.contains("secret"), "{series} {told}");
        (code, told.lines().next().unwrap_or_default().to_owned())
    };
    let (code, said) = told("{file: p.wasm, settings: {a: [{file: secret}]}}");
    assert_eq!(code, 3);
    insta::assert_snapshot!(said, @"DIR/x.rec/c.yaml:1: plugins.p.settings.a[0].file: no file of this host is read for a recorded config; have the files read that your own config names: give its directory with --config.dir");
    let (code, said) = told("{file: p.wasm, settings: {a: {file: /etc/hostname}}}");
    assert_eq!(code, 3);
    insta::assert_snapshot!(said, @"DIR/x.rec/c.yaml:1: plugins.p.settings.a.file: no file of this host is read for a recorded config; have the files read that your own config names: give its directory with --config.dir");
    let (code, said) = told("{file: p.wasm, data: {file: secret}}");
    assert_eq!(code, 0, "{said}");
    insta::assert_snapshot!(said, @"DIR/x.rec/c.yaml:1: warning: plugins.p.data: no file of this host is read for a recorded config; have the files read that your own config names: give its directory with --config.dir");
    let (code, said) = told("{file: ../secret}");
    assert_eq!(code, 3);
    insta::assert_snapshot!(said, @"DIR/x.rec/c.yaml:1: plugins.p.file: the plugin of a recorded config is looked for in --plugins.dir, and this leads elsewhere; have the files read that your own config names: give its directory with --config.dir");
    let (code, said) = told("{file: other.wasm}");
    assert_eq!(code, 3);
    insta::assert_snapshot!(said, @"DIR/x.rec/c.yaml:1: plugins.p.file: other.wasm is not in the directory of --plugins.dir; put it there: a recording has no plugins, and none beside it is used");
}

/// None beside the recording is used, and that of who replays it is.
pub fn a_recording_brings_no_plugins() {
    let recording = Recording::of(&yaml("plugins: {p: {file: p.wasm}}", WASM));
    recording.put_plugin("echo", recording.dir.path());
    let (code, series, told) = recording.replay(&["--once"]);
    assert_eq!((code, &*series), (3, ""));
    insta::assert_snapshot!(told.lines().next().unwrap_or_default(), @"DIR/x.rec/c.yaml:1: plugins.p.file: p.wasm is not in the directory of --plugins.dir; put it there: a recording has no plugins, and none beside it is used");
    let plugins = format!("--plugins.dir={}", recording.dir.path().display());
    let (code, series, told) = recording.replay(&["--once", &plugins]);
    assert_eq!((code, &*told), (0, ""));
    assert_eq!(series.lines().count(), 1, "{series}");
    // What is read for their own config is up to them.
    fs::write(recording.path("c.yaml"), &*recording.head.configs[0].yaml).unwrap();
    let configs = format!("--config.dir={}", recording.dir.path().display());
    assert_eq!(recording.replay(&["--once", &configs]), (0, series, String::new()));
}

/// Names of the host are those of the recording only while its kernel runs.
pub fn names_of_another_host_are_not_used() {
    let mut recording = Recording::of(&yaml("", "{name: ifname}"));
    let (code, series, told) = recording.replay(&["--once"]);
    assert_eq!(code, 0, "{told}");
    insta::assert_snapshot!(series, @r#"ebpf_exporter_m_total{id="unknown:1"} 5"#);
    insta::assert_snapshot!(told, @"the recording is of another host, or of before this one's last start: its interfaces, block devices, cgroups and kernel symbols have no names");
    recording.head.boot = System::boot_id().unwrap();
    let (code, series, told) = recording.replay(&["--once"]);
    assert_eq!((code, &*told), (0, ""));
    insta::assert_snapshot!(series, @r#"ebpf_exporter_m_total{id="lo"} 5"#);
}

/// A file from anywhere is named in messages by where it is, and by what it says that it is.
pub fn faults_of_recorded_configs_name_the_recording() {
    let mut recording = Recording::of(&yaml("", UINT));
    recording.head.configs[0].name = "a.b".into();
    recording.head.configs[0].maps[0].name = "n_total".into();
    let (code, _, told) = recording.replay(&["--once"]);
    assert_eq!(code, 3);
    insta::assert_snapshot!(told.lines().next().unwrap_or_default(), @"DIR/x.rec/a.b.yaml:2: metrics.counters[0].name: the recording has no map `m_total`; did you mean `n_total`?");
    recording.head.configs[0].maps.clear();
    recording.readings = [&[1][..], &[0; 8]].concat();
    let (code, _, told) = recording.replay(&["--once"]);
    assert_eq!(code, 3);
    insta::assert_snapshot!(told.lines().next().unwrap_or_default(), @"DIR/x.rec/a.b.yaml:2: metrics.counters[0].name: the recording has no map `m_total`; record it with a config that has the metric");
}

pub fn a_replay_ends_although_no_map_feeds_a_metric() {
    let mut recording = Recording::of(&yaml("", UINT));
    recording.head.configs.clear();
    recording.readings = [&[1][..], &[0; 8]].concat().repeat(3);
    assert_eq!(recording.replay(&["--once"]), (0, String::new(), String::new()));
}

pub fn a_reading_that_is_not_there_is_told() {
    let mut recording = Recording::of(&yaml("", UINT));
    let (code, _, told) = recording.replay(&["--at=2"]);
    assert_eq!(code, 3);
    insta::assert_snapshot!(told, @"error: DIR/x.rec: the recording has no reading 2; it has one: give --at 1");
    recording.read(&[1], 7);
    let (code, _, told) = recording.replay(&["--at=99"]);
    assert_eq!(code, 3);
    insta::assert_snapshot!(told, @"error: DIR/x.rec: the recording has no reading 99; it has 2: give --at a number from 1 to 2");
    let (code, series, _) = recording.replay(&["--at=2"]);
    assert_eq!((code, &*series), (0, r#"ebpf_exporter_m_total{id="1"} 7"#));
    // What comes before a fault can be had.
    recording.readings.push(7);
    let (code, _, told) = recording.replay(&["--once"]);
    assert_eq!(code, 3);
    insta::assert_snapshot!(told, @"error: DIR/x.rec: the recording is damaged: no reading begins with 7; copy it or record it again, or replay what comes before with --at 2");
    let (code, series, _) = recording.replay(&["--at=2"]);
    assert_eq!((code, &*series), (0, r#"ebpf_exporter_m_total{id="1"} 7"#));
}

/// What depends on how fast a machine is, is not printed.
pub fn a_plugin_that_takes_too_long_is_an_error() {
    let recording =
        Recording::of(&yaml("plugins: {p: {file: p.wasm, limits: {deadline: 10ms}}}", WASM));
    recording.put_plugin("loop", recording.dir.path());
    let plugins = format!("--plugins.dir={}", recording.dir.path().display());
    let (code, series, told) = recording.replay(&["--once", &plugins]);
    assert_eq!((code, &*series), (3, ""));
    insta::assert_snapshot!(told.lines().last().unwrap_or_default(), @"error: plugin `p` of config `c` does not answer in time at reading 1, so that what it makes of the recording is not always the same; raise its `limits.deadline`, or mend it");
}

/// A few bytes that would become more than there is memory for.
pub fn a_small_file_takes_no_memory() {
    let yaml = "metrics: {histograms: [{name: m_total, help: h, bucket_type: linear, bucket_min: 0, bucket_max: 900,
      labels: [{name: id, size: 4, decoders: [{name: uint}]}, {name: bucket, size: 4, decoders: [{name: uint}]},
               {name: cpu, size: 2, decoders: [{name: uint}]}]}]}";
    let mut recording = Recording::of(yaml);
    let map = &mut recording.head.configs[0].maps[0];
    (map.kind, map.cpus) = (5, 8192);
    let entries = (0..40u64).flat_map(|key| [&key.to_le_bytes()[..], &[1; 8 * 8192]].concat());
    let begin = [&[1][..], &[0; 8], &[1, 0, 0, 0, 0], &[40, 0, 0, 0]].concat();
    recording.readings = begin.into_iter().chain(entries).collect();
    let (code, series, told) = recording.replay(&["--once"]);
    assert_eq!((code, &*series), (3, ""));
    insta::assert_snapshot!(told, @"error: DIR/x.rec: the recording is too large: its maps take more than 1073741824 bytes, with what becomes of them; replay fewer of its configs with --config.names");
}

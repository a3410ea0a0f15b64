//! Bundles: packed, proved and replayed, and what is said of those that somebody has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use ebpf_wasm_exporter::bundle::{Bundle, BundlePlace, BundledFile, Part};
use tempfile::TempDir;

use crate::guests;
use crate::laid::lay_out;
use crate::tape::BINARY;

/// A directory in which bundles are made of `cfg`.
struct Shop(TempDir);

impl Shop {
    /// With a config whose plugin is a file beside it.
    fn new() -> Self {
        let shop = Self(tempfile::tempdir().unwrap());
        lay_out(&shop.path("cfg"), "file: zone.wasm, settings: {key: {file: key.txt}}");
        shop.write("cfg/zone.wasm", &guests::component("echo"));
        shop.write("cfg/key.txt", b"secret\n");
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// The exit code of the exporter with these arguments, and what it says.
    fn said(&self, words: &str) -> (i32, String) {
        let mut command = Command::new(BINARY);
        command.args(words.split(' ')).current_dir(self.0.path()).env_remove("SOURCE_DATE_EPOCH");
        // What is logged has the time.
        command.env("RUST_LOG", "error");
        let Output { status, stdout, stderr } = command.output().unwrap();
        let said = String::from_utf8([stdout, stderr].concat()).unwrap();
        let digest = regex::Regex::new("[0-9a-f]{64}").unwrap();
        (status.code().unwrap(), digest.replace_all(&said, "HEX").into_owned())
    }

    fn done(&self, words: &str) -> String {
        let (code, said) = self.said(words);
        assert_eq!(code, 0, "{words}: {said}");
        said
    }

    /// What is said of something that fails, behind its exit code.
    fn refused(&self, words: &str) -> String {
        let (code, said) = self.said(words);
        assert_ne!(code, 0, "{words}: {said}");
        format!("{code} {said}")
    }

    /// Writes the bundle of this file anew, with other bytes in the place of what this part holds.
    fn replaced(&self, part: Part, bytes: Vec<u8>) {
        let place = BundlePlace { file: self.path("work.tar"), reference: None };
        let bundle = place.open().unwrap();
        let swap = |file: &BundledFile| match file.part == part {
            true => BundledFile { bytes: Bytes::from(bytes.clone()), ..file.clone() },
            false => file.clone(),
        };
        let files = bundle.files().iter().map(swap).collect();
        let other = Bundle::new(files, bundle.manifest().annotations.clone()).unwrap();
        self.write("other.tar", &other.to_tar().unwrap());
    }
}

/// The series of an exposition.
fn series(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

pub fn a_bundle_proves_itself_anywhere() {
    let shop = Shop::new();
    shop.write("work.json", b"{}");
    let pack = "bundle pack cfg --version=1.2.0 --dashboard=work.json";
    insta::assert_snapshot!(shop.done(pack), @"
    packed work.tar with the digest sha256:HEX
      config      work.yaml
      object      work.bpf.o
      plugin      zone.wasm
      setting     key.txt
      dashboard   work.json
      recording   work.rec
      exposition  work.prom
    5 readings become 9 lines
    ");
    insta::assert_snapshot!(shop.done("bundle verify work.tar"), @"
    RESULT  POINT       FOUND
    ok      digests     7 files of sha256:HEX
    hint    signer      nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    ok      config      fits the object and the plugins
    ok      recording   5 readings of maps that the object has
    ok      exposition  9 lines, as packed
    ");
    let inspected = shop.done("bundle inspect work.tar");
    // How large the object is is for the compiler to say.
    let sizes = regex::Regex::new(" +[0-9]+ bytes").unwrap();
    insta::assert_snapshot!(sizes.replace_all(&inspected, " N bytes"), @"
    bundle       sha256:HEX
    annotations
      org.opencontainers.image.created: 1970-01-01T00:00:00Z
      org.opencontainers.image.title: work
      org.opencontainers.image.version: 1.2.0
    files
      config      work.yaml N bytes  sha256:HEX
      object      work.bpf.o N bytes  sha256:HEX
      plugin      zone.wasm N bytes  sha256:HEX
      setting     key.txt N bytes  sha256:HEX
      dashboard   work.json N bytes  sha256:HEX
      recording   work.rec N bytes  sha256:HEX
      exposition  work.prom N bytes  sha256:HEX
    ");
    let json: serde_json::Value =
        serde_json::from_str(&shop.done("bundle inspect work.tar --json")).unwrap();
    assert_eq!(json["files"][2]["name"], "zone.wasm", "{json}");
    // The same files give the same bytes, whenever and wherever.
    let elsewhere = Shop::new();
    elsewhere.write("work.json", b"{}");
    elsewhere.done(pack);
    assert_eq!(
        fs::read(elsewhere.path("work.tar")).unwrap(),
        fs::read(shop.path("work.tar")).unwrap()
    );
    // It is used as its files would be, with nothing beside it.
    let given = "replay cfg/work.rec --once";
    let of_files = shop.done(&format!("{given} --config.dir=cfg"));
    fs::rename(shop.path("cfg/work.rec"), shop.path("work.rec")).unwrap();
    fs::remove_dir_all(shop.path("cfg")).unwrap();
    let of_bundle = shop.done("replay work.rec --once --config.bundle=work.tar");
    assert_eq!(series(&of_bundle), series(&of_files));
    assert!(
        series(&of_bundle).contains(&"ebpf_exporter_work_hash_total{id=\"2\",text=\"t2\"} 1200")
    );
}

pub fn a_bit_that_was_turned_is_told_wherever_it_is() {
    let shop = Shop::new();
    shop.done("bundle pack cfg");
    let tar = fs::read(shop.path("work.tar")).unwrap();
    let place = BundlePlace { file: shop.path("work.tar"), reference: None };
    let bundle = place.open().unwrap();
    assert_eq!(bundle.files().len(), 6);
    for file in bundle.files() {
        let at = tar.windows(file.bytes.len()).position(|bytes| bytes == file.bytes).unwrap();
        let mut turned = tar.clone();
        turned[at + file.bytes.len() / 2] ^= 1;
        shop.write("work.tar", &turned);
        for words in ["bundle verify work.tar", "--config.bundle=work.tar --config.check"] {
            let said = shop.refused(words);
            assert!(said.starts_with("3 "), "{said}");
            assert!(said.contains(&format!("work.tar: {} of it was changed", file.name)), "{said}");
        }
    }
    insta::assert_snapshot!(shop.refused("bundle verify work.tar"), @"3 error: work.tar: work.prom of it was changed: its digest is sha256:HEX, not sha256:HEX; find out who has done that, then copy or pull it again");
    insta::assert_snapshot!(shop.refused("--config.bundle=work.tar --config.check"), @"
    3 work.tar: work.prom of it was changed: its digest is sha256:HEX, not sha256:HEX; find out who has done that, then copy or pull it again
    error: 1 fault in the configs; nothing was loaded
    ");
}

pub fn what_becomes_something_else_is_told() {
    let shop = Shop::new();
    shop.done("bundle pack cfg");
    shop.replaced(Part::Plugin, guests::component("wordy"));
    insta::assert_snapshot!(shop.refused("bundle verify other.tar"), @r#"
    3 RESULT  POINT       FOUND
    ok      digests     6 files of sha256:HEX
    hint    signer      nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    ok      config      fits the object and the plugins
    ok      recording   5 readings of maps that the object has
    FAIL    exposition  the recording becomes something else than what was packed
                        line 3: packed `ebpf_exporter_work_hash_total{id="0",text="t0"} 0`, now `ebpf_exporter_work_hash_total{id="0",text="error"} 0`
                        line 4: packed `ebpf_exporter_work_hash_total{id="2",text="t2"} 1200`, now `ebpf_exporter_work_hash_total{id="2",text="error"} 1200`
                        line 5: packed `ebpf_exporter_work_hash_total{id="3",text="t0"} 2400`, now `ebpf_exporter_work_hash_total{id="3",text="error"} 2400`
                        and 4 more
    error: the bundle does not prove itself, in 1 of 5 points
    "#);
    insta::assert_snapshot!(shop.refused("bundle verify work.tar --timeout=1ms"), @"
    3 RESULT  POINT      FOUND
    ok      digests    6 files of sha256:HEX
    hint    signer     nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    ok      config     fits the object and the plugins
    FAIL    recording  the recording is not played within 1ms; raise --timeout, or have it recorded for a shorter time
    error: the bundle does not prove itself, in 1 of 4 points
    ");
    shop.replaced(Part::Exposition, b"ebpf_exporter_work_hash_total 1\n".to_vec());
    insta::assert_snapshot!(shop.refused("bundle verify other.tar"), @r#"
    3 RESULT  POINT       FOUND
    ok      digests     6 files of sha256:HEX
    hint    signer      nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    ok      config      fits the object and the plugins
    ok      recording   5 readings of maps that the object has
    FAIL    exposition  the recording becomes something else than what was packed
                        line 1: packed `ebpf_exporter_work_hash_total 1`, now `# HELP ebpf_exporter_work_hash_total h`
                        line 2: packed nothing, now `# TYPE ebpf_exporter_work_hash_total counter`
                        line 3: packed nothing, now `ebpf_exporter_work_hash_total{id="0",text="t0"} 0`
                        and 6 more
    error: the bundle does not prove itself, in 1 of 5 points
    "#);
    let many = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/many.rec");
    shop.replaced(Part::Recording, fs::read(many).unwrap());
    insta::assert_snapshot!(shop.refused("bundle verify other.tar"), @"
    3 RESULT  POINT      FOUND
    ok      digests    6 files of sha256:HEX
    hint    signer     nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    ok      config     fits the object and the plugins
    FAIL    recording  other.tar/work.yaml: the recording has no config `work`, it has workload, growing; record this config
    error: the bundle does not prove itself, in 1 of 4 points
    ");
    shop.replaced(Part::Recording, b"music".to_vec());
    insta::assert_snapshot!(shop.refused("bundle verify other.tar"), @"
    3 RESULT  POINT      FOUND
    ok      digests    6 files of sha256:HEX
    hint    signer     nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    ok      config     fits the object and the plugins
    FAIL    recording  other.tar/work.rec: this is no recording; give a file that `record` has written
    error: the bundle does not prove itself, in 1 of 4 points
    ");
    shop.replaced(Part::Object, b"music".to_vec());
    insta::assert_snapshot!(shop.refused("bundle verify other.tar"), @"
    3 RESULT  POINT    FOUND
    ok      digests  6 files of sha256:HEX
    hint    signer   nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    FAIL    config   other.tar/work.bpf.o: not a BPF object; compile it with `clang -target bpf -g`
    error: the bundle does not prove itself, in 1 of 3 points
    ");
    shop.replaced(Part::Plugin, b"music".to_vec());
    insta::assert_snapshot!(shop.refused("bundle verify other.tar"), @"
    3 RESULT  POINT    FOUND
    ok      digests  6 files of sha256:HEX
    hint    signer   nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    FAIL    config   other.tar/work.yaml:1: plugins.zone.file: found no WebAssembly, expected a component; name a .wasm file that holds a component
    error: the bundle does not prove itself, in 1 of 3 points
    ");
    shop.replaced(Part::Config, b"metrics: {counters: [{name: x}]}".to_vec());
    insta::assert_snapshot!(shop.refused("bundle verify other.tar"), @"
    3 RESULT  POINT    FOUND
    ok      digests  6 files of sha256:HEX
    hint    signer   nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    FAIL    config   other.tar/work.yaml:1: metrics.counters[0]: the metric has no help; add `help:` with a line on what it counts
                       other.tar/work.yaml:1: metrics.counters[0].name: the object has no map `x`; give the metric the name of one that it has: `work_hash_total`, `work_lru_hash_total`, `work_array_total`, `work_percpu_hash_total`, `work_percpu_array_total`, `work_lru_percpu_hash_total`, `work_mmap_array_total`, `work_cpu_hash_total`, `work_cpu_array_total`, `work_plain_total`, `work_exp2_seconds`, `work_exp2zero_bytes`, `work_linear_depth`, `work_fixed_size`, `work_cpu_exp2_seconds`, `work_padded_total`
    error: the bundle does not prove itself, in 1 of 3 points
    ");
    // Nothing beside a bundle takes the place of what it lacks.
    shop.replaced(Part::Config, b"plugins: {zone: {file: cfg/zone.wasm}}\nmetrics: {}".to_vec());
    insta::assert_snapshot!(shop.refused("bundle verify other.tar"), @"
    3 RESULT  POINT    FOUND
    ok      digests  6 files of sha256:HEX
    hint    signer   nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    FAIL    config   other.tar/work.yaml:1: plugins.zone.file: the bundle has no cfg/zone.wasm; pack it again with `ebpf_wasm_exporter bundle pack`, which looks for all that its config names
                       other.tar/work.yaml:2: metrics: the file has no metrics and no spans; list some under `metrics.counters`, `metrics.histograms` or `tracing.spans`
    error: the bundle does not prove itself, in 1 of 3 points
    ");
    shop.write("garbage.tar", b"garbage");
    insta::assert_snapshot!(shop.refused("bundle verify garbage.tar"), @"3 error: garbage.tar: it is no tar, or a damaged one; name what `bundle pack` or `bundle pull` has written");
    insta::assert_snapshot!(shop.refused("bundle verify gone.tar"), @"3 error: gone.tar: it cannot be read: no such file or directory; name a file that the exporter may read; `bundle pull` gets one");
}

pub fn what_cannot_be_packed_is_said() {
    let shop = Shop::new();
    let pack = || shop.refused("bundle pack cfg");
    let with = |zone: &str| shop.write("cfg/work.yaml", crate::laid::yaml(zone).as_bytes());
    with("file: /zone.wasm");
    insta::assert_snapshot!(pack(), @"3 error: cfg/work.yaml:1: plugins.zone.file: /zone.wasm is outside of what is packed; put the file beside the config, and name it without a directory");
    with("file: gone.wasm");
    insta::assert_snapshot!(pack(), @"3 error: cfg/work.yaml:1: plugins.zone.file: there is no cfg/gone.wasm; put the file there, or into the directory of --plugins.dir");
    with("file: zone.wasm, settings: {key: {file: ../cfg/key.txt}}");
    insta::assert_snapshot!(pack(), @"3 error: cfg/work.yaml:1: plugins.zone.settings: ../cfg/key.txt is outside of what is packed; put the file beside the config, and name it without a directory");
    with(&format!("oci: 'a.b/c@sha256:{}'", "0".repeat(64)));
    insta::assert_snapshot!(pack(), @"3 error: cfg/work.yaml:1: plugins.zone.oci: a plugin of a registry needs --plugins.dir; name the directory that was filled by `ebpf_wasm_exporter plugin fetch --plugins.dir=DIR` with the same configs");
    with("file: key.txt");
    insta::assert_snapshot!(pack(), @"3 error: cfg/work.yaml:1: plugins.zone.file: found no WebAssembly, expected a component; name a .wasm file that holds a component");
    with("file: zone.wasm");
    shop.write("work.json", b"{");
    insta::assert_snapshot!(shop.refused("bundle pack cfg --dashboard=work.json"), @"3 error: work.json is no JSON: EOF while parsing an object at line 1 column 1; name what Grafana exports");
    insta::assert_snapshot!(shop.refused("bundle pack cfg --annotation=x"), @"2 error: --annotation=x: it has no key; write KEY=VALUE");
    insta::assert_snapshot!(shop.refused("bundle pack cfg -o gone/work.tar"), @"1 error: failed to write gone/work.tar: no such file or directory; name a file that you may write");
    fs::rename(shop.path("cfg/work.rec"), shop.path("work.rec")).unwrap();
    insta::assert_snapshot!(pack(), @"3 error: cfg/work.rec cannot be read: no such file or directory; make it with `ebpf_wasm_exporter record`, or name another one with --recording");
    shop.done("bundle pack cfg --recording=work.rec");
    fs::remove_file(shop.path("cfg/work.bpf.o")).unwrap();
    insta::assert_snapshot!(pack(), @"3 error: cfg/work.bpf.o cannot be read: no such file or directory; put the object that belongs to the config there");
    shop.write("cfg/more.yaml", b"");
    insta::assert_snapshot!(pack(), @"2 error: cfg has several configs, more, work; name one of them with --config.names");
    insta::assert_snapshot!(shop.refused("bundle pack cfg --config.names=more"), @"3 error: cfg/more.yaml: the file is empty; write a `metrics` section, or leave the config out");
    fs::create_dir(shop.path("empty")).unwrap();
    insta::assert_snapshot!(shop.refused("bundle pack empty"), @"2 error: empty has no NAME.yaml; name the directory of a config");
    insta::assert_snapshot!(shop.refused("bundle pack gone"), @"3 error: gone cannot be read: no such file or directory; name a directory that can be read");
    assert!(!Path::new(&shop.path("more.tar")).exists());
}

/// What a plugin reads while it serves is the host's, and so is none of what is proved.
pub fn files_of_the_host_are_none_of_a_bundle() {
    let shop = Shop::new();
    shop.write("cfg/zone.wasm", &guests::component("data"));
    let with = |zone: &str| shop.write("cfg/work.yaml", crate::laid::yaml(zone).as_bytes());
    with("file: zone.wasm, data: {file: pods.json}");
    insta::assert_snapshot!(shop.refused("bundle pack cfg"), @"3 error: cfg/work.yaml:1: plugins.zone.data.file: the file is in no directory, as the config is in a bundle; write its whole path, from / on: it is a file of the host");
    let pods = shop.path("pods.json");
    with(&format!("file: zone.wasm, data: {{file: {}}}", pods.display()));
    shop.write("pods.json", b"here");
    shop.done("bundle pack cfg");
    shop.write("pods.json", b"there");
    shop.done("bundle verify work.tar");
    let served = shop.done("replay cfg/work.rec --once --config.bundle=work.tar");
    assert!(served.contains("text=\"there\""), "{served}");
}

pub fn what_proves_nothing_is_told() {
    let shop = Shop::new();
    let yaml = |steps: &str| {
        format!(
            "plugins: {{zone: {{file: zone.wasm}}, idle: {{file: zone.wasm}}}}
metrics: {{counters: [{{name: work_hash_total, help: h, labels: [
  {{name: id, size: 8, decoders: [{{name: uint}}]}},
  {{name: text, size: 24, decoders: [{{name: string}}, {steps}]}}]}}]}}\n"
        )
    };
    shop.write("cfg/work.yaml", yaml("{name: wasm, plugin: zone}").as_bytes());
    let packed = shop.done("bundle pack cfg");
    insta::assert_snapshot!(packed.lines().last().unwrap(), @"warning: nothing is proved of plugins that are not asked: idle; record it while its programs count, and pack it again");
    insta::assert_snapshot!(shop.done("bundle verify work.tar"), @"
    RESULT  POINT       FOUND
    ok      digests     5 files of sha256:HEX
    hint    signer      nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    ok      config      fits the object and the plugins
    ok      recording   5 readings of maps that the object has
    ok      exposition  9 lines, as packed
    hint    exposition  nothing is proved of plugins that are not asked: idle; record it while its programs count, and pack it again
    ");
    // Of no row anything comes.
    let none = yaml("{name: regexp, regexps: ['^never$']}, {name: wasm, plugin: zone}");
    shop.replaced(Part::Config, none.clone().into_bytes());
    fs::rename(shop.path("other.tar"), shop.path("work.tar")).unwrap();
    shop.replaced(Part::Exposition, Vec::new());
    insta::assert_snapshot!(shop.refused("bundle verify other.tar"), @"
    3 RESULT  POINT       FOUND
    ok      digests     5 files of sha256:HEX
    hint    signer      nobody was asked for a signature; say who may sign it in a file of --plugins.policy
    ok      config      fits the object and the plugins
    ok      recording   5 readings of maps that the object has
    FAIL    exposition  no metric has a series at the end of the recording; record it while its programs count, and pack it again
    error: the bundle does not prove itself, in 1 of 5 points
    ");
    shop.write("cfg/work.yaml", none.as_bytes());
    insta::assert_snapshot!(shop.refused("bundle pack cfg"), @"3 error: work: no metric has a series at the end of the recording; record it while its programs count, and pack it again");
    let version = shop.refused("bundle pack cfg --version=v1");
    insta::assert_snapshot!(version, @"2 error: --version=v1: it is no semantic version; write a whole one, such as 1.2.0");
}

pub fn bundles_and_other_configs_have_names_of_their_own() {
    let shop = Shop::new();
    shop.done("bundle pack cfg");
    let both = "--config.bundle=work.tar --config.dir=cfg --config.names=work --config.check";
    insta::assert_snapshot!(shop.refused(both), @"
    3 work.tar/work.yaml: `work` is the name of two configs, cfg/work.yaml too; name each config once in --config.names, and give each file its own name
    error: 1 fault in the configs; nothing was loaded
    ");
    insta::assert_snapshot!(shop.refused("--config.bundle=gone.tar --config.check"), @"
    3 gone.tar: it cannot be read: no such file or directory; name a file that the exporter may read; `bundle pull` gets one
    error: 1 fault in the configs; nothing was loaded
    ");
    insta::assert_snapshot!(shop.refused("--config.bundle=oci:a.b/c:1 --config.check"), @"2 error: --config.bundle=oci:a.b/c:1 has no digest; write @sha256:… behind it: `bundle push` and `bundle inspect` print it");
    insta::assert_snapshot!(shop.refused("replay cfg/work.rec --once --config.dir=cfg --config.bundle=work.tar"), @"2 error: --config.dir and --config.bundle both say what takes the recorded configs' place; leave one of them out");
}

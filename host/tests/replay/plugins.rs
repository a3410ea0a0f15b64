//! Plugins, good and hostile, asked for the labels of recorded keys.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ebpf_wasm_exporter::config::ConfigFile;
use ebpf_wasm_exporter::plugin::CacheDir;
use ebpf_wasm_exporter::scrape::Scraper;
use ebpf_wasm_exporter::startup::Places;

use crate::guests;
use crate::tape::{BINARY, Replay, file as file_of, places, scraper};

/// Rows of the metric whose label a plugin makes: several calls of it.
const ROWS: u64 = 3000;
/// What every one of them counts.
const EACH: u64 = 7;
/// A scrape never takes longer, whatever a guest does. Prometheus' own patience is 10 s.
const PATIENCE: Duration = Duration::from_secs(3);

/// A config of the workload, whose first metric has a label that `step` makes.
fn config(plugin: &str, step: &str) -> String {
    format!(
        "{plugin}
metrics:
  counters:
    - name: work_hash_total
      help: A label by a plugin
      labels:
        - {{name: id, size: 8, decoders: [{{name: uint}}]}}
        - {{name: text, size: 24, decoders: [{{name: string}}{step}]}}
    - name: work_lru_hash_total
      help: No plugin
      labels:
        - {{name: id, size: 8, decoders: [{{name: uint}}]}}
"
    )
}

/// All rows bring the plugin the same text: each of them asks.
const FORGETFUL: &str = "answers: 0";

const STEP: &str = ", {name: wasm, plugin: guest}";

fn plugin(limits: &str) -> String {
    format!("plugins: {{guest: {{file: guest.wasm, limits: {{{limits}}}}}}}")
}

/// A scraper of a recorded workload.
struct Live(Scraper);

impl Live {
    /// What was counted once, with this config and the guest beside it.
    fn start(config: &str, guest: &str) -> Self {
        Self::of("workload", config, guest)
    }

    /// The recorded config of this name, with another text and a guest beside it.
    fn of(name: &str, config: &str, guest: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("guest.wasm"), guests::component(guest)).expect("a file in it");
        let file = dir.path().join(name).with_extension("yaml");
        let configs = vec![ConfigFile::new(file, config)];
        let scraper = scraper(&file_of("many.rec"), configs, places());
        Self(scraper.unwrap_or_else(|faults| panic!("{guest}: {faults:?}")))
    }

    /// The same, whose plugins may run so long in a scrape.
    fn within(self, budget: Duration) -> Self {
        Self(self.0.with_plugin_budget(budget))
    }

    /// At the next reading.
    fn scrape(&mut self) -> Scrape {
        let start = Instant::now();
        let text = String::from_utf8(self.0.scrape().concat()).expect("text");
        let took = start.elapsed();
        assert!(took < PATIENCE, "{took:?}");
        Scrape(text)
    }
}

/// An exposition.
struct Scrape(String);

impl Scrape {
    /// The series of a metric, sorted.
    fn series(&self, name: &str) -> Vec<(&str, u64)> {
        let start = format!("ebpf_exporter_{name}");
        let lines = self.0.lines().filter_map(|line| line.strip_prefix(&*start));
        let mut series: Vec<_> = lines
            .filter(|line| line.starts_with('{'))
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(labels, value)| (labels, value.parse::<f64>().expect("a number") as u64))
            .collect();
        series.sort_unstable();
        series
    }

    /// The number of the one series of a metric with this label.
    fn one(&self, name: &str, label: &str) -> u64 {
        let series = self.series(name);
        let found: Vec<_> = series.iter().filter(|(labels, _)| labels.contains(label)).collect();
        assert_eq!(found.len(), 1, "{name} {label}: {series:?}");
        found[0].1
    }

    /// Checks what no plugin may change.
    fn is_whole(&self, guest: &str) {
        let others = self.series("work_lru_hash_total");
        assert_eq!(others.len(), 9, "{guest}");
        for (labels, value) in others {
            let id: u64 =
                labels.trim_matches(|c: char| !c.is_ascii_digit()).parse().expect("an id");
            assert_eq!(value, (ROWS - id).div_ceil(9), "{guest}: {labels}");
        }
        let success = self.one("scrape_success", "workload");
        assert_eq!(success, 1, "{guest}");
    }

    fn total(&self) -> u64 {
        self.series("work_hash_total").iter().map(|(_, value)| value).sum()
    }
}

pub fn a_good_guest_gives_what_a_native_decoder_gives() {
    let native = Live::start(&config("", ""), "echo").scrape();
    let mut live = Live::start(&config(&plugin(FORGETFUL), STEP), "echo");
    let wasm = live.scrape();
    wasm.is_whole("echo");
    assert_eq!(wasm.series("work_hash_total"), native.series("work_hash_total"));
    assert_eq!(wasm.total(), ROWS * EACH);
    assert_eq!(wasm.one("plugin_outcomes_total", "outcome=\"label\""), ROWS);
    assert_eq!(wasm.one("plugin_inputs_total", "plugin=\"guest\""), ROWS);
    assert_eq!(wasm.one("plugin_calls_total", "plugin=\"guest\""), ROWS.div_ceil(1024));
    assert_eq!(wasm.one("plugin_call_seconds_count", "plugin=\"guest\""), ROWS.div_ceil(1024));
    assert_eq!(wasm.one("plugin_breaker_state", "plugin=\"guest\""), 0);
    assert_eq!(wasm.one("plugin_info", "world=\"decoder\",contract=\"0.1.0\""), 1);
    // No key is asked twice.
    let again = live.scrape();
    assert_eq!(again.series("work_hash_total"), native.series("work_hash_total"));
    assert_eq!(again.one("plugin_inputs_total", "plugin=\"guest\""), ROWS);
    assert_eq!(native.series("plugin_info"), []);
}

pub fn a_new_key_with_a_known_input_asks_nobody() {
    let forgetful = Live::start(&config(&plugin(FORGETFUL), STEP), "echo").scrape();
    let mut live = Live::of("growing", &config(&plugin(""), STEP), "echo");
    let cold = live.scrape();
    let known = |scrape: &Scrape, hits| {
        assert_eq!(scrape.one("plugin_inputs_total", "plugin=\"guest\""), 1);
        assert_eq!(scrape.one("plugin_cache_misses_total", "plugin=\"guest\""), 1);
        assert_eq!(scrape.one("plugin_cache_entries", "plugin=\"guest\""), 1);
        assert_eq!(scrape.one("plugin_cache_hits_total", "plugin=\"guest\""), hits);
    };
    known(&cold, ROWS - 1);
    assert_eq!(cold.series("work_hash_total"), forgetful.series("work_hash_total"));
    // Five keys have come.
    let warm = live.scrape();
    known(&warm, ROWS + 4);
    assert_eq!(warm.total(), (ROWS + 5) * EACH);
    assert!(warm.series("work_hash_total").iter().all(|(labels, _)| labels.contains("=\"text\"")));
}

pub fn a_hostile_guest_costs_its_own_labels() {
    let roomy = "memory: 1GiB, deadline: 900ms";
    for (guest, limits, cause) in [
        ("loop", "", "deadline"),
        ("grow", "", "memory"),
        ("stack", "", "stack"),
        ("panic", "", "trap"),
        ("few", "", "count"),
        ("many", "", "count"),
        ("flood", "", "memory"),
        ("flood", roomy, "output"),
        ("import", "", "import"),
        ("wild", "", "trap"),
        ("chatter", "", "count"),
    ] {
        let mut live = Live::start(&config(&plugin(limits), STEP), guest);
        let mut scrape = live.scrape();
        for scrapes in 1..4 {
            scrape.is_whole(guest);
            let series = scrape.series("work_hash_total");
            assert_eq!((series.len() as u64, scrape.total()), (ROWS, ROWS * EACH), "{guest}");
            assert!(series.iter().all(|(labels, _)| labels.ends_with("text=\"error\"}")));
            assert_eq!(scrape.one("decoder_errors_total", "workload"), ROWS * scrapes, "{guest}");
            // Three calls, then the breaker.
            let failures = scrape.one("plugin_failures_total", &format!("cause=\"{cause}\""));
            assert_eq!(failures, 3, "{guest}");
            assert_eq!(scrape.one("plugin_breaker_state", "guest"), 2, "{guest}");
            scrape = live.scrape();
        }
    }
}

/// Eight decoders that never return, whose own deadlines alone would hold the scrape for minutes.
pub fn those_that_never_return_share_the_time_of_one_scrape() {
    let names = || (0..8).map(|n| format!("p{n}"));
    let plugin =
        |name| format!("  {name}: {{file: guest.wasm, limits: {{deadline: 10s, {FORGETFUL}}}}}\n");
    let plugins: String = names().map(plugin).collect();
    let label = |name| {
        format!("        - {{name: {name}, size: 3, decoders: [{{name: wasm, plugin: {name}}}]}}\n")
    };
    let labels: String = names().map(label).collect();
    let text = "        - {name: text, size: 24, decoders: [{name: string}]}\n";
    let config = config(&format!("plugins:\n{plugins}"), "").replace(text, &labels);
    assert!(config.contains("plugin: p7"));
    let mut live = Live::start(&config, "loop").within(Duration::from_millis(300));
    for _ in 0..5 {
        let scrape = live.scrape();
        scrape.is_whole("loop");
        assert_eq!(scrape.total(), ROWS * EACH, "what waits is counted");
        assert!(scrape.one("plugin_deferred_total", "plugin=\"p7\"") > 0);
    }
}

/// Three calls answer all rows in each scrape, and each call in another way than the ones before it.
pub fn answers_that_change_are_counted_and_hold() {
    let start = |limits: &str| {
        let step = "{name: uint}, {name: wasm, plugin: guest}]";
        Live::start(&config(&plugin(limits), "").replacen("{name: uint}]", step, 1), "fickle")
    };
    for limits in ["hold: 0s", "hold: 0s, answers: 0"] {
        let mut live = start(limits);
        for scrapes in 0..5 {
            let scrape = live.scrape();
            assert_eq!(scrape.one("plugin_answers_changed_total", "guest"), ROWS * scrapes);
            assert_eq!(scrape.series("work_hash_total").len(), 3, "no series of before is left");
            let counted = if scrapes == 0 { ROWS * EACH } else { 0 };
            assert_eq!(scrape.total(), counted, "each series has what was counted since it began");
        }
    }
    for limits in ["hold: 1h", "hold: 1h, answers: 0"] {
        let mut live = start(limits);
        let first = live.scrape();
        for _ in 0..5 {
            let scrape = live.scrape();
            assert_eq!(scrape.series("work_hash_total"), first.series("work_hash_total"));
            assert_eq!(scrape.one("plugin_inputs_total", "guest"), ROWS);
            assert_eq!(scrape.one("plugin_answers_changed_total", "guest"), 0);
        }
    }
}

/// Labels of four bytes, of which 1 KiB holds 256: each series counts once.
pub fn the_text_of_a_plugins_labels_is_bounded() {
    let start = |on_error: &str| {
        let step = format!(", {{name: wasm, plugin: guest{on_error}}}");
        Live::start(&config(&plugin("text: 1KiB"), &step), "echo")
    };
    for (on_error, others, rows) in [
        ("", Some("error"), ROWS),
        (", on_error: {label: more}", Some("more"), ROWS),
        (", on_error: raw", Some("7465787400"), ROWS),
        (", on_error: drop", None, 256),
    ] {
        let mut live = start(on_error);
        for _ in 0..3 {
            let scrape = live.scrape();
            scrape.is_whole("echo");
            let series = scrape.series("work_hash_total");
            let with =
                |text: &str| series.iter().filter(|(labels, _)| labels.contains(text)).count();
            assert_eq!(with("text=\"text\""), 256, "{on_error}");
            let others = others.map_or(0, |text| with(&format!("text=\"{text}")) as u64);
            assert_eq!((others + 256, scrape.total()), (rows, rows * EACH), "{on_error}");
            assert_eq!(scrape.one("plugin_text_refused_total", "guest"), ROWS - 256);
        }
    }
    // Transforms that merge: all rows are one series, which is counted once.
    let merging = "plugins: {guest: {file: guest.wasm, limits: {text: 1KiB}}}";
    let step = "      transforms: [{plugin: guest}]\n    - name: work_lru";
    let id = "        - {name: id, size: 8, decoders: [{name: uint}]}\n        - {name: text";
    let same = "        - {name: id, size: 8, decoders: [{name: uint}, {name: regexp, regexps: [x*]}]}\n        - {name: text";
    let config =
        config(merging, "").replacen("    - name: work_lru", step, 1).replacen(id, same, 1);
    let scrape = Live::start(&config, "pass").scrape();
    assert_eq!(scrape.series("work_hash_total"), [("{id=\"\",text=\"text\"}", ROWS * EACH)]);
    assert_eq!(scrape.one("plugin_text_refused_total", "guest"), 0);
}

/// What has no time left is no fault of a plugin; what it takes for itself is. All three scrapes take less than
/// what a plugin may take in ten seconds.
pub fn keys_that_did_not_get_their_turn_come_first() {
    let limits = "deadline: 10s, answers: 0";
    let mut live =
        Live::start(&config(&plugin(limits), STEP), "loop").within(Duration::from_millis(700));
    // A call has half of that and fails by its own fault; the next is cut, and its rows wait.
    let first = live.scrape();
    assert_eq!(first.one("plugin_failures_total", "cause=\"deadline\""), 1);
    assert_eq!(first.one("plugin_deferred_total", "guest"), ROWS - 1024);
    assert_eq!(first.total(), ROWS * EACH);
    let second = live.scrape();
    assert!(second.one("plugin_deferred_total", "guest") > ROWS - 1024);
    assert_eq!(second.one("plugin_failures_total", "cause=\"deadline\""), 2);
    let third = live.scrape();
    assert_eq!(third.one("plugin_failures_total", "cause=\"deadline\""), 3);
    assert_eq!(third.one("plugin_breaker_state", "guest"), 2, "three calls of its own fault");
    assert_eq!(third.total(), ROWS * EACH);
}

pub fn a_transform_sees_label_sets_after_decoding() {
    let transformed = |guest, on_error: &str| {
        let step = format!("      transforms: [{{plugin: guest{on_error}}}]\n    - name: work_lru");
        let config = config(&plugin(""), "").replacen("    - name: work_lru", &step, 1);
        let mut live = Live::start(&config, guest);
        live.scrape().is_whole(guest);
        let scrape = live.scrape();
        scrape.is_whole(guest);
        scrape
    };
    let native = Live::start(&config("", ""), "echo").scrape();
    let passed = transformed("pass", "");
    assert_eq!(passed.series("work_hash_total"), native.series("work_hash_total"));
    assert_eq!(
        passed.one("plugin_inputs_total", "plugin=\"guest\""),
        ROWS,
        "warm, none is asked again"
    );

    // All labels of all rows become the same, so all rows are one series: nothing is lost of the total.
    let failed = transformed("cut", "");
    assert_eq!(failed.series("work_hash_total"), [("{id=\"error\",text=\"error\"}", ROWS * EACH)]);
    assert_eq!(failed.one("decoder_errors_total", "workload"), 2 * ROWS, "in each of two scrapes");
    assert_eq!(transformed("cut", ", on_error: drop").series("work_hash_total"), []);
}

pub fn what_a_failing_label_becomes_is_the_configs_choice() {
    let step = |on_error| format!(", {{name: wasm, plugin: guest, on_error: {on_error}}}");
    for (guest, on_error, label) in [
        ("panic", "raw", Some("74657874")),
        ("panic", "{label: unknown}", Some("unknown")),
        ("panic", "drop", None),
        ("wordy", "{label: long}", Some("long")),
        // It answers its first call, which is the first batch of new keys, and then no other.
        ("late", "{label: late}", None),
    ] {
        let config = config(&plugin(FORGETFUL), &step(on_error));
        let scrape = Live::start(&config, guest).scrape();
        scrape.is_whole(guest);
        let series = scrape.series("work_hash_total");
        let with = |text: &str| {
            let end = format!("text=\"{text}\"}}");
            series.iter().filter(|(labels, _)| labels.ends_with(&end)).count() as u64
        };
        match (guest, label) {
            ("late", _) => {
                assert_eq!((with("late"), scrape.total()), (1024, ROWS * EACH), "{guest}");
                assert_eq!(with(""), ROWS - 1024, "{guest}");
            }
            (_, Some(label)) => assert_eq!(with(label), ROWS, "{guest} {on_error}"),
            (_, None) => assert_eq!(series, [], "{guest} {on_error}"),
        }
    }
}

/// A MAC address, a port and a UUID, with nothing behind, as the kernel has them.
const OTHERS: &str = "
plugins:
  mac:
    file: mac.wasm
    settings: {names: {'52:54:00': qemu}}
    limits: {deadline: 10s}
  port:
    file: port.wasm
    settings: {names: {'22': ssh, '8000-8999': web}, default: other}
    limits: {memory: 64MiB, deadline: 10s}
  uuid:
    file: uuid.wasm
    settings: {names: {0fc63daf-8483-4772-8e79-3d69d8477de4: linux}}
    limits: {memory: 64MiB, deadline: 10s}
metrics:
  counters:
    - name: work_hash_total
      help: h
      labels:
        - {name: vendor, size: 6, decoders: [{name: wasm, plugin: mac}]}
        - {name: service, size: 2, decoders: [{name: wasm, plugin: port}]}
        - {name: part, size: 16, padding: 8, decoders: [{name: wasm, plugin: uuid}]}
";

/// Where `make plugins` puts the plugins we ship.
fn shipped() -> &'static Path {
    Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/../plugins"))
}

/// Why [`guests_in_c_javascript_and_python_label_one_metric`] cannot be run here.
pub fn lacks() -> Option<String> {
    let files = ["mac.wasm", "port.wasm", "uuid.wasm"];
    let missing: Vec<_> = files.into_iter().filter(|file| !shipped().join(file).exists()).collect();
    (!missing.is_empty()).then(|| format!("no {}; `make plugins` builds it", missing.join(", ")))
}

pub fn guests_in_c_javascript_and_python_label_one_metric() {
    // Where the tests of plugins keep compiled code too: Python's takes long.
    let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/plugins").as_ref();
    let cache = CacheDir::chosen(Some(cache), None);
    let places = Places { plugins: Some(shipped()), cache: cache.as_ref(), ..places() };
    let configs = vec![ConfigFile::new("devices.yaml", OTHERS)];
    let scraper = scraper(&file_of("counted.rec"), configs, places).expect("no fault");
    // A call may have half of it.
    let mut replay = Replay(scraper.with_plugin_budget(Duration::from_secs(60)));
    insta::assert_snapshot!(replay.lines("work_hash_total{"), @r#"
    ebpf_exporter_work_hash_total{vendor="02:00:00:00:00:01",service="other",part="00000000-0000-0000-0000-000000000001"} 6000
    ebpf_exporter_work_hash_total{vendor="02:00:00:00:00:01",service="web",part="linux"} 500
    ebpf_exporter_work_hash_total{vendor="qemu",service="ssh",part="linux"} 43
    "#);
}

pub fn a_faulty_plugin_is_exit_code_three() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("guest.wasm");
    fs::write(&file, guests::component("panic")).expect("a file in it");
    let tool = |verb| {
        let mut tool = Command::new(BINARY);
        tool.args(["plugin", verb]).arg(&file);
        tool
    };
    let code = |command: &mut Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs").code()
    };
    assert_eq!(code(&mut tool("inspect")), Some(0));
    assert_eq!(code(&mut tool("check")), Some(3));
    assert_eq!(code(tool("run").arg("a")), Some(0));
    assert_eq!(code(&mut tool("run")), Some(2));
}

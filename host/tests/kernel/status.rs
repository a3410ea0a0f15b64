//! What the exporter tells of itself, of real programs, maps and plugins; and how a browser shows that.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::configs::Configs;
use crate::exporter::{Exporter, until};
use crate::guests;
use crate::workload::{Session, flow};

/// A map that a plugin names the keys of, and one that refuses entries once it is full.
const WORK: &str = "plugins: {guest: {file: guest.wasm}}
metrics:
  counters:
    - name: work_hash_total
      help: A label by a plugin
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - {name: text, size: 24, decoders: [{name: string}, {name: wasm, plugin: guest}]}
    - name: work_percpu_hash_total
      help: No plugin
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
";
const ONE_COUNTER: &str = "metrics: {counters: [{name: counts, help: H, labels: \
                           [{name: index, size: 4, decoders: [{name: uint}]}]}]}";
/// A part of keys, which nobody is told.
const SECRET: &str = "what a key says";

/// One with a config that works, but for its plugin, and one of whose programs most do not attach.
fn start() -> (Configs, Session, Exporter) {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", WORK);
    configs.add_object("unattachable", ONE_COUNTER);
    fs::write(configs.path().join("guest.wasm"), guests::component("panic")).unwrap();
    let exporter = Exporter::start(configs.flags());
    (configs, work, exporter)
}

/// Waits for the first reading, so that each scrape has one of its own from then on.
fn until_ready(exporter: &Exporter) {
    let ready = exporter.url.replace("/metrics", "/-/ready");
    until("it is ready", || ureq::get(&ready).call().is_ok());
}

/// The state once so many readings were made.
fn after(exporter: &Exporter, readings: u64) -> Value {
    let mut state = Value::Null;
    until("the readings are told of", || {
        state = serde_json::from_str(&exporter.page("/api/v1/status")).unwrap();
        state["scrapes"]["readings"].as_u64() >= Some(readings)
    });
    state
}

/// What is called so in a list.
fn called<'a>(list: &'a Value, name: &str) -> &'a Value {
    let all = list.as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {list:#}"))
}

/// Nobody has to scrape it for that.
pub fn it_is_ready_once_it_has_read_its_maps() {
    let (_configs, _, exporter) = start();
    assert_eq!(exporter.page("/-/healthy"), "healthy\n");
    until_ready(&exporter);
    let state = after(&exporter, 1);
    assert_eq!(state["scrapes"]["readings"], 1);
    assert_eq!(
        (&state["health"]["ready"], &state["health"]["reason"]),
        (&true.into(), &Value::Null)
    );
    assert!(called(&state["configs"], "work")["last_success"].is_string(), "{state:#}");
}

pub fn all_that_runs_is_told() {
    let (configs, work, exporter) = start();
    until_ready(&exporter);
    for id in 0..812u64 {
        work.add("work_percpu_hash_total", &id.to_ne_bytes(), 1);
    }
    // Each reading asks the plugin for a key, which it traps of.
    let mut metrics = String::new();
    for id in 0..3 {
        work.add("work_hash_total", &flow(id, SECRET.as_bytes()), 1);
        metrics = exporter.metrics();
    }
    let state = after(&exporter, 4);
    let config = called(&state["configs"], "work");
    let file = configs.path().join("work.yaml");
    assert_eq!((config["file"].as_str(), &config["success"]), (file.to_str(), &true.into()));
    let program = &config["programs"][0];
    assert_eq!((&program["attached"], &program["reason"]), (&true.into(), &Value::Null));
    let map = called(&config["maps"], "work_percpu_hash_total");
    for (field, expected) in [
        ("type", Value::from("percpu_hash")),
        ("metric", "ebpf_exporter_work_percpu_hash_total".into()),
        ("entries", 812.into()),
        ("max_entries", 1024.into()),
        ("when_full", "refuses".into()),
        ("rows", 812.into()),
        ("series", 812.into()),
        ("error", Value::Null),
    ] {
        assert_eq!(map[field], expected, "{field}: {map:#}");
    }
    let plugin = called(&config["plugins"], "guest");
    assert_eq!((&plugin["breaker"], &plugin["calls"]), (&"open".into(), &3.into()));
    assert_eq!(plugin["failures"], serde_json::json!({"trap": 3}));
    assert_eq!(plugin["limits"]["memory_bytes"], 16 << 20);

    let other = called(&state["configs"], "unattachable");
    let misspelt = called(&other["programs"], "misspelt_tracepoint");
    assert_eq!(misspelt["attached"], false);
    let reason = misspelt["reason"].as_str().unwrap();
    assert!(reason.ends_with("has no tracepoint `syscalls/sys_enter_prctll`"), "{reason}");
    assert_eq!(misspelt["remedy"], "did you mean `syscalls/sys_enter_prctl`?");
    let attached = "ebpf_exporter_program_attached_info";
    let section = "tracepoint/syscalls/sys_enter_prctll";
    for line in [
        format!(
            "{attached}{{config=\"unattachable\",program=\"misspelt_tracepoint\",section=\"{section}\",\
             reason=\"{reason}\"}} 1"
        ),
        format!(
            "{attached}{{config=\"unattachable\",program=\"attaches\",\
             section=\"tracepoint/syscalls/sys_enter_prctl\",reason=\"\"}} 1"
        ),
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line}\n{metrics}");
    }
    let problems = state["problems"].as_array().unwrap();
    let of = |config: &str| problems.iter().filter(|problem| problem["config"] == config).count();
    assert_eq!(of("unattachable"), 11, "{problems:#?}");
    assert!(problems.iter().any(|problem| problem["subject"] == "plugin guest"), "{problems:#?}");
    assert!(problems.iter().all(|problem| problem["subject"] != "map work_percpu_hash_total"));

    let warnings = state["log"]["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|line| line["text"].as_str().unwrap().contains("no_function")));
    let page = exporter.page("/");
    assert!(page.contains("812 / 1,024, 79 %"));
    for text in [page, state.to_string()] {
        assert!(!text.contains(SECRET) && text.contains("misspelt_tracepoint"));
    }
}

/// Whether there is a browser.
pub fn lacks() -> Option<String> {
    let there =
        Command::new("chromium").arg("--version").output().is_ok_and(|said| said.status.success());
    (!there).then(|| "there is no chromium".to_owned())
}

/// What stands beside the page while it is measured: all is unfolded; then how wide it is, what reaches beyond it,
/// which colour is behind it, and the least contrast of any text to what is behind that.
const MEASURE: &str = r#"
onload = () => {
  const page = document.getElementById('page').contentDocument;
  page.querySelectorAll('details').forEach((one) => { one.open = true; });
  const style = (of) => page.defaultView.getComputedStyle(of);
  const rgb = (text) => text.match(/[\d.]+/g).map(Number);
  const light = (text) => {
    const part = (n) => (n /= 255) <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4;
    const [red, green, blue] = rgb(text).map(part);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (of) => {
    const colour = style(of).backgroundColor;
    return rgb(colour)[3] === 0 ? behind(of.parentElement) : colour;
  };
  const width = page.documentElement.clientWidth;
  const texts = [...page.body.querySelectorAll('*')].filter((one) =>
    [...one.childNodes].some((child) => child.nodeType === 3 && child.data.trim()) && one.offsetParent);
  const contrast = (of) => {
    const [a, b] = [light(style(of).color), light(behind(of))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const beyond = texts.filter((one) => one.getBoundingClientRect().right > width + 1).map((one) => one.outerHTML);
  document.body.textContent = JSON.stringify({
    width, scrolls: page.documentElement.scrollWidth, beyond, texts: texts.length,
    colour: behind(page.body), contrast: Math.min(...texts.map(contrast)),
  });
};
"#;

/// What a browser measures of the page, shown so wide.
fn measured(page: &str, width: u32, dark: bool) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("frame.html");
    let inner = page.replace('&', "&amp;").replace('"', "&quot;");
    let frame = format!(
        "<!doctype html><meta charset=utf-8><body><iframe id=page width={width} height=900 srcdoc=\"{inner}\">\
         </iframe><script>{MEASURE}</script>"
    );
    fs::write(&file, frame).unwrap();
    let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
    let (dom, _) = browse(&[&scheme, "--dump-dom"], &format!("file://{}", file.display()));
    let found = dom.split_once("<body>").and_then(|(_, rest)| rest.split_once("</body>"));
    let text =
        found.map(|(text, _)| text).unwrap_or_default().replace("&lt;", "<").replace("&gt;", ">");
    serde_json::from_str(&text.replace("&amp;", "&"))
        .unwrap_or_else(|error| panic!("{error}: {dom}"))
}

/// What a browser makes of an address, and what it complains of.
fn browse(flags: &[&str], address: &str) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("timeout")
        .args([
            "120",
            "chromium",
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args(["--hide-scrollbars", "--enable-logging=stderr", "--virtual-time-budget=5000"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(flags)
        .arg(address)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (dom, complaints) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{complaints}");
    (dom, complaints)
}

pub fn a_browser_shows_it_on_a_phone_and_in_the_dark() {
    let (_configs, work, exporter) = start();
    until_ready(&exporter);
    for id in 0..3 {
        work.add("work_hash_total", &flow(id, SECRET.as_bytes()), 1);
        exporter.metrics();
    }
    after(&exporter, 4);
    let page = exporter.page("/");
    let mut colours = Vec::new();
    for (width, dark) in [(390, false), (390, true), (768, false), (1280, false), (1280, true)] {
        let measured = measured(&page, width, dark);
        assert_eq!(measured["width"], width);
        assert_eq!(measured["scrolls"], width, "{measured:#}");
        assert_eq!(measured["beyond"], serde_json::json!([]), "{measured:#}");
        assert!(measured["texts"].as_u64() > Some(100), "{measured:#}");
        // WCAG 2, level AA.
        assert!(measured["contrast"].as_f64() >= Some(4.5), "{measured:#}");
        colours.push(measured["colour"].clone());
    }
    assert!(colours[0] == colours[3] && colours[1] == colours[4] && colours[0] != colours[1]);
    // As it is served, with the policy that goes with it.
    let (dom, complaints) = browse(&["--dump-dom"], &exporter.url.replace("/metrics", "/"));
    assert!(dom.contains("misspelt_tracepoint"), "{dom}");
    assert!(!complaints.contains("Content Security Policy"), "{complaints}");
}

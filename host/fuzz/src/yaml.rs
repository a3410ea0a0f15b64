//! Texts that people write: a config, the settings of a plugin, a web config, a policy, and the lock of plugins
//! that a tool writes. Each input is tried as all of them.

use std::path::Path;
use std::sync::LazyLock;

use ebpf_wasm_exporter::config::{self, ConfigFile, policy, web};
use ebpf_wasm_exporter::lock::PluginLock;
use ebpf_wasm_exporter::scrape::own_series;

use crate::text;

/// Where nothing is: what an input names is not there.
const FOLDER: &str = "/nowhere";

/// What the exporter calls its own series.
static OWN: LazyLock<Vec<String>> = LazyLock::new(own_series);

/// Takes in a text that somebody wrote.
pub fn yaml(data: &[u8]) {
    lock(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = ConfigFile::new(Path::new(FOLDER).join("fuzz.yaml"), text);
    let lines = text::lines(text);
    config(&file, lines);
    if let Err(faults) = config::settings(&file) {
        assert!(text::faults(faults, lines), "no settings, and no error");
    }
    if let Err(faults) = web::parse(&file) {
        assert!(text::faults(faults, lines), "no web config, and no error");
    }
    if let Err(faults) = policy::parse(file) {
        assert!(text::faults(faults, lines), "no policy, and no error");
    }
}

/// The same text is the same plan, and a plan that is good has names that can be served.
fn config(file: &ConfigFile, lines: usize) {
    let (configs, faults) = config::load(vec![file.clone()], &OWN);
    let again = config::load(vec![file.clone()], &OWN);
    assert_eq!((&configs, &faults), (&again.0, &again.1), "one text, two plans");
    let is_faulty = text::faults(faults, lines);
    assert!(is_faulty || configs.len() == 1, "no config, and no error");
    for metric in configs.iter().flat_map(|config| &config.metrics) {
        text::one_line(metric.name.as_str());
        metric.label_names().for_each(|name| text::one_line(name.as_str()));
    }
}

/// What was read is read again as it is written.
fn lock(data: &[u8]) {
    let file = Path::new(FOLDER).join("plugins.lock");
    match PluginLock::parse(&file, data) {
        Ok(lock) => {
            let text = lock.text().expect("a lock that can be written");
            let again = PluginLock::parse(&file, &text).expect("a lock that was written");
            assert_eq!(again.plugins(), lock.plugins());
        }
        Err(error) => text::one_line(&error.to_string()),
    }
}

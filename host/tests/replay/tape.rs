//! A recording of the repository, and what its maps become, reading after reading.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ebpf_wasm_exporter::config::{ConfigFile, Fault};
use ebpf_wasm_exporter::plugin::{Compiler, Loader};
use ebpf_wasm_exporter::scrape::Scraper;
use ebpf_wasm_exporter::source::recording::Tape;
use ebpf_wasm_exporter::startup::{Places, replay};
use ebpf_wasm_exporter::system::System;

use crate::lines::lines;

pub const BINARY: &str = env!("CARGO_BIN_EXE_ebpf_wasm_exporter");

/// A recording of the repository.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name)
}

/// Plugins nowhere else than beside their config, with the exporter itself as the compiler.
pub fn places() -> Places<'static> {
    Places { compiler: Compiler::program(BINARY), ..Places::default() }
}

/// A scraper of a recording's maps, each read of which is the next reading, or the last one again. The configs
/// are these in place of the recorded ones of the same names.
///
/// # Errors
///
/// Every fault of the configs.
pub fn scraper(
    file: &Path,
    configs: Vec<ConfigFile>,
    places: Places<'_>,
) -> Result<Scraper, Vec<Fault>> {
    let tape = Arc::new(Mutex::new(Tape::open(file).expect("a recording")));
    let loader = &mut Loader::new(places.compiler.clone(), places.cache.cloned());
    let (units, faults) = replay::units(&tape, configs, &places, &System::default(), loader);
    if faults.is_empty() { Ok(Scraper::new(units)) } else { Err(faults) }
}

/// Configs of `counted.rec`, and the scraper that reads their maps.
pub struct Replay(pub Scraper);

impl Replay {
    /// One as it was recorded.
    pub fn of(name: &str) -> Self {
        let file = file("counted.rec");
        let tape = Tape::open(&file).expect("a recording");
        let mut configs = replay::recorded(tape.head(), &file);
        configs.retain(|config| config.name() == name);
        assert_eq!(configs.len(), 1, "{name}");
        Self(scraper(&file, configs, places()).expect("no fault"))
    }

    /// Those of these names, with these texts in place of what was recorded.
    pub fn with(configs: &[(&str, &str)]) -> Self {
        let file_of = |(name, yaml): &(&str, &str)| {
            ConfigFile::new(Path::new(name).with_extension("yaml"), *yaml)
        };
        let configs = configs.iter().map(file_of).collect();
        Self(scraper(&file("counted.rec"), configs, places()).expect("no fault"))
    }

    /// The samples of a metric at the next reading, sorted.
    pub fn lines(&mut self, metric: &str) -> String {
        lines(&mut self.0, metric)
    }
}

//! `record` and `replay`: what maps held, in a file, and what it becomes.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ebpf_wasm_exporter::advice::Advice;
use ebpf_wasm_exporter::bpf::KernelTypes;
use ebpf_wasm_exporter::bundle::BundlePlace;
use ebpf_wasm_exporter::cli::{Exit, Record, Replay};
use ebpf_wasm_exporter::config::{self, ConfigFile};
use ebpf_wasm_exporter::scrape::Scraper;
use ebpf_wasm_exporter::signals::Noted;
use ebpf_wasm_exporter::source::recording::Tape;
use ebpf_wasm_exporter::source::{Reading, Way};
use ebpf_wasm_exporter::startup::{self, report::counted};
use ebpf_wasm_exporter::system::System;
use ebpf_wasm_exporter::tools::record::Recording;
use ebpf_wasm_exporter::workers::Hired;

use crate::failure::{Failure, fail, refuse};
use crate::serving::Serving;
use crate::{Started, checked, flags_of, listen, print, pushed, report, settled, start, web};

/// `record`: as [`crate::run`], up to where it would serve; then reads on its own.
pub(crate) fn record(order: &Record) -> Result<(), Failure> {
    let time = |text: &str, flag: &str| {
        config::time(text).ok_or_else(|| {
            let problem = format!("{flag}={text} is no time");
            refuse(Exit::Usage, Advice::new(problem, "write one such as 30s or 1m30s"))
        })
    };
    let (file, interval) = (&*order.output, time(&order.interval, "--interval")?);
    let secret = || -> io::Result<_> {
        let mut secret = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut secret)?;
        Ok(secret)
    };
    let secret = order.redact.then(secret).transpose();
    let secret = secret.map_err(|error| fail(Exit::Unexpected, error))?;
    let recording = Recording { file, time: time(&order.time, "--for")?, interval, secret };
    let mut flags = flags_of(&order.configs)?;
    flags.btf_path.clone_from(&order.btf_path);
    flags.config_bundles.clone_from(&order.bundles);
    let settings = settled(&flags)?;
    let _types = KernelTypes::share();
    let system = System::default();
    let fit = checked(&settings, &system, &mut settings.loader())?;
    let files: Vec<_> = fit.iter().map(|checked| checked.file().clone()).collect();
    let Started { running, .. } = start(&settings, fit, &system)?;
    // Exact readings: what is recorded is what the maps held.
    let units = startup::units(running, Reading::Pinned(Way::Batch));
    let mut units = units.map_err(|error| fail(Exit::Load, error))?;
    let mut hired = Hired::default();
    startup::hire_drain(&units, false, &mut hired)
        .and_then(|_| startup::hire_watcher(&system, settings.fanotify, &mut hired))
        .map_err(|error| fail(Exit::Unexpected, error))?;
    let workers = hired.begin();
    let made = recording.make(&files, &mut units);
    workers.stop();
    let (rounds, bytes) = made.map_err(|error| fail(Exit::Unexpected, error))?;
    let readings = counted(usize::try_from(rounds).unwrap_or(usize::MAX), "reading");
    print(&format!("recorded {readings}, {bytes} bytes\n"))
}

/// `replay`: what recorded maps become, printed or served.
pub(crate) fn replay(order: &Replay) -> Result<(), Failure> {
    let began = Instant::now();
    let mut flags = flags_of(&order.configs)?;
    flags.web_listen_address.clone_from(&order.listen_address);
    flags.web_config_file.clone_from(&order.web_config_file);
    // Nothing is selected: the recording says what there is.
    (flags.config_dir, flags.config_names) = (None, Vec::new());
    let tape = Tape::open(&order.file).map_err(|error| fail(Exit::Config, error))?;
    let files = recorded_or_given(order, &tape)?;
    let settings = settled(&flags)?;
    let (tape, system) = (Arc::new(Mutex::new(tape)), System::default());
    let (places, loader) = (settings.places(), &mut settings.loader());
    let (units, faults) = startup::replay::units(&tape, files, &places, &system, loader);
    report(&settings, &faults)?;
    if order.once || order.at.is_some() {
        let scraper = Scraper::new(units).with_plugin_budget(settings.plugin_budget);
        return print_replay(scraper, &tape, order.at.unwrap_or(u64::MAX));
    }
    let noted = Noted::begin().map_err(|error| fail(Exit::Unexpected, error))?;
    let (web, listeners) = (web(&settings)?, listen(&settings)?);
    let push = pushed(&settings, began)?;
    let serving = Serving::new(Arc::new(settings), &system, listeners, web, &noted);
    let serving = Serving { push, ..serving };
    serving.units(units, "replaying", began)
}

/// Prints what recorded maps have become at this reading, or at the last one before.
fn print_replay(mut scraper: Scraper, tape: &Mutex<Tape>, at: u64) -> Result<(), Failure> {
    let tape = || tape.lock().unwrap_or_else(PoisonError::into_inner);
    while tape().rounds() < at && !tape().has_ended() {
        scraper.read_maps();
        if let Some(advice) = tape().fault() {
            return Err(refuse(Exit::Config, advice));
        }
    }
    print(&String::from_utf8_lossy(&scraper.maps_text()))
}

/// The configs that a recording holds, or those that are to take their place.
fn recorded_or_given(order: &Replay, tape: &Tape) -> Result<Vec<ConfigFile>, Failure> {
    let mut files = startup::replay::recorded(tape.head(), &order.file);
    let recorded: Vec<_> = files.iter().map(ConfigFile::name).collect();
    if let Some(name) = order.configs.names.iter().find(|name| !recorded.contains(name)) {
        let (file, all) = (order.file.display(), recorded.join(", "));
        let problem = format!("{file}: the recording has no config `{name}`");
        return Err(refuse(Exit::Config, Advice::new(problem, format!("it has {all}"))));
    }
    if !order.configs.names.is_empty() {
        files.retain(|file| order.configs.names.contains(&file.name()));
    }
    let names: Vec<_> = match &*order.configs.names {
        [] => files.iter().map(ConfigFile::name).collect(),
        names => names.to_vec(),
    };
    let (given, faults) = match (&order.configs.dir, &*order.bundles) {
        (None, []) => return Ok(files),
        (Some(dir), []) => config::read(dir, &names),
        (dir, bundles) => {
            if dir.is_some() {
                let problem = "--config.dir and --config.bundle both say what takes the recorded configs' place";
                return Err(refuse(Exit::Usage, Advice::new(problem, "leave one of them out")));
            }
            let places = BundlePlace::all(bundles, order.configs.plugins_dir.as_deref());
            startup::bundles::configs(&places.map_err(|error| fail(Exit::Usage, error))?)
        }
    };
    match faults.first() {
        None => Ok(given),
        Some(fault) => Err(refuse(Exit::Config, Advice::plain(fault.to_string()))),
    }
}

//! `record` and `replay`: what maps held, in a file, and what it becomes.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ebpf_wasm_exporter::advice::Advice;
use ebpf_wasm_exporter::bpf::KernelTypes;
use ebpf_wasm_exporter::bundle::BundlePlace;
use ebpf_wasm_exporter::cli::{Exit, Record, Replay};
use ebpf_wasm_exporter::config::{self, ConfigFile};
use ebpf_wasm_exporter::scrape::Unit;
use ebpf_wasm_exporter::signals::{Ending, Noted};
use ebpf_wasm_exporter::source::recording::Tape;
use ebpf_wasm_exporter::source::redacted::{self, Disguise};
use ebpf_wasm_exporter::source::{Reading, Way};
use ebpf_wasm_exporter::startup::replay::Playback;
use ebpf_wasm_exporter::startup::{self, report::counted};
use ebpf_wasm_exporter::system::System;
use ebpf_wasm_exporter::tools::record::{Recorded, Recording};
use ebpf_wasm_exporter::workers::Hired;
use tracing::{info, warn};

use crate::failure::{Failure, fail, refuse};
use crate::serving::Serving;
use crate::{Started, checked, flags_of, listen, print, pushed, report, settled, start, web};

/// What is said where a recording has numbers that only its own host has names for.
const UNNAMED: &str = "the recording is of another host, or of before this one's last start: its interfaces, block devices, cgroups and kernel symbols have no names";

/// `record`: as [`crate::run`], up to where it would serve; then reads on its own.
pub(crate) fn record(order: &Record) -> Result<(), Failure> {
    let (time, interval) = (time(&order.time, "--for")?, time(&order.interval, "--interval")?);
    let disguise = order.redact.then(|| secret().map(Disguise::new)).transpose();
    let disguise = disguise.map_err(|error| fail(Exit::Unexpected, error))?;
    let recording = Recording { file: &order.output, time, interval, disguise };
    recording.fits().map_err(|error| fail(Exit::Usage, error))?;
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
    if order.redact {
        tell_of_blinded(&units);
    }
    let ending = Ending::begin().map_err(|error| fail(Exit::Unexpected, error))?;
    let workers = hired.begin();
    let made = recording.make(&files, &mut units, &ending);
    workers.stop();
    let made = made.map_err(|error| fail(Exit::Unexpected, error))?;
    print(&said(&made, recording.disguise.as_ref()))
}

fn time(text: &str, flag: &str) -> Result<Duration, Failure> {
    config::time(text).ok_or_else(|| {
        let problem = format!("{flag}={text} is no time up to a year");
        refuse(Exit::Usage, Advice::new(problem, "write one such as 30s or 1m30s"))
    })
}

/// What nobody can guess.
fn secret() -> io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    Ok(secret)
}

/// Says which series may be others in a replay, as what makes them gets other texts than there are.
fn tell_of_blinded(units: &[Unit]) {
    for unit in units {
        for fed in &unit.metrics {
            let labels = redacted::blinded(&fed.linked.metric, &fed.layout).join(", ");
            if !labels.is_empty() {
                let (config, metric) = (&unit.name, fed.linked.metric.name.as_str());
                warn!(
                    config,
                    "{metric}: --redact hides the texts that decide upon {labels}; a replay may have other series, or leave some out"
                );
            }
        }
    }
}

/// What is said of a recording once it is made.
fn said(made: &Recorded, disguise: Option<&Disguise>) -> String {
    let counted = |n: u64, what| counted(usize::try_from(n).unwrap_or(usize::MAX), what);
    let mut said = format!("recorded {}, {} bytes", counted(made.readings, "reading"), made.bytes);
    if made.interrupted {
        said.push_str("; a signal ended it before its time");
    }
    if let Some(equal) = disguise.map(Disguise::equal).filter(|equal| *equal > 0) {
        let texts = counted(equal, "text");
        said.push_str(&format!("; {texts} became equal to others, and what they count is summed"));
    }
    said.push('\n');
    said
}

/// `replay`: what recorded maps become, printed or served.
pub(crate) fn replay(order: &Replay) -> Result<(), Failure> {
    let began = Instant::now();
    let mut flags = flags_of(&order.configs)?;
    flags.web_listen_address.clone_from(&order.listen_address);
    flags.web_config_file.clone_from(&order.web_config_file);
    flags.plugins_scrape_budget.clone_from(&order.scrape_budget);
    flags.user.clone_from(&order.user);
    // Nothing is selected: the recording says what there is.
    (flags.config_dir, flags.config_names) = (None, Vec::new());
    let tape = Tape::open(&order.file).map_err(|error| fail(Exit::Config, error))?;
    let files = recorded_or_given(order, &tape)?;
    let settings = settled(&flags)?;
    let (head, tape) = (tape.head().clone(), Arc::new(Mutex::new(tape)));
    let (places, loader) = (settings.places(), &mut settings.loader());
    let system = startup::replay::names_for(&head);
    let (units, faults) = startup::replay::units(&tape, files, &places, &system, loader);
    report(&settings, &faults)?;
    if startup::replay::ask_the_host(&units) && !startup::replay::is_of_this_boot(&head) {
        info!("{}", UNNAMED);
    }
    if order.once || order.at.is_some() {
        return print_replay(Playback::new(tape, units), order.at);
    }
    let noted = Noted::begin().map_err(|error| fail(Exit::Unexpected, error))?;
    let (web, listeners) = (web(&settings)?, listen(&settings)?);
    let push = pushed(&settings, began)?;
    let serving = Serving::new(Arc::new(settings), &system, listeners, web, &noted);
    let serving = Serving { push, ..serving };
    serving.units(units, "replaying", began)
}

/// Prints what recorded maps have become at this reading, or at the last one.
fn print_replay(mut playback: Playback, at: Option<u64>) -> Result<(), Failure> {
    let failed = |error| fail(Exit::Config, error);
    let is_there = |playback: &Playback| at.is_some_and(|at| playback.tape().readings() == at);
    while !is_there(&playback) && playback.advance(None).map_err(failed)? {}
    let tape = playback.tape();
    let (file, readings) = (tape.file().display(), tape.readings());
    if let Some(at) = at.filter(|at| *at > readings) {
        let problem = format!("{file}: the recording has no reading {at}");
        let remedy = match readings {
            1 => "it has one: give --at 1".to_owned(),
            _ => format!("it has {readings}: give --at a number from 1 to {readings}"),
        };
        return Err(refuse(Exit::Config, Advice::new(problem, remedy)));
    }
    let (since, maker) = (tape.at(), tape.head().maker());
    info!("{file}: reading {readings}, {since:.1?} after the first; recorded by {maker}");
    drop(tape);
    print(&String::from_utf8_lossy(&playback.text()))
}

/// The configs that a recording holds, or those that are to take their place.
fn recorded_or_given(order: &Replay, tape: &Tape) -> Result<Vec<ConfigFile>, Failure> {
    let mut files = startup::replay::recorded(tape.head(), &order.file);
    let recorded: Vec<_> = files.iter().map(ConfigFile::name).collect();
    if let Some(name) = order.configs.names.iter().find(|name| !recorded.contains(name)) {
        let (file, all) = (order.file.display(), tape.head().names());
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

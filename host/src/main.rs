//! `ebpf_wasm_exporter`: flags → configs → load, attach → workers → drop privileges → serve → drain.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Instant, SystemTime};

use clap::Parser;
use ebpf_wasm_exporter::advice::{Advice, Advise};
use ebpf_wasm_exporter::bpf::stats::{self, How, Measuring};
use ebpf_wasm_exporter::bpf::{self, Addresses, KernelTypes, PinDir};
use ebpf_wasm_exporter::bundle::BundlePlace;
use ebpf_wasm_exporter::cli::{Command, Configs, Exit, Flags, Record, Replay};
use ebpf_wasm_exporter::config::{self, ConfigFile, Fault};
use ebpf_wasm_exporter::descriptors;
use ebpf_wasm_exporter::logging::{self, Level};
use ebpf_wasm_exporter::otlp;
use ebpf_wasm_exporter::output;
use ebpf_wasm_exporter::plugin::{Compiler, Gauge, Loader};
use ebpf_wasm_exporter::privileges::{self, Needs, Readable};
use ebpf_wasm_exporter::process;
use ebpf_wasm_exporter::push::Pusher;
use ebpf_wasm_exporter::reload::{ConfigReloader, Standing};
use ebpf_wasm_exporter::scrape::{Scraper, Unit};
use ebpf_wasm_exporter::serve::{
    self, Door, Listener, Manager, RELOADER, Reloaded, Reloads, Scrapes, Site, Traffic, Web,
};
use ebpf_wasm_exporter::settings::Settings;
use ebpf_wasm_exporter::signals::{self, Noted};
use ebpf_wasm_exporter::source::recording::Tape;
use ebpf_wasm_exporter::source::{Reading, Way};
use ebpf_wasm_exporter::spans::{Spans, StartTimes};
use ebpf_wasm_exporter::startup::report::{self, counted};
use ebpf_wasm_exporter::startup::{self, Checked, Checking, Running};
use ebpf_wasm_exporter::surveyor::{Charge, HostWide, Surveyor};
use ebpf_wasm_exporter::system::System;
use ebpf_wasm_exporter::tools::record::Recording;
use ebpf_wasm_exporter::tools::top::TopError;
use ebpf_wasm_exporter::tools::{self, ToolError};
use ebpf_wasm_exporter::workers::{self, HireError, Hired};
use tracing::{info, warn};

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(answer) => return answered(&answer),
    };
    // Processes of their own, which are to have nothing that the exporter has.
    match &flags.command {
        Some(Command::CompilePlugin(order)) => return order.obey(),
        Some(Command::SurveyHost(charge)) => return charge.obey(),
        _ => {}
    }
    logging::start(log_options(&flags));
    descriptors::raise();
    // A panic has been told of when it comes here.
    let result = catch_unwind(AssertUnwindSafe(|| act(flags)));
    let exit = match result.unwrap_or(Err(Failure { exit: Exit::Unexpected, told: Vec::new() })) {
        Ok(()) => Exit::Done,
        Err(Failure { exit, told }) => {
            told.iter().for_each(say);
            exit
        }
    };
    logging::finish();
    exit.into()
}

fn act(flags: Flags) -> Result<(), Failure> {
    signals::outlive_full_files().map_err(|error| fail(Exit::Unexpected, error))?;
    match &flags.command {
        Some(Command::Plugin { tool }) => shown(tools::run(tool, &Compiler::default())),
        Some(Command::Bundle { tool }) => shown(tools::bundle::run(tool, &Compiler::default())),
        Some(Command::Config { tool }) => print(&tools::manual::of_configs(*tool)),
        Some(Command::Docs { page }) => {
            let text = tools::manual::page(page).map_err(|error| fail(Exit::Usage, error))?;
            print(&text)
        }
        Some(Command::Healthcheck(order)) => {
            order.ask().map_err(|error| fail(Exit::Unexpected, error))
        }
        Some(Command::Top(top)) => top.show().map_err(|error| match error {
            TopError::Interval(_) => fail(Exit::Usage, error),
            _ => fail(Exit::Unexpected, error),
        }),
        Some(Command::Pods(order)) => {
            let text = order.work().map_err(|error| fail(error.exit(), error))?;
            print(&text)
        }
        Some(Command::Unpin(order)) => {
            let text = tools::unpin(order).map_err(|error| fail(error.exit(), error))?;
            print(&text)
        }
        Some(Command::Record(order)) => record(order),
        Some(Command::Replay(order)) => replay(order),
        // Obeyed before anything else was begun.
        Some(Command::CompilePlugin(_) | Command::SurveyHost(_)) => Ok(()),
        None if flags.config_check => check(flags),
        None => run(flags),
    }
}

/// What clap answers to `--help`, `--version`, or what it cannot read.
fn answered(answer: &clap::Error) -> ExitCode {
    let colours = |terminal: bool| terminal && env::var_os("NO_COLOR").is_none();
    let text = |terminal| match colours(terminal) {
        true => answer.render().ansi().to_string(),
        false => answer.render().to_string(),
    };
    if answer.use_stderr() {
        // To whom should one say that this fails?
        let _ = output::print_error(&text(io::stderr().is_terminal()));
        return Exit::Usage.into();
    }
    match output::print(&text(io::stdout().is_terminal())) {
        Ok(()) => Exit::Done.into(),
        Err(_) => Exit::Unexpected.into(),
    }
}

fn log_options(flags: &Flags) -> logging::Options {
    logging::Options {
        level: flags.log_level,
        format: flags.log_format,
        debug: flags.debug,
        timestamps: !flags.log_no_timestamps,
        patient: flags.config_check || flags.command.is_some(),
    }
}

fn run(flags: Flags) -> Result<(), Failure> {
    let noted = Noted::begin().map_err(|error| fail(Exit::Unexpected, error))?;
    let began = Instant::now();
    let mut settings = settled(&flags)?;
    info!("{}", report::announcement());
    let system = System::default();
    let types = KernelTypes::share();
    let mut loader = settings.loader();
    // Its faults and those of configs are told together.
    let web = web(&settings);
    let (mut fit, web) = (checked(&settings, &system, &mut loader)?, web?);
    let read = Instant::now();
    noted.tell();
    let listeners = listen(&settings)?;
    if let Some(left_out) = settings.settle_maps(listeners.iter().all(Listener::is_local)) {
        info!("{left_out}");
    }
    // Held to the end: while it is open, no other exporter has what is pinned there.
    let pins = pinned(&settings, &mut fit)?.map(Arc::new);
    let Started { mut running, .. } = start(&settings, fit, &system)?;
    bpf::post_attach_mark();
    running.iter().for_each(|config| info!("{}", report::line(config)));
    noted.tell();
    let spans = spans(&settings, &mut running, began, read)?;
    let (measuring, host) = looked_at(&settings, &system)?;
    let status = format!("serving {}", counted(running.len(), "config"));
    let standing = running.iter().map(Standing::of).collect();
    let reloading = settings.reload.then(|| Reloading { loader, standing, pins: pins.clone() });
    let units = startup::units(running, settings.reading);
    let units = units.map_err(|error| fail(Exit::Load, error))?;
    drop(types);
    let push = pushed(&settings, began)?;
    let (settings, system, noted) = (Arc::new(settings), &system, &noted);
    let serving = Serving {
        settings,
        system,
        spans,
        push,
        measuring,
        host,
        reloading,
        listeners,
        web,
        noted,
    };
    serving.units(units, &status, began)
}

/// The directory where these configs stay when the exporter ends, if there is to be one.
fn pinned(settings: &Settings, configs: &mut [Checked]) -> Result<Option<PinDir>, Failure> {
    let Some(dir) = &settings.pin_dir else { return Ok(None) };
    let dir = PinDir::open(dir, settings.strict);
    let dir = dir.map_err(|error| fail(tools::exit_of_pins(&error), error))?;
    startup::pin(configs, &dir);
    Ok(Some(dir))
}

/// What has the kernel measure programs, and what tells of all programs of the host, as far as they are wanted.
fn looked_at(
    settings: &Settings,
    system: &System,
) -> Result<(Option<Measuring>, HostWide), Failure> {
    let unmeasured = |error| fail(Exit::Unexpected, error);
    let by = |how| settings.stats == Some(how);
    let measuring = by(How::Fd).then(Measuring::begin).transpose().map_err(unmeasured)?;
    let turn_on = by(How::Sysctl) && !stats::enabled();
    if !settings.host_wide && !turn_on {
        return Ok((measuring, HostWide::default()));
    }
    let charge = Charge::new(settings.privileges.sandbox, turn_on);
    let surveyor = Surveyor::start(&charge).map_err(|error| fail(Exit::Unexpected, error))?;
    // Now there is who turns it off.
    if turn_on {
        stats::turn_on().map_err(unmeasured)?;
    }
    let host = match settings.host_wide {
        true => HostWide::of(surveyor, system),
        false => HostWide::unasked(surveyor),
    };
    Ok((measuring, host))
}

/// What makes and sends the spans of these configs and of a start that began then and had read them
/// then, if there are any.
fn spans(
    settings: &Settings,
    running: &mut [Running],
    began: Instant,
    read: Instant,
) -> Result<Option<Spans>, Failure> {
    let configs = running.iter().map(|config| config.times.clone()).collect();
    let rings = startup::traced(running).map_err(|error| fail(Exit::Load, error))?;
    let start = StartTimes { began, read, configs };
    let spans = Spans::new(rings, settings.tracing.clone(), start);
    spans.map_err(|advice| refuse(Exit::Usage, advice))
}

/// What pushes metrics where the variables say, if they do, of an exporter that began then.
fn pushed(settings: &Settings, began: Instant) -> Result<Option<Pusher>, Failure> {
    let now = SystemTime::now();
    let began = now.checked_sub(began.elapsed()).unwrap_or(now);
    Pusher::new(&settings.pushing, began).map_err(|advice| refuse(Exit::Usage, advice))
}

/// All that is needed to serve, but for what is served.
struct Serving<'a> {
    settings: Arc<Settings>,
    system: &'a System,
    /// None if there are none.
    spans: Option<Spans>,
    /// As well.
    push: Option<Pusher>,
    measuring: Option<Measuring>,
    host: HostWide,
    /// None if configs are not read again.
    reloading: Option<Reloading>,
    listeners: Vec<Listener>,
    /// None if everybody is let in, without TLS.
    web: Option<Web>,
    noted: &'a Noted,
}

/// What was made at the start and is needed to read configs again.
struct Reloading {
    loader: Loader,
    standing: Vec<Standing>,
    /// Where configs stay in the kernel, if anywhere.
    pins: Option<Arc<PinDir>>,
}

impl Serving<'_> {
    /// Gives up privileges with all workers, and serves these units until a signal comes. The start
    /// began at `began`.
    fn units(mut self, units: Vec<Unit>, status: &str, began: Instant) -> Result<(), Failure> {
        let ports = [self.spans.as_ref().map(Spans::ports), self.push.as_ref().map(Pusher::ports)];
        let ports = ports.map(Option::unwrap_or_default).concat();
        let cpu_events = units.iter().any(Unit::opens_events);
        // A recording has one reading for each that is asked for.
        let counts = units.iter().any(|unit| unit.attached.is_some());
        let data = units.iter().flat_map(|unit| &unit.plugins).flat_map(Gauge::readable).collect();
        let (traffic, mut hired) = (Traffic::default(), Hired::default());
        let kept = Arc::new(OnceLock::new());
        let hiring = self.hire(units, &traffic, &kept, &mut hired);
        let (scrapes, reloads) = hiring.map_err(|error| fail(Exit::Unexpected, error))?;
        let Self { settings, system, listeners, web, noted, .. } = self;
        // The last that needs privileges: a list of symbols shows its addresses only to who has them,
        // and no socket can be had without.
        system.prepare();
        let manager = Manager::connect();
        bpf::give_back_memory();
        let names = if ports.is_empty() { Vec::new() } else { otlp::readable() };
        let switch = vec![Readable::Content(stats::SWITCH.into())];
        let web_files = web.as_ref().map(Web::readable).unwrap_or_default();
        let readable =
            [system.readable(), process::prepare(), switch, names, data, web_files].concat();
        let changes_maps = system.cgroups().has_rolls();
        let reloader = reloads.is_some().then_some(RELOADER.name);
        let read_again = settings.read_again();
        let needs = Needs {
            readable,
            cpu_events,
            changes_maps,
            ports,
            surveys: false,
            reloader,
            read_again,
        };
        let needs = kept.get_or_init(|| needs);
        let given_up = settings.privileges.give_up(needs, &hired);
        let given_up = given_up.map_err(|error| fail(Exit::Unexpected, error))?;
        // What can be read no more is known now, and not when certificates change.
        web.as_ref().map_or(Ok(()), Web::reopen).map_err(|faults| faulty_web(&faults))?;
        let mut workers = hired.begin();
        workers::watch(workers.roster());
        if counts {
            scrapes.read_ahead();
        }
        given_up.tell();
        let took = report::spent(began.elapsed());
        let (path, tls) =
            (settings.site.telemetry_path.as_str(), web.as_ref().is_some_and(Web::speaks_tls));
        let places: Vec<_> = listeners.iter().map(|listener| listener.place(path, tls)).collect();
        info!("{status} after {took} at {}", places.join(", "));
        let door = Door { listeners, limits: settings.limits, traffic, web };
        let site = Site { reloads, ..settings.site.clone() };
        let served = serve::run(door, &site, scrapes, &manager.with(status), noted);
        if let Ok(false) = served {
            Scrapes::abandon(&mut workers);
        }
        workers.stop();
        served.map(drop).map_err(|error| fail(Exit::from(&error), error))
    }

    /// Hires all who work while it serves. The last one ends first. `kept` will say what the process keeps.
    fn hire(
        &mut self,
        units: Vec<Unit>,
        traffic: &Traffic,
        kept: &Arc<OnceLock<Needs>>,
        hired: &mut Hired,
    ) -> Result<(Scrapes, Option<Reloads>), HireError> {
        logging::hire(hired);
        startup::hire_clock(&units, hired)?;
        let data = startup::hire_data(&units, false, hired)?;
        let drains = startup::hire_drain(&units, false, hired)?;
        startup::hire_watcher(self.system, self.settings.fanotify, hired)?;
        self.web.as_ref().map_or(Ok(()), |web| web.hire(hired))?;
        let (exchanges, exchanged) = mpsc::channel();
        let reloaded = Reloaded::default();
        let scraper = Scraper::new(units).telling(traffic.clone()).changed_by(exchanged);
        let host = std::mem::take(&mut self.host);
        let scraper = scraper.knowing(self.system).surveying(host).reloading(reloaded.clone());
        let mut scraper = scraper.measuring(self.measuring.take());
        if let Some(spans) = self.spans.take() {
            scraper = scraper.tracing(spans.stats());
            spans.hire(hired)?;
        }
        let push = self.push.take();
        if let Some(push) = &push {
            scraper = scraper.pushing(push.stats());
        }
        let scraper = scraper.with_plugin_budget(self.settings.plugin_budget);
        let scrapes = Scrapes::hire(scraper, hired)?;
        if let Some(push) = push {
            push.hire(scrapes.clone(), hired)?;
        }
        let Some(Reloading { loader, standing, pins }) = self.reloading.take() else {
            return Ok((scrapes, None));
        };
        // What comes by a reload may want them.
        let data = data.map_or_else(|| startup::hire_data(&[], true, hired), |it| Ok(Some(it)))?;
        let drains =
            drains.map_or_else(|| startup::hire_drain(&[], true, hired), |it| Ok(Some(it)))?;
        let (settings, system) = (Arc::clone(&self.settings), self.system.clone());
        let (kept, by) = (Arc::clone(kept), scrapes.clone());
        let reloader = ConfigReloader {
            settings,
            system,
            loader,
            standing,
            pins,
            exchanges,
            scrapes: by,
            kept,
            drains,
            data,
        };
        Ok((scrapes, Some(Reloads::hire(reloader, reloaded, hired)?)))
    }
}

/// `--config.check`: as [`run`], up to where it would serve.
fn check(flags: Flags) -> Result<(), Failure> {
    let settings = settled(&flags)?;
    let system = System::default();
    let web = web(&settings);
    let fit = checked(&settings, &system, &mut settings.loader())?;
    web?;
    if privileges::can_load() {
        let _types = KernelTypes::share();
        let Started { running, left_out } = start(&settings, fit, &system)?;
        print(&format!("{}\n", report::verdict(&running, &left_out)))
    } else {
        print("ok, as far as can be told without CAP_BPF: nothing was loaded into the kernel\n")
    }
}

/// `record`: as [`run`], up to where it would serve; then reads on its own.
fn record(order: &Record) -> Result<(), Failure> {
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
fn replay(order: &Replay) -> Result<(), Failure> {
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
    let (units, faults) = startup::replay::units(&tape, files, settings.places(), &system);
    report(&settings, &faults)?;
    if order.once || order.at.is_some() {
        let scraper = Scraper::new(units).with_plugin_budget(settings.plugin_budget);
        return print_replay(scraper, &tape, order.at.unwrap_or(u64::MAX));
    }
    let noted = Noted::begin().map_err(|error| fail(Exit::Unexpected, error))?;
    let (web, listeners) = (web(&settings)?, listen(&settings)?);
    let push = pushed(&settings, began)?;
    let (settings, system, noted) = (Arc::new(settings), &system, &noted);
    let (spans, measuring, host, reloading) = (None, None, HostWide::default(), None);
    let serving = Serving {
        settings,
        system,
        spans,
        push,
        measuring,
        host,
        reloading,
        listeners,
        web,
        noted,
    };
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

/// Prints a result. That nobody can have it is for the exit code to say.
fn print(text: &str) -> Result<(), Failure> {
    output::print(text).map_err(|_| Failure { exit: Exit::Unexpected, told: Vec::new() })
}

/// Prints what a tool says.
fn shown(result: Result<String, ToolError>) -> Result<(), Failure> {
    let text = result.as_ref().map_or_else(ToolError::report, String::as_str);
    let printed = print(text);
    result.map_err(|error| fail(error.exit(), error)).and(printed)
}

fn flags_of(configs: &Configs) -> Result<Flags, Failure> {
    let refused = |error: clap::Error| refuse(Exit::Usage, Advice::plain(error.to_string()));
    Flags::of(configs).map_err(refused)
}

fn settled(flags: &Flags) -> Result<Settings, Failure> {
    Settings::parse(flags).map_err(|advice| refuse(Exit::Usage, advice))
}

fn listen(settings: &Settings) -> Result<Vec<Listener>, Failure> {
    settings.listen.open().map_err(|error| fail(Exit::Listen, error))
}

/// Who is let in, and with what TLS, if a file says so.
fn web(settings: &Settings) -> Result<Option<Web>, Failure> {
    let web = settings.web_config.as_deref().map(Web::open).transpose();
    web.map_err(|faults| faulty_web(&faults))
}

/// Says every fault of a web config.
fn faulty_web(faults: &[Fault]) -> Failure {
    faults.iter().for_each(|fault| logging::say(Level::Error, "", &fault.to_string()));
    let faults = counted(faults.iter().map(|fault| fault.count as usize).sum(), "fault");
    let problem = format!("{faults} in the web config; nobody is served");
    refuse(Exit::Config, Advice::plain(problem))
}

fn checked(
    settings: &Settings,
    system: &System,
    loader: &mut Loader,
) -> Result<Vec<Checked>, Failure> {
    let of = |symbols: &[&str]| system.kallsyms().addresses_of(symbols);
    let addresses = privileges::can_load().then_some(&of as Addresses<'_>);
    let checking = Checking { places: settings.places(), system, addresses, loader };
    let (checked, faults) = checking.check(&settings.selection);
    loader.rest();
    report(settings, &faults)?;
    Ok(checked)
}

/// Says every fault, and fails if any of them is fatal.
fn report(settings: &Settings, faults: &[Fault]) -> Result<(), Failure> {
    match report::faults(faults, |fault| settings.is_fatal(fault)) {
        0 => Ok(()),
        n => {
            let faults = counted(n, "fault");
            let problem = format!("{faults} in the configs; nothing was loaded");
            Err(refuse(Exit::Config, Advice::plain(problem)))
        }
    }
}

fn start(settings: &Settings, checked: Vec<Checked>, system: &System) -> Result<Started, Failure> {
    let (mut running, mut refused, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    let may_skip = settings.may_skip();
    for result in startup::start(checked, system) {
        match result {
            Ok(config) => running.push(config),
            Err(error) if may_skip => {
                warn!("{}; skipped", error.advice());
                left_out.push(error.name);
            }
            Err(error) => refused.push(error),
        }
    }
    if let Some(last) = refused.pop() {
        refused.iter().for_each(|error| say(&error.advice()));
        return Err(fail(Exit::Load, last));
    }
    if running.is_empty() {
        let problem = "no config of the default set loads; each has a line above";
        return Err(refuse(Exit::Load, Advice::plain(problem)));
    }
    if let Some(programs) = report::unattached(&running)
        && settings.strict
    {
        let problem = format!("{programs}; each has a line above");
        return Err(refuse(Exit::Attach, Advice::plain(problem)));
    }
    Ok(Started { running, left_out })
}

/// The configs that run.
struct Started {
    running: Vec<Running>,
    /// Those of the default set that do not.
    left_out: Vec<String>,
}

/// Why the process ends, and the exit code that says so.
struct Failure {
    exit: Exit,
    /// What is to be said, if anything.
    told: Vec<Advice>,
}

/// The failure that an error is, and whether it is for want of file descriptors.
fn fail(exit: Exit, error: impl Advise) -> Failure {
    let descriptors = descriptors::explain_error(&error);
    Failure { exit, told: [error.advice()].into_iter().chain(descriptors).collect() }
}

fn refuse(exit: Exit, advice: Advice) -> Failure {
    Failure { exit, told: vec![advice] }
}

fn say(advice: &Advice) {
    logging::say(Level::Error, "error: ", &advice.to_string());
}

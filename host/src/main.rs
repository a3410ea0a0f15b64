//! `ebpf_wasm_exporter`: flags → configs → load, attach → workers → drop privileges → serve → drain.

use std::env;
use std::io::{self, IsTerminal};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use clap::Parser;
use ebpf_wasm_exporter::advice::{Advice, Advise};
use ebpf_wasm_exporter::bpf::stats::{self, How, Measuring};
use ebpf_wasm_exporter::bpf::{self, Addresses, KernelTypes, PinDir};
use ebpf_wasm_exporter::cli::{Command, Configs, Exit, Flags};
use ebpf_wasm_exporter::config::Fault;
use ebpf_wasm_exporter::descriptors;
use ebpf_wasm_exporter::logging;
use ebpf_wasm_exporter::output;
use ebpf_wasm_exporter::plugin::{Compiler, Loader};
use ebpf_wasm_exporter::privileges;
use ebpf_wasm_exporter::push::Pusher;
use ebpf_wasm_exporter::reload::Standing;
use ebpf_wasm_exporter::serve::{Listener, Web};
use ebpf_wasm_exporter::settings::Settings;
use ebpf_wasm_exporter::signals::{self, Noted};
use ebpf_wasm_exporter::spans::{Spans, StartTimes};
use ebpf_wasm_exporter::startup::report::{self, counted};
use ebpf_wasm_exporter::startup::{self, Checked, Checking, Running};
use ebpf_wasm_exporter::surveyor::{Charge, HostWide, Surveyor};
use ebpf_wasm_exporter::system::System;
use ebpf_wasm_exporter::tools::top::TopError;
use ebpf_wasm_exporter::tools::{self, ToolError};
use tracing::{info, warn};

#[path = "main/failure.rs"]
mod failure;
#[path = "main/recorded.rs"]
mod recorded;
#[path = "main/serving.rs"]
mod serving;

use failure::{Failure, fail, refuse, say};
use recorded::{record, replay};
use serving::{Reloading, Serving};

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(answer) => return answered(&answer),
    };
    // These two are processes of their own. They begin before anything of the exporter is set up.
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
        // If this fails, standard error is closed, and nobody can be told.
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
    let (web, fit) = (web(&settings), checked(&settings, &system, &mut loader));
    let (web, mut fit) = (web?, fit?);
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
    let serving = Serving::new(Arc::new(settings), &system, listeners, web, &noted);
    let serving = Serving { spans, push, measuring, host, reloading, ..serving };
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

/// Begins measuring what programs cost, and looking at all programs of the host: each if a flag asks for it.
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
    // The surveyor runs by now, and turns the sysctl off again at the end.
    if turn_on {
        stats::turn_on().map_err(unmeasured)?;
    }
    let host = match settings.host_wide {
        true => HostWide::of(surveyor, system),
        false => HostWide::unasked(surveyor),
    };
    Ok((measuring, host))
}

/// Makes and sends the spans of these configs, and those of the exporter's own start. `began` is when the start
/// began, `read` when the configs had been read. None if there are no spans.
fn spans(
    settings: &Settings,
    running: &mut [Running],
    began: Instant,
    read: Instant,
) -> Result<Option<Spans>, Failure> {
    let configs = running.iter().map(|config| config.times.clone()).collect();
    let rings = running.iter_mut().flat_map(|config| std::mem::take(&mut config.spans)).collect();
    let start = StartTimes { began, read, configs };
    let spans = Spans::new(rings, settings.tracing.clone(), start);
    spans.map_err(|advice| refuse(Exit::Usage, advice))
}

/// Pushes metrics to where the variables say. `began` is when the exporter began. None if no variable asks for it.
fn pushed(settings: &Settings, began: Instant) -> Result<Option<Pusher>, Failure> {
    let now = SystemTime::now();
    let began = now.checked_sub(began.elapsed()).unwrap_or(now);
    Pusher::new(&settings.pushing, began).map_err(|advice| refuse(Exit::Usage, advice))
}

/// `--config.check`: as [`run`], up to where it would serve.
fn check(flags: Flags) -> Result<(), Failure> {
    let settings = settled(&flags)?;
    let system = System::default();
    let (web, fit) = (web(&settings), checked(&settings, &system, &mut settings.loader()));
    web?;
    let fit = fit?;
    if privileges::can_load() {
        let _types = KernelTypes::share();
        let Started { running, left_out } = start(&settings, fit, &system)?;
        print(&format!("{}\n", report::verdict(&running, &left_out)))
    } else {
        print("ok, as far as can be told without CAP_BPF: nothing was loaded into the kernel\n")
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
    let Some(path) = &settings.web_config else { return Ok(None) };
    let web = Web::open(path).map_err(|faults| faulty_web(&faults))?;
    let doubt = web.doubt();
    match doubt.as_ref().filter(|doubt| settings.is_fatal(doubt)) {
        Some(doubt) => Err(faulty_web(std::slice::from_ref(doubt))),
        None => {
            report::faults(doubt.as_slice(), |_| false);
            Ok(Some(web))
        }
    }
}

/// Says every fault of a web config.
fn faulty_web(faults: &[Fault]) -> Failure {
    let faults = counted(report::faults(faults, |_| true), "fault");
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

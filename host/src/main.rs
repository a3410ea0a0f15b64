//! `ebpf_wasm_exporter`: flags → configs → load, attach → drop privileges → serve → drain.

use std::env;
use std::io::{self, IsTerminal};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Parser;
use ebpf_wasm_exporter::bpf::read::Reading;
use ebpf_wasm_exporter::bpf::{self, Addresses};
use ebpf_wasm_exporter::cli::{Command, Exit, Flags, Selection, Tool};
use ebpf_wasm_exporter::config::{self, Fault, Severity};
use ebpf_wasm_exporter::descriptors;
use ebpf_wasm_exporter::logging;
use ebpf_wasm_exporter::output;
use ebpf_wasm_exporter::plugin::{CacheDir, Compiler};
use ebpf_wasm_exporter::privileges::{self, Keep, Privileges, Sandbox};
use ebpf_wasm_exporter::scrape::{Running, Scraper};
use ebpf_wasm_exporter::serve::{
    self, Door, Limits, ListenAddress, Listener, Manager, Site, TelemetryPath, Traffic,
};
use ebpf_wasm_exporter::signals::{self, Noted};
use ebpf_wasm_exporter::startup::report::{self, counted};
use ebpf_wasm_exporter::startup::{self, Checked, Places};
use ebpf_wasm_exporter::system::System;
use ebpf_wasm_exporter::telemetry;
use ebpf_wasm_exporter::tools::{self, ToolError};
use tracing::{info, warn};

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(answer) => return answered(&answer),
    };
    // A process of its own, which is to have nothing that the exporter has.
    if let Some(Command::CompilePlugin(order)) = &flags.command {
        return order.obey();
    }
    logging::start(log_options(&flags));
    descriptors::raise();
    // A panic has been told of when it comes here.
    let result = catch_unwind(AssertUnwindSafe(|| act(flags)));
    let exit = match result.unwrap_or(Err(Failure { exit: Exit::Unexpected, error: None })) {
        Ok(()) => Exit::Done,
        Err(Failure { exit, error }) => {
            if let Some(error) = error {
                let say = |text: &str| logging::say(logging::Severity::ERROR, "error: ", text);
                say(&format!("{error:#}"));
                descriptors::explain_error(error.as_ref()).iter().for_each(|advice| say(advice));
            }
            exit
        }
    };
    logging::finish();
    exit.into()
}

fn act(flags: Flags) -> Result<(), Failure> {
    signals::outlive_full_files().map_err(|error| fail(Exit::Unexpected, error))?;
    match &flags.command {
        Some(Command::Plugin { tool }) => tool_of(tool),
        Some(Command::Config { tool }) => print(&tools::manual::of_configs(*tool)),
        Some(Command::Docs { page }) => {
            let text = tools::manual::page(page).map_err(|error| fail(Exit::Usage, error))?;
            print(&text)
        }
        Some(Command::Healthcheck { address }) => {
            tools::health(address).map_err(|error| fail(Exit::Unexpected, error))
        }
        // Obeyed before anything else was begun.
        Some(Command::CompilePlugin(_)) => Ok(()),
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
    let mut settings = Settings::of(flags)?;
    info!("{}", report::announcement());
    let system = System::default();
    let checked = settings.check(&system)?;
    noted.tell();
    let listener = settings.listen()?;
    settings.settle_maps(&listener);
    let Started { running, .. } = settings.start(checked)?;
    running.iter().for_each(|config| info!("{}", report::line(config)));
    noted.tell();
    let status = format!("serving {}", counted(running.len(), "config"));
    let scraper = Scraper::new(running, settings.reading);
    let traffic = Traffic::default();
    let scraper = scraper
        .map_err(|error| fail(Exit::Load, error))?
        .telling(traffic.clone())
        .with_plugin_budget(settings.plugin_budget);
    // The last that needs privileges: a list of symbols shows its addresses only to who has them,
    // and no socket can be had without.
    system.prepare();
    let manager = Manager::connect();
    let readable = [system.readable(), telemetry::prepare()].concat();
    let given_up = settings.privileges.give_up(&readable);
    let given_up = given_up.map_err(|error| fail(Exit::Unexpected, error))?;
    // A thread keeps the privileges that it is started with.
    logging::leave_to_thread();
    given_up.tell();
    let took = report::spent(began.elapsed());
    info!("{status} after {took} at {}", listener.place(settings.site.telemetry_path.as_str()));
    let door = Door { listener, limits: settings.limits, traffic };
    serve::run(door, &settings.site, scraper, &manager.with(&status), &noted)
        .map_err(|error| fail(Exit::from(&error), error))
}

/// `--config.check`: as [`run`], up to where it would serve.
fn check(flags: Flags) -> Result<(), Failure> {
    let settings = Settings::of(flags)?;
    let system = System::default();
    let checked = settings.check(&system)?;
    if privileges::can_load() {
        let Started { running, left_out } = settings.start(checked)?;
        print(&format!("{}\n", report::verdict(&running, &left_out)))
    } else {
        print("ok, as far as can be told without CAP_BPF: nothing was loaded into the kernel\n")
    }
}

/// Prints a result. That nobody can have it is for the exit code to say.
fn print(text: &str) -> Result<(), Failure> {
    output::print(text).map_err(|_| Failure { exit: Exit::Unexpected, error: None })
}

/// `plugin …`.
fn tool_of(tool: &Tool) -> Result<(), Failure> {
    let exit = |error: &ToolError| match error {
        ToolError::Settings(_) | ToolError::Usage(_) => Exit::Usage,
        ToolError::Plugin { .. } | ToolError::Contract { .. } => Exit::Config,
    };
    let result = tools::run(tool, &Compiler::default());
    let text = result.as_ref().map_or_else(ToolError::report, String::as_str);
    let printed = print(text);
    result.map_err(|error| fail(exit(&error), error)).and(printed)
}

/// The flags, each as what it means.
struct Settings {
    selection: Selection,
    address: ListenAddress,
    limits: Limits,
    site: Site,
    privileges: Privileges,
    reading: Reading,
    cache: Option<CacheDir>,
    plugin_budget: Duration,
    flags: Flags,
}

impl Settings {
    fn of(flags: Flags) -> Result<Self, Failure> {
        Self::parse(flags).map_err(|error| fail(Exit::Usage, error))
    }

    fn parse(flags: Flags) -> anyhow::Result<Self> {
        let built_in: Vec<_> = startup::DEFAULT_SET.iter().map(|config| config.name).collect();
        flags.btf_path.as_deref().map_or(Ok(()), bpf::check_types)?;
        let maps = Maps::of(&flags);
        let (dir, names) = (flags.config_dir.clone(), flags.config_names.clone());
        Ok(Self {
            selection: Selection::new(dir, names, &built_in)?,
            address: flags.web_listen_address.parse()?,
            limits: Limits::with_unsent(&flags.web_max_unsent)?.within(descriptors::limit()),
            site: Site {
                telemetry_path: TelemetryPath::parse(&flags.web_telemetry_path)?,
                maps: maps != Maps::No,
                openmetrics: flags.web_enable_openmetrics,
            }
            .checked()?,
            privileges: Privileges {
                keep: Keep::parse(&flags.capabilities_keep)?,
                user: flags.user.as_deref().map(str::parse).transpose()?,
                sandbox: Sandbox {
                    no_new_privs: !flags.no_sandbox_no_new_privs,
                    seccomp: !flags.no_sandbox_seccomp,
                    landlock: !flags.no_sandbox_landlock,
                },
            },
            reading: flags.maps_read.parse()?,
            cache: CacheDir::chosen(
                flags.plugins_cache_dir.as_deref(),
                env::var_os("CACHE_DIRECTORY").as_deref(),
            ),
            plugin_budget: config::plugin_budget(&flags.plugins_scrape_budget)
                .map_err(anyhow::Error::msg)?,
            flags,
        })
    }

    fn listen(&self) -> Result<Listener, Failure> {
        self.address.listen().map_err(|error| fail(Exit::Listen, error))
    }

    /// Decides whether there is `/maps`, now that it is known who could see it.
    fn settle_maps(&mut self, listener: &Listener) {
        if Maps::of(&self.flags) == Maps::ToThisHost && !listener.is_local() {
            self.site.maps = false;
            info!(
                "left out /maps: --debug serves it only where this host alone can connect; \
                 --web.enable-maps serves it here too"
            );
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Checked>, Failure> {
        let of = |symbols: &[&str]| system.kallsyms().addresses_of(symbols);
        let addresses = privileges::can_load().then_some(&of as Addresses<'_>);
        let (checked, faults) = startup::check(&self.selection, self.places(), system, addresses);
        self.report(&faults)?;
        Ok(checked)
    }

    fn places(&self) -> Places<'_> {
        let Flags { btf_path, plugins_dir, .. } = &self.flags;
        let (btf, plugins) = (btf_path.as_deref(), plugins_dir.as_deref());
        Places { btf, plugins, cache: self.cache.as_ref(), compiler: Compiler::default() }
    }

    /// Says every fault, and fails if any of them is fatal.
    fn report(&self, faults: &[Fault]) -> Result<(), Failure> {
        for fault in faults {
            let severity = match fault.severity {
                Severity::Error => logging::Severity::ERROR,
                Severity::Warning => logging::Severity::WARN,
            };
            logging::say(severity, "", &fault.to_string());
        }
        let fatal = |fault: &&Fault| fault.severity == Severity::Error || self.flags.config_strict;
        match faults.iter().filter(fatal).map(|fault| fault.count as usize).sum() {
            0 => Ok(()),
            n => {
                let faults = counted(n, "fault");
                Err(fail(Exit::Config, anyhow!("{faults} in the configs; nothing was loaded")))
            }
        }
    }

    fn start(&self, checked: Vec<Checked>) -> Result<Started, Failure> {
        let (mut running, mut refused, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        // Nobody chose the default set for this very kernel.
        let built_in = !matches!(self.selection, Selection::Directory { .. });
        let may_skip = built_in && !self.flags.config_strict;
        for result in startup::start(checked) {
            match result {
                Ok(config) => running.push(config),
                Err(error) if may_skip => {
                    warn!("{error}; skipped");
                    left_out.push(error.name);
                }
                Err(error) => refused.push(error),
            }
        }
        if let Some(last) = refused.pop() {
            for error in &refused {
                logging::say(logging::Severity::ERROR, "error: ", &error.to_string());
            }
            return Err(fail(Exit::Load, last));
        }
        if running.is_empty() {
            let error = anyhow!("no config of the default set loads; each has a line above");
            return Err(fail(Exit::Load, error));
        }
        if let Some(programs) = report::unattached(&running)
            && self.flags.config_strict
        {
            let error = anyhow!("{programs}; each has a line above");
            return Err(fail(Exit::Attach, error));
        }
        Ok(Started { running, left_out })
    }
}

/// Whether there is `/maps`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Maps {
    No,
    /// If nobody else can connect.
    ToThisHost,
    Yes,
}

impl Maps {
    fn of(flags: &Flags) -> Self {
        match flags.web_enable_maps {
            true => Self::Yes,
            false if flags.debug && !flags.refuses_maps() => Self::ToThisHost,
            false => Self::No,
        }
    }
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
    error: Option<anyhow::Error>,
}

fn fail(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
    Failure { exit, error: Some(error.into()) }
}

//! `ebpf_wasm_exporter`: flags → configs → load, attach → drop privileges → serve → drain.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::Parser;
use ebpf_wasm_exporter::bpf::read::Reading;
use ebpf_wasm_exporter::bpf::{self, Addresses};
use ebpf_wasm_exporter::cli::{Command, Exit, Flags, Selection, Tool};
use ebpf_wasm_exporter::config::{self, Fault, Severity};
use ebpf_wasm_exporter::descriptors;
use ebpf_wasm_exporter::logging;
use ebpf_wasm_exporter::plugin::CacheDir;
use ebpf_wasm_exporter::privileges::{self, Keep, Privileges, Sandbox};
use ebpf_wasm_exporter::scrape::{Running, Scraper};
use ebpf_wasm_exporter::serve::{
    self, Door, Limits, ListenAddress, Listener, Manager, Site, TelemetryPath, Traffic,
};
use ebpf_wasm_exporter::startup::{self, Checked, Places};
use ebpf_wasm_exporter::system::System;
use ebpf_wasm_exporter::telemetry;
use ebpf_wasm_exporter::tools::{self, ToolError};
use tracing::{info, warn};

fn main() -> ExitCode {
    let flags = Flags::parse();
    logging::start(logging::Options { debug: flags.debug, timestamps: !flags.log_no_timestamps });
    descriptors::raise();
    let result = match &flags.command {
        Some(Command::Plugin { tool }) => tool_of(tool),
        Some(Command::Healthcheck { address }) => {
            tools::health(address).map_err(|error| fail(Exit::Unexpected, error))
        }
        None if flags.config_check => check(flags),
        None => run(flags),
    };
    match result {
        Ok(()) => Exit::Done.into(),
        Err(Failure { exit, error }) => {
            eprintln!("error: {error:#}");
            if let Some(advice) = descriptors::explain_error(error.as_ref()) {
                eprintln!("error: {advice}");
            }
            exit.into()
        }
    }
}

fn run(flags: Flags) -> Result<(), Failure> {
    let settings = Settings::of(flags)?;
    let system = System::default();
    let checked = settings.check(&system)?;
    let listener = settings.listen()?;
    let running = settings.start(checked)?;
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
    given_up.map_err(|error| fail(Exit::Unexpected, error))?.tell();
    info!("{status} at {}", listener.place(settings.site.telemetry_path.as_str()));
    let door = Door { listener, limits: settings.limits, traffic };
    serve::run(door, &settings.site, scraper, &manager.with(&status))
        .map_err(|error| fail(Exit::Unexpected, error))
}

/// `--config.check`: as [`run`], up to where it would serve.
fn check(flags: Flags) -> Result<(), Failure> {
    let settings = Settings::of(flags)?;
    let system = System::default();
    let checked = settings.check(&system)?;
    if privileges::can_load() {
        settings.start(checked)?;
        println!("ok");
    } else {
        println!("ok, as far as can be told without CAP_BPF: nothing was loaded into the kernel");
    }
    Ok(())
}

/// `plugin …`.
fn tool_of(tool: &Tool) -> Result<(), Failure> {
    let exit = |error: &ToolError| match error {
        ToolError::Settings(_) | ToolError::Usage(_) => Exit::Usage,
        ToolError::Plugin { .. } | ToolError::Contract { .. } => Exit::Config,
    };
    let result = tools::run(tool);
    let text = result.as_ref().map_or_else(ToolError::report, String::as_str);
    print!("{text}");
    result.map(|_| ()).map_err(|error| fail(exit(&error), error))
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
        Self::parse(flags).map_err(|error| Failure { exit: Exit::Usage, error })
    }

    fn parse(flags: Flags) -> anyhow::Result<Self> {
        let built_in: Vec<_> = startup::DEFAULT_SET.iter().map(|config| config.name).collect();
        flags.btf_path.as_deref().map_or(Ok(()), bpf::check_types)?;
        let (dir, names) = (flags.config_dir.clone(), flags.config_names.clone());
        Ok(Self {
            selection: Selection::new(dir, names, &built_in)?,
            address: flags.web_listen_address.parse()?,
            limits: Limits::with_unsent(&flags.web_max_unsent)?.within(descriptors::limit()),
            site: Site {
                telemetry_path: TelemetryPath::parse(&flags.web_telemetry_path)?,
                maps: flags.debug,
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

    fn check(&self, system: &System) -> Result<Vec<Checked>, Failure> {
        let address = |symbol: &str| system.kallsyms().address_of(symbol);
        let addresses = privileges::can_load().then_some(&address as Addresses<'_>);
        let (checked, faults) = startup::check(&self.selection, self.places(), system, addresses);
        self.report(&faults)?;
        Ok(checked)
    }

    fn places(&self) -> Places<'_> {
        let Flags { btf_path, plugins_dir, .. } = &self.flags;
        let (btf, plugins) = (btf_path.as_deref(), plugins_dir.as_deref());
        Places { btf, plugins, cache: self.cache.as_ref() }
    }

    /// Says every fault, and fails if any of them is fatal.
    fn report(&self, faults: &[Fault]) -> Result<(), Failure> {
        for fault in faults {
            eprintln!("{fault}");
        }
        let fatal = |fault: &&Fault| fault.severity == Severity::Error || self.flags.config_strict;
        match faults.iter().filter(fatal).count() {
            0 => Ok(()),
            n => Err(Failure {
                exit: Exit::Config,
                error: anyhow!("{} in the configs; nothing was loaded", counted(n, "fault")),
            }),
        }
    }

    fn start(&self, checked: Vec<Checked>) -> Result<Vec<Running>, Failure> {
        let (mut running, mut refused) = (Vec::new(), Vec::new());
        // Nobody chose the default set for this very kernel.
        let built_in = !matches!(self.selection, Selection::Directory { .. });
        let may_skip = built_in && !self.flags.config_strict;
        for result in startup::start(checked) {
            match result {
                Ok(config) => running.push(config),
                Err(error) if may_skip => warn!("{error}; skipped"),
                Err(error) => refused.push(error),
            }
        }
        if let Some(last) = refused.pop() {
            refused.iter().for_each(|error| eprintln!("error: {error}"));
            return Err(fail(Exit::Load, last));
        }
        if running.is_empty() {
            let error = anyhow!("no config of the default set loads; each has a line above");
            return Err(Failure { exit: Exit::Load, error });
        }
        let failures = running.iter().map(|config| config.attached.failures().len()).sum();
        if failures > 0 && self.flags.config_strict {
            let programs = counted(failures, "program");
            return Err(Failure {
                exit: Exit::Attach,
                error: anyhow!("{programs} did not attach; each has a line above"),
            });
        }
        Ok(running)
    }
}

/// Why the process ends, and the exit code that says so.
struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

fn fail(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
    Failure { exit, error: error.into() }
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

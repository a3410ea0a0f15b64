//! From units to the end of the process: hires workers, gives up privileges, serves, and drains.
//!
//! Nothing here takes privileges, but for one step right before they are given up.

use std::sync::{Arc, OnceLock, mpsc};
use std::time::Instant;

use ebpf_wasm_exporter::bpf::stats::{self, Measuring};
use ebpf_wasm_exporter::bpf::{self, PinDir};
use ebpf_wasm_exporter::cli::Exit;
use ebpf_wasm_exporter::logging;
use ebpf_wasm_exporter::otlp;
use ebpf_wasm_exporter::plugin::{Gauge, Loader};
use ebpf_wasm_exporter::privileges::{Needs, Readable};
use ebpf_wasm_exporter::process;
use ebpf_wasm_exporter::push::Pusher;
use ebpf_wasm_exporter::reload::{ConfigReloader, Standing};
use ebpf_wasm_exporter::scrape::{Scraper, Unit};
use ebpf_wasm_exporter::serve::{
    self, Door, Listener, Manager, RELOADER, Reloaded, Reloads, Scrapes, Site, Traffic, Web,
};
use ebpf_wasm_exporter::settings::Settings;
use ebpf_wasm_exporter::signals::Noted;
use ebpf_wasm_exporter::spans::Spans;
use ebpf_wasm_exporter::startup::{self, report};
use ebpf_wasm_exporter::surveyor::HostWide;
use ebpf_wasm_exporter::system::System;
use ebpf_wasm_exporter::workers::{self, HireError, Hired};
use tracing::info;

use crate::failure::{Failure, fail};
use crate::faulty_web;

/// All that is needed to serve, but for what is served.
pub(crate) struct Serving<'a> {
    pub(crate) settings: Arc<Settings>,
    pub(crate) system: &'a System,
    /// None if there are none.
    pub(crate) spans: Option<Spans>,
    /// As well.
    pub(crate) push: Option<Pusher>,
    pub(crate) measuring: Option<Measuring>,
    pub(crate) host: HostWide,
    /// None if configs are not read again.
    pub(crate) reloading: Option<Reloading>,
    pub(crate) listeners: Vec<Listener>,
    /// None if everybody is let in, without TLS.
    pub(crate) web: Option<Web>,
    pub(crate) noted: &'a Noted,
}

/// What was made at the start and is needed to read configs again.
pub(crate) struct Reloading {
    pub(crate) loader: Loader,
    pub(crate) standing: Vec<Standing>,
    /// Where configs stay in the kernel, if anywhere.
    pub(crate) pins: Option<Arc<PinDir>>,
}

impl<'a> Serving<'a> {
    /// What is needed at the least: no spans, pushes, measuring or reloads.
    pub(crate) fn new(
        settings: Arc<Settings>,
        system: &'a System,
        listeners: Vec<Listener>,
        web: Option<Web>,
        noted: &'a Noted,
    ) -> Self {
        let (spans, push, measuring, host, reloading) =
            (None, None, None, HostWide::default(), None);
        Self { settings, system, spans, push, measuring, host, reloading, listeners, web, noted }
    }

    /// Gives up privileges with all workers, and serves these units until a signal comes. The start
    /// began at `began`.
    pub(crate) fn units(
        mut self,
        units: Vec<Unit>,
        status: &str,
        began: Instant,
    ) -> Result<(), Failure> {
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
        // The last step that takes privileges: only who has them sees the addresses of symbols, and gets a
        // socket.
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
        let mut tracing = None;
        if let Some(spans) = self.spans.take() {
            scraper = scraper.tracing(spans.stats());
            tracing = spans.hire(self.reloading.is_some(), hired)?;
        }
        let push = self.push.take();
        if let Some(push) = &push {
            scraper = scraper.pushing(push.stats());
        }
        let scraper = scraper.with_plugin_budget(self.settings.plugin_budget);
        let budget = scraper.budget();
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
            budget,
            kept,
            drains,
            data,
            tracing,
        };
        Ok((scrapes, Some(Reloads::hire(reloader, reloaded, hired)?)))
    }
}

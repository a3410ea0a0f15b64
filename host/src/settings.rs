//! The flags, each as what it means: all that was decided for the process, in one value.
//!
//! Never acts on it: `main` does.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::advice::Advice;
use crate::bpf::stats::How;
use crate::bundle::BundlePlace;
use crate::cli::{Flags, Selection};
use crate::config::{self, Fault, SeriesRules, Severity};
use crate::plugin::{CacheDir, Compiler, Loader};
use crate::privileges::{Keep, Privileges, Readable, Sandbox};
use crate::push::PushVariables;
use crate::serve::{ClientLimits, Listen, ListenAddress, Site, TelemetryPath};
use crate::source::Reading;
use crate::spans::Variables;
use crate::startup::{self, Places};
use crate::{bpf, descriptors};

/// What was decided.
#[derive(Debug)]
pub struct Settings {
    /// The configs.
    pub selection: Selection,
    /// Where to listen.
    pub listen: Listen,
    /// The file that says who is let in, and with what TLS.
    pub web_config: Option<PathBuf>,
    /// What clients may take.
    pub limits: ClientLimits,
    /// What is served.
    pub site: Site,
    /// What the process may still do once programs are attached.
    pub privileges: Privileges,
    /// How maps are read.
    pub reading: Reading,
    /// Whether the kernel is to tell of cgroups that come and go.
    pub fanotify: bool,
    /// How the kernel is to be made to measure what programs cost, if it is.
    pub stats: Option<How>,
    /// Whether all BPF programs and maps of the host are told.
    pub host_wide: bool,
    /// Where programs and maps stay when the exporter ends, if they are to.
    pub pin_dir: Option<PathBuf>,
    /// How long all plugins may run in a scrape.
    pub plugin_budget: Duration,
    /// Where spans go.
    pub tracing: Variables,
    /// Whether configs are read again when somebody asks for it.
    pub reload: bool,
    /// Where metrics are pushed to.
    pub pushing: PushVariables,
    /// Whether warnings, and programs that do not attach, are fatal.
    pub strict: bool,
    cache: Option<CacheDir>,
    btf: Option<PathBuf>,
    plugins: Option<PathBuf>,
    policy: Option<PathBuf>,
    rules: SeriesRules,
    maps: Maps,
}

impl Settings {
    /// What these flags mean.
    ///
    /// # Errors
    ///
    /// The first flag that means nothing, and what to write.
    pub fn parse(flags: &Flags) -> Result<Self, Advice> {
        let built_in: Vec<_> = startup::DEFAULT_SET.iter().map(|config| config.name).collect();
        let btf = flags.btf_path.clone().filter(|path| !path.as_os_str().is_empty());
        btf.as_deref().map_or(Ok(()), bpf::check_types)?;
        let maps = Maps::of(flags);
        let bundles = BundlePlace::all(&flags.config_bundles, flags.plugins_dir.as_deref())?;
        let (dir, names) = (flags.config_dir.clone(), flags.config_names.clone());
        Ok(Self {
            selection: Selection::new(dir, names, &built_in)?.with(bundles),
            listen: listen(flags)?,
            // An empty name is none, as in the toolkit.
            web_config: flags
                .web_config_file
                .clone()
                .filter(|file| !file.is_empty())
                .map(Into::into),
            limits: ClientLimits::with_unsent(&flags.web_max_unsent)?.within(descriptors::limit()),
            site: Site {
                telemetry_path: TelemetryPath::parse(&flags.web_telemetry_path)?,
                maps: maps != Maps::No,
                openmetrics: flags.web_enable_openmetrics,
                lifecycle: flags.web_enable_lifecycle,
                reloads: None,
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
            reading: flags.maps_read,
            fanotify: !flags.no_cgroup_fanotify,
            stats: flags.bpf_stats,
            host_wide: flags.bpf_host,
            pin_dir: flags.bpf_pin_dir.clone(),
            cache: CacheDir::chosen(
                flags.plugins_cache_dir.as_deref(),
                env::var_os("CACHE_DIRECTORY").as_deref(),
            ),
            plugin_budget: config::plugin_budget(&flags.plugins_scrape_budget)?,
            tracing: Variables::read(&|name| env::var(name).ok())?,
            reload: !flags.no_config_reload,
            pushing: PushVariables::read(&|name| env::var(name).ok())?,
            strict: flags.config_strict,
            btf,
            plugins: flags.plugins_dir.clone(),
            policy: flags.plugins_policy.clone(),
            rules: SeriesRules::parse(flags.metrics_max_series, &flags.metrics_label_drop)?,
            maps,
        })
    }

    /// Where to look for what configs name.
    pub fn places(&self) -> Places<'_> {
        Places {
            btf: self.btf.as_deref(),
            plugins: self.plugins.as_deref(),
            policy: self.policy.as_deref(),
            cache: self.cache.as_ref(),
            compiler: Compiler::default(),
            rules: Some(&self.rules),
            in_use: true,
        }
    }

    /// What loads plugins.
    pub fn loader(&self) -> Loader {
        Loader::new(Compiler::default(), self.cache.clone())
    }

    /// What is read when configs are read again: their directory, bundles, and where plugins are.
    pub fn read_again(&self) -> Vec<Readable> {
        let others = [&self.btf, &self.plugins, &self.policy].into_iter().flatten();
        let all = self.selection.places().into_iter().chain(others.map(|path| path.as_path()));
        // Files are replaced, so it is their directory that counts.
        let place = |path: &Path| match path.is_dir() {
            true => path.to_owned(),
            false => path
                .parent()
                .filter(|dir| *dir != Path::new(""))
                .unwrap_or(Path::new("."))
                .to_owned(),
        };
        all.map(|path| Readable::Content(place(path))).collect()
    }

    /// Decides whether there is `/maps`, now that it is known who can connect: this host alone if
    /// `local`. What to say if it is left out.
    pub fn settle_maps(&mut self, local: bool) -> Option<&'static str> {
        if self.maps != Maps::ToThisHost || local {
            return None;
        }
        self.site.maps = false;
        Some(
            "left out /maps: --debug serves it only where this host alone can connect; \
             --web.enable-maps serves it here too",
        )
    }

    /// Whether nothing is loaded because of a fault.
    pub fn is_fatal(&self, fault: &Fault) -> bool {
        fault.severity == Severity::Error || self.strict
    }

    /// Whether a config that does not load is left out: nobody chose the default set for this very kernel.
    pub fn may_skip(&self) -> bool {
        matches!(self.selection, Selection::DefaultSet | Selection::BuiltIn(_)) && !self.strict
    }
}

/// Where to listen.
fn listen(flags: &Flags) -> Result<Listen, Advice> {
    if flags.web_systemd_socket {
        return Ok(Listen::Passed);
    }
    let mut all: Vec<ListenAddress> = Vec::new();
    for text in &flags.web_listen_address {
        let address = text.parse()?;
        if all.contains(&address) {
            let problem = format!("--web.listen-address={text} comes twice");
            return Err(Advice::new(problem, "leave one of them out"));
        }
        all.push(address);
    }
    Ok(Listen::At(all))
}

/// Whether there is `/maps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn settings(flags: &[&str]) -> Settings {
        let flags = Flags::try_parse_from([&["ebpf_wasm_exporter"], flags].concat()).unwrap();
        Settings::parse(&flags).unwrap()
    }

    #[test]
    fn maps_are_served_to_whom_the_flags_say() {
        for (flags, to_this_host, to_all) in [
            (&[][..], false, false),
            (&["--debug"], true, false),
            (&["--web.enable-maps"], true, true),
            (&["--debug", "--web.enable-maps"], true, true),
            (&["--debug", "--no-web.enable-maps"], false, false),
        ] {
            for (local, served) in [(true, to_this_host), (false, to_all)] {
                let mut settings = settings(flags);
                let told = settings.settle_maps(local).is_some();
                assert_eq!(settings.site.maps, served, "{flags:?}, local: {local}");
                assert_eq!(told, to_this_host && !served, "{flags:?}, local: {local}");
            }
        }
    }

    #[test]
    fn only_the_default_set_may_be_incomplete() {
        assert!(settings(&[]).may_skip());
        assert!(!settings(&["--config.strict"]).may_skip());
        let chosen = ["--config.dir=/etc/x", "--config.names=a"];
        assert!(!settings(&chosen).may_skip());
    }

    #[test]
    fn a_warning_is_fatal_when_strict() {
        let fault = |severity| {
            let (file, path) = ("x.yaml".into(), String::new());
            Fault { severity, file, line: None, path, advice: Advice::plain(""), count: 1 }
        };
        let (lenient, strict) = (settings(&[]), settings(&["--config.strict"]));
        assert!(
            lenient.is_fatal(&fault(Severity::Error))
                && !lenient.is_fatal(&fault(Severity::Warning))
        );
        assert!(strict.is_fatal(&fault(Severity::Warning)));
    }

    #[test]
    fn cgroups_are_watched_unless_told_not_to() {
        for (flags, watched) in [
            (&[][..], true),
            (&["--no-cgroup.fanotify"], false),
            (&["--no-cgroup.fanotify", "--cgroup.fanotify"], true),
            (&["--cgroup.fanotify", "--no-cgroup.fanotify"], false),
        ] {
            assert_eq!(settings(flags).fanotify, watched, "{flags:?}");
        }
    }

    #[test]
    fn it_listens_where_it_is_told() {
        let at =
            |texts: &[&str]| Listen::At(texts.iter().map(|text| text.parse().unwrap()).collect());
        assert_eq!(settings(&[]).listen, at(&[":9435"]));
        let two = ["--web.listen-address=:1", "--web.listen-address=unix:s"];
        assert_eq!(settings(&two).listen, at(&[":1", "unix:s"]));
        assert_eq!(settings(&["--web.systemd-socket"]).listen, Listen::Passed);
        let off = ["--web.systemd-socket", "--no-web.systemd-socket"];
        assert_eq!(settings(&off).listen, at(&[":9435"]));
        let twice = ["ebpf_wasm_exporter", "--web.listen-address=:1", "--web.listen-address=:1"];
        let twice = Settings::parse(&Flags::try_parse_from(twice).unwrap()).unwrap_err();
        insta::assert_snapshot!(twice, @"--web.listen-address=:1 comes twice; leave one of them out");
    }

    /// A unit may pass the value of a variable that is not set.
    #[test]
    fn what_is_empty_is_not_given() {
        assert_eq!(settings(&["--btf.path="]).btf, None);
        assert_eq!(settings(&["--web.config.file="]).web_config, None);
    }

    #[test]
    fn what_means_nothing_is_said() {
        let said = |flag: &str| {
            let flags = Flags::try_parse_from(["ebpf_wasm_exporter", flag]).unwrap();
            Settings::parse(&flags).unwrap_err().to_string()
        };
        insta::assert_snapshot!(said("--plugins.scrape-budget=1"), @"--plugins.scrape-budget=1 is no time for the plugins of a scrape; write one from 100ms to 60s");
    }
}

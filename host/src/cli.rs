//! The command line, as it was typed.
//!
//! Nothing is decided here: what a text means is settled by the type that it becomes
//! ([`Selection`], [`crate::serve::ListenAddress`], [`crate::privileges::Keep`]).

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};

use crate::bpf::stats;
use crate::serve::ServeError;
use crate::source::Reading;
use crate::{logging, version};

mod bundle;
mod new;
mod plugin;
mod pods;
mod registry;
mod selection;
mod tool;

pub use bundle::{BundleTool, Pack};
pub use new::{Language, New, Shape};
pub use plugin::{Compile, LimitFlags, Subject, Tool};
pub use pods::Pods;
pub use registry::{Fetch, Outdated, Push, RegistryFlags, Update};
pub use selection::{Configs, Selection, SelectionError, names_in};
pub use tool::{
    Command, ConfigTool, DocsPage, Healthcheck, Record, Reference, Replay, Shell, SortBy, Top,
    Unpin,
};

/// The words of `--maps.read`.
fn readings() -> impl TypedValueParser<Value = Reading> {
    let words = PossibleValuesParser::new(Reading::ALL.map(Reading::as_str));
    words.map(|word| {
        let found = Reading::ALL.into_iter().find(|reading| reading.as_str() == word);
        found.unwrap_or_default()
    })
}

/// What stands below the flags.
fn after() -> String {
    let codes = Exit::ALL.map(|exit| format!("\n  {}  {}", exit as u8, exit.means()));
    format!("Exit codes:{}\n\n{ENVIRONMENT}", codes.concat())
}

const ENVIRONMENT: &str =
    "RUST_LOG, if set, chooses what is logged instead of --log.level: RUST_LOG=warn, for example.";

/// Serves what eBPF programs count in the kernel as Prometheus metrics.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(
    // `--version` joins the name and the version with a space; Prometheus style wants a comma.
    display_name = "ebpf_wasm_exporter,",
    version = version::LONG,
    after_help = after(),
    help_template = "{about}\n\n{usage-heading} {usage}\n\n{all-args}{after-help}",
    next_line_help = false,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Flags {
    /// Directory of NAME.yaml and NAME.bpf.o; without it, a default set is served
    #[arg(long = "config.dir", value_name = "DIR", help_heading = CONFIGS)]
    pub config_dir: Option<PathBuf>,

    // What took one file with code and all in 1.x: a person is told what takes its place.
    #[arg(
        long = "config.file", value_name = "FILE", hide = true, num_args = 0..=1,
        default_missing_value = "", value_parser = selection::older_file
    )]
    config_file: Option<PathBuf>,

    /// Configs to serve, by name, comma separated
    #[arg(long = "config.names", value_name = "NAMES", value_delimiter = ',', help_heading = CONFIGS)]
    pub config_names: Vec<String>,

    /// A bundle to serve, as a file or oci:REFERENCE@sha256:HEX of one in --plugins.dir; may be given again
    #[arg(long = "config.bundle", value_name = "BUNDLE", help_heading = CONFIGS)]
    pub config_bundles: Vec<String>,

    /// Load and attach, say what is wrong or "ok", and exit
    #[arg(long = "config.check", overrides_with = "no_config_check", help_heading = CONFIGS)]
    pub config_check: bool,

    /// Take a program that does not attach, or a warning about a config, as fatal
    #[arg(long = "config.strict", overrides_with = "no_config_strict", help_heading = CONFIGS)]
    pub config_strict: bool,

    /// Do not read configs again on SIGHUP: no thread keeps the files and system calls for it
    #[arg(long = "no-config.reload", overrides_with = "config_reload", help_heading = CONFIGS)]
    pub no_config_reload: bool,

    /// Accepted for compatibility, without effect: dropped rows need no cache here
    #[arg(
        long = "config.skip-cache-size", value_name = "N", default_value_t = 0,
        hide_default_value = true, help_heading = CONFIGS
    )]
    pub config_skip_cache_size: i64,

    /// Directory of plugins, for those that are not beside their config
    #[arg(long = "plugins.dir", value_name = "DIR", help_heading = CONFIGS)]
    pub plugins_dir: Option<PathBuf>,

    /// File that says who has to have signed plugins; without it, nobody
    #[arg(long = "plugins.policy", value_name = "FILE", help_heading = CONFIGS)]
    pub plugins_policy: Option<PathBuf>,

    /// Directory to keep compiled plugins in, for a faster start; empty for none; default:
    /// $CACHE_DIRECTORY
    #[arg(long = "plugins.cache-dir", value_name = "DIR", help_heading = CONFIGS)]
    pub plugins_cache_dir: Option<OsString>,

    /// How long all plugins together may run in a scrape
    #[arg(
        long = "plugins.scrape-budget", value_name = "TIME", default_value = "2s",
        help_heading = CONFIGS
    )]
    pub plugins_scrape_budget: String,

    /// How many series a metric may have, beside one for all others; 0 for any number
    #[arg(
        long = "metrics.max-series", value_name = "N", default_value_t = 0,
        hide_default_value = true, help_heading = CONFIGS
    )]
    pub metrics_max_series: u32,

    /// A label to leave out of a metric's series, which are summed: CONFIG/METRIC/LABEL; may be given again
    #[arg(long = "metrics.label-drop", value_name = "LABEL", help_heading = CONFIGS)]
    pub metrics_label_drop: Vec<String>,

    /// Where to listen: HOST:PORT, :PORT for all, unix:PATH, vsock://:PORT, or fd://0 for a socket from
    /// systemd, TCP or UNIX; may be given again
    #[arg(
        long = "web.listen-address", value_name = "ADDRESS", default_value = ":9435",
        help_heading = WEB
    )]
    pub web_listen_address: Vec<String>,

    /// Listen at all sockets that systemd passes, and nowhere else
    #[arg(
        long = "web.systemd-socket", overrides_with = "no_web_systemd_socket", help_heading = WEB
    )]
    pub web_systemd_socket: bool,

    /// File with certificates, users and headers, as exporters of Prometheus have it; without it, plain
    /// HTTP for all
    #[arg(long = "web.config.file", value_name = "FILE", help_heading = WEB)]
    pub web_config_file: Option<OsString>,

    /// Path of the metrics
    #[arg(
        long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics",
        help_heading = WEB
    )]
    pub web_telemetry_path: String,

    /// Serve OpenMetrics to those who ask for it; counters without _total get it then
    #[arg(
        long = "web.enable-openmetrics", overrides_with = "no_web_enable_openmetrics",
        help_heading = WEB
    )]
    pub web_enable_openmetrics: bool,

    /// Bytes of answers that clients have not taken yet; beyond, the slowest client is cut off
    #[arg(
        long = "web.max-unsent", value_name = "SIZE", default_value = "64MiB",
        help_heading = WEB
    )]
    pub web_max_unsent: String,

    /// Serve /maps, all that the maps hold, to whoever can connect
    #[arg(
        long = "web.enable-maps", overrides_with = "no_web_enable_maps", help_heading = WEB
    )]
    pub web_enable_maps: bool,

    /// Reload configs on POST and PUT of /-/reload, for whoever can connect
    #[arg(
        long = "web.enable-lifecycle", overrides_with = "no_web_enable_lifecycle",
        help_heading = WEB
    )]
    pub web_enable_lifecycle: bool,

    /// Capabilities to keep once attached: all, none, or a list such as cap_bpf,cap_syslog
    #[arg(
        long = "capabilities.keep", value_name = "CAPS", default_value = "all",
        overrides_with = "capabilities_keep",
        help_heading = PRIVILEGES
    )]
    pub capabilities_keep: String,

    /// User to become once attached: NAME, UID, NAME:GROUP or UID:GID
    #[arg(long = "user", value_name = "USER", overrides_with = "user", help_heading = PRIVILEGES)]
    pub user: Option<String>,

    /// Go without no_new_privs, and without the two below, which need it
    #[arg(
        long = "no-sandbox.no-new-privs", overrides_with = "sandbox_no_new_privs",
        help_heading = PRIVILEGES
    )]
    pub no_sandbox_no_new_privs: bool,

    /// Do not refuse system calls that serving does not need
    #[arg(
        long = "no-sandbox.seccomp", overrides_with = "sandbox_seccomp", help_heading = PRIVILEGES
    )]
    pub no_sandbox_seccomp: bool,

    /// Do not refuse files that serving does not read
    #[arg(
        long = "no-sandbox.landlock", overrides_with = "sandbox_landlock",
        help_heading = PRIVILEGES
    )]
    pub no_sandbox_landlock: bool,

    /// Do not have the kernel tell of cgroups that come and go: look for them when they are asked for
    #[arg(
        long = "no-cgroup.fanotify", overrides_with = "cgroup_fanotify", help_heading = KERNEL
    )]
    pub no_cgroup_fanotify: bool,

    /// File with the kernel's BTF, instead of /sys/kernel/btf/vmlinux
    #[arg(
        long = "btf.path", value_name = "FILE", value_parser = OsStringValueParser::new().map(PathBuf::from),
        help_heading = KERNEL
    )]
    pub btf_path: Option<PathBuf>,

    /// Have the kernel measure what BPF programs cost, while the exporter runs: by fd, or by sysctl
    #[arg(
        long = "bpf.stats", value_name = "HOW", value_enum, num_args = 0..=1, require_equals = true,
        default_missing_value = "fd", hide_possible_values = true, overrides_with = "no_bpf_stats",
        help_heading = KERNEL
    )]
    pub bpf_stats: Option<stats::How>,

    /// Tell of all BPF programs and maps of this host, not of the exporter's alone
    #[arg(long = "bpf.host", overrides_with = "no_bpf_host", help_heading = KERNEL)]
    pub bpf_host: bool,

    /// Directory of a BPF file system where maps and programs stay when the exporter ends, for the next to go on
    /// with
    #[arg(long = "bpf.pin-dir", value_name = "DIR", help_heading = KERNEL)]
    pub bpf_pin_dir: Option<PathBuf>,

    /// How to read maps: auto, or all by copy, harvest, batch or keys, to compare them
    #[arg(
        long = "maps.read", value_name = "WAY", value_parser = readings(), default_value = "auto",
        hide_possible_values = true, help_heading = KERNEL
    )]
    pub maps_read: Reading,

    /// Least level to log: debug, info, warn or error; default: info, debug under --debug
    #[arg(
        long = "log.level", value_name = "LEVEL", value_enum, ignore_case = true,
        hide_possible_values = true, help_heading = LOG
    )]
    pub log_level: Option<logging::Level>,

    /// How to write the log: text, logfmt or json
    #[arg(
        long = "log.format", value_name = "FORMAT", value_enum, default_value = "text",
        hide_possible_values = true, help_heading = LOG
    )]
    pub log_format: logging::LogFormat,

    /// Log more, libbpf's own messages included, and serve /maps to this host alone
    #[arg(long, overrides_with = "no_debug", help_heading = LOG)]
    pub debug: bool,

    /// Leave out the time in the log
    #[arg(
        long = "log.no-timestamps", overrides_with = "no_log_no_timestamps", help_heading = LOG
    )]
    pub log_no_timestamps: bool,

    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    negations: Negations,
}

const CONFIGS: &str = "Configs";
const WEB: &str = "Web";
const KERNEL: &str = "Kernel";
const PRIVILEGES: &str = "Privileges";
const LOG: &str = "Log";

/// `--no-FLAG` for each switch, as the peer takes it, and `--FLAG` for each that is on unless it is
/// turned off: of the two, the one typed last counts.
/// These do nothing but override, so nobody reads them but [`Flags::refuses_maps`].
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
struct Negations {
    #[arg(long = "no-config.check", overrides_with = "config_check", hide = true)]
    no_config_check: bool,
    #[arg(long = "no-config.strict", overrides_with = "config_strict", hide = true)]
    no_config_strict: bool,
    #[arg(
        long = "no-web.enable-openmetrics",
        overrides_with = "web_enable_openmetrics",
        hide = true
    )]
    no_web_enable_openmetrics: bool,
    #[arg(long = "no-web.enable-maps", overrides_with = "web_enable_maps", hide = true)]
    no_web_enable_maps: bool,
    #[arg(long = "no-web.systemd-socket", overrides_with = "web_systemd_socket", hide = true)]
    no_web_systemd_socket: bool,
    #[arg(long = "no-web.enable-lifecycle", overrides_with = "web_enable_lifecycle", hide = true)]
    no_web_enable_lifecycle: bool,
    #[arg(long = "config.reload", overrides_with = "no_config_reload", hide = true)]
    config_reload: bool,
    #[arg(long = "no-bpf.stats", overrides_with = "bpf_stats", hide = true)]
    no_bpf_stats: bool,
    #[arg(long = "no-bpf.host", overrides_with = "bpf_host", hide = true)]
    no_bpf_host: bool,
    #[arg(long = "no-debug", overrides_with = "debug", hide = true)]
    no_debug: bool,
    #[arg(long = "no-log.no-timestamps", overrides_with = "log_no_timestamps", hide = true)]
    no_log_no_timestamps: bool,
    #[arg(long = "sandbox.no-new-privs", overrides_with = "no_sandbox_no_new_privs", hide = true)]
    sandbox_no_new_privs: bool,
    #[arg(long = "sandbox.seccomp", overrides_with = "no_sandbox_seccomp", hide = true)]
    sandbox_seccomp: bool,
    #[arg(long = "sandbox.landlock", overrides_with = "no_sandbox_landlock", hide = true)]
    sandbox_landlock: bool,
    #[arg(long = "cgroup.fanotify", overrides_with = "no_cgroup_fanotify", hide = true)]
    cgroup_fanotify: bool,
}

impl Flags {
    /// The flags of who typed none but these.
    ///
    /// # Errors
    ///
    /// Never: all have defaults.
    pub fn of(configs: &Configs) -> Result<Self, clap::Error> {
        let Configs { dir, names, plugins_dir, policy } = configs.clone();
        let flags = Self::try_parse_from([env!("CARGO_PKG_NAME")])?;
        Ok(Self {
            config_dir: dir,
            config_names: names,
            plugins_dir,
            plugins_policy: policy,
            ..flags
        })
    }

    /// Whether `--no-web.enable-maps` was typed, and last.
    pub fn refuses_maps(&self) -> bool {
        self.negations.no_web_enable_maps
    }
}

/// Why the process ends: the phase that failed, each with its own exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked to.
    Done = 0,
    /// Something that no other code names.
    Unexpected = 1,
    /// The command line.
    Usage = 2,
    /// A config, a plugin or a bundle.
    Config = 3,
    /// A BPF object does not load.
    Load = 4,
    /// A program does not attach, under `--config.strict`.
    Attach = 5,
    /// The address cannot be listened on.
    Listen = 6,
    /// The thread that scrapes has died.
    Scrape = 7,
}

impl Exit {
    /// All of them, by code.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::Config,
        Self::Load,
        Self::Attach,
        Self::Listen,
        Self::Scrape,
    ];

    /// What it says to who started the process: a line, no final period.
    pub fn means(self) -> &'static str {
        match self {
            Self::Done => "served until SIGINT or SIGTERM, or nothing wrong under --config.check",
            Self::Unexpected => "something unexpected",
            Self::Usage => "the command line",
            Self::Config => "a config, a plugin or a bundle",
            Self::Load => "a BPF object does not load",
            Self::Attach => "a program does not attach, under --config.strict",
            Self::Listen => "the address cannot be listened on",
            Self::Scrape => "the thread that scrapes has died: start it again",
        }
    }
}

impl From<&ServeError> for Exit {
    fn from(error: &ServeError) -> Self {
        match error {
            ServeError::Died => Self::Scrape,
            ServeError::System { .. } => Self::Unexpected,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests;

//! What a file of a bundle is for: its media type, how many of it there may be, and how large it may be. The
//! numbers, and nothing else.

/// What a file of a bundle is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The YAML.
    Config,
    /// The BPF object.
    Object,
    /// A component.
    Plugin,
    /// Which component each reference of the config means.
    Lock,
    /// Where a plugin is from: its manifest in a registry, and its signatures.
    Origin,
    /// A file that settings name.
    Setting,
    /// A dashboard for Grafana.
    Dashboard,
    /// What the maps held on some host.
    Recording,
    /// What the recording becomes.
    Exposition,
}

/// Files of a bundle.
pub(super) const MOST_FILES: usize = 100;
/// Bytes of all files of a bundle.
pub(super) const LARGEST_BUNDLE: u64 = 256 << 20;
/// Bytes of a tar: its files, and what says which they are.
pub(crate) const LARGEST_TAR: u64 = LARGEST_BUNDLE + (4 << 20);
/// Bytes of a manifest, and of the index that names it.
pub(super) const LARGEST_JSON: u64 = 1 << 20;
/// Bytes of a file's name.
pub(super) const LONGEST_NAME: usize = 255;
/// Bytes of a text of others that a message or a label has.
pub(super) const LONGEST_TEXT: usize = 128;

impl Part {
    /// All of them, in the order in which a bundle has them.
    pub const ALL: [Self; 9] = [
        Self::Config,
        Self::Object,
        Self::Plugin,
        Self::Lock,
        Self::Origin,
        Self::Setting,
        Self::Dashboard,
        Self::Recording,
        Self::Exposition,
    ];

    /// The type of its layer.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Config => "application/vnd.ebpf-wasm-exporter.config.v1+yaml",
            Self::Object => "application/vnd.ebpf-wasm-exporter.object.v1",
            Self::Plugin => "application/wasm",
            Self::Lock => "application/vnd.ebpf-wasm-exporter.lock.v1+json",
            Self::Origin => "application/vnd.ebpf-wasm-exporter.origin.v1+json",
            Self::Setting => "application/vnd.ebpf-wasm-exporter.setting.v1",
            Self::Dashboard => "application/vnd.ebpf-wasm-exporter.dashboard.v1+json",
            Self::Recording => "application/vnd.ebpf-wasm-exporter.recording.v1+zstd",
            Self::Exposition => "application/vnd.ebpf-wasm-exporter.exposition.v1",
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Object => "object",
            Self::Plugin => "plugin",
            Self::Lock => "lock",
            Self::Origin => "origin",
            Self::Setting => "setting",
            Self::Dashboard => "dashboard",
            Self::Recording => "recording",
            Self::Exposition => "exposition",
        }
    }

    pub(super) fn of(media_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.media_type() == media_type)
    }

    /// Whether a bundle has exactly one.
    pub(super) fn is_needed(self) -> bool {
        matches!(self, Self::Config | Self::Object | Self::Recording | Self::Exposition)
    }

    /// Whether a bundle may have several.
    pub(super) fn may_repeat(self) -> bool {
        matches!(self, Self::Plugin | Self::Origin | Self::Setting)
    }

    /// Whether what is served is made of it.
    pub(super) fn is_served(self) -> bool {
        matches!(self, Self::Object | Self::Plugin | Self::Lock | Self::Origin | Self::Setting)
    }

    /// Bytes of one.
    pub fn largest(self) -> u64 {
        match self {
            Self::Config | Self::Dashboard | Self::Setting => 16 << 20,
            Self::Lock | Self::Origin => 4 << 20,
            Self::Plugin | Self::Object => 64 << 20,
            Self::Recording | Self::Exposition => 128 << 20,
        }
    }
}

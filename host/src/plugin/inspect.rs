//! What a file is, from its bytes alone: nothing of it is compiled or run.

use std::fmt;

use componentize::Metadata;
use serde::{Deserialize, Serialize};
use wasmparser::{BinaryReaderError, ComponentExternalKind, Encoding, Parser, Payload};

use super::log::plain;
use crate::advice::Advise;
use crate::digest::Digest;

/// The newest version of the contract that this host knows.
pub const VERSION: &str = "0.1.0";
/// All that it knows. Each is one of [`super::versions::Version`] too.
pub(super) const VERSIONS: &[&str] = &[
    VERSION,
    #[cfg(test)]
    "0.0.1",
];
/// What the names of all interfaces of the contract begin with.
const PACKAGE: &str = "ebpf-exporter:plugin/";

/// What a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum World {
    /// A step in a label's chain.
    Decoder,
    /// A step after all decoders of a metric.
    Transform,
}

impl World {
    const ALL: [Self; 2] = [Self::Decoder, Self::Transform];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Decoder => "decoder",
            Self::Transform => "transform",
        }
    }

    /// The interface that its components export.
    fn interface(self) -> &'static str {
        match self {
            Self::Decoder => "decoding",
            Self::Transform => "transforming",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A component of the contract, as its file describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// What it is.
    pub world: World,
    /// The version of the contract that it was built for, one that this host knows.
    pub version: String,
    /// The interfaces that it imports.
    pub imports: Vec<Import>,
    /// What it exports.
    pub exports: Vec<String>,
    /// Bytes of the file.
    pub size: usize,
    /// Of the file.
    pub digest: Digest,
    /// Bytes of linear memory that an instance has at its start.
    pub memory: u64,
    /// What its author says of it. It is nobody else's word, and its texts are to be escaped wherever they
    /// are shown.
    pub metadata: Metadata,
    /// What of that is left out, as it cannot be: 16 lines at most.
    pub notes: Vec<String>,
}

impl Inspection {
    /// Whether it reads files of the host that a config names.
    pub fn reads_data(&self) -> bool {
        self.imports.iter().any(|import| is_data(&import.name))
    }
}

/// Faults of metadata that are told.
const MOST_NOTES: usize = 16;

/// Something that a component imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Its name, such as `wasi:cli/environment@0.2.0`.
    pub name: String,
    /// Whether the contract gives it. All others trap when they are called.
    pub given: bool,
}

/// Why a file is no plugin that this host knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum NoPlugin {
    /// Anything else, text included.
    #[error("found no WebAssembly, expected a component")]
    NoWasm,
    /// What compilers make before it is wrapped.
    #[error("found a core module, expected a component")]
    CoreModule,
    /// Cut short or forged.
    #[error("the component is damaged: {0}")]
    Damaged(String),
    /// A component of something else.
    #[error("found a component that exports {}, expected one that exports {}", listed(.0), wanted())]
    Foreign(Vec<String>),
    /// Both worlds in one.
    #[error("found a component that is a decoder and a transform, expected one of them")]
    Both,
    /// A plugin of another time.
    #[error("found a {world} for version {} of the contract, expected {VERSION}", shown(found))]
    Version {
        /// What it is.
        world: World,
        /// Its version.
        found: String,
    },
}

impl Advise for NoPlugin {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::NoWasm => "name a .wasm file that holds a component",
            Self::CoreModule => "make a component of it: `ebpf_wasm_exporter plugin componentize`",
            Self::Damaged(_) => "build or copy the file again",
            Self::Foreign(_) => "build it for a world of wit/0.1.0",
            Self::Both => "split it into two components",
            Self::Version { .. } => {
                "build it against the wit/ directory of this exporter, or use an exporter that knows \
                 that version"
            }
        };
        Some(remedy.to_owned())
    }
}

fn listed(names: &[String]) -> String {
    const MOST: usize = 4;
    let shown: Vec<_> = names.iter().take(MOST).map(|name| format!("`{}`", shown(name))).collect();
    match names.len() {
        0 => "nothing".to_owned(),
        more if more > MOST => format!("{} and {} others", shown.join(", "), more - MOST),
        _ => shown.join(", "),
    }
}

/// A name out of the file, as a message may show it.
fn shown(name: &str) -> String {
    const LONGEST: usize = 128;
    plain(name, LONGEST)
}

fn wanted() -> String {
    World::ALL.map(|world| format!("`{PACKAGE}{}@{VERSION}`", world.interface())).join(" or ")
}

/// The name of the interface that gives a plugin files of the host.
pub(super) fn data_interface() -> String {
    format!("{PACKAGE}data@{VERSION}")
}

/// Whether an import of this name is that interface.
pub fn is_data(import: &str) -> bool {
    import == data_interface()
}

/// Whether the contract gives what a component imports by this name.
pub(super) fn is_given(import: &str) -> bool {
    let mut given = VERSIONS.iter().copied().flat_map(componentize::given);
    given.any(|given| given == import)
}

/// Looks at the bytes of a file. Only a child does that: see [`crate::plugin::Compiler`].
///
/// # Errors
///
/// See [`NoPlugin`].
pub(super) fn inspect(bytes: &[u8]) -> Result<Inspection, NoPlugin> {
    if !bytes.starts_with(b"\0asm") {
        return Err(NoPlugin::NoWasm);
    }
    let found = Found::read(bytes)?;
    let (world, version) = found.world()?;
    if !VERSIONS.contains(&&*version) {
        return Err(NoPlugin::Version { world, found: version });
    }
    let import = |name: String| Import { given: is_given(&name), name };
    Ok(Inspection {
        world,
        version,
        imports: found.imports.into_iter().map(import).collect(),
        exports: found.exports,
        size: bytes.len(),
        digest: Digest::of(bytes),
        memory: found.memory,
        metadata: found.metadata,
        notes: found.notes,
    })
}

/// The names in a component.
#[derive(Default)]
struct Found {
    imports: Vec<String>,
    exports: Vec<String>,
    memory: u64,
    metadata: Metadata,
    notes: Vec<String>,
}

impl Found {
    fn read(bytes: &[u8]) -> Result<Self, NoPlugin> {
        let mut found = Self::default();
        // How many modules and components the reader is inside of.
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            found.take(payload.map_err(damaged)?, &mut depth)?;
        }
        Ok(found)
    }

    fn take(&mut self, payload: Payload<'_>, depth: &mut usize) -> Result<(), NoPlugin> {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if *depth == 0 => {
                return Err(NoPlugin::CoreModule);
            }
            Payload::Version { .. } => *depth += 1,
            Payload::End(_) => *depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if *depth == 1 => {
                for import in imports {
                    self.imports.push(import.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if *depth == 1 => {
                for export in exports {
                    let export = export.map_err(damaged)?;
                    if export.kind != ComponentExternalKind::Type {
                        self.exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::CustomSection(section) if *depth == 1 => {
                self.say(section.name(), section.data());
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory.map_err(damaged)?;
                    let page = 1 << memory.page_size_log2.unwrap_or(16).min(16);
                    self.memory = self.memory.saturating_add(memory.initial.saturating_mul(page));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes what a section says of the plugin. What cannot be said costs a note, as nothing needs it to run.
    fn say(&mut self, section: &str, content: &[u8]) {
        let Err(error) = self.metadata.read(section, content) else { return };
        let note = format!("{error}, and is left out");
        if self.notes.len() < MOST_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// World and version, from the exports' names.
    fn world(&self) -> Result<(World, String), NoPlugin> {
        let of = |world: World| {
            let prefix = format!("{PACKAGE}{}@", world.interface());
            let version = self.exports.iter().find_map(|name| name.strip_prefix(&prefix));
            version.map(|version| (world, version.to_owned()))
        };
        match World::ALL.map(of) {
            [Some(_), Some(_)] => Err(NoPlugin::Both),
            [Some(found), None] | [None, Some(found)] => Ok(found),
            [None, None] => Err(NoPlugin::Foreign(self.exports.clone())),
        }
    }
}

/// What the parser says of it, on one line.
pub(super) fn damaged(error: BinaryReaderError) -> NoPlugin {
    let text = plain(&error.message().replace('\n', ": "), 256);
    NoPlugin::Damaged(format!("{text} at byte {}", error.offset()))
}

#[cfg(test)]
mod tests;

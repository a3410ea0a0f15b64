//! Whether a component is a plugin: what it exports and imports, held against the contract.

use wit_component::DecodedWasm;
use wit_parser::{WorldItem, WorldKey};

use crate::error::{ComponentizeError, shown};

/// What every interface of the contract is called, in front of its own name.
const PACKAGE: &str = "ebpf-exporter:plugin/";
/// The interfaces that a plugin may import.
const GIVEN: [&str; 2] = ["data", "log"];

/// The full names of what this version of the contract gives plugins to import.
pub fn given(version: &str) -> impl Iterator<Item = String> {
    GIVEN.into_iter().map(move |interface| format!("{PACKAGE}{interface}@{version}"))
}

/// The interfaces of a plugin, by their full names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interfaces {
    /// The one that it exports.
    pub export: String,
    /// Those that it imports.
    pub imports: Vec<String>,
}

impl Interfaces {
    /// Those of a component that is a plugin.
    ///
    /// # Errors
    ///
    /// When it is none, or imports what the contract does not give.
    pub(crate) fn of(component: &[u8]) -> Result<Self, ComponentizeError> {
        let damaged = |problem: &str| ComponentizeError::Damaged(shown(problem));
        let decoded = wit_component::decode(component);
        let decoded = decoded.map_err(|error| damaged(&format!("{error:#}")))?;
        let DecodedWasm::Component(resolve, world) = decoded else {
            return Err(damaged("it holds a WIT package, and no code"));
        };
        let world = &resolve.worlds[world];
        let name = |(key, _): (&WorldKey, &WorldItem)| shown(&resolve.name_world_key(key));
        let exports: Vec<_> = world.exports.iter().map(name).collect();
        // What tools export for themselves, as that of QuickJS does, is never called.
        let plugins: Vec<_> = exports.iter().filter(|name| is_plugin(name)).collect();
        let export = match plugins.as_slice() {
            _ if exports.is_empty() => return Err(ComponentizeError::NoPlugin),
            [one] => (*one).clone(),
            _ => return Err(ComponentizeError::Exports(exports)),
        };
        let version = export.rsplit('@').next().unwrap_or_default();
        let given: Vec<_> = given(version).collect();
        let imports = world.imports.iter().map(name);
        match imports.partition::<Vec<_>, _>(|import| given.contains(import)) {
            (imports, foreign) if foreign.is_empty() => Ok(Self { export, imports }),
            (_, foreign) => Err(ComponentizeError::Imports { given, foreign }),
        }
    }
}

fn is_plugin(name: &str) -> bool {
    name.strip_prefix(PACKAGE).is_some_and(|interface| {
        interface.starts_with("decoding@") || interface.starts_with("transforming@")
    })
}

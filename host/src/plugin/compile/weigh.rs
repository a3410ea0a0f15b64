//! What one instance of a component takes beside its memories and tables, and what its start does
//! on the host's side, where no deadline is looked at: upper bounds, from the file alone.
//!
//! A component makes instances of its modules, and of components that it holds, which make
//! instances again. Each definition can only use what stands before it, so one pass in the order of
//! the file adds them up, however many there come to be.

use serde::{Deserialize, Serialize};
use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, DataKind, ElementItems, ElementKind, Encoding,
    ExternalKind, Imports, Instance, Parser, Payload, TypeRef,
};

use super::CompileError;
use crate::plugin::limits::{MOST_DATA, MOST_ELEMENTS, MOST_INSTANCES};

/// What an instance takes and does before it is asked anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// Core instances.
    pub instances: u64,
    /// Bytes of their globals and contexts.
    pub bytes: u64,
    /// Elements that are written to tables.
    pub elements: u64,
    /// Bytes that are written to memories.
    pub data: u64,
    /// Core instances of modules that cannot be told from the file: each counts as the heaviest.
    unknown: u64,
}

/// Bytes of a core instance with nothing in it.
const EMPTY: u64 = 1024;
/// Bytes of something imported: three pointers, and what is kept beside them.
const IMPORT: u64 = 40;
/// Bytes of a global: it may be a vector.
const GLOBAL: u64 = 16;
/// Bytes of a table or a memory, beside what is in it.
const AREA: u64 = 256;
/// Bytes of a function that can be referred to.
const REFERENCE: u64 = 32;
/// Bytes of a value of a passive segment.
const VALUE: u64 = 16;
/// Bytes of a function that is lifted, lowered, or made of a resource.
const CANONICAL: u64 = 128;

impl Weight {
    fn add(&mut self, other: Self) {
        self.instances = self.instances.saturating_add(other.instances);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.elements = self.elements.saturating_add(other.elements);
        self.data = self.data.saturating_add(other.data);
        self.unknown = self.unknown.saturating_add(other.unknown);
    }

    fn takes(&mut self, count: u32, bytes: u64) {
        self.bytes = self.bytes.saturating_add(u64::from(count).saturating_mul(bytes));
    }

    /// The most of each.
    fn max(self, other: Self) -> Self {
        Self {
            instances: self.instances.max(other.instances),
            bytes: self.bytes.max(other.bytes),
            elements: self.elements.max(other.elements),
            data: self.data.max(other.data),
            unknown: 0,
        }
    }

    /// With the unknown modules taken for the `heaviest`.
    fn resolved(mut self, heaviest: Self) -> Self {
        let times = std::mem::take(&mut self.unknown);
        self.add(Self {
            instances: times,
            bytes: heaviest.bytes.saturating_mul(times),
            elements: heaviest.elements.saturating_mul(times),
            data: heaviest.data.saturating_mul(times),
            unknown: 0,
        });
        self
    }

    fn checked(self) -> Result<Self, CompileError> {
        let at_most = |what: &str, found: u64, most: u64| match found > most {
            true => Err(CompileError::TooMany { what: what.to_owned(), found, most }),
            false => Ok(()),
        };
        at_most("core instances", self.instances, MOST_INSTANCES as u64)?;
        at_most("table elements to write at each start", self.elements, MOST_ELEMENTS)?;
        at_most("bytes of data to write at each start", self.data, MOST_DATA)?;
        Ok(self)
    }
}

/// What an instance of a component comes to.
pub(super) fn component(bytes: &[u8]) -> Result<Weight, CompileError> {
    let mut walk = Walk::default();
    for payload in Parser::new(0).parse_all(bytes) {
        payload.and_then(|payload| walk.take(payload)).map_err(invalid)?;
    }
    match walk.given {
        true => Err(CompileError::Invalid(
            "it makes instances of a component that it is given, which nothing bounds".to_owned(),
        )),
        false => walk.whole.resolved(walk.heaviest).checked(),
    }
}

fn invalid(error: BinaryReaderError) -> CompileError {
    let text = crate::plugin::log::plain(error.message(), 200);
    CompileError::Invalid(format!("{text} at byte {}", error.offset()))
}

/// A module or a component that the reader is inside of.
enum Frame {
    Module(Module),
    Component(Component),
}

#[derive(Default)]
struct Module {
    weight: Weight,
    /// Functions, and ways to refer to one: what is smaller counts.
    functions: u64,
    references: u64,
}

#[derive(Default)]
struct Component {
    weight: Weight,
    /// The modules and components that it can make instances of, in the order of their indices.
    modules: Vec<Option<Weight>>,
    components: Vec<Option<Weight>>,
}

#[derive(Default)]
struct Walk {
    frames: Vec<Frame>,
    whole: Weight,
    heaviest: Weight,
    /// Whether an instance of an unknown component is made.
    given: bool,
}

impl Walk {
    fn take(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => {
                self.frames.push(Frame::Module(Module::default()));
                return Ok(());
            }
            Payload::Version { encoding: Encoding::Component, .. } => {
                self.frames.push(Frame::Component(Component::default()));
                return Ok(());
            }
            Payload::End(_) => {
                self.close();
                return Ok(());
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    self.alias(&alias?);
                }
                return Ok(());
            }
            _ => {}
        }
        match self.frames.last_mut() {
            Some(Frame::Module(module)) => module.take(payload),
            Some(Frame::Component(component)) => component.take(payload, &mut self.given),
            None => Ok(()),
        }
    }

    /// Gives what has ended to what it stands in.
    fn close(&mut self) {
        let (weight, is_module) = match self.frames.pop() {
            Some(Frame::Module(module)) => (module.weighed(), true),
            Some(Frame::Component(component)) => (component.weight, false),
            None => return,
        };
        if is_module {
            self.heaviest = self.heaviest.max(weight);
        }
        match self.frames.last_mut() {
            Some(Frame::Component(outer)) if is_module => outer.modules.push(Some(weight)),
            Some(Frame::Component(outer)) => outer.components.push(Some(weight)),
            Some(Frame::Module(_)) => {}
            None => self.whole = weight,
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        let (is_module, found) = match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. } => {
                (true, None)
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                (false, None)
            }
            ComponentAlias::Outer { kind, count, index } => {
                let outer = self.frames.iter().rev().nth(*count as usize);
                let Some(Frame::Component(outer)) = outer else { return };
                let index = *index as usize;
                match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        (true, outer.modules.get(index).copied().flatten())
                    }
                    ComponentOuterAliasKind::Component => {
                        (false, outer.components.get(index).copied().flatten())
                    }
                    _ => return,
                }
            }
            _ => return,
        };
        if let Some(Frame::Component(here)) = self.frames.last_mut() {
            if is_module { &mut here.modules } else { &mut here.components }.push(found);
        }
    }
}

impl Component {
    fn take(&mut self, payload: Payload<'_>, given: &mut bool) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.modules.push(None),
                        ComponentTypeRef::Component(_) => self.components.push(None),
                        _ => {}
                    }
                }
            }
            // An export is another name, with an index of its own.
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    let same = |all: &mut Vec<Option<Weight>>| {
                        let found = all.get(export.index as usize).copied().flatten();
                        all.push(found);
                    };
                    match export.kind {
                        ComponentExternalKind::Module => same(&mut self.modules),
                        ComponentExternalKind::Component => same(&mut self.components),
                        _ => {}
                    }
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        let unknown = Weight { unknown: 1, ..Weight::default() };
                        let module = self.modules.get(module_index as usize).copied().flatten();
                        self.weight.add(module.unwrap_or(unknown));
                    }
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        match self.components.get(component_index as usize).copied().flatten() {
                            Some(component) => self.weight.add(component),
                            None => *given = true,
                        }
                        self.weight.takes(1, CANONICAL);
                    }
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                self.weight.takes(functions.count(), CANONICAL);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Module {
    fn take(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ImportSection(imports) => {
                for group in imports {
                    self.imports(group?);
                }
            }
            Payload::FunctionSection(functions) => {
                self.functions += u64::from(functions.count());
            }
            Payload::TableSection(tables) => self.weight.takes(tables.count(), AREA),
            Payload::MemorySection(memories) => self.weight.takes(memories.count(), AREA),
            Payload::TagSection(tags) => self.weight.takes(tags.count(), GLOBAL),
            Payload::GlobalSection(globals) => {
                self.weight.takes(globals.count(), GLOBAL);
                // Each may begin as a reference to a function.
                self.references += u64::from(globals.count());
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let function =
                        matches!(export?.kind, ExternalKind::Func | ExternalKind::FuncExact);
                    self.references += u64::from(function);
                }
            }
            Payload::ElementSection(segments) => {
                for segment in segments {
                    let segment = segment?;
                    let items = match &segment.items {
                        ElementItems::Functions(items) => items.count(),
                        ElementItems::Expressions(_, items) => items.count(),
                    };
                    self.references += u64::from(items);
                    match segment.kind {
                        ElementKind::Active { .. } => self.weight.elements += u64::from(items),
                        ElementKind::Passive | ElementKind::Declared => {
                            self.weight.takes(items, VALUE);
                        }
                    }
                    self.weight.takes(1, VALUE);
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment?;
                    if let DataKind::Active { .. } = segment.kind {
                        self.weight.data += segment.data.len() as u64;
                    }
                    self.weight.takes(1, VALUE);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn imports(&mut self, group: Imports<'_>) {
        let (count, functions) = match &group {
            Imports::Single(_, import) => (1, u32::from(matches!(import.ty, TypeRef::Func(_)))),
            Imports::Compact1 { items, .. } => (items.count(), items.count()),
            Imports::Compact2 { names, .. } => (names.count(), names.count()),
        };
        self.weight.takes(count, IMPORT);
        self.functions += u64::from(functions);
    }

    fn weighed(mut self) -> Weight {
        let references = self.references.min(self.functions).saturating_mul(REFERENCE);
        self.weight.bytes = self.weight.bytes.saturating_add(EMPTY).saturating_add(references);
        self.weight.instances = 1;
        self.weight
    }
}

#[cfg(test)]
mod tests;

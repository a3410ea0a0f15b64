//! The child: it gives up all that it has, then reads a component, looks at it, compiles it and
//! replies. It never runs anything of it.
//!
//! It ends by itself in one way, with a reply. Whatever else ends it is told by how it ended.

use std::io::{self, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::thread;

use caps::CapsHashSet;
use componentize::Metadata;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use wasmparser::{Validator, WasmFeatures};
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::reply::{Facts, Item, Reply, Stub};
use super::{CompileError, Order, Task, Weight, weigh};
use crate::bpf::close_inherited;
use crate::plugin::engine;
use crate::plugin::inspect::{Inspection, NoPlugin, damaged, inspect, is_given};
use crate::plugin::limits::{
    DEEPEST_IMPORT, LARGEST_CODE, LARGEST_NAMES, MOST_ITEMS, MOST_NAMES, MOST_WORKERS,
};
use crate::plugin::{log, words};
use crate::privileges::Keep;

/// Descriptors that a child may have: its streams, and what it reads of the system meanwhile.
const DESCRIPTORS: u64 = 16;
/// Bytes of a text from a component that are told.
const LONGEST_TEXT: usize = 300;

impl Order {
    /// Does as it is told, as the only thing that this process does.
    pub fn obey(&self) -> ExitCode {
        match self.confine().and_then(|()| self.reply()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(io::stderr(), "{error}");
                ExitCode::FAILURE
            }
        }
    }

    /// Gives up everything but standard streams, processor time and memory, and of these all but
    /// what was granted.
    fn confine(&self) -> io::Result<()> {
        close_inherited();
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid().is_none_or(|pid| pid.as_raw_nonzero().get() != self.parent) {
            return Err(io::Error::other("nobody waits for it"));
        }
        // It is its group's leader already if somebody tries this by hand.
        let _ = rustix::process::setsid();
        rustix::thread::set_no_new_privs(true)?;
        Keep::Only(CapsHashSet::new()).apply().map_err(io::Error::other)?;
        // Where the exporter itself may have less, that stays: no limit can be raised here.
        let limit = |resource, most: u64| {
            let most = getrlimit(resource).maximum.map_or(most, |hard| most.min(hard));
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            setrlimit(resource, limit)
        };
        limit(Resource::Core, 0)?;
        limit(Resource::Nofile, DESCRIPTORS)?;
        limit(Resource::Fsize, LARGEST_CODE)?;
        limit(Resource::Data, self.memory)?;
        // What comes at the second limit says nothing of the reason.
        let hard = getrlimit(Resource::Cpu).maximum.unwrap_or(u64::MAX).min(self.seconds + 1);
        let soft = self.seconds.min(hard.saturating_sub(1)).max(1);
        let time = Rlimit { current: Some(soft), maximum: Some(hard) };
        setrlimit(Resource::Cpu, time)?;
        // The compiler's threads, before there may be no more. How many there are decides how much
        // memory it takes, so it is not left to the machine.
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        rayon::ThreadPoolBuilder::new()
            .num_threads(cpus.min(MOST_WORKERS))
            .build_global()
            .map_err(io::Error::other)?;
        limit(Resource::Nproc, 0)?;
        Ok(())
    }

    fn reply(&self) -> io::Result<()> {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        panic::set_hook(Box::new(|_| {}));
        let task = self.task;
        let reply = panic::catch_unwind(AssertUnwindSafe(|| answer(task, &bytes)));
        let reply = reply.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            Reply::refused(CompileError::Crashed(log::plain(text, LONGEST_TEXT)))
        });
        let mut head = reply.head();
        let mut code = &*reply.code;
        // The limit on its size would end neither it nor the write in words.
        if (head.len() + code.len()) as u64 > LARGEST_CODE {
            head = Reply::refused(CompileError::Code).head();
            code = &[];
        }
        let mut out = io::stdout().lock();
        out.write_all(&head)?;
        out.write_all(code)?;
        out.flush()
    }
}

/// What a component is and what an instance of it takes, looked at in this process: for those who try how that is
/// done. The exporter has a child look, which gives up all that it has before.
///
/// # Errors
///
/// What a child would say.
pub fn inspect_here(bytes: &[u8]) -> Result<(Inspection, Weight), CompileError> {
    let (Facts { inspection, weight, .. }, _) = looked(Task::Inspect, bytes)?;
    Ok((inspection, weight))
}

/// What is to be said of a component.
pub(super) fn answer(task: Task, bytes: &[u8]) -> Reply {
    match looked(task, bytes) {
        Ok((facts, code)) => Reply { facts: Ok(facts), code },
        Err(error) => Reply::refused(error),
    }
}

fn looked(task: Task, bytes: &[u8]) -> Result<(Facts, Vec<u8>), CompileError> {
    if task == Task::Componentize {
        let made = componentized(bytes)?;
        let (facts, _) = looked(Task::Inspect, &made)?;
        return Ok((facts, made));
    }
    let inspection = inspect(bytes).map_err(shortened)?;
    names(&inspection)?;
    let weight = weigh::component(bytes)?;
    let (stubs, code) = match task {
        Task::Compile => compiled(bytes)?,
        _ => {
            validate(bytes)?;
            (Vec::new(), Vec::new())
        }
    };
    Ok((Facts { inspection, weight, stubs }, code))
}

/// Whether all of it is WebAssembly, code too. What of that this host can run is found when it is compiled.
fn validate(bytes: &[u8]) -> Result<(), CompileError> {
    let valid = Validator::new_with_features(WasmFeatures::all()).validate_all(bytes);
    valid.map(drop).map_err(|error| shortened(damaged(error)).into())
}

/// The component that this becomes, with what is said of it in the line before.
fn componentized(input: &[u8]) -> Result<Vec<u8>, CompileError> {
    let garbled = || CompileError::Crashed("what it was told cannot be read".to_owned());
    let end = input.iter().position(|byte| *byte == b'\n').ok_or_else(garbled)?;
    let said: Metadata = serde_json::from_slice(&input[..end]).map_err(|_| garbled())?;
    Ok(componentize::componentize(&input[end + 1..], said)?.bytes)
}

/// Whether what is imported and exported can be named in a few lines.
fn names(inspection: &Inspection) -> Result<(), CompileError> {
    let imports = inspection.imports.iter().map(|import| import.name.len());
    at_most("imports", imports.clone().count(), MOST_NAMES)?;
    at_most("bytes in the names of its imports", imports.sum(), LARGEST_NAMES)?;
    let exports = inspection.exports.iter().map(String::len);
    at_most("exports", exports.clone().count(), MOST_NAMES)?;
    at_most("bytes in the names of its exports", exports.sum(), LARGEST_NAMES)
}

fn at_most(what: &str, found: usize, most: usize) -> Result<(), CompileError> {
    if found <= most {
        return Ok(());
    }
    Err(CompileError::TooMany { what: what.to_owned(), found: found as u64, most: most as u64 })
}

/// An error that does not repeat whole names of a file.
fn shortened(error: NoPlugin) -> NoPlugin {
    let short = |text: String| match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    match error {
        NoPlugin::Foreign(names) => {
            NoPlugin::Foreign(names.into_iter().take(MOST_NAMES).map(short).collect())
        }
        NoPlugin::Damaged(text) => NoPlugin::Damaged(short(text)),
        NoPlugin::Version { world, found } => NoPlugin::Version { world, found: short(found) },
        other => other,
    }
}

fn compiled(bytes: &[u8]) -> Result<(Vec<Stub>, Vec<u8>), CompileError> {
    let failed = |error: wasmtime::Error| match no_memory(&error) {
        true => CompileError::Memory { memory: getrlimit(Resource::Data).current.unwrap_or(0) },
        // What wasmtime says when its code may not become executable; it has no type for that.
        false => match words(&error) {
            text if text.contains("executable") => CompileError::Forbidden(text),
            text => CompileError::Invalid(text),
        },
    };
    let engine = wasmtime::Engine::new(&engine::config()).map_err(failed)?;
    let component = Component::from_binary(&engine, bytes).map_err(failed)?;
    let mut walk = Walk { engine: &engine, items: 0, text: 0 };
    let mut stubs = Vec::new();
    for (name, import) in component.component_type().imports(&engine) {
        if !is_given(name) {
            stubs.extend(walk.stub(name, import.ty, 0)?);
        }
    }
    Ok((stubs, component.serialize().map_err(failed)?))
}

/// Whether the system has refused memory, which is told as an error where much is asked for at once.
fn no_memory(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<rustix::io::Errno>() == Some(&rustix::io::Errno::NOMEM)
        || error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) == Some(libc::ENOMEM)
}

/// Goes through imports. Their types can share parts, so that a short file has no end of them.
struct Walk<'a> {
    engine: &'a wasmtime::Engine,
    items: usize,
    text: usize,
}

impl Walk<'_> {
    fn stub(
        &mut self,
        name: &str,
        item: ComponentItem,
        depth: usize,
    ) -> Result<Option<Stub>, CompileError> {
        self.items += 1;
        self.text += name.len();
        at_most("imported items", self.items, MOST_ITEMS)?;
        at_most("bytes in the names of its imports", self.text, LARGEST_NAMES)?;
        at_most("imported instances within each other", depth, DEEPEST_IMPORT)?;
        let item = match item {
            ComponentItem::ComponentFunc(_) => Item::Function,
            ComponentItem::Resource(_) => Item::Resource,
            ComponentItem::Type(_) => return Ok(None),
            ComponentItem::ComponentInstance(instance) => {
                let mut inner = Vec::new();
                for (name, export) in instance.exports(self.engine) {
                    inner.extend(self.stub(name, export.ty, depth + 1)?);
                }
                Item::Instance(inner)
            }
            ComponentItem::CoreFunc(_) | ComponentItem::Module(_) | ComponentItem::Component(_) => {
                let name = log::plain(name, LONGEST_TEXT);
                return Err(CompileError::Link(format!(
                    "it imports code, `{name}`, and plugins are given none"
                )));
            }
        };
        Ok(Some(Stub { name: name.to_owned(), item }))
    }
}

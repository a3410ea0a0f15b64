//! BPF objects, one type a phase: [`Opened`] → [`Loaded`] → [`Attached`].
//!
//! What is not yet possible cannot be written: only what is opened can be checked and given
//! constants, only what is loaded can be attached, only what is attached has programs to report
//! and maps to read. Never decodes a key, and never lets libbpf write to standard error.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use bytes::Bytes;
use libbpf_rs::btf::Btf;
use libbpf_rs::libbpf_sys;
use libbpf_rs::{AsRawLibbpf, MapCore, Object, ObjectBuilder, OpenObject};

mod admitted;
mod attach;
mod cgroup_ids;
pub mod check;
mod cpus;
pub mod filter;
mod form;
mod handover;
mod heap;
mod hook;
mod host;
pub mod inventory;
mod kaddr;
mod key;
mod kind;
mod layout;
pub(crate) mod log;
mod nesting;
mod pin_dir;
mod pin_file;
mod pins;
mod reason;
pub mod stats;
mod stream;
mod succession;
mod symbols;
pub(crate) mod sys;
mod types;
mod unloadable;
mod variables;

pub use admitted::Admitted;
pub use attach::{AttachError, ProgramInfo, post_attach_mark};
pub use cgroup_ids::{CgroupEntry, CgroupIds};
pub use check::{check, check_maps, check_spans};
pub(crate) use cpus::stay as leave_cpus;
pub use handover::{Anew, Handover};
pub use heap::{give_back_code, give_back_memory};
pub use kaddr::{Addresses, NoSuchConstant};
pub use kind::MapKind;
pub use layout::{Field, Key, Layout, RecordLayout, Role, Value};
pub use pin_dir::{NotUnpinned, PinDir, PinDirError, Unpinned};
pub use stream::{Ring, Stream};
pub use succession::{NotSwapped, Passage, Swap, Swapped, TakenBack};
pub use symbols::{Symbols, SymbolsError};
pub(crate) use sys::close_inherited;
pub use types::KernelTypes;

use crate::advice::{Advice, Advise};
use crate::config::{Fault, Severity};
use crate::digest::Digest;
use crate::files::{self, Unread};

use attach::Attachment;
use form::EntryForm;
use host::Host;
use pin_dir::{ConfigPins, Taken};
use reason::load::Failure;

/// Bytes of an object's file.
const LARGEST_OBJECT: u64 = 256 << 20;

/// Where an object comes from.
#[derive(Clone, Debug)]
pub enum ObjectSource {
    /// A file: `DIR/NAME.bpf.o`.
    File(PathBuf),
    /// Bytes that the exporter carries.
    Embedded(&'static [u8]),
    /// Bytes of a bundle, and what messages call them.
    Held(PathBuf, Bytes),
}

/// An object that libbpf has parsed. Takes no privilege to have.
#[derive(Debug)]
pub struct Opened {
    name: String,
    file: PathBuf,
    btf_path: Option<PathBuf>,
    /// Bytes of the object.
    size: usize,
    digest: Digest,
    /// What its maps hold, by name: the object tells no more once a map stands for another.
    forms: BTreeMap<String, EntryForm>,
    /// What has it stay in the kernel when this process ends.
    pins: Option<ConfigPins>,
    object: OpenObject,
}

/// An object whose maps and programs the kernel has taken. Dropping it takes them away again.
#[derive(Debug)]
pub struct Loaded {
    name: String,
    object: Object,
    maps: Vec<MapRef>,
    admitted: Admitted,
    programs: Vec<ProgramInfo>,
    /// The programs that were switched off before, for want of a hook.
    unloadable: Vec<AttachError>,
    /// What has it stay in the kernel when this process ends.
    pins: Option<Taken>,
}

/// An object whose programs run, as far as they could be attached. Dropping it detaches them.
#[derive(Debug)]
pub struct Attached {
    /// Held for their drop, which has to come before the object's.
    links: Vec<Attachment>,
    /// Held only where a link needs it: it has descriptors of its own for all that it made, those of
    /// its constants and types too.
    object: Option<Object>,
    maps: Vec<MapRef>,
    admitted: Admitted,
    programs: Vec<ProgramInfo>,
    failures: Vec<AttachError>,
    /// What has it stay in the kernel when this process ends.
    pins: Option<ConfigPins>,
}

/// A map as its object describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSpec {
    /// Its name in the object.
    pub name: String,
    /// Its type.
    pub kind: MapKind,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value; in per-CPU maps, of one CPU's.
    pub value_size: u32,
    /// How many entries it can hold; of an array, how many it always holds.
    pub max_entries: u32,
    /// `BPF_F_…` flags.
    pub flags: u32,
}

/// A map in the kernel. Cheap to clone; all clones share one descriptor.
#[derive(Clone, Debug)]
pub struct MapRef {
    /// What it is.
    pub spec: MapSpec,
    /// What its keys and values are, as far as its object says.
    form: Option<EntryForm>,
    fd: Arc<OwnedFd>,
}

/// Why an object could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to open {}: {}", file.display(), .advice.problem)]
pub struct OpenError {
    /// The object.
    pub file: PathBuf,
    /// What is wrong and what to do.
    pub advice: Advice,
}

/// Why the kernel did not take an object.
#[derive(Debug, thiserror::Error)]
#[error("failed to load config `{name}`: {}", .advice.problem)]
pub struct LoadError {
    /// The config.
    pub name: String,
    /// What is wrong and what to do.
    pub advice: Advice,
}

/// Why a file that is to describe the kernel's types cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the kernel's types from {} (--btf.path): {reason}", file.display())]
pub struct TypesError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub reason: String,
}

impl Advise for TypesError {
    fn remedy(&self) -> Option<String> {
        Some("give the BTF of this kernel".to_owned())
    }
}

/// Why no map is copied as it lies in the kernel's memory, if the host says why.
pub(crate) fn uncopied() -> Option<Advice> {
    reason::uncopied(&Host::current())
}

/// Checks that a file (`--btf.path`) describes types at all: only objects that need them read it,
/// and late.
///
/// # Errors
///
/// When it cannot be read or holds no BTF.
pub fn check_types(file: &Path) -> Result<(), TypesError> {
    let failed = |reason: &str| TypesError { file: file.to_owned(), reason: reason.to_owned() };
    files::open(file, u64::MAX).map_err(|unread| match unread {
        Unread::Refused(error) => failed(&reason::of_system(&error).problem),
        Unread::Directory | Unread::NoFile | Unread::TooLarge(_) => failed("it is no regular file"),
    })?;
    let (types, _) = log::capture(|| Btf::from_path(file));
    types.map(|_| ()).map_err(|_| failed("it holds no BTF"))
}

impl Advise for OpenError {
    fn remedy(&self) -> Option<String> {
        self.advice.remedy.clone()
    }

    fn evidence(&self) -> Option<String> {
        self.advice.evidence.clone()
    }
}

impl Advise for LoadError {
    fn remedy(&self) -> Option<String> {
        self.advice.remedy.clone()
    }

    fn evidence(&self) -> Option<String> {
        self.advice.evidence.clone()
    }
}

impl OpenError {
    /// The error as one of the faults of its config.
    pub fn into_fault(self) -> Fault {
        let Self { file, mut advice } = self;
        if advice.remedy.is_none() && advice.evidence.is_none() {
            advice.remedy = Some("run with --debug to see what libbpf says".to_owned());
        }
        let (severity, path) = (Severity::Error, String::new());
        Fault { severity, line: None, path, advice, count: 1, file }
    }
}

impl Opened {
    /// Opens the object of the config `name`. `btf_path` is `--btf.path`: a file that describes
    /// the kernel's types if the kernel itself does not.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is no BPF object.
    pub fn open(
        name: &str,
        source: &ObjectSource,
        btf_path: Option<&Path>,
    ) -> Result<Self, OpenError> {
        let (file, bytes) = match source {
            ObjectSource::File(file) => {
                (file.clone(), files::read(file, LARGEST_OBJECT).map(Cow::Owned))
            }
            ObjectSource::Embedded(bytes) => {
                (format!("<built-in>/{name}.bpf.o").into(), Ok(Cow::Borrowed(*bytes)))
            }
            ObjectSource::Held(file, bytes) => (file.clone(), Ok(Cow::Borrowed(&**bytes))),
        };
        let failed = |advice| OpenError { file: file.clone(), advice };
        let bytes = bytes.map_err(|unread| failed(reason::unreadable(&unread)))?;
        if let Some(advice) = reason::byte_order(&bytes) {
            return Err(failed(advice));
        }
        if !nesting::has_ends(&bytes) {
            return Err(failed(reason::endless()));
        }
        let (object, log) = log::capture(|| parse(name, &bytes, btf_path));
        let object = object.map_err(|error| failed(reason::malformed(&error, &log)))?;
        let (name, btf_path) = (name.to_owned(), btf_path.map(Path::to_owned));
        let (size, digest, forms) = (bytes.len(), Digest::of(&bytes), form::of(&object));
        Ok(Self { name, btf_path, file, size, digest, forms, pins: None, object })
    }

    /// The object's file, or `<built-in>/NAME.bpf.o`, or `BUNDLE/NAME.bpf.o`.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Bytes of the object.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What the object is known by.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The maps, libbpf's own (`.rodata` and the like) left out, in the object's order.
    pub fn maps(&self) -> Vec<MapSpec> {
        self.object.maps().filter(is_users).map(|map| MapSpec::of_open(&map)).collect()
    }

    /// The map of this name, as one that is to hold cgroups.
    fn cgroup_map(&self, name: &str) -> Option<MapSpec> {
        self.maps().into_iter().find(|map| map.name == name)
    }

    /// Has all of it that can be pinned stay in this directory when the process ends, and takes over what is there of
    /// this config already.
    pub fn pin_in(&mut self, dir: &PinDir) {
        self.pins = Some(dir.of(&self.name));
    }

    /// Hands the object to the kernel: maps are made, or taken over, and programs verified.
    ///
    /// # Errors
    ///
    /// When the kernel or libbpf refuses any part of it. Nothing of it stays then. Or when something cannot be pinned,
    /// or what is pinned is of another shape and that is a fault.
    pub fn load(mut self) -> Result<Loaded, LoadError> {
        let mut pins = match self.pins.take() {
            Some(pins) => Some(Taken::of(pins, &mut self)?),
            None => None,
        };
        let Self { name, btf_path, forms, mut object, .. } = self;
        let unloadable = unloadable::switch_off(&mut object);
        let places = admitted::Places::of(&object);
        // libbpf-rs hides errno, and closing the object overwrites it: call libbpf directly.
        let raw = object.as_libbpf_object();
        let (code, log) = log::capture(|| {
            // SAFETY: `raw` is the open object that `object` owns, alive until the end of scope.
            unsafe { libbpf_sys::bpf_object__load(raw.as_ptr()) }
        });
        if code != 0 {
            let sections = object
                .progs()
                .map(|program| (text(program.name()), text(program.section())))
                .collect();
            let maps = object.maps().map(|map| MapSpec::of_open(&map)).collect();
            let pins = pins::of(&object);
            let failure = Failure { errno: -code, log, sections, maps, pins, btf_path };
            let advice = reason::load::explain(&failure, &Host::current());
            return Err(LoadError { name, advice });
        }
        // SAFETY: the object is loaded, and the pointer's only owner gives it up.
        let object = unsafe { Object::from_ptr(object.take_ptr()) };
        match (users_maps(&object, &forms), attach::describe(&object, &unloadable)) {
            (Ok(maps), Ok(programs)) => {
                let admitted = Admitted::of(&object, places);
                if let Some(pins) = &mut pins {
                    pins.begin(&object)?;
                }
                Ok(Loaded { name, object, maps, admitted, programs, unloadable, pins })
            }
            (Err(error), _) | (_, Err(error)) => {
                Err(LoadError { name, advice: reason::of_system(&error) })
            }
        }
    }
}

impl Loaded {
    /// Its maps, libbpf's own left out, in the object's order.
    pub fn maps(&self) -> &[MapRef] {
        &self.maps
    }

    /// The map of this name.
    pub fn map(&self, name: &str) -> Option<&MapRef> {
        self.maps.iter().find(|map| map.spec.name == name)
    }
}

impl Attached {
    /// The programs that were to be attached, whether they are or not, in the object's order.
    pub fn programs(&self) -> &[ProgramInfo] {
        &self.programs
    }

    /// Those that could not be attached: each was logged. With `--config.strict` they are fatal.
    pub fn failures(&self) -> &[AttachError] {
        &self.failures
    }

    /// What the programs say themselves that they could not count.
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// The map of this name.
    pub fn map(&self, name: &str) -> Option<&MapRef> {
        self.maps.iter().find(|map| map.spec.name == name)
    }

    /// Its maps, libbpf's own left out, in the object's order: see [`Opened::take_over`].
    pub fn maps(&self) -> &[MapRef] {
        &self.maps
    }
}

/// The maps that the object's author made, each with a descriptor that outlives the object.
fn users_maps(object: &Object, forms: &BTreeMap<String, EntryForm>) -> io::Result<Vec<MapRef>> {
    let mut maps = Vec::new();
    for map in object.maps() {
        let raw = map.as_libbpf_object();
        // SAFETY: `raw` is a map of `object`.
        let (kind, flags, is_internal) = unsafe {
            let raw = raw.as_ptr();
            let flags = libbpf_sys::bpf_map__map_flags(raw);
            (libbpf_sys::bpf_map__type(raw), flags, libbpf_sys::bpf_map__is_internal(raw))
        };
        if is_internal {
            continue;
        }
        let spec = MapSpec {
            name: text(map.name()),
            kind: kind.into(),
            key_size: map.key_size(),
            value_size: map.value_size(),
            max_entries: map.max_entries(),
            flags,
        };
        let form = forms.get(&spec.name).copied();
        maps.push(MapRef { form, ..MapRef::new(spec, map.as_fd())? });
    }
    Ok(maps)
}

impl MapRef {
    /// The map behind `fd`, with a descriptor of its own.
    ///
    /// # Errors
    ///
    /// When no descriptor is left.
    pub fn new(spec: MapSpec, fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self { spec, form: None, fd: Arc::new(fd.try_clone_to_owned()?) })
    }
}

impl AsFd for MapRef {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl MapSpec {
    fn of_open(map: &libbpf_rs::OpenMap<'_>) -> Self {
        // SAFETY: the map belongs to an object that is alive. libbpf-rs does not know all types.
        let kind = unsafe { libbpf_sys::bpf_map__type(map.as_libbpf_object().as_ptr()) };
        Self {
            name: text(map.name()),
            kind: kind.into(),
            key_size: map.key_size(),
            value_size: map.value_size(),
            max_entries: map.max_entries(),
            flags: map.map_flags(),
        }
    }
}

/// Whether the object's author made it: libbpf makes maps for `.rodata`, `.bss` and so on.
fn is_users(map: &libbpf_rs::OpenMap<'_>) -> bool {
    // SAFETY: the map belongs to an object that is alive.
    unsafe { !libbpf_sys::bpf_map__is_internal(map.as_libbpf_object().as_ptr()) }
}

/// Has libbpf parse an object.
fn parse(name: &str, bytes: &[u8], btf_path: Option<&Path>) -> io::Result<OpenObject> {
    let invalid = |error: libbpf_rs::Error| io::Error::new(io::ErrorKind::InvalidInput, error);
    let mut builder = ObjectBuilder::default();
    builder.name(name).map_err(invalid)?;
    if let Some(path) = btf_path {
        builder.btf_custom_path(path).map_err(invalid)?;
    }
    let options = builder.as_libbpf_object();
    let size = bytes.len() as libbpf_sys::size_t;
    // libbpf-rs hides errno, which says more than its kinds: call libbpf directly.
    // SAFETY: bytes and options live through the call, and libbpf copies what it keeps of them.
    let raw =
        unsafe { libbpf_sys::bpf_object__open_mem(bytes.as_ptr().cast(), size, options.as_ptr()) };
    let raw = NonNull::new(raw).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: libbpf gave this open object to us alone.
    Ok(unsafe { OpenObject::from_ptr(raw) })
}

/// A name of libbpf's as text.
fn text(name: &std::ffi::OsStr) -> String {
    name.to_string_lossy().into_owned()
}

//! The kernel's types (BTF), read once for all objects that are loaded meanwhile.
//!
//! libbpf reads them anew for each object, in 4 to 7 ms: more than the kernel takes for the object. It
//! cannot be given types that are there already. So the linker leads two of its calls to the functions
//! here (`--wrap`, in the build script): the one that reads the types, and the one that frees types.
//! Without a [`KernelTypes`], and where libbpf is a shared library, all is as libbpf has it.
//!
//! Never holds types longer than its owner wants, and never changes them: threads read them at the same
//! time.

use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use libbpf_rs::btf::Btf;
use libbpf_rs::libbpf_sys::{self, btf};

use super::log;

/// While one of these lives, all objects have the same types.
#[derive(Debug)]
pub struct KernelTypes {
    /// Reads them before an object wants them.
    reader: Option<JoinHandle<()>>,
}

/// What is shared, and who has a share in it.
struct Shared {
    types: Option<NonNull<btf>>,
    /// Objects that have them and will free them.
    objects: usize,
    /// Living [`KernelTypes`].
    owners: usize,
}

// SAFETY: the types are not bound to a thread, and are only read.
unsafe impl Send for Shared {}

static SHARED: Mutex<Shared> = Mutex::new(Shared { types: None, objects: 0, owners: 0 });

unsafe extern "C" {
    /// libbpf's own `btf__load_vmlinux_btf`.
    fn __real_btf__load_vmlinux_btf() -> *mut btf;
    /// libbpf's own `btf__free`.
    fn __real_btf__free(types: *mut btf);
}

impl KernelTypes {
    /// Has objects share the kernel's types from now on, and begins to read them on a thread. An object
    /// that wants them before they are there waits, which takes less than to read them twice.
    pub fn share() -> Self {
        shared().owners += 1;
        // What is wrong with them the first object says that wants them.
        let read = || drop(log::capture(Btf::from_vmlinux));
        Self { reader: thread::Builder::new().spawn(read).ok() }
    }
}

impl Drop for KernelTypes {
    /// Its thread has ended then: privileges are given up while there is one.
    fn drop(&mut self) {
        self.reader.take().map(JoinHandle::join);
        let mut shared = shared();
        shared.owners -= 1;
        shared.settle();
    }
}

impl Shared {
    /// Frees the types once nobody has a share in them.
    fn settle(&mut self) {
        if self.objects == 0
            && self.owners == 0
            && let Some(types) = self.types.take()
        {
            // SAFETY: libbpf gave us these, and each that it took them to has given them back.
            unsafe { __real_btf__free(types.as_ptr()) };
        }
    }
}

fn shared() -> MutexGuard<'static, Shared> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What libbpf calls to read the kernel's types. Others that come meanwhile wait for the first.
#[unsafe(no_mangle)]
extern "C" fn __wrap_btf__load_vmlinux_btf() -> *mut btf {
    let mut shared = shared();
    if shared.owners > 0 && shared.types.is_none() {
        // SAFETY: it takes nothing.
        let types = unsafe { __real_btf__load_vmlinux_btf() };
        // SAFETY: libbpf tells an error from types by the pointer, which is not followed.
        if unsafe { libbpf_sys::libbpf_get_error(types.cast()) } != 0 {
            return types;
        }
        // SAFETY: these are types. libbpf notes in them how large a pointer is when it is asked first:
        // that is to have happened before threads read them.
        unsafe { libbpf_sys::btf__pointer_size(types) };
        shared.types = NonNull::new(types);
    }
    if let Some(types) = shared.types {
        shared.objects += 1;
        return types.as_ptr();
    }
    drop(shared);
    // SAFETY: it takes nothing.
    unsafe { __real_btf__load_vmlinux_btf() }
}

/// What libbpf calls to free any types.
///
/// # Safety
///
/// As `btf__free`: they have to be libbpf's, or none, and nobody may use them any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_btf__free(types: *mut btf) {
    let mut shared = shared();
    let is_shared = shared.types.is_some_and(|shared| ptr::eq(shared.as_ptr(), types));
    if is_shared {
        shared.objects -= 1;
        shared.settle();
        return;
    }
    drop(shared);
    // SAFETY: the caller vouches for them.
    unsafe { __real_btf__free(types) }
}

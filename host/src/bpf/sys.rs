//! The `bpf()` calls that libbpf-rs lacks or gets wrong, as safe functions over slices.
//!
//! Everything here checks that the slices are as large as what the kernel will write; nothing here
//! decides anything.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd, OwnedFd, RawFd};

mod answer;
mod link;
mod memory;
mod numbered;
mod pin;

use answer::{done, found, owned};
pub(crate) use link::{instructions, program_of, standing_for, update_link};
pub(crate) use memory::{Mapping, Shared, page_size};
pub(crate) use numbered::{Numbered, btf_name, by_id, map_info, maps_of, next_id, tell};
pub(in crate::bpf) use numbered::{attach_type_name, map_type_name, program_type_name, text};
pub(crate) use pin::{pin, pinned};

/// One `BPF_MAP_LOOKUP_BATCH`.
#[derive(Debug)]
pub(crate) struct Looked {
    /// Entries written to the front of the buffers.
    pub(crate) count: usize,
    /// Whether these were the last ones.
    pub(crate) end: bool,
}

/// The place in a map where a batch ended; opaque to everyone but the kernel.
pub(crate) struct Cursor {
    token: Vec<u8>,
    next: Vec<u8>,
    started: bool,
}

impl Cursor {
    /// A cursor before the first entry of a map with keys of this size.
    pub(crate) fn new(key_size: usize) -> Self {
        // Hash maps write a u32, all others a key.
        let size = key_size.max(size_of::<u32>());
        Self { token: vec![0; size], next: vec![0; size], started: false }
    }

    /// Back to before the first entry.
    pub(crate) fn rewind(&mut self) {
        self.started = false;
    }
}

/// Reads the entries behind `cursor` into `keys` and `values` and moves it.
///
/// # Errors
///
/// `ENOSPC` if the next hash bucket holds more entries than there is room for; the cursor stays.
pub(crate) fn lookup_batch(
    fd: RawFd,
    cursor: &mut Cursor,
    (keys, key_size): (&mut [u8], usize),
    (values, cpus): (&mut [u64], usize),
) -> io::Result<Looked> {
    let room = (keys.len() / key_size).min(values.len() / cpus);
    let mut count = u32::try_from(room).unwrap_or(u32::MAX);
    let from = if cursor.started { cursor.token.as_mut_ptr().cast() } else { std::ptr::null_mut() };
    // SAFETY: `count` entries fit into both buffers, whose sizes are those of the map's key and
    // of its value (8 bytes for each CPU); both tokens are as large as a key and at least a u32.
    let answer = unsafe {
        libbpf_sys::bpf_map_lookup_batch(
            fd,
            from,
            cursor.next.as_mut_ptr().cast(),
            keys.as_mut_ptr().cast(),
            values.as_mut_ptr().cast(),
            &mut count,
            std::ptr::null(),
        )
    };
    let end = match -answer {
        0 => false,
        libc::ENOENT => true,
        errno => return Err(io::Error::from_raw_os_error(errno)),
    };
    std::mem::swap(&mut cursor.token, &mut cursor.next);
    cursor.started = true;
    Ok(Looked { count: count as usize, end })
}

/// Writes the key behind `key` (the first one for `None`) to `next`; `false` if there is none.
///
/// For a key that is not in the map the kernel starts again with the first one.
pub(crate) fn next_key(fd: RawFd, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
    assert!(key.is_none_or(|key| key.len() == next.len()));
    let from = key.map_or(std::ptr::null(), |key| key.as_ptr().cast());
    // SAFETY: both buffers are as large as the map's key.
    let answer = unsafe { libbpf_sys::bpf_map_get_next_key(fd, from, next.as_mut_ptr().cast()) };
    found(answer)
}

/// Writes the value of `key` to `values`, one for each CPU; `false` if the key is not there.
pub(crate) fn lookup(fd: RawFd, key: &[u8], values: &mut [u64]) -> io::Result<bool> {
    // SAFETY: `key` is as large as the map's key, `values` as its value (8 bytes for each CPU).
    let answer = unsafe {
        libbpf_sys::bpf_map_lookup_elem(fd, key.as_ptr().cast(), values.as_mut_ptr().cast())
    };
    found(answer)
}

/// A new array of one value of so many u64s that can be mapped.
pub(crate) fn create_mappable(words: usize) -> io::Result<OwnedFd> {
    let options = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as u64,
        map_flags: libbpf_sys::BPF_F_MMAPABLE,
        ..Default::default()
    };
    let size = u32::try_from(words * size_of::<u64>()).map_err(io::Error::other)?;
    // SAFETY: the name is terminated, and the options live through the call.
    let fd = unsafe {
        libbpf_sys::bpf_map_create(
            libbpf_sys::BPF_MAP_TYPE_ARRAY,
            c"ewe_sink".as_ptr(),
            size_of::<u32>() as u32,
            size,
            1,
            &options,
        )
    };
    // SAFETY: the kernel has just given us this descriptor.
    unsafe { owned(fd) }
}

/// A perf event of all processes on one CPU, which counts from now on.
pub(crate) fn open_event(
    attributes: &mut libbpf_sys::perf_event_attr,
    cpu: u32,
) -> io::Result<OwnedFd> {
    attributes.size = size_of::<libbpf_sys::perf_event_attr>() as u32;
    let (any_process, no_group) = (-1, -1);
    let flags = libc::c_ulong::from(libbpf_sys::PERF_FLAG_FD_CLOEXEC);
    // SAFETY: the attributes live through the call, and say how large they are.
    let event = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw mut *attributes,
            any_process,
            cpu,
            no_group,
            flags,
        )
    };
    let event = i32::try_from(event).ok().filter(|event| *event >= 0);
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(event.ok_or_else(io::Error::last_os_error)?) })
}

/// Has a program run at a perf event (Linux 5.15). What is given back keeps it attached, and holds the event.
pub(crate) fn link_event(program: RawFd, event: RawFd) -> io::Result<OwnedFd> {
    let link = link(program, event, libbpf_sys::BPF_PERF_EVENT, 0)?;
    enable(event)?;
    Ok(link)
}

/// As [`link_event`] for older kernels. The event itself keeps the program attached.
pub(crate) fn set_event_program(event: RawFd, program: RawFd) -> io::Result<()> {
    /// `_IOW('$', 8, __u32)`.
    const PERF_EVENT_IOC_SET_BPF: libc::c_ulong = 0x4004_2408;
    // SAFETY: the request takes a number, not a pointer.
    if unsafe { libc::ioctl(event, PERF_EVENT_IOC_SET_BPF, program) } < 0 {
        return Err(io::Error::last_os_error());
    }
    enable(event)
}

/// Has an event count.
pub(crate) fn enable(event: RawFd) -> io::Result<()> {
    /// `_IO('$', 0)`.
    const PERF_EVENT_IOC_ENABLE: libc::c_ulong = 0x2400;
    // SAFETY: the request takes a number, not a pointer.
    if unsafe { libc::ioctl(event, PERF_EVENT_IOC_ENABLE, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Attaches a program to what `target` is for this type: a descriptor or an interface's index. What is given
/// back keeps it attached.
pub(crate) fn link(
    program: RawFd,
    target: i32,
    kind: libbpf_sys::bpf_attach_type,
    flags: u32,
) -> io::Result<OwnedFd> {
    let options = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as u64,
        flags,
        ..Default::default()
    };
    // SAFETY: the options live through the call, and say how large they are.
    let link = unsafe { libbpf_sys::bpf_link_create(program, target, kind, &options) };
    // SAFETY: the kernel has just given us this descriptor.
    unsafe { owned(link) }
}

/// How often the kernel's probe behind a link had no room to note that it was reached; none if it is no
/// link of a kprobe, or the kernel does not say (before Linux 6.7).
pub(crate) fn missed_probes(link: BorrowedFd<'_>) -> Option<u64> {
    /// Bytes of what is known of a link from then on.
    const SAID: usize = 56;
    let mut info = libbpf_sys::bpf_link_info::default();
    // SAFETY: the pointers in it are null.
    let size = unsafe { tell(link, &mut info, libbpf_sys::bpf_link_get_info_by_fd) }.ok()?;
    if size < SAID {
        return None;
    }
    let of = info.__bindgen_anon_1;
    match info.type_ {
        // SAFETY: a link of this type has this of the union, and all of it was 0 before.
        libbpf_sys::BPF_LINK_TYPE_KPROBE_MULTI => Some(unsafe { of.kprobe_multi.missed }),
        libbpf_sys::BPF_LINK_TYPE_PERF_EVENT => {
            // SAFETY: as above.
            let event = unsafe { of.perf_event };
            match event.type_ {
                libbpf_sys::BPF_PERF_EVENT_KPROBE | libbpf_sys::BPF_PERF_EVENT_KRETPROBE => {
                    // SAFETY: as above.
                    Some(unsafe { event.__bindgen_anon_1.kprobe.missed })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The number of the interface of this name in this network namespace; 0 if there is none.
pub(crate) fn interface_index(name: &std::ffi::CStr) -> u32 {
    // SAFETY: the name is terminated.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}

/// Sets the value of an array's entry, which is as large as the map's values.
pub(crate) fn set_entry(map: RawFd, index: u32, value: &[u64]) -> io::Result<()> {
    update(map, &index.to_ne_bytes(), bytes(value))
}

/// Sets the value of `key`; key and value are as large as the map's.
pub(crate) fn update(map: RawFd, key: &[u8], value: &[u8]) -> io::Result<()> {
    // SAFETY: both are as large as the map's, says the caller, and are only read.
    let answer = unsafe {
        libbpf_sys::bpf_map_update_elem(
            map,
            key.as_ptr().cast(),
            value.as_ptr().cast(),
            libbpf_sys::BPF_ANY.into(),
        )
    };
    done(answer)
}

/// Removes `key`, which is as large as the map's; `false` if it was not there.
pub(crate) fn delete(map: RawFd, key: &[u8]) -> io::Result<bool> {
    // SAFETY: the key is as large as the map's, says the caller, and is only read.
    found(unsafe { libbpf_sys::bpf_map_delete_elem(map, key.as_ptr().cast()) })
}

/// Makes a map one that nobody can write from user space any more.
pub(crate) fn freeze(map: RawFd) -> io::Result<()> {
    // SAFETY: nothing but the number is passed.
    let answer = unsafe { libbpf_sys::bpf_map_freeze(map) };
    done(answer)
}

/// Runs a `syscall` program once, on this CPU, with these numbers as its context, if it reads any; what
/// it returned.
pub(crate) fn run(program: RawFd, context: &mut [u64]) -> io::Result<u32> {
    let mut options = libbpf_sys::bpf_test_run_opts {
        sz: size_of::<libbpf_sys::bpf_test_run_opts>() as u64,
        ..Default::default()
    };
    if !context.is_empty() {
        options.ctx_in = context.as_mut_ptr().cast();
        options.ctx_size_in = size_of_val(context) as u32;
    }
    // SAFETY: the context, which the kernel reads and writes back, and the options live through the
    // call, and no other buffers are passed.
    let answer = unsafe { libbpf_sys::bpf_prog_test_run_opts(program, &mut options) };
    done(answer).map(|()| options.retval)
}

/// Has the kernel measure programs for as long as the descriptor is open (Linux 5.8).
pub(crate) fn enable_stats() -> io::Result<OwnedFd> {
    // SAFETY: nothing but the number is passed.
    let fd = unsafe { libbpf_sys::bpf_enable_stats(libbpf_sys::BPF_STATS_RUN_TIME) };
    // SAFETY: the kernel has just given us this descriptor.
    unsafe { owned(fd) }
}

/// What is read to have an iterator's program run, once.
pub(crate) fn iterate(link: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: nothing but the number is passed.
    let fd = unsafe { libbpf_sys::bpf_iter_create(link.as_raw_fd()) };
    // SAFETY: the kernel has just given us this descriptor.
    unsafe { owned(fd) }
}

/// Closes every descriptor but the standard streams, at the very start of a process that was started
/// to do without: what a service manager passes on stays open across a start.
pub(crate) fn close_inherited() {
    // SAFETY: plain numbers. Nothing in the process owns a descriptor yet, as its only caller runs
    // before anything was opened.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if answer < 0 {
        // Before Linux 5.9. So many are the most that a service has, unless it was told otherwise.
        for fd in 3..1024 {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }
}

/// The bytes of these u64s, as they lie in memory.
pub(crate) fn bytes(words: &[u64]) -> &[u8] {
    // SAFETY: any u64 is eight bytes, and bytes need no alignment.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

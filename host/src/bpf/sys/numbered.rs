//! Programs, maps, links and types, by the numbers that the kernel gives them, and what it knows about each.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use super::answer::{done, found, owned};

/// What the kernel gives numbers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbered {
    /// Programs.
    Program,
    /// Maps.
    Map,
    /// Links (Linux 5.8).
    Link,
    /// Descriptions of types.
    Btf,
}

/// The next higher number of this kind, if there is one.
pub(crate) fn next_id(kind: Numbered, after: u32) -> io::Result<Option<u32>> {
    let mut next = 0;
    // SAFETY: the kernel writes a number.
    let answer = unsafe {
        match kind {
            Numbered::Program => libbpf_sys::bpf_prog_get_next_id(after, &raw mut next),
            Numbered::Map => libbpf_sys::bpf_map_get_next_id(after, &raw mut next),
            Numbered::Link => libbpf_sys::bpf_link_get_next_id(after, &raw mut next),
            Numbered::Btf => libbpf_sys::bpf_btf_get_next_id(after, &raw mut next),
        }
    };
    Ok(found(answer)?.then_some(next))
}

/// What has this number; none if it is gone.
pub(crate) fn by_id(kind: Numbered, id: u32) -> io::Result<Option<OwnedFd>> {
    // SAFETY: nothing but the number is passed.
    let fd = unsafe {
        match kind {
            Numbered::Program => libbpf_sys::bpf_prog_get_fd_by_id(id),
            Numbered::Map => libbpf_sys::bpf_map_get_fd_by_id(id),
            Numbered::Link => libbpf_sys::bpf_link_get_fd_by_id(id),
            Numbered::Btf => libbpf_sys::bpf_btf_get_fd_by_id(id),
        }
    };
    // A link that is not attached yet, or no more, has a number and cannot be had.
    if [libc::ENOENT, libc::EAGAIN].contains(&-fd) {
        return Ok(None);
    }
    // SAFETY: the kernel has just given us this descriptor.
    unsafe { owned(fd) }.map(Some)
}

/// One of libbpf's calls that ask for what the kernel knows about a descriptor.
type Ask<T> = unsafe extern "C" fn(libc::c_int, *mut T, *mut u32) -> libc::c_int;

/// Has the kernel write what it knows about `fd` to `info`; how many bytes of it this kernel knows.
///
/// # Safety
///
/// `T` is what the call writes, and has room behind each pointer in it for as much as it says.
pub(crate) unsafe fn tell<T>(fd: BorrowedFd<'_>, info: &mut T, ask: Ask<T>) -> io::Result<usize> {
    let mut size = size_of::<T>() as u32;
    // SAFETY: the kernel writes at most `size` bytes to `info`, which has as many; else says the caller.
    done(unsafe { ask(fd.as_raw_fd(), info, &raw mut size) })?;
    Ok(size as usize)
}

/// What the kernel knows about the map behind `fd`.
pub(crate) fn map_info(fd: BorrowedFd<'_>) -> io::Result<libbpf_sys::bpf_map_info> {
    let mut info = libbpf_sys::bpf_map_info::default();
    // SAFETY: the pointers in it are null.
    unsafe { tell(fd, &mut info, libbpf_sys::bpf_map_get_info_by_fd) }?;
    Ok(info)
}

/// The numbers of so many maps that the program behind `fd` uses, all of them if it is not given more.
pub(crate) fn maps_of(fd: BorrowedFd<'_>, count: u32) -> io::Result<Vec<u32>> {
    let mut ids = vec![0; count as usize];
    let mut info = libbpf_sys::bpf_prog_info {
        nr_map_ids: count,
        map_ids: ids.as_mut_ptr() as u64,
        ..Default::default()
    };
    // SAFETY: there is room for as many numbers as are asked for, and other pointers are null.
    unsafe { tell(fd, &mut info, libbpf_sys::bpf_prog_get_info_by_fd) }?;
    ids.truncate(info.nr_map_ids as usize);
    Ok(ids)
}

/// The name of the types behind `fd`: `vmlinux`, or that of a module; empty for those of a program.
pub(crate) fn btf_name(fd: BorrowedFd<'_>) -> io::Result<String> {
    let mut name = [0; 64];
    let mut info = libbpf_sys::bpf_btf_info {
        name: name.as_mut_ptr() as u64,
        name_len: size_of_val(&name) as u32,
        ..Default::default()
    };
    // SAFETY: there is room for as many bytes of the name as are asked for, and other pointers are null.
    unsafe { tell(fd, &mut info, libbpf_sys::bpf_btf_get_info_by_fd) }?;
    Ok(text(&name))
}

/// What libbpf calls a type of map; nothing if it does not know it.
pub(in crate::bpf) fn map_type_name(kind: libbpf_sys::bpf_map_type) -> Option<&'static str> {
    // SAFETY: as `named` wants it.
    unsafe { named(libbpf_sys::libbpf_bpf_map_type_str(kind)) }
}

/// What libbpf calls a type of program; nothing if it does not know it.
pub(in crate::bpf) fn program_type_name(kind: libbpf_sys::bpf_prog_type) -> Option<&'static str> {
    // SAFETY: as `named` wants it.
    unsafe { named(libbpf_sys::libbpf_bpf_prog_type_str(kind)) }
}

/// What libbpf calls a way to attach a program; nothing if it does not know it.
pub(in crate::bpf) fn attach_type_name(kind: libbpf_sys::bpf_attach_type) -> Option<&'static str> {
    // SAFETY: as `named` wants it.
    unsafe { named(libbpf_sys::libbpf_bpf_attach_type_str(kind)) }
}

/// # Safety
///
/// `name` is null or a static string.
unsafe fn named(name: *const libc::c_char) -> Option<&'static str> {
    // SAFETY: says the caller.
    (!name.is_null()).then(|| unsafe { std::ffi::CStr::from_ptr(name) })?.to_str().ok()
}

/// A name of the kernel's, up to its NUL.
pub(in crate::bpf) fn text(name: &[libc::c_char]) -> String {
    let bytes: Vec<u8> =
        name.iter().take_while(|byte| **byte != 0).map(|byte| *byte as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

//! Programs and links that others have made before: whether two are the same, and how one takes the place of another.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::answer::done;
use super::numbered::tell;

/// Has the kernel run another program at a link, in one step.
///
/// # Errors
///
/// `EINVAL` if links of this type cannot, `ENOLINK` if what it hung at is gone.
pub(crate) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: nothing but numbers is passed, and no options.
    let answer = unsafe {
        libbpf_sys::bpf_link_update(link.as_raw_fd(), program.as_raw_fd(), std::ptr::null())
    };
    done(answer)
}

/// The number of the program that runs at a link.
pub(crate) fn program_of(link: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = libbpf_sys::bpf_link_info::default();
    // SAFETY: the pointers in it are null.
    unsafe { tell(link, &mut info, libbpf_sys::bpf_link_get_info_by_fd) }?;
    Ok(info.prog_id)
}

/// The instructions of a program as the verifier has left them. They name maps by their numbers. Empty if the kernel
/// does not show them, as it does not where it hides constants (`net.core.bpf_jit_harden`).
pub(crate) fn instructions(program: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    // SAFETY: the pointers in it are null.
    unsafe { tell(program, &mut info, libbpf_sys::bpf_prog_get_info_by_fd) }?;
    let mut instructions = vec![0; info.xlated_prog_len as usize];
    let mut info = libbpf_sys::bpf_prog_info {
        xlated_prog_len: info.xlated_prog_len,
        xlated_prog_insns: instructions.as_mut_ptr() as u64,
        ..Default::default()
    };
    // SAFETY: there is room for as many bytes as are asked for, and other pointers are null.
    unsafe { tell(program, &mut info, libbpf_sys::bpf_prog_get_info_by_fd) }?;
    // The kernel takes the pointer out where it shows nothing.
    let shown = if info.xlated_prog_insns == 0 { 0 } else { info.xlated_prog_len as usize };
    instructions.truncate(shown);
    Ok(instructions)
}

/// Has the number of a descriptor stand for another file while `act` runs. Whoever knows the number alone, as libbpf
/// knows that of a program, acts on the other file then. Nobody else may use the number meanwhile.
///
/// # Errors
///
/// When no descriptor is left; `act` has not run then.
pub(crate) fn standing_for<T>(
    number: BorrowedFd<'_>,
    other: BorrowedFd<'_>,
    act: impl FnOnce() -> T,
) -> io::Result<T> {
    let own = number.try_clone_to_owned()?;
    duplicate(other, number)?;
    let result = act();
    // Of a number that is open this cannot fail.
    duplicate(std::os::fd::AsFd::as_fd(&own), number)?;
    Ok(result)
}

fn duplicate(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: plain numbers; `to` is closed and opened in one step, and stays open.
    let answer = unsafe { libc::dup3(from.as_raw_fd(), to.as_raw_fd(), libc::O_CLOEXEC) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

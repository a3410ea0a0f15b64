//! Classic BPF: the filter that the kernel runs before each system call of this process.
//!
//! What it lets through is for [`crate::privileges`] to say; this hands it over, for all threads.

use std::io;

use seccompiler::sock_filter;

/// Has the kernel filter the calls of all threads of this process, and of those to come, with this
/// program, on top of others, and log what it refuses. Needs `no_new_privs`, or CAP_SYS_ADMIN.
///
/// # Errors
///
/// When the kernel refuses it, or a thread has a filter that is not this process's; none has got it
/// then.
pub fn install(program: &[sock_filter]) -> io::Result<()> {
    let len = program.len().try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel copies `len` instructions, which both libraries lay out as it does, and
    // writes nothing; the program lives through the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_LOG,
            &raw const program,
        )
    };
    match answer {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
    }
}

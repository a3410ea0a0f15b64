//! Classic BPF: the filter that the kernel runs before each system call of this process.
//!
//! What it lets through is for [`crate::privileges`] to say; this hands it over.

use std::io;

use seccompiler::sock_filter;

/// Whose calls are filtered. Threads that one of them starts have its filters too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// All of this process.
    All,
    /// The calling one.
    This,
}

/// Has the kernel filter the calls of these threads, and of those that they start, with this
/// program, on top of others, and log what it refuses. Needs `no_new_privs`, or CAP_SYS_ADMIN.
///
/// # Errors
///
/// When the kernel refuses it, or a thread has a filter that is not this process's; none has got it
/// then.
pub fn install(program: &[sock_filter], threads: Threads) -> io::Result<()> {
    let len = program.len().try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    let together = match threads {
        Threads::All => libc::SECCOMP_FILTER_FLAG_TSYNC,
        Threads::This => 0,
    };
    // SAFETY: the kernel copies `len` instructions, which both libraries lay out as it does, and
    // writes nothing; the program lives through the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            together | libc::SECCOMP_FILTER_FLAG_LOG,
            &raw const program,
        )
    };
    match answer {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
    }
}

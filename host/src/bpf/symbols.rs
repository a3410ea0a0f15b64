//! Asks the kernel what it calls an address, one at a time: a small program prints it there, as the
//! kernel would in a trace of its own.
//!
//! `/proc/kallsyms` says the same, but only of all symbols at once, for which the kernel takes 60 ms
//! and the host 4 MB. Needs Linux 5.14, and 5.19 to go on once capabilities are dropped. Never makes
//! anything of what the kernel prints.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;

use caps::CapSet;
use libbpf_rs::{MapCore, ObjectBuilder};

use super::{log, sys};

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/symbols.bpf.o"));

/// Bytes of the program's `text`.
const ROOM: usize = 1024;

/// A program that prints addresses, in the kernel.
#[derive(Debug)]
pub struct Symbols {
    program: OwnedFd,
    text: sys::Mapping,
}

/// Why the kernel cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum SymbolsError {
    /// The kernel does not take the program.
    #[error("failed to load the program that asks the kernel: {0}")]
    Load(io::Error),
    /// The kernel does not run it for a thread that has no capabilities.
    #[error("the program that asks the kernel does not run once capabilities are dropped: {0}")]
    Run(io::Error),
}

impl Symbols {
    /// Hands the program to the kernel, and tries it as it will be run when capabilities are gone.
    ///
    /// # Errors
    ///
    /// When the kernel does not take it, or would no longer run it then.
    pub fn load() -> Result<Self, SymbolsError> {
        let (symbols, _) = log::capture(Self::new);
        let mut symbols = symbols.map_err(SymbolsError::Load)?;
        symbols.run_without_capabilities().map_err(SymbolsError::Run)?;
        Ok(symbols)
    }

    fn new() -> io::Result<Self> {
        let object = ObjectBuilder::default()
            .name("ewe_symbols")
            .and_then(|builder| builder.open_memory(OBJECT))
            .and_then(|open| open.load());
        let object = object.map_err(io::Error::other)?;
        let lacks = || io::Error::other("its object is damaged");
        let program = object.progs().next().ok_or_else(lacks)?;
        let program = program.as_fd().try_clone_to_owned()?;
        let is_text = |name: &std::ffi::OsStr| name.as_encoded_bytes().ends_with(b".bss");
        let text = object.maps().find(|map| is_text(map.name())).ok_or_else(lacks)?;
        let text = sys::Mapping::new(text.as_fd().as_raw_fd(), ROOM / size_of::<u64>())?;
        Ok(Self { program, text })
    }

    /// Capabilities belong to a thread, and this one's own are still needed.
    fn run_without_capabilities(&mut self) -> io::Result<()> {
        let run = || {
            caps::clear(None, CapSet::Effective).map_err(io::Error::other)?;
            self.print(0).map(|_| ())
        };
        let panicked = |_| io::Error::other("it panicked");
        thread::scope(|scope| {
            thread::Builder::new().spawn_scoped(scope, run)?.join().map_err(panicked)?
        })
    }

    /// What the kernel prints for `address`: `name+0x0/0x80`, with ` [module]` behind it if it is of
    /// one, or the bare `0x…` if it does not know it.
    ///
    /// # Errors
    ///
    /// When the kernel does not run the program.
    pub fn print(&mut self, address: u64) -> io::Result<&[u8]> {
        let size = sys::run(self.program.as_raw_fd(), &mut [address])? as usize;
        let text = sys::bytes(self.text.still());
        let len = size.checked_sub(1).filter(|len| *len < text.len());
        // The program gives an error of its helper as a negative number.
        len.map(|len| &text[..len]).ok_or_else(|| io::Error::other("it printed nothing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_before_5_19_is_not_asked() {
        let refused = io::Error::from_raw_os_error(libc::EPERM);
        insta::assert_snapshot!(SymbolsError::Run(refused), @"the program that asks the kernel does not run once capabilities are dropped: Operation not permitted (os error 1)");
    }
}

//! The kernel's symbols by address.
//!
//! Names are asked of the kernel itself, one at a time, where someone was found who can
//! ([`Printer`]), and looked up in the list of all symbols, `/proc/kallsyms`, where not. The list is
//! read only if something has to be looked up in it: that takes about 0.1 s and 4 MB. Both give the
//! same, except that the kernel
//!
//! - does not name what is listed as of `[__builtin__ftrace]` and `[__builtin__kprobes]`: its own
//!   trampolines;
//! - names nothing behind the end of a module, a BPF program or its own code, where the list's
//!   reader has to guess how far the last symbol reaches, and not the mark `_etext` there;
//! - without `CONFIG_KALLSYMS_ALL` names no data, of which it lists some marks even then;
//! - prints the jump table of XDP programs, `bpf_dispatcher_xdp`, without `[bpf]`;
//! - keeps nothing back for `kernel.kptr_restrict` or want of CAP_SYSLOG.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::table::Table;
use crate::files::Readable;

mod kernel;
mod list;
mod printed;

use kernel::Kernel;
use list::List;

/// How far behind the start of a symbol an address may be to belong to it, in bytes. No function
/// is as long; what lies further off is in code that the list does not know, or in none.
pub const REACH: u64 = 1 << 20;

/// Has the kernel print an address (`%pS`), and appends what it printed: `name+0x1/0x80 [module]`
/// or the bare address.
pub type Printer = Box<dyn FnMut(u64, &mut Vec<u8>) -> io::Result<()> + Send>;

/// The symbols of the running kernel and its modules.
pub struct Kallsyms {
    list: Table<List>,
    kernel: Mutex<Option<Kernel>>,
    wanted: AtomicBool,
}

impl Kallsyms {
    /// The symbols that the file at `path` lists. Reads nothing yet.
    pub fn new(path: PathBuf) -> Self {
        Self {
            list: Table::new(List::new(path)),
            kernel: Mutex::default(),
            wanted: AtomicBool::new(false),
        }
    }

    /// Says that something will ask, so that [`System::prepare`](super::System::prepare) sees to
    /// it that there is an answer.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// From now on names are asked of the kernel, until it fails to answer.
    pub fn ask(&self, print: Printer) {
        *self.kernel() = Some(Kernel::new(print));
    }

    /// Does not complain from now on that nothing can be read.
    pub(super) fn hush(&self) {
        self.list.hush();
    }

    /// The list, which is read if the kernel does not answer.
    pub(super) fn readable(&self) -> Readable {
        Readable::Content(self.list.source().path.clone())
    }

    /// Reads the list if names will have to be looked up in it.
    pub(super) fn prepare(&self) {
        if self.is_wanted() && self.kernel().is_none() {
            self.list.prepare(Instant::now());
        }
    }

    /// Appends the name of the symbol at exactly `address` to `out` and says whether there is
    /// one. A module's symbol is named as the kernel lists it: name, tab, `[module]`.
    pub fn name(&self, address: u64, out: &mut Vec<u8>) -> bool {
        self.find(Instant::now(), address, 0, out)
    }

    /// Appends the name of the symbol that `address` lies in, the nearest at or below it and not
    /// further than [`REACH`], to `out` and says whether there is one.
    pub fn name_around(&self, address: u64, out: &mut Vec<u8>) -> bool {
        self.find(Instant::now(), address, REACH, out)
    }

    /// The address of the symbol of each of these names, 0 where there is none. The kernel's own comes before a
    /// module's, which is asked for by its name alone, and the highest of several before the others. Always looked up in
    /// the list, in one walk over it for all.
    pub fn addresses_of(&self, symbols: &[&str]) -> Vec<u64> {
        let (mut addresses, wanted) =
            (HashMap::new(), symbols.iter().collect::<HashSet<_>>().len());
        self.list.find(Instant::now(), |list| {
            addresses = list.symbols.addresses_of(symbols);
            (addresses.len() == wanted).then_some(())
        });
        symbols.iter().map(|symbol| addresses.get(symbol).copied().unwrap_or_default()).collect()
    }

    fn find(&self, now: Instant, address: u64, reach: u64, out: &mut Vec<u8>) -> bool {
        if let Some(known) = self.find_in_kernel(now, address, reach, out) {
            return known;
        }
        let found = self.list.find(now, |list| {
            out.extend_from_slice(list.symbols.find(address, reach)?);
            Some(())
        });
        found.is_some()
    }

    /// `None` if the kernel does not answer, and from then on.
    fn find_in_kernel(
        &self,
        now: Instant,
        address: u64,
        reach: u64,
        out: &mut Vec<u8>,
    ) -> Option<bool> {
        let mut kernel = self.kernel();
        match kernel.as_mut()?.find(now, address, reach, out) {
            Ok(known) => Some(known),
            Err(error) => {
                tracing::debug!("symbols are read from /proc/kallsyms from now on: {error}");
                *kernel = None;
                None
            }
        }
    }

    fn kernel(&self) -> MutexGuard<'_, Option<Kernel>> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::super::table::Source;
    use super::*;

    const TEXT: &str = "ffffffff81000100 t listed\n";

    const LISTED: u64 = 0xffff_ffff_8100_0100;

    /// With this list, in a file that lives as long as the second.
    fn kallsyms() -> (Kallsyms, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, TEXT).unwrap();
        (Kallsyms::new(file.path().to_owned()), file)
    }

    fn name(kallsyms: &Kallsyms, address: u64) -> Option<String> {
        let mut out = Vec::new();
        let found = kallsyms.name(address, &mut out);
        assert!(found || out.is_empty());
        found.then(|| String::from_utf8(out).unwrap())
    }

    /// A kernel that knows one address, and answers so many times.
    fn kernel(mut answers: u32) -> Printer {
        Box::new(move |address, out| {
            answers = answers.checked_sub(1).ok_or(io::ErrorKind::PermissionDenied)?;
            let text = if address == 1 { "known+0x0/0x10" } else { "0x2" };
            out.extend_from_slice(text.as_bytes());
            Ok(())
        })
    }

    #[test]
    fn the_kernel_is_asked_and_the_list_is_not() {
        let (kallsyms, _file) = kallsyms();
        kallsyms.ask(kernel(u32::MAX));
        assert_eq!(name(&kallsyms, 1).as_deref(), Some("known"));
        assert_eq!(name(&kallsyms, LISTED), None);
        assert_eq!(kallsyms.addresses_of(&["listed", "gone", "listed"]), [LISTED, 0, LISTED]);
    }

    #[test]
    fn a_kernel_that_fails_to_answer_is_not_asked_again() {
        let (kallsyms, _file) = kallsyms();
        kallsyms.ask(kernel(1));
        assert_eq!(name(&kallsyms, 1).as_deref(), Some("known"));
        assert_eq!(name(&kallsyms, LISTED).as_deref(), Some("listed"));
        assert_eq!(name(&kallsyms, 1), None);
    }

    #[test]
    fn a_module_that_is_loaded_later_is_found() {
        let (kallsyms, file) = kallsyms();
        let (start, mut out) = (Instant::now(), Vec::new());
        let late = 0xffff_ffff_c030_0000;
        assert!(!kallsyms.find(start, late, 0, &mut out));
        fs::write(&file, format!("{TEXT}ffffffffc0300000 t late\t[mod]\n")).unwrap();
        assert!(!kallsyms.find(start + List::RETRY - Duration::from_secs(1), late, 0, &mut out));
        assert!(kallsyms.find(start + List::RETRY, late, 0, &mut out));
    }
}

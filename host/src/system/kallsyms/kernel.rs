//! The kernel, asked for the names of single addresses.

use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::Printer;
use super::printed::Printed;

/// How long an answer is given again without asking, and how many there are of that kind at most:
/// stacks share most of their frames, and to ask takes 5 µs. All are forgotten at once. A full
/// memory takes some 400 kB.
const HOLDS: Duration = Duration::from_secs(10);
const REMEMBERED: usize = 4096;

/// The kernel, as long as it answers.
pub(super) struct Kernel {
    print: Printer,
    /// Where in `text` the answer for an address is.
    answers: HashMap<u64, Range<usize>, RandomState>,
    /// What it printed since the time below.
    text: Vec<u8>,
    since: Option<Instant>,
}

impl Kernel {
    pub(super) fn new(print: Printer) -> Self {
        Self { print, answers: HashMap::default(), text: Vec::new(), since: None }
    }

    /// Appends the name of the symbol that begins at `address` or at most `reach` bytes before it
    /// to `out`, and says whether there is one.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub(super) fn find(
        &mut self,
        now: Instant,
        address: u64,
        reach: u64,
        out: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let symbol = Printed::parse(self.ask(now, address)?);
        let symbol = symbol.filter(|symbol| symbol.offset <= reach);
        Ok(symbol.inspect(|symbol| symbol.list(out)).is_some())
    }

    fn ask(&mut self, now: Instant, address: u64) -> io::Result<&[u8]> {
        let old = self.since.is_none_or(|since| now.saturating_duration_since(since) >= HOLDS);
        if old || self.answers.len() == REMEMBERED {
            self.answers.clear();
            self.text.clear();
            self.since = Some(now);
        }
        let range = if let Some(range) = self.answers.get(&address) {
            range.clone()
        } else {
            let start = self.text.len();
            (self.print)(address, &mut self.text)?;
            let range = start..self.text.len();
            self.answers.insert(address, range.clone());
            range
        };
        Ok(&self.text[range])
    }
}

#[cfg(test)]
mod tests {
    use super::super::REACH;
    use super::*;

    /// A function of a module at 0x1000 whose size is how often the kernel was asked.
    fn kernel() -> Kernel {
        let mut asked = 0;
        Kernel::new(Box::new(move |address, out| {
            asked += 1;
            match address.checked_sub(0x1000) {
                Some(offset) => out.extend(format!("f{asked}+{offset:#x}/0x200000 [m]").bytes()),
                None => out.extend(format!("{address:#x}").bytes()),
            }
            Ok(())
        }))
    }

    #[test]
    fn addresses_are_looked_up_exactly_or_from_above() {
        let (mut kernel, now) = (kernel(), Instant::now());
        for (address, reach, name) in [
            (0xfff, 0, ""),
            (0xfff, REACH, ""),
            (0x1000, 0, "f2\t[m]"),
            (0x1001, 0, ""),
            (0x1001, REACH, "f3\t[m]"),
            (0x1000 + REACH, REACH, "f4\t[m]"),
            (0x1001 + REACH, REACH, ""),
        ] {
            let mut out = Vec::new();
            assert_eq!(kernel.find(now, address, reach, &mut out).unwrap(), !name.is_empty());
            assert_eq!(out, name.as_bytes(), "{address:#x} {reach:#x}");
        }
    }

    #[test]
    fn answers_are_remembered_for_a_while_and_not_without_end() {
        let (mut kernel, start) = (kernel(), Instant::now());
        let mut ask = |now, address| String::from_utf8(kernel.ask(now, address).unwrap().to_vec());
        assert_eq!(ask(start, 0x1000).unwrap(), "f1+0x0/0x200000 [m]");
        assert_eq!(ask(start + HOLDS / 2, 0x1000).unwrap(), "f1+0x0/0x200000 [m]");
        assert_eq!(ask(start + HOLDS, 0x1000).unwrap(), "f2+0x0/0x200000 [m]");
        for address in 0..REMEMBERED as u64 {
            ask(start + HOLDS, address).unwrap();
        }
        assert!(kernel.answers.len() <= REMEMBERED);
        assert_eq!(kernel.text.len(), kernel.answers.values().map(Range::len).sum::<usize>());
        let asked = REMEMBERED + 3;
        let text = kernel.ask(start + HOLDS, 0x1000).unwrap();
        assert_eq!(text, format!("f{asked}+0x0/0x200000 [m]").as_bytes());
    }
}

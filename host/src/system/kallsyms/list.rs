//! `/proc/kallsyms`: the list of all symbols.
//!
//! That of a common kernel (122,000 symbols) takes about 4 MB here: one string for all names,
//! 16 bytes a symbol beside it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::system::table::Source;

/// The list as it was read last.
#[derive(Default)]
pub(super) struct List {
    pub(super) path: PathBuf,
    pub(super) symbols: Symbols,
}

#[derive(Default)]
pub(super) struct Symbols {
    /// Those that name an address, ascending by it, then those that do not.
    rows: Vec<Symbol>,
    /// How many of them name an address.
    named: usize,
    /// All names, end to end.
    names: Vec<u8>,
}

struct Symbol {
    address: u64,
    /// Where its name starts in `names`.
    start: u32,
    len: u16,
    /// Of type `a`: a number that the kernel gave a name to (offsets of per-CPU variables are
    /// such), not a place where something stands.
    absolute: bool,
}

impl List {
    /// That of the file at `path`, which is not read yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, symbols: Symbols::default() }
    }
}

impl Source for List {
    /// A reading takes about 0.1 s.
    const RETRY: Duration = Duration::from_secs(10);
    /// A module may take the place of another.
    const MAX_AGE: Duration = Duration::from_secs(600);

    /// Having read once, keeps silent about not being able to any more: that is how things are
    /// after privileges were dropped.
    fn read(&mut self, _: Instant) -> Result<(), String> {
        let problem = match File::open(&self.path).and_then(Symbols::read) {
            Ok(symbols) if symbols.named > 0 => {
                self.symbols = symbols;
                return Ok(());
            }
            _ if self.symbols.named > 0 => return Ok(()),
            Ok(_) => "it shows no addresses".to_owned(),
            Err(error) => error.to_string(),
        };
        let path = self.path.display();
        Err(format!(
            "failed to read kernel symbols from {path}: {problem}, so kernel addresses stay \
             unknown; mount /proc, run with CAP_SYSLOG, set kernel.kptr_restrict to 0 or 1"
        ))
    }
}

impl Symbols {
    /// No symbols if addresses are hidden, which shows in the first piece of code at address 0.
    fn read(file: impl io::Read) -> io::Result<Self> {
        let mut symbols = Self::default();
        let mut file = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::new();
        while file.read_until(b'\n', &mut line)? > 0 {
            if let Some((address, kind, name)) = parse(&line) {
                if address == 0 && kind == b't' {
                    return Ok(Self::default());
                }
                symbols.push(address, kind == b'a', name);
            }
            line.clear();
        }
        symbols.rows.sort_by_key(|symbol| (symbol.absolute, symbol.address));
        symbols.named = symbols.rows.partition_point(|symbol| !symbol.absolute);
        symbols.rows.shrink_to_fit();
        symbols.names.shrink_to_fit();
        Ok(symbols)
    }

    fn push(&mut self, address: u64, absolute: bool, name: &[u8]) {
        // Address 0 is how a hidden or discarded symbol is shown.
        if address == 0 || is_mark(name) {
            return;
        }
        if let (Ok(start), Ok(len)) = (u32::try_from(self.names.len()), u16::try_from(name.len())) {
            self.rows.push(Symbol { address, start, len, absolute });
            self.names.extend_from_slice(name);
        }
    }

    /// The name of the symbol nearest at or below `address`, and not further than `reach` bytes. Of
    /// several names for one address the one that the kernel lists first, which is also the one it
    /// prints itself.
    pub(super) fn find(&self, address: u64, reach: u64) -> Option<&[u8]> {
        let named = self.rows.get(..self.named)?;
        let behind = named.partition_point(|symbol| symbol.address <= address);
        let nearest = named.get(behind.checked_sub(1)?)?.address;
        let first = named.get(named.partition_point(|symbol| symbol.address < nearest))?;
        (address - nearest <= reach).then(|| self.name(first))
    }

    /// The address of the symbol of each name that has one. Of several, one of the kernel itself comes before those of
    /// modules, a place before a number, and then the highest, which the kernel lists last.
    pub(super) fn addresses_of<'w>(&self, wanted: &[&'w str]) -> HashMap<&'w str, u64> {
        let wanted: HashMap<&[u8], &'w str> =
            wanted.iter().map(|name| (name.as_bytes(), *name)).collect();
        let mut found: HashMap<&'w str, (bool, bool, u64)> = HashMap::new();
        for symbol in &self.rows {
            let mut listed = self.name(symbol).split(|byte| *byte == b'\t');
            let Some(name) = wanted.get(listed.next().unwrap_or_default()) else { continue };
            let rank = (listed.next().is_none(), !symbol.absolute, symbol.address);
            let best = found.entry(name).or_insert(rank);
            *best = rank.max(*best);
        }
        found.into_iter().map(|(name, (_, _, address))| (name, address)).collect()
    }

    fn name(&self, symbol: &Symbol) -> &[u8] {
        let start = symbol.start as usize;
        self.names.get(start..start + usize::from(symbol.len)).unwrap_or_default()
    }
}

/// Address, type in lowercase and name out of a line `ffffffffc0201000 t NAME\t[MODULE]`.
fn parse(line: &[u8]) -> Option<(u64, u8, &[u8])> {
    let line = line.trim_ascii_end();
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (address, rest) = line.split_at(space);
    let address = u64::from_str_radix(str::from_utf8(address).ok()?, 16).ok()?;
    match rest {
        [b' ', kind, b' ', name @ ..] if !name.is_empty() => {
            Some((address, kind.to_ascii_lowercase(), name))
        }
        _ => None,
    }
}

/// Whether this is what compilers leave in modules (`.LC0` and, on arm64, `$x`), not a symbol: the
/// kernel lists it, but passes over it when it names an address.
fn is_mark(name: &[u8]) -> bool {
    let is_end = |rest: &[u8]| matches!(rest, [b'.' | b'\t', ..]);
    match name {
        [b'.', b'L', rest @ ..] => rest.contains(&b'\t'),
        [b'$', b'a' | b'd' | b't' | b'x', rest @ ..] => is_end(rest) && rest.contains(&b'\t'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::REACH;
    use super::*;

    const TEXT: &str = "\
0000000000000000 A fixed_percpu_data
0000000000018d80 A cpu_number
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000100 t do_one
ffffffffc0201000 t commit_timeout\t[jbd2]
ffffffff82000000 D jiffies
not a symbol
";

    fn list(path: &std::path::Path) -> List {
        List::new(path.to_owned())
    }

    fn text(name: Option<&[u8]>) -> Option<&str> {
        name.map(|name| str::from_utf8(name).unwrap())
    }

    #[test]
    fn addresses_are_looked_up_exactly_or_from_above() {
        let symbols = Symbols::read(TEXT.as_bytes()).unwrap();
        for (address, exact, around) in [
            (0, None, None),
            (0x18d80, None, None),
            (0xffff_ffff_80ff_ffff, None, None),
            (0xffff_ffff_8100_0000, Some("_stext"), Some("_stext")),
            (0xffff_ffff_8100_00ff, None, Some("_stext")),
            (0xffff_ffff_8100_0100, Some("do_one"), Some("do_one")),
            (0xffff_ffff_8110_0100, None, Some("do_one")),
            (0xffff_ffff_8110_0101, None, None),
            (0xffff_ffff_8200_0000, Some("jiffies"), Some("jiffies")),
            (0xffff_ffff_c020_1004, None, Some("commit_timeout\t[jbd2]")),
            (u64::MAX, None, None),
        ] {
            assert_eq!(text(symbols.find(address, 0)), exact, "{address:#x}");
            assert_eq!(text(symbols.find(address, REACH)), around, "{address:#x}");
        }
    }

    #[test]
    fn marks_in_modules_are_no_symbols() {
        let text = "\
ffffffff81000000 T $xylophone
ffffffff81000010 t .LC0
ffffffffc0201000 t $x\t[m]
ffffffffc0201000 t $x.1\t[m]
ffffffffc0201000 t .LC0\t[m]
ffffffffc0201000 t begin\t[m]
ffffffffc0201010 t $d\t[m]
ffffffffc0201020 t $xylophone\t[m]
";
        let symbols = Symbols::read(text.as_bytes()).unwrap();
        for (address, name) in [
            (0xffff_ffff_8100_0001, "$xylophone"),
            (0xffff_ffff_8100_0011, ".LC0"),
            (0xffff_ffff_c020_1000, "begin\t[m]"),
            (0xffff_ffff_c020_1010, "begin\t[m]"),
            (0xffff_ffff_c020_1020, "$xylophone\t[m]"),
        ] {
            assert_eq!(self::text(symbols.find(address, REACH)), Some(name), "{address:#x}");
        }
    }

    #[test]
    fn symbols_have_addresses() {
        let symbols = Symbols::read(TEXT.as_bytes()).unwrap();
        for (symbol, address) in [
            ("_text", Some(0xffff_ffff_8100_0000)),
            ("commit_timeout", Some(0xffff_ffff_c020_1000)),
            ("cpu_number", Some(0x18d80)),
            ("fixed_percpu_data", None),
            ("do_on", None),
            ("do_one_more", None),
        ] {
            assert_eq!(symbols.addresses_of(&[symbol]).get(symbol).copied(), address, "{symbol}");
        }
    }

    #[test]
    fn of_symbols_of_one_name_the_kernels_last_is_meant() {
        let text = "\
0000000000018d80 A twice
ffffffff81000000 d twice
ffffffff81000100 d twice
0000000000000042 A number
ffff80007a000000 d number\t[m]
ffff80007a000100 d twice\t[m]
ffff80007a000200 d module\t[m]
ffff80007a000300 d module\t[n]
";
        let symbols = Symbols::read(text.as_bytes()).unwrap();
        let found = symbols.addresses_of(&["twice", "number", "module"]);
        assert_eq!(found["twice"], 0xffff_ffff_8100_0100);
        assert_eq!(found["number"], 0x42);
        assert_eq!(found["module"], 0xffff_8000_7a00_0300);
    }

    #[test]
    fn symbols_outlive_the_privilege_to_read_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut list = list(file.path());
        fs::write(&file, TEXT).unwrap();
        assert_eq!(list.read(Instant::now()), Ok(()));
        fs::write(&file, "0000000000000000 T _text\n").unwrap();
        assert_eq!(list.read(Instant::now()), Ok(()));
        assert_eq!(list.symbols.addresses_of(&["_text"])["_text"], 0xffff_ffff_8100_0000);
    }

    #[test]
    fn hidden_addresses_are_a_complaint() {
        let file = tempfile::Builder::new().tempfile_in("/tmp").unwrap();
        fs::write(&file, "0000000000000000 A percpu\n0000000000000000 T _text\n").unwrap();
        let complaint = list(file.path()).read(Instant::now()).unwrap_err();
        insta::assert_snapshot!(
            complaint.replace(&file.path().display().to_string(), "FILE"),
            @"failed to read kernel symbols from FILE: it shows no addresses, so kernel addresses stay unknown; mount /proc, run with CAP_SYSLOG, set kernel.kptr_restrict to 0 or 1"
        );
    }

    #[test]
    fn no_file_is_a_complaint() {
        insta::assert_snapshot!(
            list("/nowhere/kallsyms".as_ref()).read(Instant::now()).unwrap_err(),
            @"failed to read kernel symbols from /nowhere/kallsyms: No such file or directory (os error 2), so kernel addresses stay unknown; mount /proc, run with CAP_SYSLOG, set kernel.kptr_restrict to 0 or 1"
        );
    }
}

//! `top`: what all BPF programs and maps of the host cost, in a terminal.
//!
//! Names are whatever somebody chose: nothing of them reaches the terminal that could command it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::MetadataExt as _;
use std::thread;
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;

use super::plain;
use crate::advice::{self, Advice, Advise};
use crate::bpf::inventory::{Inventory, Map, Owner, Program, Walker};
use crate::bpf::stats::{self, Measuring, ProgramCost};
use crate::cli::{SortBy, Top};
use crate::config;
use crate::output;
use crate::startup::report::counted;
use crate::surveyor::{attached_to, processes};
use crate::system::System;

/// Lines that are shown where the terminal does not say how many it has.
const LINES: usize = 24;
/// Columns likewise.
const COLUMNS: usize = 120;
/// Clears the terminal, and goes to its upper left corner.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// A flag means nothing.
    #[error("--interval={0} is no time")]
    Interval(String),
    /// The kernel does not tell.
    #[error("failed to look at the BPF programs of this host: {}", advice::words(.0))]
    Walk(io::Error),
    /// Nobody can read it.
    #[error("failed to print: {}", advice::words(.0))]
    Print(io::Error),
}

impl Advise for TopError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Interval(_) => Some("write one such as 2s or 500ms".to_owned()),
            Self::Walk(error) => (error.raw_os_error() == Some(libc::EPERM))
                .then(|| "run it as root, or with CAP_SYS_ADMIN".to_owned()),
            Self::Print(_) => None,
        }
    }
}

impl Top {
    /// Shows it until the terminal or a signal ends it, or once.
    ///
    /// # Errors
    ///
    /// See [`TopError`].
    pub fn show(&self) -> Result<(), TopError> {
        let interval = config::time(&self.interval).filter(|time| !time.is_zero());
        let interval = interval.ok_or_else(|| TopError::Interval(self.interval.clone()))?;
        let mut walker = Walker::new();
        let mut before = Reading::take(&mut walker)?;
        let measuring = (!self.no_bpf_stats).then(Measuring::begin).transpose();
        let unmeasured = match &measuring {
            Err(error) => Some(error.advice()),
            Ok(None) if !stats::enabled() => Some(Advice::plain(
                "nothing is measured, unless another process has the kernel do so",
            )),
            Ok(_) => None,
        };
        let (system, own, screen) = (System::default(), file("self"), Screen::of(self.once));
        loop {
            thread::sleep(interval);
            let now = Reading::take(&mut walker)?;
            let (sort, system) = (self.sort, &system);
            let table = Table { sort, system, own, before: &before, now: &now };
            let text = table.text(unmeasured.as_ref());
            output::print(&screen.fit(&text)).map_err(TopError::Print)?;
            if self.once {
                return Ok(());
            }
            before = now;
        }
    }
}

/// What there was at a time.
struct Reading {
    at: Instant,
    inventory: Inventory,
}

impl Reading {
    fn take(walker: &mut Walker) -> Result<Self, TopError> {
        let inventory = walker.walk().map_err(TopError::Walk)?;
        Ok(Self { at: Instant::now(), inventory })
    }
}

/// Where it is shown.
enum Screen {
    /// All of it, one after the other.
    Endless,
    /// Only what fits, always in the same place.
    Terminal,
}

impl Screen {
    fn of(once: bool) -> Self {
        if once || !io::stdout().is_terminal() { Self::Endless } else { Self::Terminal }
    }

    fn fit(&self, text: &str) -> String {
        if matches!(self, Self::Endless) {
            return text.to_owned();
        }
        let size = tcgetwinsize(io::stdout()).ok();
        let lines = size.map_or(LINES, |size| usize::from(size.ws_row).max(2));
        let columns = size.map_or(COLUMNS, |size| usize::from(size.ws_col).max(20));
        let cut = |line: &str| line.chars().take(columns).collect::<String>();
        let text: Vec<_> = text.lines().take(lines - 1).map(cut).collect();
        format!("{CLEAR}{}\n", text.join("\n"))
    }
}

/// Two readings, and how to show what came between them.
struct Table<'a> {
    sort: SortBy,
    system: &'a System,
    /// The file that this process runs.
    own: Option<(u64, u64)>,
    before: &'a Reading,
    now: &'a Reading,
}

/// A program, and what it did between two readings.
struct Row<'a> {
    program: &'a Program,
    did: ProgramCost,
}

impl Table<'_> {
    fn text(&self, unmeasured: Option<&Advice>) -> String {
        let Inventory { programs, maps, ownerless } = &self.now.inventory;
        let memory: u64 = programs.iter().filter_map(|program| program.memory).sum();
        let map_memory: u64 = maps.iter().filter_map(|map| map.memory).sum();
        let elapsed = self.now.at.duration_since(self.before.at);
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} ({}), {} ({}), measured for {:.1} s",
            counted(programs.len(), "BPF program"),
            bytes(memory),
            counted(maps.len(), "map"),
            bytes(map_memory),
            elapsed.as_secs_f64(),
        );
        let ownerless = ownerless.as_ref().map(|why| format!("owners are not known: {why}"));
        for said in unmeasured.map(Advice::to_string).into_iter().chain(ownerless) {
            let _ = writeln!(text, "{said}");
        }
        text.push('\n');
        text.push_str(&aligned(&self.programs(elapsed)));
        text.push('\n');
        text.push_str(&aligned(&self.maps()));
        text
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let before = &self.before.inventory.programs;
        let before: HashMap<u32, ProgramCost> =
            before.iter().map(|program| (program.id, program.cost)).collect();
        let programs = self.now.inventory.programs.iter();
        let did = |program: &Program| program.cost.since(before.get(&program.id));
        let mut rows: Vec<_> = programs.map(|program| Row { program, did: did(program) }).collect();
        rows.sort_by_key(|Row { program, did }| {
            let by = match self.sort {
                SortBy::Cpu => did.run_time.as_nanos(),
                SortBy::Runs => did.run_count.into(),
                SortBy::Memory => program.memory.unwrap_or_default().into(),
                SortBy::Id => 0,
            };
            (std::cmp::Reverse(by), program.id)
        });
        rows
    }

    /// `*` for what a process of this same program holds.
    fn mark(&self, owners: &[Owner]) -> String {
        let file = |owner: &Owner| file(&owner.process.to_string());
        let ours = self.own.is_some() && owners.iter().any(|owner| file(owner) == self.own);
        if ours { "*".to_owned() } else { String::new() }
    }

    fn programs(&self, elapsed: Duration) -> Vec<[String; 11]> {
        let head = [
            "",
            "ID",
            "TYPE",
            "NAME",
            "CPU%",
            "RUNS/S",
            "NS/RUN",
            "MEMORY",
            "MAPS",
            "ATTACHED TO",
            "OWNER",
        ];
        let mut table = vec![head.map(str::to_owned)];
        let seconds = elapsed.as_secs_f64();
        table.extend(self.rows().iter().map(|Row { program, did }| {
            let (time, runs) = (did.run_time.as_nanos(), did.run_count);
            [
                self.mark(&program.owners),
                program.id.to_string(),
                program.kind.clone(),
                plain(&program.name),
                format!("{:.2}", time as f64 / seconds / 1e7),
                format!("{:.0}", runs as f64 / seconds),
                time.checked_div(runs.into())
                    .map_or_else(|| "-".to_owned(), |each| each.to_string()),
                program.memory.map_or_else(|| "-".to_owned(), bytes),
                bytes(program.map_memory),
                plain(&attached_to(&program.places, self.system)),
                plain(&processes(&program.owners)),
            ]
        }));
        table
    }

    fn maps(&self) -> Vec<[String; 7]> {
        let head = ["", "ID", "TYPE", "NAME", "MAX ENTRIES", "MEMORY", "OWNER"];
        let mut maps: Vec<&Map> = self.now.inventory.maps.iter().collect();
        maps.sort_by_key(|map| (std::cmp::Reverse(map.memory), map.id));
        let mut table = vec![head.map(str::to_owned)];
        table.extend(maps.iter().map(|map| {
            [
                self.mark(&map.owners),
                map.id.to_string(),
                map.kind.clone(),
                plain(&map.name),
                map.max_entries.to_string(),
                map.memory.map_or_else(|| "-".to_owned(), bytes),
                plain(&processes(&map.owners)),
            ]
        }));
        table
    }
}

/// The file that a process runs, `self` this one.
fn file(process: &str) -> Option<(u64, u64)> {
    let file = fs::metadata(format!("/proc/{process}/exe")).ok()?;
    Some((file.dev(), file.ino()))
}

/// `1.5 MiB`.
fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} GiB")
}

/// Columns below each other: numbers to the right, which begin with a digit, all others to the left.
fn aligned<const N: usize>(table: &[[String; N]]) -> String {
    let width = |at: usize| table.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let is_number = |at: usize| {
        let mut cells = table.iter().skip(1).map(|row| &row[at]).filter(|cell| *cell != "-");
        cells.clone().next().is_some()
            && cells.all(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
    };
    let numbers: [bool; N] = std::array::from_fn(is_number);
    let mut text = String::new();
    for row in table {
        let cells = row.iter().enumerate().map(|(at, cell)| match numbers[at] {
            true => format!("{cell:>width$}", width = widths[at]),
            false => format!("{cell:<width$}", width = widths[at]),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::inventory::Place;

    fn program(id: u32, name: &str, nanos: u64, run_count: u64) -> Program {
        let (name, kind) = (name.to_owned(), "tracing".to_owned());
        let cost = ProgramCost { run_time: Duration::from_nanos(nanos), run_count };
        Program { id, name, kind, cost, ..Program::default() }
    }

    fn table(sort: SortBy) -> String {
        let at = Instant::now();
        let places = vec![Place::Section("fentry/vfs_read".to_owned())];
        let owners = vec![Owner { name: "fal\x1b[31m\u{202e}co".to_owned(), process: u32::MAX }];
        let before = vec![program(7, "busy", 1_000, 10), program(3, "idle", 5_000, 50)];
        let busy = Program {
            memory: Some(4_096 + 512),
            map_memory: 3 << 20,
            places,
            owners,
            ..program(7, "busy", 20_001_000, 20_010)
        };
        let after = vec![busy, program(3, "idle", 5_000, 50), program(9, "new", 0, 0)];
        let map = |id, memory, max_entries| {
            let (name, kind) = ("rows".to_owned(), "hash".to_owned());
            Map { id, name, kind, memory, max_entries, owners: Vec::new() }
        };
        let maps = vec![map(1, None, 1), map(2, Some(3 << 20), 10_240)];
        let inventory = |programs, maps| Inventory { programs, maps, ownerless: None };
        let before = Reading { at, inventory: inventory(before, Vec::new()) };
        let now = Reading { at: at + Duration::from_secs(2), inventory: inventory(after, maps) };
        let system = System::at("/nowhere".as_ref());
        Table { sort, system: &system, own: None, before: &before, now: &now }.text(None)
    }

    #[test]
    fn the_busiest_come_first_and_no_name_commands_the_terminal() {
        insta::assert_snapshot!(table(SortBy::Cpu), @r#"
        3 BPF programs (4.5 KiB), 2 maps (3.0 MiB), measured for 2.0 s

          ID  TYPE     NAME  CPU%  RUNS/S  NS/RUN   MEMORY     MAPS  ATTACHED TO      OWNER
           7  tracing  busy  1.00   10000    1000  4.5 KiB  3.0 MiB  fentry/vfs_read  fal\u{1b}[31m\u{202e}co (4294967295)
           3  tracing  idle  0.00       0       -        -      0 B
           9  tracing  new   0.00       0       -        -      0 B

          ID  TYPE  NAME  MAX ENTRIES   MEMORY  OWNER
           2  hash  rows        10240  3.0 MiB
           1  hash  rows            1        -
        "#);
    }

    #[test]
    fn others_come_first_where_that_is_wanted() {
        let order = |sort| {
            let table = table(sort);
            let rows = table.lines().skip(3).take(3).map(|line| line.split_whitespace().next());
            rows.flatten().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(order(SortBy::Id), ["3", "7", "9"]);
        assert_eq!(order(SortBy::Runs), ["7", "3", "9"]);
        assert_eq!(order(SortBy::Memory), ["7", "3", "9"]);
    }

    #[test]
    fn why_nothing_is_shown_is_said() {
        let denied = io::Error::from_raw_os_error(libc::EPERM);
        insta::assert_snapshot!(TopError::Walk(denied).advice(), @"failed to look at the BPF programs of this host: operation not permitted; run it as root, or with CAP_SYS_ADMIN");
        insta::assert_snapshot!(TopError::Interval("2".to_owned()).advice(), @"--interval=2 is no time; write one such as 2s or 500ms");
    }

    #[test]
    fn sizes_have_units() {
        let sizes = [0, 1023, 1024, 1536, 3 << 20, 5 << 30].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "3.0 MiB", "5.0 GiB"]);
    }
}

//! The page of the book that says what each kernel takes: read, held against what was found, and written anew with
//! `RENEW_KERNELS=1`. Its tables are the only place where that is said.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/kernels/tried.md");

/// The heading of the table of reasons, whose columns are not kernels.
const REASONS: &str = "Why not";

/// What stands behind the name of a hook, of which a reason is, once the kernel is locked down.
const LOCKED: &str = " under lockdown";

/// What is said of kernels.
#[derive(Clone, Default)]
struct Said {
    /// Rows by heading and name, each with what it says of some kernels.
    rows: BTreeMap<(String, String), BTreeMap<Kernel, String>>,
    reasons: BTreeSet<Reason>,
}

/// Its version, so that 6.12 comes after 6.1.
type Kernel = Vec<u32>;

/// Why something does not run on a kernel.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Reason {
    name: String,
    kernel: Kernel,
    program: String,
    why: String,
}

/// Whether the page says of a kernel what was found on it, no more and no less. Says what it does not.
pub fn holds(version: &str, found: &str) -> bool {
    let text = fs::read_to_string(FILE).expect("the page is there");
    let (page, found, kernel) =
        (Said::on_page(&text), Said::found(version, found), kernel(version));
    if env::var_os("RENEW_KERNELS").is_some() {
        let text = page.with(&kernel, found).write(&text);
        fs::write(FILE, text).expect("the page can be written");
        println!("kernel {version}: the page says what was found");
        return true;
    }
    let (said, found) = (page.lines(&kernel), found.lines(&kernel));
    if said.is_empty() {
        println!("kernel {version}: the page does not have it; found:");
        found.iter().for_each(|line| println!("  {line}"));
        return true;
    }
    found.difference(&said).for_each(|line| println!("  found, and not on the page: {line}"));
    said.difference(&found).for_each(|line| println!("  on the page, and not found: {line}"));
    if said != found {
        println!(
            "kernel {version}: if that is right, RENEW_KERNELS=1 writes docs/src/kernels/tried.md anew"
        );
    }
    said == found
}

fn kernel(version: &str) -> Kernel {
    version.split('.').map(|part| part.parse().expect("a version such as 6.12")).collect()
}

fn version(kernel: &Kernel) -> String {
    kernel.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

/// The cells of a row of a table.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(inner.split(" | ").map(str::to_owned).collect())
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    format!("| {} |\n", cells.into_iter().collect::<Vec<_>>().join(" | "))
}

impl Said {
    /// What the tables of the page say.
    fn on_page(text: &str) -> Self {
        let mut said = Self::default();
        for section in text.split("\n## ").skip(1) {
            let heading = section.lines().next().unwrap_or_default();
            let mut rows = section.lines().filter_map(cells);
            let head = rows.next().unwrap_or_default();
            rows.for_each(|row| said.add(heading, &head, &row));
        }
        said
    }

    fn add(&mut self, heading: &str, head: &[String], row: &[String]) {
        if let (REASONS, [name, version, program, why]) = (heading, row) {
            let (name, program, why) = (name.clone(), program.clone(), why.clone());
            self.reasons.insert(Reason { name, kernel: kernel(version), program, why });
        } else if let [name, row @ ..] = row {
            let known = head[1..].iter().zip(row).filter(|(_, cell)| !cell.trim().is_empty());
            let cells = known.map(|(version, cell)| (kernel(version), cell.clone())).collect();
            self.rows.insert((heading.to_owned(), name.clone()), cells);
        }
    }

    /// What a machine has left, lines of `KIND NAME PROGRAM WHY` with tabs between.
    fn found(version: &str, lines: &str) -> Self {
        let (kernel, mut programs) = (kernel(version), BTreeMap::<_, Vec<_>>::new());
        for line in lines.lines() {
            let [kind, name, program, why] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("four fields, not: {line}");
            };
            programs.entry((kind, name)).or_default().push((program, why));
        }
        let mut said = Self::default();
        for ((kind, name), programs) in programs {
            let missing = programs.iter().filter(|(_, why)| !why.is_empty());
            let cell = match (kind, missing.clone().count(), programs.len()) {
                ("hook" | "locked", 0, _) => "counts".to_owned(),
                ("hook" | "locked", ..) => "no".to_owned(),
                (_, _, 1) if programs[0].0 == "*" => "refused".to_owned(),
                (_, 0, all) => format!("all {all}"),
                (_, missing, all) => format!("{} of {all}", all - missing),
            };
            let (heading, suffix) = match kind {
                "hook" => ("Hooks", ""),
                "locked" => ("Hooks under lockdown", LOCKED),
                _ => ("Examples", ""),
            };
            let name = format!("`{name}`");
            said.rows.insert((heading.into(), name.clone()), [(kernel.clone(), cell)].into());
            said.reasons.extend(missing.map(|(program, why)| Reason {
                name: format!("{name}{suffix}"),
                kernel: kernel.clone(),
                program: if *program == "*" { "all".into() } else { format!("`{program}`") },
                why: reason(why, version),
            }));
        }
        said.say_once();
        said
    }

    /// Leaves out of the reasons under lockdown those that are the same without it.
    fn say_once(&mut self) {
        let all = self.reasons.clone();
        self.reasons.retain(|reason| {
            let unlocked = reason.name.strip_suffix(LOCKED);
            unlocked
                .is_none_or(|name| !all.contains(&Reason { name: name.into(), ..reason.clone() }))
        });
    }

    /// This, with what is said of one kernel in the place of what was said of it.
    fn with(mut self, kernel: &Kernel, other: Self) -> Self {
        self.rows.values_mut().for_each(|cells| drop(cells.remove(kernel)));
        self.reasons.retain(|reason| reason.kernel != *kernel);
        for (name, cells) in other.rows {
            self.rows.entry(name).or_default().extend(cells);
        }
        // What no kernel knows any more is gone.
        self.rows.retain(|_, cells| !cells.is_empty());
        self.reasons.extend(other.reasons);
        self
    }

    /// All that is said of one kernel.
    fn lines(&self, kernel: &Kernel) -> BTreeSet<String> {
        let of_row = |((heading, name), cells): (&(String, String), &BTreeMap<Kernel, String>)| {
            cells.get(kernel).map(|cell| format!("{heading}: {name}: {cell}"))
        };
        let reasons = self.reasons.iter().filter(|reason| reason.kernel == *kernel);
        let reasons = reasons.map(|Reason { name, program, why, .. }| {
            format!("{REASONS}: {name}: {program}: {why}")
        });
        self.rows.iter().filter_map(of_row).chain(reasons).collect()
    }

    /// The page, with these tables in the place of its own.
    fn write(&self, text: &str) -> String {
        let mut sections = text.split("\n## ");
        let mut page = sections.next().unwrap_or_default().to_owned();
        for section in sections {
            let heading = section.lines().next().unwrap_or_default();
            let table = self.table(heading);
            let is_prose = |line: &&str| !line.starts_with('|');
            let prose: Vec<_> = section.lines().take_while(is_prose).collect();
            let after: Vec<_> =
                section.lines().skip_while(is_prose).skip_while(|line| !is_prose(line)).collect();
            page += &format!("\n## {}\n{table}{}", prose.join("\n"), after.join("\n"));
            page.truncate(page.trim_end().len());
            page.push('\n');
        }
        page
    }

    fn table(&self, heading: &str) -> String {
        if heading == REASONS {
            let reasons = self.reasons.iter().map(|Reason { name, kernel, program, why }| {
                row([name.clone(), version(kernel), program.clone(), why.clone()])
            });
            let head = "| of | kernel | program | why |\n|---|---|---|---|\n".to_owned();
            return head + &reasons.collect::<String>();
        }
        let rows: Vec<_> = self.rows.iter().filter(|((of, _), _)| of == heading).collect();
        let kernels: BTreeSet<_> = rows.iter().flat_map(|(_, cells)| cells.keys()).collect();
        let columns = kernels.iter().map(|kernel| version(kernel));
        let first = heading.split(' ').next().unwrap_or(heading);
        let singular = first.trim_end_matches('s').to_lowercase();
        let mut table = row([singular].into_iter().chain(columns));
        table += &format!("|---|{}\n", "---|".repeat(kernels.len()));
        for ((_, name), cells) in rows {
            let cell = |kernel: &&Kernel| cells.get(*kernel).cloned().unwrap_or_default();
            table += &row([name.clone()].into_iter().chain(kernels.iter().map(cell)));
        }
        table
    }
}

/// A reason as a cell of a table: without what stands in the cells before it.
fn reason(why: &str, version: &str) -> String {
    let told = ["failed to attach program `", "failed to load config `"];
    let inner = if told.iter().any(|start| why.starts_with(start)) {
        // `NAME` (SECTION): WHY, or `NAME`: WHY.
        why.split_once("): ").or_else(|| why.split_once("`: ")).map_or(why, |(_, why)| why)
    } else {
        why
    };
    inner.replace("RELEASE", version).replace('|', "\\|")
}

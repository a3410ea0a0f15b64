//! The documents: each link leads somewhere, each chapter is in the book, and each table of the reference
//! names what the code has, no more and no less.
//!
//! What is held against the code is what the built exporter says where it says it, else its source text.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process;
use std::sync::LazyLock;

use clap::Parser as _;
use ebpf_wasm_exporter::cli::{Command, Flags, Tool};
use ebpf_wasm_exporter::config::{self, ConfigFile};
use ebpf_wasm_exporter::decode::builtin;
use regex::Regex;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const BOOK: &str = "docs/src";

type Names = BTreeSet<String>;

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(ROOT).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below `dir` with one of these extensions, by their paths from the root, sorted.
fn files(dir: &str, extensions: &[&str]) -> BTreeSet<PathBuf> {
    let wanted =
        |path: &Path| path.extension().is_some_and(|is| extensions.iter().any(|&one| is == one));
    let (mut folders, mut found) = (vec![PathBuf::from(dir)], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(ROOT).join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if wanted(&path) {
                found.insert(path);
            }
        }
    }
    found
}

/// What the group of a pattern matches in a text, in its order.
fn found<T: FromIterator<String>>(pattern: &str, text: &str) -> T {
    let pattern = Regex::new(pattern).unwrap();
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// What stands in `text` behind `start` and before `end`.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("there is no {start:?}"));
    rest.split_once(end).map_or(rest, |(inner, _)| inner)
}

/// All that people read: the book, and what stands beside what it is about.
fn documents() -> BTreeSet<PathBuf> {
    let beside = [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "decoders-wasm/README.md",
        "deploy/mixin/README.md",
        "examples/README.md",
        "include/README.md",
        "wit/README.md",
    ];
    beside.into_iter().map(PathBuf::from).chain(files(BOOK, &["md"])).collect()
}

/// A document's lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// What links of a document lead to.
fn links(text: &str) -> Vec<String> {
    let text = prose(text).collect::<Vec<_>>().join("\n");
    let code = Regex::new("`[^`]*`").unwrap();
    found(r"\]\(([^)\s]+)\)", &code.replace_all(&text, ""))
}

/// The anchors of a document's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> Names {
    let slug = |heading: &str| -> String {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " _-".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    let mut met = HashMap::<String, u32>::new();
    let mut numbered = |slug: String| {
        let before = met.entry(slug.clone()).and_modify(|before| *before += 1).or_default();
        if *before == 0 { slug } else { format!("{slug}-{before}") }
    };
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|heading| numbered(slug(heading))).collect()
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} is outside", path.display()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// The file that a link on `page` leads to, from the root, and the anchor in it; `None` for one that
/// leaves the repository. The book names files outside of itself by the repository's address.
fn target(page: &Path, link: &str) -> Option<(PathBuf, Option<String>)> {
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (link, None),
    };
    let ours =
        ["blob", "tree"].map(|kind| format!("{}/{kind}/main/", env!("CARGO_PKG_REPOSITORY")));
    let path = match ours.iter().find_map(|ours| path.strip_prefix(ours)) {
        Some(path) => PathBuf::from(path),
        None if path.contains("://") => return None,
        None if path.is_empty() => page.to_owned(),
        None => plain(&page.parent().unwrap().join(path)),
    };
    Some((path, anchor))
}

#[test]
fn every_link_leads_somewhere() {
    let leads = |page: &Path, link: &str| {
        let Some((path, anchor)) = target(page, link) else { return true };
        // What mdBook builds has nothing of the repository beside it.
        let inside = !page.starts_with(BOOK) || path.starts_with(BOOK) || link.contains("://");
        inside
            && Path::new(ROOT).join(&path).exists()
            && anchor.is_none_or(|anchor| anchors(&read(&path)).contains(&anchor))
    };
    let mut broken = Vec::new();
    for page in documents() {
        let links = links(&read(&page)).into_iter().filter(|link| !leads(&page, link));
        broken.extend(links.map(|link| format!("{}: {link}", page.display())));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_chapter_is_in_the_book() {
    let summary = Path::new(BOOK).join("SUMMARY.md");
    let links = links(&read(&summary));
    let listed = links.iter().filter_map(|link| target(&summary, link)).map(|(path, _)| path);
    let mut chapters = files(BOOK, &["md"]);
    chapters.remove(&summary);
    assert_eq!(listed.collect::<BTreeSet<_>>(), chapters);
}

/// The example that is told from C to PromQL is the one that is shipped.
#[test]
fn the_worked_config_is_the_example() {
    let code = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.split(" /*").next().unwrap().trim_end());
        let comment = |line: &str| line.trim_start().starts_with("# ");
        lines.filter(|line| !line.is_empty() && !comment(line)).map(str::to_owned).collect()
    };
    for (language, file) in [("c", "examples/timers.bpf.c"), ("yaml", "examples/timers.yaml")] {
        let shipped = code(&read(file));
        for page in ["README.md", "docs/src/start.md"] {
            let told = code(between(&read(page), &format!("```{language}\n"), "```"));
            let same = shipped.windows(told.len()).any(|lines| lines == told);
            assert!(same, "{page} has what {file} has not: {told:#?}");
        }
    }
}

/// The first cells of all rows of a text's tables, one a line.
fn first_cells(text: &str) -> String {
    found::<Vec<_>>(r"(?m)^\|([^|]*)\|", text).join("\n")
}

/// What stands in code in the first cells of a text's tables, without the values that follow it.
fn named(text: &str) -> Names {
    found("`([^` {]+)[^`]*`", &first_cells(text))
}

/// A stranger finds the room of what he looks for.
#[test]
fn the_chapter_of_architecture_has_every_room() {
    let chapter = read("docs/src/inside/architecture.md");
    let library = read("host/src/lib.rs");
    let rooms: Names = found("(?m)^(?:pub )?mod ([a-z_]+);", &library);
    assert_eq!(named(between(&chapter, "\n## The rooms\n", "\n## ")), rooms);
    // The table at the top of the library has them too.
    let told: Names = found(r"(?m)^//! \| \[?`([a-z_]+)`", &library);
    assert_eq!(told, rooms);
}

/// What the exporter prints, to either output.
fn said(arguments: &[&str]) -> String {
    let output =
        process::Command::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter")).args(arguments).output();
    let output = output.expect("it starts");
    String::from_utf8([output.stdout, output.stderr].concat()).expect("it says text")
}

/// The flags that `--help` lists.
fn flags(subcommand: &[&str]) -> Names {
    found("(?m)^ +(?:-., )?(--[a-z.-]+)", &said(&[subcommand, &["--help"]].concat()))
}

#[test]
fn the_chapter_of_flags_has_those_of_the_help() {
    let chapter = read("docs/src/reference/flags.md");
    assert_eq!(named(between(&chapter, "# Flags", "\n## ")), flags(&[]));
}

/// The subcommands that `--help` lists.
fn subcommands() -> Names {
    found("(?m)^  ([a-z-]+) ", between(&said(&["--help"]), "\nCommands:\n", "\n\n"))
}

#[test]
fn the_chapter_of_flags_has_all_subcommands() {
    let chapter = read("docs/src/reference/flags.md");
    let mut told = named(between(&chapter, "\n## Subcommands\n", "\n## "));
    // Only packages are made with it.
    assert!(told.remove("docs"));
    assert_eq!(told, subcommands());
}

/// All variables of a text's tables, those of OpenTelemetry for both signals and for each: `…` stands for what begins
/// their names.
fn variables(text: &str) -> Names {
    let cells = first_cells(text);
    let named: Vec<_> = found("`([A-Z…][A-Z_…]+)`", &cells);
    named
        .iter()
        .flat_map(|name| match name.split_once('…') {
            None => vec![name.clone()],
            Some((_, name)) => ["", "TRACES_", "METRICS_"]
                .map(|signal| format!("OTEL_EXPORTER_OTLP_{signal}{name}"))
                .to_vec(),
        })
        .collect()
}

#[test]
fn chapters_have_all_variables_of_the_environment() {
    let chapter = read("docs/src/reference/flags.md");
    let mut told = variables(between(&chapter, "\n## Environment variables\n", "\n## "));
    for chapter in ["tracing", "otlp"] {
        let mut of_signals = variables(&read(format!("docs/src/operate/{chapter}.md")));
        of_signals.retain(|name| name.starts_with("OTEL_"));
        told.append(&mut of_signals);
    }
    assert_eq!(told, variables(&said(&["docs", "reference", "environment"])));
}

#[test]
fn the_reference_has_all_tables_that_are_printed() {
    let help = said(&["docs", "reference", "--help"]);
    let printed: Vec<_> = found(r"(?m)^ +- ([a-z-]+):", &help);
    let chapter = read("docs/src/reference.md");
    let told = between(&chapter, "`ebpf_wasm_exporter docs reference ", "`");
    assert_eq!(told.split(r"\|").collect::<Vec<_>>(), printed);
}

#[test]
fn the_chapter_of_tools_has_the_flags_of_their_help() {
    let tools = [
        "new",
        "wit",
        "inspect",
        "componentize",
        "run",
        "bench",
        "check",
        "push",
        "pull",
        "fetch",
        "outdated",
        "update",
        "list",
    ];
    let mut known: Names = tools.iter().flat_map(|tool| flags(&["plugin", tool])).collect();
    known.remove("--help");
    let chapters = ["tools", "registries"].map(|name| read(format!("docs/src/plugins/{name}.md")));
    let mut told = named(&chapters.join("\n"));
    told.retain(|name| name.starts_with("--"));
    assert_eq!(told, known);
}

#[test]
fn the_chapter_of_bundles_has_the_flags_of_their_help() {
    let tools = ["pack", "verify", "inspect", "push", "pull"];
    let mut known: Names = tools.iter().flat_map(|tool| flags(&["bundle", tool])).collect();
    known.remove("--help");
    let mut told = named(&read("docs/src/plugins/bundles.md"));
    told.retain(|name| name.starts_with("--"));
    assert_eq!(told, known);
}

#[test]
fn the_chapter_of_pods_has_the_flags_of_its_help() {
    let mut told = named(&read("docs/src/operate/pods.md"));
    told.retain(|name| name.starts_with("--"));
    let mut known = flags(&["pods"]);
    known.remove("--help");
    assert_eq!(told, known);
}

/// A stranger copies the workflow: its commands are such as the exporter takes.
#[test]
fn the_workflow_for_plugins_has_commands_that_there_are() {
    let chapter = read("docs/src/plugins/tools.md");
    let workflow = between(&chapter, "```yaml\n", "```");
    let workflow: serde_yaml::Value = serde_yaml::from_str(workflow).expect("it is YAML");
    let steps = workflow["jobs"]["check"]["steps"].as_sequence().expect("it has steps");
    let runs: Vec<_> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    let ours = runs.iter().filter(|run| run.starts_with("ebpf_wasm_exporter "));
    let verbs: Vec<_> = ours
        .map(|run| {
            let flags = Flags::try_parse_from(run.split(' '))
                .unwrap_or_else(|error| panic!("{run}: {error}"));
            let Some(Command::Plugin { tool }) = flags.command else { panic!("{run}") };
            tool
        })
        .collect();
    assert!(matches!(
        &*verbs,
        [Tool::Componentize { .. }, Tool::Check { .. }, Tool::Inspect { .. }]
    ));
}

#[test]
fn the_chapter_of_exit_codes_has_those_of_the_help() {
    let help = said(&["--help"]);
    let listed: Names = found(r"(?m)^  (\d+)  ", between(&help, "Exit codes:", "\n\n"));
    let told: Names = found(r"(\d+)", &first_cells(&read("docs/src/reference/exit-codes.md")));
    assert_eq!(told, listed);
}

/// Asks with a key that nobody knows, wherever there may be one, for those that are known.
#[test]
fn the_chapter_of_config_keys_has_those_that_are_read() {
    const EVERYWHERE: &str = "{_: 1, metrics: {_: 1,
        counters: [{_: 1, labels: [{_: 1, decoders: [{_: 1}]}], transforms: [{_: 1}]}],
        histograms: [{_: 1}]}, plugins: {p: {_: 1, data: {d: {_: 1}}, limits: {_: 1, compile: {_: 1}}}}, cgroup_id_map: {_: 1},
        tracing: {_: 1, spans: [{_: 1}]}}";
    let dir = tempfile::tempdir().unwrap();
    let yaml = EVERYWHERE.replace("_: 1", "nobody-knows-this-key: 1");
    fs::write(dir.path().join("all.yaml"), yaml).unwrap();
    let dir = dir.path().to_str().unwrap();
    let said = said(&["--config.dir", dir, "--config.names=all", "--config.check"]);
    let answers: Vec<_> = found("unknown key, .* write one of (.*)", &said);
    assert_eq!(answers.len(), EVERYWHERE.matches("_: 1").count(), "{said}");
    let words = |texts: Vec<String>| -> Names { found("([a-z0-9_]+)", &texts.join(" ")) };
    let told = named(&read("docs/src/reference/keys.md"));
    assert_eq!(words(told.into_iter().collect()), words(answers));
}

/// Asks a policy in the same way.
#[test]
fn the_chapter_of_signatures_has_the_keys_of_a_policy() {
    const EVERYWHERE: &str = "{_: 1, rules: [{_: 1, keys: [{_: 1}], identities: [{_: 1}]}]}";
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("policy.yaml");
    fs::write(&policy, EVERYWHERE.replace("_: 1", "nobody-knows-this-key: 1")).unwrap();
    let said = said(&["--plugins.policy", policy.to_str().unwrap(), "--config.check"]);
    let answers: Vec<_> = found("unknown key, .* write one of (.*)", &said);
    assert_eq!(answers.len(), EVERYWHERE.matches("_: 1").count(), "{said}");
    let words = |texts: Vec<String>| -> Names { found("([a-z0-9_]+)", &texts.join(" ")) };
    let chapter = read("docs/src/plugins/signatures.md");
    let cells = first_cells(between(&chapter, "\n## The policy\n", "\n## "));
    let told: Names = found("`([a-z_]+)`", &cells);
    assert_eq!(told, words(answers));
}

/// Asks a web config in the same way.
#[test]
fn the_chapter_of_tls_has_the_keys_of_a_web_config() {
    const EVERYWHERE: &str = "{_: 1, tls_server_config: {_: 1}, rate_limit: {_: 1}, \
         http_server_config: {_: 1, headers: {_: 1}}}";
    let dir = tempfile::tempdir().unwrap();
    let web = dir.path().join("web.yml");
    fs::write(&web, EVERYWHERE.replace("_: 1", "nobody-knows-this-key: 1")).unwrap();
    let said = said(&["--web.config.file", web.to_str().unwrap(), "--config.check"]);
    let answers: Vec<_> = found("unknown key, .* write one of (.*)", &said);
    assert_eq!(answers.len(), EVERYWHERE.matches("_: 1").count(), "{said}");
    let words = |texts: Vec<String>| -> Names { found("([A-Za-z0-9_-]+)", &texts.join(" ")) };
    let chapter = read("docs/src/operate/web-config.md");
    let rows = between(&chapter, "\n## Keys\n", "\nWhat differs from the toolkit");
    let told: Names = found("`([A-Za-z0-9_-]+)`", rows);
    let unsaid: Vec<_> = words(answers).difference(&told).cloned().collect();
    assert!(unsaid.is_empty(), "{unsaid:?}");
}

#[test]
fn web_configs_of_the_book_are_read() {
    let chapter = read("docs/src/operate/web-config.md");
    let blocks = chapter.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let all: Vec<_> =
        blocks.map(|(text, _)| text).filter(|text| text.starts_with("tls_")).collect();
    assert_eq!(all.len(), 2);
    for text in all {
        config::web::parse(&ConfigFile::new("web.yml", text)).unwrap();
    }
}

#[test]
fn the_chapter_of_decoders_has_all() {
    let chapter = read("docs/src/reference/decoders.md");
    let all: Names = builtin::ALL.iter().map(|builtin| builtin.name.to_owned()).collect();
    assert_eq!(named(between(&chapter, "# Decoders", "\n## ")), all);
}

/// The source of the exporter and of what it is made with, and what tests expect it to say, as one text without
/// line breaks.
static SOURCE: LazyLock<String> = LazyLock::new(|| {
    let files = files("host/src", &["rs", "snap"])
        .into_iter()
        .chain(files("host/tests", &["rs"]))
        .chain(files("decoders-wasm/cgroup-pod/src", &["rs"]))
        .chain(files("decoders-wasm/componentize/src", &["rs"]));
    let text: String = files.filter(|file| !file.ends_with("docs.rs")).map(read).collect();
    let joined = Regex::new(r"\\\n\s*").unwrap().replace_all(&text, "").replace("\\\"", "\"");
    Regex::new(r"\s+").unwrap().replace_all(&joined, " ").into_owned()
});

#[test]
fn the_chapter_of_metrics_has_all() {
    let mut told = named(&read("docs/src/reference/metrics.md"));
    told.retain(|name| name.starts_with("ebpf_exporter_") || name.starts_with("process_"));
    assert_eq!(told, named(&said(&["docs", "reference", "metrics"])));
}

/// The fields of a value, by their ways from the top. What is by causes or phases is one field.
fn fields(value: &serde_json::Value, way: &str, all: &mut Names) {
    const BY_WORD: [&str; 3] = ["phases", "closed", "failures"];
    match value {
        serde_json::Value::Object(inner) if !BY_WORD.iter().any(|word| way.ends_with(word)) => {
            let dot = if way.is_empty() { "" } else { "." };
            inner.iter().for_each(|(name, value)| fields(value, &format!("{way}{dot}{name}"), all));
        }
        serde_json::Value::Array(inner) => {
            inner.iter().for_each(|value| fields(value, &format!("{way}[]"), all));
        }
        _ => drop(all.insert(way.to_owned())),
    }
}

#[test]
fn the_chapter_of_the_status_has_its_fields() {
    let snapshot = "host/src/status/snapshots/ebpf_wasm_exporter__status__tests__all_json.snap";
    let snapshot = read(snapshot);
    let (_, json) = snapshot.split_once("\n---\n").expect("a head");
    let mut known = Names::new();
    fields(&serde_json::from_str(json).expect("JSON"), "", &mut known);
    // Of one config it is null, of the other not.
    known.retain(|way| !["configs[].bundle", "configs[].maps[].events"].contains(&way.as_str()));
    assert_eq!(named(&read("docs/src/reference/status.md")), known);
}

/// A message is shortened: each piece of what is left has to be there.
#[test]
fn the_chapter_of_messages_says_what_is_said() {
    let cells = first_cells(&read("docs/src/reference/messages.md")).replace("DIR/NAME", "…");
    let messages: Vec<_> = found("`([^`]+)`", &cells);
    assert!(messages.len() > 30);
    let pieces = messages.iter().flat_map(|message| message.split('…')).map(str::trim);
    let unsaid: Vec<_> = pieces.filter(|piece| !SOURCE.contains(piece)).collect();
    assert!(unsaid.is_empty(), "{unsaid:#?}");
}

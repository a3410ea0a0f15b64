//! What is printed is what its readers take, and names all there is.

use std::io::{Seek, Write};
use std::process::Command;

use super::*;
use crate::advice::Advise as _;
use crate::cli::{Exit, Reference};
use crate::decode::builtin;

fn man(words: &[&str]) -> Result<String, String> {
    let command = words.iter().map(|word| (*word).to_owned()).collect();
    page(&DocsPage::Man { command }).map_err(|error| error.advice().to_string())
}

/// Whether `program` is content with `text` on its standard input, and all that it writes; none if
/// it is not installed.
fn judge(program: &str, arguments: &[&str], text: &str) -> Option<(bool, String)> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    let output = Command::new(program).args(arguments).stdin(file).output().ok()?;
    let all = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&all).into_owned()))
}

#[test]
fn man_pages_are_roff() {
    for words in [&[][..], &["plugin"], &["plugin", "run"], &["plugin run"], &["config", "schema"]]
    {
        let page = man(words).unwrap();
        let title = page.lines().find(|line| line.starts_with(".TH")).unwrap();
        let name = [&["ebpf_wasm_exporter"], words].concat().join("-").replace(' ', "-");
        assert!(title.starts_with(&format!(".TH {name} 1 ")), "{title}");
        if let Some((good, said)) = judge("groff", &["-man", "-Tascii", "-ww", "-P-cbou"], &page) {
            assert!(good && !said.contains("warning:"), "{said}");
            assert!(said.contains("SYNOPSIS"), "{said}");
        }
    }
    assert_eq!(
        man(&["plugin", "rn"]).unwrap_err(),
        "`plugin rn` is no command; see ebpf_wasm_exporter --help for those"
    );
}

#[test]
fn the_man_page_names_all_that_can_be_typed() {
    let page = man(&[]).unwrap().replace("\\-", "-");
    for flag in command().get_arguments().filter(|flag| !flag.is_hide_set()) {
        let name = format!("--{}", flag.get_long().unwrap());
        assert!(page.contains(&name), "{name}");
    }
    for exit in Exit::ALL {
        assert!(page.contains(exit.means()), "{exit:?}");
    }
    for variable in crate::otlp::VARIABLES.iter().flat_map(crate::otlp::Variable::names) {
        assert!(page.contains(&variable), "{variable}");
    }
    assert!(!page.contains("compile-plugin") && !page.contains("exporter,"), "{page}");
}

#[test]
fn completions_are_scripts() {
    for (shell, program) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let script = page(&DocsPage::Completions { shell }).unwrap();
        assert!(
            script.contains("web.listen-address") && script.contains("healthcheck"),
            "{program}"
        );
        for word in ["harvest", "logfmt"] {
            assert!(script.contains(word), "{program} does not complete {word}");
        }
        assert!(!script.contains("compile-plugin") && !script.contains("no-debug"), "{program}");
        if let Some((good, said)) = judge(program, &["-n"], &script) {
            assert!(good, "{program}: {said}");
        }
    }
}

fn reference(name: Reference) -> String {
    page(&DocsPage::Reference { name }).unwrap()
}

/// A row has as many cells as the head of its table.
#[test]
fn tables_are_whole() {
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    for name in [
        Reference::Flags,
        Reference::Decoders,
        Reference::ExitCodes,
        Reference::Metrics,
        Reference::Config,
        Reference::Policy,
    ] {
        let text = reference(name);
        let mut width = None;
        for line in text.lines() {
            match line.starts_with('|') {
                true => assert_eq!(*width.get_or_insert(cells(line)), cells(line), "{line}"),
                false => width = None,
            }
        }
    }
}

#[test]
fn tables_name_all_there_is() {
    let decoders = reference(Reference::Decoders);
    assert_eq!(decoders.lines().count(), builtin::ALL.len() + 2);
    let metrics = reference(Reference::Metrics);
    assert_eq!(metrics.lines().count(), crate::scrape::own_families().families().len() + 2);
    let flags = reference(Reference::Flags);
    for flag in command().get_arguments().filter(|flag| !flag.is_hide_set()) {
        let name = format!("| `--{}", flag.get_long().unwrap());
        assert_eq!(flags.matches(&name).count(), 1, "{name}");
    }
    insta::assert_snapshot!(reference(Reference::ExitCodes), @"
    | code | meaning |
    | --- | --- |
    | 0 | served until SIGINT or SIGTERM, or nothing wrong under --config.check |
    | 1 | something unexpected |
    | 2 | the command line |
    | 3 | a config, a plugin or a bundle |
    | 4 | a BPF object does not load |
    | 5 | a program does not attach, under --config.strict |
    | 6 | the address cannot be listened on |
    | 7 | the thread that scrapes has died: start it again |
    ");
    assert!(
        flags.contains("| `--web.listen-address ADDRESS` | `:9435` | Where to listen"),
        "{flags}"
    );
    let config = reference(Reference::Config);
    assert!(
        config.contains("| `memory` | size, 64KiB to 1GiB | `16MiB` | Memory of an instance"),
        "{config}"
    );
    let policy = reference(Reference::Policy);
    assert!(policy.contains("| `pem` | text | needed without `file` | The key itself"), "{policy}");
}

//! The man pages: of the program, and of each subcommand.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{NAME, ToolError, command, environment};
use crate::advice::Advice;
use crate::cli::Exit;
use crate::version;

/// The page of the program, or of the subcommand that these words lead to.
pub(super) fn page(words: &[String]) -> Result<String, ToolError> {
    let mut root = command().override_usage(format!("{NAME} [OPTIONS]\n{NAME} COMMAND"));
    root.build();
    let mut command = &root;
    for word in words.iter().flat_map(|words| words.split_whitespace()) {
        command = command.find_subcommand(word).ok_or_else(|| {
            let words = words.join(" ");
            let problem = format!("`{words}` is no command");
            ToolError::Usage(Advice::new(problem, format!("see {NAME} --help for those")))
        })?;
    }
    let mut out = Vec::new();
    // Writing to memory does not fail.
    let _ = render(command, words.is_empty(), &mut out);
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn render(command: &Command, is_root: bool, out: &mut Vec<u8>) -> io::Result<()> {
    let man = Man::new(command.clone()).source(format!("{NAME} {}", version::VERSION));
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(out)?;
    }
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        man.render_subcommands_section(out)?;
    }
    if is_root {
        let codes = Exit::ALL.map(|exit| ((exit as u8).to_string(), exit.means().to_owned()));
        section("EXIT STATUS", codes.into(), out)?;
        section("ENVIRONMENT", environment::all(), out)?;
    }
    Ok(())
}

/// A section of words, each with what it means.
fn section(title: &str, entries: Vec<(String, String)>, out: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (word, says) in entries {
        roff.control("TP", []);
        roff.text([bold(word)]);
        roff.text([roman(says)]);
    }
    roff.to_writer(out)
}

//! `config schema` and `docs …`: what the program knows of itself, for editors, shells and manuals.
//!
//! Flags come from [`crate::cli`], keys from [`config`], decoders, metrics and exit codes from those who have
//! them. Variables of the environment that no list names elsewhere stand here.

use clap::CommandFactory;
use clap::builder::Resettable;
use clap_complete::shells;

use super::ToolError;
use crate::cli::{ConfigTool, DocsPage, Flags, Shell};
use crate::config;
use crate::version;

mod environment;
mod man;
mod tables;

/// What the program is called.
const NAME: &str = env!("CARGO_PKG_NAME");

/// What `config …` prints.
pub fn of_configs(tool: ConfigTool) -> String {
    match tool {
        ConfigTool::Schema => config::schema::json(),
    }
}

/// What `docs …` prints.
///
/// # Errors
///
/// [`ToolError::Usage`] if there is no such page.
pub fn page(page: &DocsPage) -> Result<String, ToolError> {
    match page {
        DocsPage::Man { command } => man::page(command),
        DocsPage::Completions { shell } => Ok(completions(*shell)),
        DocsPage::Reference { name } => Ok(tables::table(*name)),
    }
}

/// The command line, with the name and the version that manuals show.
fn command() -> clap::Command {
    Flags::command().name(NAME).display_name(NAME).version(version::VERSION)
}

fn completions(shell: Shell) -> String {
    let mut out = Vec::new();
    let mut command = shown(&command()).version(version::VERSION);
    match shell {
        Shell::Bash => clap_complete::generate(shells::Bash, &mut command, NAME, &mut out),
        Shell::Zsh => clap_complete::generate(shells::Zsh, &mut command, NAME, &mut out),
        Shell::Fish => clap_complete::generate(shells::Fish, &mut command, NAME, &mut out),
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A command without the parts that `--help` hides.
fn shown(command: &clap::Command) -> clap::Command {
    let flags = command.get_arguments().filter(|flag| !flag.is_hide_set());
    // What they override may be hidden, and a script knows nothing of it.
    let flags = flags.map(|flag| flag.clone().overrides_with(Resettable::Reset));
    let parts = command.get_subcommands().filter(|part| !part.is_hide_set()).map(shown);
    let about = command.get_about().cloned().unwrap_or_default();
    clap::Command::new(command.get_name().to_owned()).about(about).args(flags).subcommands(parts)
}

#[cfg(test)]
mod tests;

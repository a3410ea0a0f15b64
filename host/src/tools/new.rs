//! `plugin new`: begins a plugin in a directory of its own.
//!
//! Never writes over a file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::ToolError;
use crate::advice::{Advice, quote};
use crate::cli::New;
use crate::templates::{self, Words};

/// As long as a name may be: that of a crate.
const LONGEST_NAME: usize = 64;

/// What no crate may be called: words of the language, its libraries, and what every plugin uses.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "ebpf-exporter-plugin",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Begins a plugin in a directory of `above`.
pub(super) fn begin(order: &New, above: &Path) -> Result<String, ToolError> {
    let New { name, lang, world, license } = order;
    check_name(name)?;
    check_license(license)?;
    let dir = above.join(name);
    check_empty(&dir)?;
    let files = templates::plugin(*lang, *world, Words { name, license });
    for (path, bytes) in &files {
        write(&dir.join(path), bytes)?;
    }
    let (count, wasm) = (files.len(), format!("{name}.wasm"));
    Ok(format!(
        "wrote {count} files to {name}\n  cd {name}\n  make        # builds {wasm}\n  make test   # asks it\n\
         README.md says what to do with it\n"
    ))
}

fn check_name(name: &str) -> Result<(), ToolError> {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let name_of = |problem| Advice::new(format!("{} {problem}", quote(name)), "take another one");
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    let refused = if !begins || !name.split(['-', '_']).all(part) {
        Advice::new(
            format!("{} is no name of a plugin", quote(name)),
            "write lowercase letters and digits, a letter first, and single `-` or `_` between them",
        )
    } else if name.len() > LONGEST_NAME {
        name_of(format!("is longer than {LONGEST_NAME} characters"))
    } else if TAKEN.contains(&&*name.replace('_', "-")) {
        name_of("is taken: Rust knows something by it".to_owned())
    } else {
        return Ok(());
    };
    Err(ToolError::Usage(refused))
}

/// Only what cannot break a file that it is written to: registries know the names.
fn check_license(license: &str) -> Result<(), ToolError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.+() ".contains(c);
    let begins = license.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '(');
    if begins && license.chars().all(fits) {
        return Ok(());
    }
    let problem = format!("--license: {} is no SPDX expression", quote(license));
    Err(ToolError::Usage(Advice::new(
        problem,
        "write one such as Apache-2.0 or `MIT OR Apache-2.0`",
    )))
}

fn check_empty(dir: &Path) -> Result<(), ToolError> {
    let used = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().map(|_| "is there, and not empty"),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            Some("is there, and no directory")
        }
        Err(source) => return Err(ToolError::Unwritten { file: dir.into(), source }),
    };
    let Some(used) = used else { return Ok(()) };
    let problem = format!("{} {used}", dir.display());
    Err(ToolError::Usage(Advice::new(problem, "take another name, or another working directory")))
}

/// Writes a file that is not there, and the directories above it.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), ToolError> {
    let write = || -> io::Result<()> {
        if let Some(above) = path.parent() {
            fs::create_dir_all(above)?;
        }
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        if bytes.starts_with(b"#!") {
            let mode = file.metadata()?.permissions().mode();
            // Whoever may read it may run it.
            file.set_permissions(fs::Permissions::from_mode(mode | (mode & 0o444) >> 2))?;
        }
        Ok(())
    };
    write().map_err(|source| ToolError::Unwritten { file: path.into(), source })
}

#[cfg(test)]
mod tests;

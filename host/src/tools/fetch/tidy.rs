//! What fetches that were cut short have left in a directory of plugins, and what nothing names any more.
//!
//! Only who has [taken](crate::lock::take) the directory tidies it. Never removes a file of a name that `plugin fetch` does
//! not give: configs, bundles and plugins of other names may lie there too.

use std::fs;
use std::io;
use std::path::Path;

use crate::lock;
use crate::tools::ToolError;

/// The ends of the names of what is fetched, behind the digest.
const ENDS: [&str; 3] = [".wasm", ".json", ".sigstore.json"];
/// Digits of a digest.
const DIGITS: usize = 64;

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One that was fetched.
    Fetched,
    /// A component on its way, which the next fetch goes on with.
    Part,
    /// Written, and never put where it belongs.
    Unfinished,
}

/// Removes what was never put where it belongs.
///
/// # Errors
///
/// When the directory cannot be read, or written into.
pub(super) fn unfinished(dir: &Path) -> io::Result<()> {
    for name in names(dir)?.iter().filter(|name| kind(name) == Some(Kind::Unfinished)) {
        remove(&dir.join(name))?;
    }
    Ok(())
}

/// Removes what was fetched, whole or in part, but is not among `wanted`.
///
/// # Errors
///
/// When the directory cannot be read, or written into.
pub(super) fn unnamed(dir: &Path, wanted: &[String]) -> Result<(), ToolError> {
    let unwritten = |file: &Path, source| ToolError::Unwritten { file: file.to_owned(), source };
    for name in names(dir).map_err(|source| unwritten(dir, source))? {
        if kind(&name).is_some() && !wanted.contains(&name) {
            let file = dir.join(name);
            remove(&file).map_err(|source| unwritten(&file, source))?;
        }
    }
    Ok(())
}

/// The names in a directory; those that are no text are nobody's here.
fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(dir)?.filter_map(Result::ok);
    Ok(entries.filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // What has such a name and is no file was not fetched.
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(()),
        removed => removed,
    }
}

/// What a file of this name is, if `plugin fetch` gives such names.
fn kind(name: &str) -> Option<Kind> {
    let Some(hidden) = name.strip_prefix('.') else {
        return ENDS.contains(&behind_digest(name)?).then_some(Kind::Fetched);
    };
    if let Some(part) = hidden.strip_suffix(".part") {
        return behind_digest(part)?.starts_with(".wasm.").then_some(Kind::Part);
    }
    let (goal, _random) = hidden.strip_suffix(".new")?.rsplit_once('.')?;
    let is_ours = goal == lock::NAME || behind_digest(goal).is_some_and(|end| ENDS.contains(&end));
    is_ours.then_some(Kind::Unfinished)
}

/// What stands behind the digest in the name of a file that is called by one.
fn behind_digest(name: &str) -> Option<&str> {
    let (digits, rest) = name.strip_prefix("sha256-")?.split_at_checked(DIGITS)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_fetched_is_known() {
        let digest = "0a".repeat(32);
        for (name, expected) in [
            ("sha256-D.wasm", Some(Kind::Fetched)),
            ("sha256-D.json", Some(Kind::Fetched)),
            ("sha256-D.sigstore.json", Some(Kind::Fetched)),
            (".sha256-D.wasm.D.part", Some(Kind::Part)),
            (".sha256-D.wasm.D.x7Yz12.part", Some(Kind::Part)),
            (".sha256-D.json.GngxJ9.new", Some(Kind::Unfinished)),
            (".sha256-D.sigstore.json.GngxJ9.new", Some(Kind::Unfinished)),
            (".plugins.lock.GngxJ9.new", Some(Kind::Unfinished)),
            // Of bundles, and of who knows whom.
            ("sha256-D.tar", None),
            ("sha256-D.tar.sigstore.jsonl", None),
            (".sha256-D.tar.D.part", None),
            (".sha256-D.tar.GngxJ9.new", None),
            ("plugins.lock", None),
            ("zone.wasm", None),
            (".zone.wasm.D.part", None),
            ("sha256-0a.wasm", None),
            ("sha256-\u{e9}D.wasm", None),
            (".new", None),
            (".", None),
            ("", None),
        ] {
            assert_eq!(kind(&name.replace('D', &digest)), expected, "{name}");
        }
    }
}

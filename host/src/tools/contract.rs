//! `plugin wit`: the contract between the exporter and plugins, as files or as a package.
//!
//! Never writes over a file that holds anything else.

use std::fs;
use std::path::Path;

use super::ToolError;
use super::new::write;
use crate::templates::CONTRACT;

/// Writes the contract's files into a directory.
pub(super) fn unpack(dir: &Path) -> Result<String, ToolError> {
    // None is written if one cannot be.
    let others = CONTRACT.iter().map(|file| (dir.join(file.path), file.bytes));
    for (path, bytes) in others.filter(|(path, _)| path.symlink_metadata().is_ok()) {
        write_once(&path, bytes)?;
    }
    CONTRACT.iter().try_for_each(|file| write_once(&dir.join(file.path), file.bytes))?;
    Ok(String::new())
}

/// Writes the contract as one file.
pub(super) fn pack(file: &Path) -> Result<String, ToolError> {
    let texts = CONTRACT.iter().map(|file| (file.path, String::from_utf8_lossy(file.bytes)));
    let texts: Vec<_> = texts.collect();
    let files: Vec<_> = texts.iter().map(|(path, text)| (*path, &**text)).collect();
    write_once(file, &componentize::pack(&files)?)?;
    Ok(String::new())
}

/// What is there as it is to be needs no writing.
fn write_once(path: &Path, bytes: &[u8]) -> Result<(), ToolError> {
    match fs::read(path) {
        Ok(is) if is == bytes => Ok(()),
        _ => write(path, bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Advise as _;

    #[test]
    fn the_contract_is_written_once() {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("a/wit");
        for _ in 0..2 {
            assert_eq!(unpack(&dir).unwrap(), "");
            let written = CONTRACT.iter().map(|file| fs::read(dir.join(file.path)).unwrap());
            assert!(written.eq(CONTRACT.iter().map(|file| file.bytes)));
        }
        fs::write(dir.join("log.wit"), "mine").unwrap();
        let refused = unpack(&dir).unwrap_err().advice().to_string();
        insta::assert_snapshot!(refused.replace(&dir.display().to_string(), "DIR"), @"failed to write DIR/log.wit: file exists; nothing is written over: remove it, or write elsewhere");
        assert_eq!(fs::read_to_string(dir.join("log.wit")).unwrap(), "mine");
        // Nor are the others written then.
        let dir = above.path().join("b");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("log.wit"), "mine").unwrap();
        unpack(&dir).unwrap_err();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }

    #[test]
    fn the_contract_is_one_package() {
        let above = tempfile::tempdir().unwrap();
        let file = above.path().join("plugin.wasm");
        assert_eq!(pack(&file).unwrap(), "");
        assert!(fs::read(&file).unwrap().starts_with(b"\0asm"));
        assert!(pack(&file).is_ok(), "it is the same again");
        fs::write(&file, "mine").unwrap();
        assert!(pack(&file).is_err());
    }
}

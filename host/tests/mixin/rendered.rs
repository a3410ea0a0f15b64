//! `rendered/` is what `make mixin` writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{MIXIN, PYTHON};

pub fn files_are_what_the_sources_say() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new(PYTHON).arg(format!("{MIXIN}/render.py")).arg(dir.path()).status();
    assert!(status.unwrap().success());
    let (fresh, kept) = (texts(dir.path()), texts(&Path::new(MIXIN).join("rendered")));
    assert_eq!(fresh.keys().collect::<Vec<_>>(), kept.keys().collect::<Vec<_>>());
    let stale: Vec<_> = fresh.iter().filter(|(name, text)| kept[*name] != **text).collect();
    let stale: Vec<_> = stale.iter().map(|(name, _)| name).collect();
    assert!(stale.is_empty(), "`make mixin` would write others: {stale:?}");
}

/// The files of a folder and the one below it, by their names.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    let files = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files =
        files(folder).chain(files(&folder.join("dashboards"))).filter(|path| path.is_file());
    let name = |path: &Path| path.strip_prefix(folder).unwrap().display().to_string();
    files.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

//! The files of the host that a plugin reads: their names, places and bounds. None of them is looked at here.

use std::path::{Path, PathBuf};

use super::within::{between, bytes};
use crate::advice::{Advice, quote};
use crate::config::bounds;
use crate::config::faults::Faults;
use crate::config::limits::{DATA_REFRESH, DATA_SIZE, MOST_DATA};
use crate::config::plan::DataPlan;
use crate::config::ranges;
use crate::config::raw::Data;
use crate::config::size::shown;

/// What a file is called that is the only one.
const ONLY: &str = "data";

/// The files of one plugin, whose `data` stands at `path`. What is faulty is told and left out.
pub(super) fn all(raw: Vec<Data>, path: &str, folder: &Path, faults: &Faults<'_>) -> Vec<DataPlan> {
    if raw.len() > MOST_DATA {
        let problem = format!("the plugin reads {} files, more than {MOST_DATA}", raw.len());
        faults.error(path, problem, "write what it needs into fewer files");
        return Vec::new();
    }
    raw.into_iter().filter_map(|raw| one(raw, folder, faults)).collect()
}

fn one(raw: Data, folder: &Path, faults: &Faults<'_>) -> Option<DataPlan> {
    let Data { path, name, file, refresh, size } = raw;
    let before = faults.errors();
    let (unnamed, name) = (name.is_none(), name.unwrap_or_else(|| ONLY.to_owned()));
    let refuse = |key: &str, advice| faults.refuse(&format!("{path}.{key}"), advice);
    if let Err(advice) = named(&name) {
        faults.refuse(&path, advice);
    }
    if file.is_absent() {
        faults.error(&path, "no file is named", "add `file:` with its path");
    }
    let refresh = refresh.given().map(|text| {
        between(&text, ranges::DATA_REFRESH, "can lie between two looks at a file")
            .map_err(|advice| refuse("refresh", advice))
    });
    let size = size
        .given()
        .map(|text| bytes(&text, ranges::DATA_SIZE).map_err(|advice| refuse("size", advice)));
    let file =
        file.given().map(|file| place(&file, folder).map_err(|advice| refuse("file", advice)));
    let plan = DataPlan {
        name,
        unnamed,
        file: file?.ok()?,
        refresh: refresh.unwrap_or(Ok(DATA_REFRESH)).ok()?,
        size: size.unwrap_or(Ok(DATA_SIZE)).ok()?,
        path,
    };
    if faults.bounds.data(plan.size).is_err() {
        let most = shown(bounds::DATA);
        let problem =
            format!("the files that plugins read may have more than {most}, all together");
        faults.error(
            &plan.path,
            problem,
            "write a smaller `size`, or serve fewer configs in one process",
        );
    }
    (faults.errors() == before).then_some(plan)
}

/// A file that is typed elsewhere than in a config, relative to where the program runs.
pub(in crate::config) fn typed(name: &str, file: &str) -> Result<DataPlan, Advice> {
    named(name)?;
    let file = place(file, Path::new(""))?;
    let (name, path) = (name.to_owned(), String::new());
    let (refresh, size) = (DATA_REFRESH, DATA_SIZE);
    Ok(DataPlan { name, unnamed: false, path, file, refresh, size })
}

fn named(name: &str) -> Result<(), Advice> {
    let plain = |char: char| char.is_ascii_alphanumeric() || "_-.".contains(char);
    if !name.is_empty() && name.len() <= bounds::NAME && name.chars().all(plain) {
        return Ok(());
    }
    let problem = format!("{} cannot be what a plugin calls a file", quote(name));
    let remedy = format!("use letters, digits, `_`, `-` and `.`, {} of them at most", bounds::NAME);
    Err(Advice::new(problem, remedy))
}

/// The file that is named so in a config of this folder.
fn place(name: &str, folder: &Path) -> Result<PathBuf, Advice> {
    let file = folder.join(name);
    match file.file_name() {
        None => {
            let problem = format!("{} names no file", quote(name));
            Err(Advice::new(problem, "write the path of a file"))
        }
        Some(_) => Ok(file),
    }
}

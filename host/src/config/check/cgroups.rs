//! The map that is kept filled with cgroups: whether it has all that it needs.

use super::one_of;
use crate::advice::quote;
use crate::config::faults::Faults;
use crate::config::plan::{CgroupIdMap, CgroupMapKind};
use crate::config::raw::{self, Field};
use crate::decode::builtin::Patterns;

const PATH: &str = "cgroup_id_map";

/// The checked map; what is faulty is told.
pub(super) fn id_map(raw: raw::CgroupIdMap, faults: &Faults<'_>) -> Option<CgroupIdMap> {
    if raw.name.is_absent() {
        faults.error(
            PATH,
            "the map has no name",
            "add `name:` with the name of a map of the object",
        );
    }
    let kind = kind(raw.kind, faults);
    let patterns = patterns(&raw.regexps, raw.faulty, faults);
    Some(CgroupIdMap { name: raw.name.given()?, kind: kind?, patterns: patterns? })
}

fn kind(raw: Field<String>, faults: &Faults<'_>) -> Option<CgroupMapKind> {
    let word = match raw {
        Field::Absent => return Some(CgroupMapKind::default()),
        Field::Faulty => return None,
        Field::Given(word) => word,
    };
    let found = CgroupMapKind::ALL.into_iter().find(|kind| kind.word() == word);
    if found.is_none() {
        let known = CgroupMapKind::ALL.map(CgroupMapKind::word);
        let problem = format!("{} is no type of a map of cgroups", quote(&word));
        faults.error(&format!("{PATH}.type"), problem, one_of(&word, &known));
    }
    found
}

fn patterns(texts: &[String], faulty: bool, faults: &Faults<'_>) -> Option<Patterns> {
    if texts.is_empty() {
        if !faulty {
            let problem = "there are no patterns, so no cgroup would be in the map";
            faults.error(PATH, problem, "list at least one pattern under `regexps:`");
        }
        return None;
    }
    let tell = |errors: Vec<(usize, _)>| {
        for (index, advice) in errors {
            faults.refuse(&format!("{PATH}.regexps[{index}]"), advice);
        }
    };
    Patterns::new(texts, &faults.bounds.patterns).map_err(tell).ok()
}

//! The map that is kept filled with cgroups.

use insta::assert_snapshot;

use super::*;
use crate::config::CgroupMapKind;

fn with_map(map: &str) -> String {
    format!("metrics: {{counters: [{{name: a, help: A}}]}}\ncgroup_id_map: {map}\n")
}

#[test]
fn is_a_hash_unless_it_says_otherwise() {
    for (kind, expected) in [
        ("", CgroupMapKind::Hash),
        ("type: ~, ", CgroupMapKind::Hash),
        ("type: '', ", CgroupMapKind::Hash),
        ("type: hash, ", CgroupMapKind::Hash),
        ("type: cgrp_storage, ", CgroupMapKind::CgrpStorage),
    ] {
        let config =
            good(&with_map(&format!("{{name: m, {kind}regexps: ['^.*(system.slice/(.*))$', b]}}")));
        let map = config.cgroup_id_map.expect("it has one");
        assert_eq!((map.name.as_str(), map.kind), ("m", expected), "{kind}");
        assert!(map.patterns.match_any(b"/sys/fs/cgroup/system.slice/x"), "{kind}");
        assert!(!map.patterns.match_any(b"/sys/fs/cgroup/user.slice"), "{kind}");
    }
    for none in ["~", "{}", "[]", "''", "{name: '', type: ~, regexps: []}"] {
        assert_eq!(good(&with_map(none)).cgroup_id_map, None, "{none}");
    }
}

#[test]
fn what_it_lacks_is_said() {
    let told: String = [
        "{type: hash, regexps: [a]}",
        "{name: m}",
        "{name: m, regexps: []}",
        "{name: m, type: lru_hash, regexps: [a]}",
        "{name: m, type: hsh, regexps: [a]}",
        "{name: m, regexps: ['a(', b, '(?!c)']}",
        "{name: m, regexps: a}",
        "{name: m, regexps: [[a]]}",
        "{name: m, regexp: [a]}",
        "[name]",
        "x",
    ]
    .map(|map| faults(&with_map(map)))
    .concat();
    assert_snapshot!(told, @"
    x.yaml:2: cgroup_id_map: the map has no name; add `name:` with the name of a map of the object
    x.yaml:2: cgroup_id_map: there are no patterns, so no cgroup would be in the map; list at least one pattern under `regexps:`
    x.yaml:2: cgroup_id_map: there are no patterns, so no cgroup would be in the map; list at least one pattern under `regexps:`
    x.yaml:2: cgroup_id_map.type: `lru_hash` is no type of a map of cgroups; write one of hash, cgrp_storage
    x.yaml:2: cgroup_id_map.type: `hsh` is no type of a map of cgroups; did you mean `hash`?
    x.yaml:2: cgroup_id_map.regexps[0]: `a(` is not a regular expression: unclosed group; correct the pattern; its syntax is RE2's
    x.yaml:2: cgroup_id_map.regexps[2]: `(?!c)` is not a regular expression: look-around, including look-ahead and look-behind, is not supported; correct the pattern; its syntax is RE2's
    x.yaml:2: cgroup_id_map.regexps: expected a list, found `a`; write `- ` before each item, or `[ITEM, ITEM]`
    x.yaml:2: cgroup_id_map.regexps[0]: expected a text, found a list; write one text, in quotes if it has special characters
    x.yaml:2: warning: cgroup_id_map.regexp: unknown key, which does nothing; did you mean `regexps`?
    x.yaml:2: cgroup_id_map: there are no patterns, so no cgroup would be in the map; list at least one pattern under `regexps:`
    x.yaml:2: cgroup_id_map: expected a mapping, found a list; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    x.yaml:2: cgroup_id_map: expected a mapping, found `x`; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    ");
}

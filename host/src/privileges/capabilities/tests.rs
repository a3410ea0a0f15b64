//! Each case runs in a thread of its own, whose capabilities end with it.

use std::thread;

use super::*;

const SETS: [CapSet; 5] =
    [CapSet::Ambient, CapSet::Bounding, CapSet::Effective, CapSet::Inheritable, CapSet::Permitted];

fn sets() -> [CapsHashSet; 5] {
    SETS.map(|set| caps::read(None, set).unwrap())
}

fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().unwrap())
}

fn only(caps: &[Capability]) -> CapsHashSet {
    caps.iter().copied().collect()
}

#[test]
fn all_is_left_alone() {
    let (before, outcome, after) =
        in_thread(|| (sets(), Keep::parse("all").unwrap().apply().unwrap(), sets()));
    assert_eq!(outcome, CapabilityChange::Unchanged);
    assert_eq!(before, after);
}

#[test]
fn none_leaves_none() {
    let (before, outcome, after) =
        in_thread(|| (sets(), Keep::parse("none").unwrap().apply().unwrap(), sets()));
    for (set, left) in SETS.iter().zip(&after) {
        let may = before[2].contains(&Capability::CAP_SETPCAP);
        assert!(left.is_empty() || (matches!(set, CapSet::Bounding) && !may), "{set:?}: {left:?}");
    }
    assert!(matches!(outcome, CapabilityChange::Dropped { kept, .. } if kept.is_empty()));
}

#[test]
fn a_list_leaves_what_of_it_was_held() {
    let keep = only(&[Capability::CAP_BPF, Capability::CAP_SYSLOG]);
    let (before, after) = in_thread(|| {
        // An ambient set, where that can be had: one to keep, one to drop.
        for cap in [Capability::CAP_BPF, Capability::CAP_KILL] {
            if caps::has_cap(None, CapSet::Permitted, cap).unwrap() {
                caps::raise(None, CapSet::Inheritable, cap).unwrap();
                caps::raise(None, CapSet::Ambient, cap).unwrap();
            }
        }
        let before = sets();
        Keep::parse("cap_bpf,CAP_SYSLOG").unwrap().apply().unwrap();
        (before, sets())
    });
    for ((set, had), left) in SETS.iter().zip(&before).zip(&after) {
        let wanted: CapsHashSet = had.intersection(&keep).copied().collect();
        let may = before[2].contains(&Capability::CAP_SETPCAP);
        if may || !matches!(set, CapSet::Bounding) {
            assert_eq!(*left, wanted, "{set:?}");
        }
    }
}

#[test]
fn works_without_any_privilege() {
    let (before, outcome, after) = in_thread(|| {
        caps::clear(None, CapSet::Permitted).unwrap();
        let before = sets();
        (before, Keep::parse("cap_bpf").unwrap().apply().unwrap(), sets())
    });
    assert_eq!(before, after);
    let lacking = vec!["cap_bpf".to_owned()];
    let bounding_left = before[1] != only(&[Capability::CAP_BPF]) && !before[1].is_empty();
    assert_eq!(outcome, CapabilityChange::Dropped { kept: Vec::new(), lacking, bounding_left });
}

#[test]
fn parses_names_in_either_case() {
    let both = only(&[Capability::CAP_BPF, Capability::CAP_SYSLOG]);
    assert_eq!(Keep::parse("cap_bpf, Cap_Syslog,cap_bpf"), Ok(Keep::Only(both)));
    assert_eq!(Keep::parse("ALL"), Ok(Keep::All));
    assert_eq!(Keep::parse("none"), Ok(Keep::Only(CapsHashSet::new())));
}

#[test]
fn says_what_is_wrong() {
    let refusal = |text| Keep::parse(text).unwrap_err().advice().to_string();
    insta::assert_snapshot!(
        refusal("cap_bfp"),
        @r#"--capabilities.keep names no capability by "cap_bfp", did you mean "cap_bpf"; see capabilities(7)"#
    );
    insta::assert_snapshot!(
        refusal("syslog"),
        @r#"--capabilities.keep names no capability by "syslog", did you mean "cap_syslog"; see capabilities(7)"#
    );
    insta::assert_snapshot!(
        refusal("cap_bpf,"),
        @r#"--capabilities.keep names no capability by ""; see capabilities(7)"#
    );
    insta::assert_snapshot!(
        refusal("cap_bpf,none"),
        @r#"--capabilities.keep takes "none" only alone; name capabilities, or all, or none"#
    );
    insta::assert_snapshot!(
        refused(CapSet::Bounding, &CapsError::from("capset failure: not permitted")).advice(),
        @"failed to drop capabilities from the bounding set: caps error: capset failure: not permitted; --capabilities.keep=all leaves them as they are"
    );
}

#[test]
fn tells_the_log_what_is_left() {
    let dropped = |kept: &[&str], lacking: &[&str], bounding_left| {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        CapabilityChange::Dropped { kept: own(kept), lacking: own(lacking), bounding_left }
            .to_string()
    };
    insta::assert_snapshot!(CapabilityChange::Unchanged, @"kept all capabilities");
    insta::assert_snapshot!(dropped(&[], &[], false), @"kept no capability");
    insta::assert_snapshot!(
        dropped(&["cap_bpf"], &["cap_perfmon", "cap_syslog"], true),
        @"kept cap_bpf; not held, so not kept: cap_perfmon,cap_syslog; the bounding set stays, for want of cap_setpcap"
    );
}

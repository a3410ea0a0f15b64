//! The reasons to drop packets stand in two files, which have to number them alike: the BPF header by their
//! order, the YAML by writing the number.

use std::fs;

/// The names in `REASON(…)`, as the header's enum numbers them: from 2.
fn header(text: &str) -> Vec<(u32, String)> {
    let list = text.split_once("#define DROP_REASONS(REASON)").expect("the list is there").1;
    let list = list.split_once("\n\n").expect("and ends").0;
    let names = list.split("REASON(").skip(1).map(|rest| rest.split_once(')').expect("closed").0);
    (2..).zip(names.map(|name| format!("SKB_DROP_REASON_{name}"))).collect()
}

/// The `N: SKB_DROP_REASON_…` lines.
fn yaml(text: &str) -> Vec<(u32, String)> {
    let pairs = text.lines().filter_map(|line| line.trim().split_once(": SKB_DROP_REASON_"));
    pairs
        .map(|(number, name)| {
            (number.parse().expect("a number"), format!("SKB_DROP_REASON_{name}"))
        })
        .collect()
}

#[test]
fn the_header_and_the_yaml_number_drop_reasons_alike() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let header =
        header(&fs::read_to_string(format!("{examples}/drop_reasons.bpf.h")).expect("it is there"));
    let yaml =
        yaml(&fs::read_to_string(format!("{examples}/kfree_skb.yaml")).expect("it is there"));
    assert!(header.len() > 100, "only {} reasons found", header.len());
    assert_eq!(header, yaml);
}

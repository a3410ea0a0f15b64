//! Reading YAML as loosely as the peer does, and saying where it is no YAML.

use insta::assert_snapshot;

use super::{faults, faults_of, good};
use crate::config::bounds::Bounds;
use crate::config::node::{self, Node, Value};

/// A tree on one line: texts quoted, each with its line.
fn show(node: &Node<'_>) -> String {
    let line = node.line;
    match &node.value {
        Value::Null => format!("~@{line}"),
        Value::Text(text) => format!("{text:?}@{line}"),
        Value::List(items) => {
            format!("[{}]@{line}", items.iter().map(show).collect::<Vec<_>>().join(" "))
        }
        Value::Map(entries) => {
            let entry = |(key, node): &(_, Node<'_>)| format!("{key:?}: {}", show(node));
            format!("{{{}}}@{line}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

fn tree(text: &str) -> String {
    show(&node::parse(text, &Bounds::default()).expect("YAML").root)
}

#[test]
fn scalars_keep_the_text_they_were_written_with() {
    assert_snapshot!(tree("{010: a, 0x1F: on, 1_0: 1.50, yes: ~, null: 'null', ~: \"\\x41\"}"), @r#"{"010": "a"@1, "0x1F": "on"@1, "1_0": "1.50"@1, "yes": ~@1, "": "A"@1}@1"#);
    assert_snapshot!(tree("a: |\n  b\n  c\nd: >\n  e\nf: 1\n"), @r#"{"a": "b\nc\n"@1, "d": "e\n"@4, "f": "1"@6}@1"#);
    assert_snapshot!(tree("- 'it''s'\n- plain\n  folded\n- !mine 007\n- !!str 08\n- ! [1]\n"), @r#"["it's"@1 "plain folded"@2 "007"@4 "08"@5 ["1"@6]@6]@1"#);
    assert_snapshot!(tree("\u{feff}ü: ö\nb: 2\n"), @r#"{"ü": "ö"@1, "b": "2"@2}@1"#);
}

#[test]
fn what_tags_want_is_what_is_there() {
    assert_snapshot!(tree("- !!bool yes\n- !!bool 'OFF'\n- !!null ~\n"), @r#"["yes"@1 "OFF"@2 ~@3]@1"#);
    assert_snapshot!(faults("metrics: {counters: [{name: a, help: !!binary aGk=}]}"), @r#"x.yaml:1: failed to read the YAML: metrics.counters[0].help: invalid value: string "aGk=", expected a text that is written as it is at line 1 column 38; correct the YAML there"#);
}

#[test]
fn a_line_is_that_of_the_key_or_the_item() {
    let text = "\n\na:\n  - b: 1\n    c:\n      2\n  -\n    d: 3\n  - - e\n";
    for end in ["\r\n", "\r"] {
        assert_eq!(tree(&text.replace('\n', end)), tree(text), "{end:?}");
    }
    assert_snapshot!(tree(text), @r#"{"a": [{"b": "1"@4, "c": "2"@5}@4 {"d": "3"@8}@8 ["e"@9]@9]@3}@3"#);
}

#[test]
fn of_equal_keys_the_last_wins() {
    assert_snapshot!(tree("{a: 1, b: 2, a: 3, 'a': 4}"), @r#"{"b": "2"@1, "a": "4"@1}@1"#);
}

#[test]
fn keys_that_do_nothing_are_told() {
    let text = "\
metrics:
  counters: &all
    - name: a
      name: b
      help: B
  counters: *all
";
    assert_snapshot!(faults(text), @"
    x.yaml:2: warning: counters: the key comes again in the same mapping, and the last one counts; write it once
    x.yaml:3: warning: name: the key comes again in the same mapping, and the last one counts; write it once
    ");
    // What is merged in is there to be written over.
    let merged = "metrics: {counters: [&a {name: a, help: A}, {name: b, <<: *a}]}";
    assert_snapshot!(faults(merged), @"");
}

#[test]
fn merges_fill_what_is_not_written() {
    let text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\n";
    assert_snapshot!(tree(&format!("{text}z: {{a: 0, <<: *x}}")), @r#"{"x": {"a": "1"@1, "b": "1"@1}@1, "y": {"b": "2"@2, "c": "2"@2}@2, "z": {"b": "1"@1, "a": "0"@3}@3}@1"#);
    assert_snapshot!(tree(&format!("{text}z: {{<<: [*x, *y], c: 0}}")), @r#"{"x": {"a": "1"@1, "b": "1"@1}@1, "y": {"b": "2"@2, "c": "2"@2}@2, "z": {"b": "1"@1, "a": "1"@1, "c": "0"@3}@3}@1"#);
    assert_snapshot!(tree(&format!("{text}z: {{<<: *x, <<: *y}}")), @r#"{"x": {"a": "1"@1, "b": "1"@1}@1, "y": {"b": "2"@2, "c": "2"@2}@2, "z": {"c": "2"@2, "b": "1"@1, "a": "1"@1}@3}@1"#);
    assert_snapshot!(tree("{<<: left, a: {<<: [1]}}"), @r#"{"<<": "left"@1, "a": {"<<": ["1"@1]@1}@1}@1"#);
}

#[test]
fn aliases_stand_for_what_they_name() {
    let text = "labels: &l [{name: cpu, size: 0x2}]\nmetrics:\n  counters:\n  - &a\n    name: a\n    \
                help: yes\n    labels: *l\n  - {<<: *a, name: b}\n";
    let config = good(text);
    let names: Vec<_> = config.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(config.metrics[1].help, "yes");
    assert_eq!(config.metrics[1].labels[0].size, 2);
    // A path leads through an alias to where the text stands.
    for (path, line) in [
        ("metrics", Some(2)),
        ("metrics.counters[0].name", Some(5)),
        ("metrics.counters[1]", Some(8)),
        ("metrics.counters[1].name", Some(8)),
        ("metrics.counters[1].labels[0].size", Some(1)),
        ("metrics.counters[1].gone[7].away", Some(8)),
        ("metrics.counters[9]", Some(3)),
        ("", None),
    ] {
        assert_eq!(config.line(path), line, "{path}");
    }
}

#[test]
fn keys_with_dots_are_found() {
    let document =
        node::parse("m:\n  1: a\n  1.2: b\n  1.2.3: c\n  '1[0]': d\n", &Bounds::default())
            .expect("YAML");
    for (path, line) in [("m.1", 2), ("m.1.2", 3), ("m.1.2.3", 4), ("m.1[0]", 5), ("m.1.4", 2)] {
        assert_eq!(document.root.line_of(path), line, "{path}");
    }
}

#[test]
fn what_is_no_yaml_is_told_with_its_line() {
    assert_snapshot!(faults("metrics:\n\tcounters: []\n"), @"x.yaml:2: failed to read the YAML: tabs disallowed within this context (block indentation) at line 2 column 2; indent with spaces: YAML does not take tabs there");
    assert_snapshot!(faults("metrics: {a: b\n"), @"x.yaml:1: failed to read the YAML: unclosed bracket '{' at line 1 column 10; correct the YAML there");
    assert_snapshot!(faults("a: b: c\n"), @"x.yaml:1: failed to read the YAML: mapping values are not allowed in this context at line 1 column 5; correct the YAML there");
    assert_snapshot!(faults("a: *gone\n"), @"x.yaml:1: failed to read the YAML: unknown anchor at line 1 column 4; correct the YAML there");
    assert_snapshot!(faults("a: 1\n? [b]\n: c\n"), @"x.yaml:2: failed to read the YAML: invalid type: sequence, expected a key that is a single text at line 2 column 3; correct the YAML there");
    assert_snapshot!(faults("a: é\nb: \"\x07\"\n"), @r"x.yaml:2: failed to read the YAML: unexpected character: `\u{7}' at line 2 column 5; correct the YAML there");
    assert_snapshot!(faults("a: !!int x\n"), @r#"x.yaml:1: failed to read the YAML: a: invalid value: string "x", expected an integer at line 1 column 4; correct the YAML there"#);
}

#[test]
fn what_is_no_config_is_told() {
    assert_snapshot!(faults(""), @"x.yaml: the file is empty; write a `metrics` section, or leave the config out");
    assert_snapshot!(faults("# only words\n---\n"), @"x.yaml: the file is empty; write a `metrics` section, or leave the config out");
    assert_snapshot!(faults("- a\n"), @"x.yaml: expected a mapping, found a list; write lines of `KEY: VALUE`, or `{KEY: VALUE}`");
    assert_snapshot!(faults("just a text"), @"x.yaml: expected a mapping, found `just a text`; write lines of `KEY: VALUE`, or `{KEY: VALUE}`");
    assert_snapshot!(faults("{}"), @"x.yaml:1: metrics: the file has no metrics and no spans; list some under `metrics.counters`, `metrics.histograms` or `tracing.spans`");
}

#[test]
fn later_documents_are_not_read() {
    let text = "metrics: {counters: [{name: a, help: A}]}\n---\nmetrics: [\n";
    assert_snapshot!(faults(text), @"x.yaml:2: warning: the file holds several documents, of which only the first counts; remove the `---` and what follows");
    assert_eq!(good(text).metrics.len(), 1);
}

#[test]
fn bombs_are_defused() {
    let deep = format!("a: {}1{}\n", "[".repeat(200), "]".repeat(200));
    assert_snapshot!(faults(&deep), @"x.yaml:1: failed to read the YAML: it is nested more than 128 levels deep; flatten it, and let no anchor hold its own alias");
    assert_snapshot!(faults("a: &a [*a, *a]\n"), @"x.yaml:1: failed to read the YAML: it is nested more than 128 levels deep; flatten it, and let no anchor hold its own alias");

    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for i in 1..9 {
        let items = vec![format!("*a{}", i - 1); 9].join(", ");
        laughs.push_str(&format!("a{i}: &a{i} [{items}]\n"));
    }
    assert_snapshot!(faults(&laughs), @"x.yaml:6: failed to read the YAML: with its aliases written out, and with the configs before it, it has more than 650000 keys, items and texts; use fewer aliases, list less, or split the files");

    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(1000));
    assert_snapshot!(faults(&long), @"x.yaml:2: failed to read the YAML: with its aliases written out, and with the configs before it, it has more than 33554432 bytes; use fewer aliases, or split the files");
    let wide = format!("a: &a [{}]\nb: [{}]\n", "1, ".repeat(1000), "*a, ".repeat(1000));
    assert_snapshot!(faults(&wide), @"x.yaml:2: failed to read the YAML: with its aliases written out, and with the configs before it, it has more than 650000 keys, items and texts; use fewer aliases, list less, or split the files");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    assert_snapshot!(faults_of(&[("a\nb.yaml", "\"\\e[31m\\n\": 1\nkaddrs: [\"\\r\"]")]), @r"
    a\nb.yaml:1: warning: \u{1b}[31m\n: unknown key, which does nothing; remove it, or write one of metrics, kaddrs, plugins, tracing, cgroup_id_map
    a\nb.yaml:1: metrics: the file has no metrics and no spans; list some under `metrics.counters`, `metrics.histograms` or `tracing.spans`
    a\nb.yaml:2: kaddrs[0]: `\r` cannot be a symbol with a `kaddr_` variable; write a kernel symbol made of letters, digits and `_`
    ");
}

#[test]
fn unknown_keys_are_told_and_passed_over() {
    let text = "\
metric: {}
metrics:
  counter: []
  counters:
    - name: a
      help: A
      hlep: B
      table: a
      labels:
        - name: b
          size: 1
          decoder: []
          decoders:
            - name: hex
              static-map: {}
  histograms: []
";
    assert_snapshot!(faults(text), @"
    x.yaml:1: warning: metric: unknown key, which does nothing; did you mean `metrics`?
    x.yaml:3: warning: metrics.counter: unknown key, which does nothing; did you mean `counters`?
    x.yaml:7: warning: metrics.counters[0].hlep: unknown key, which does nothing; did you mean `help`?
    x.yaml:8: warning: metrics.counters[0].table: `table` of ebpf_exporter before 2.0 does nothing; give the map in the BPF object and the metric the same name, in `name`
    x.yaml:12: warning: metrics.counters[0].labels[0].decoder: unknown key, which does nothing; did you mean `decoders`?
    x.yaml:15: warning: metrics.counters[0].labels[0].decoders[0].static-map: unknown key, which does nothing; did you mean `static_map`?
    ");
    assert_eq!(good(text).metrics[0].labels.len(), 1);
}

#[test]
fn sections_of_anchors_are_not_unknown() {
    let text = "\
x-uint: &uint [{name: uint}]
parts:
  - &id {name: id, size: 8, decoders: *uint}
unused: &unused [1]
metric: &metric {name: a, help: A}
metrics: {counters: [{<<: *metric, labels: [*id]}]}
";
    assert_snapshot!(faults(text), @"
    x.yaml:4: warning: unused: unknown key, which does nothing; remove it, or write one of metrics, kaddrs, plugins, tracing, cgroup_id_map
    x.yaml:5: warning: metric: unknown key, which does nothing; did you mean `metrics`?
    ");
    assert_eq!(good(text).metrics[0].labels.len(), 1);
}

#[test]
fn words_that_look_like_anchors_lend_nothing() {
    let text = "\
comment: 1  # &a
quoted: '&b and &c'
twice: &d {name: uint}
empty: &e
again: &d {name: uint}
# *a
metrics:
  counters:
    - {name: a, help: '*b', labels: [{name: id, size: 8, decoders: [*d]}], transforms: *e}
    # *c
";
    assert_snapshot!(faults(text), @"
    x.yaml:1: warning: comment: unknown key, which does nothing; remove it, or write one of metrics, kaddrs, plugins, tracing, cgroup_id_map
    x.yaml:2: warning: quoted: unknown key, which does nothing; remove it, or write one of metrics, kaddrs, plugins, tracing, cgroup_id_map
    x.yaml:3: warning: twice: unknown key, which does nothing; remove it, or write one of metrics, kaddrs, plugins, tracing, cgroup_id_map
    ");
}

#[test]
fn only_mappings_can_be_merged() {
    let text = "metrics: {counters: [\n{name: a, help: A, <<: 3},\n{name: b, help: B, <<: [x]}]}";
    assert_snapshot!(faults(text), @"
    x.yaml:2: metrics.counters[0].<<: expected a mapping to merge, found `3`; write an alias of a mapping, such as `<<: *NAME`
    x.yaml:3: metrics.counters[1].<<: expected a mapping to merge, found a list; write an alias of a mapping, such as `<<: *NAME`
    ");
}

#[test]
fn wrong_kinds_are_told() {
    let text = "\
metrics:
  counters:
    name: a
  histograms:
    - just text
    -
    - name: [a]
      help: {a: b}
      labels: uint
      bucket_type: []
      bucket_min: low
      bucket_max: 1.5
      bucket_multiplier: much
      bucket_keys: [1, two, [3]]
    - name: b
      help: B
      labels:
        - [c]
        - name: d
          size: four
          padding: {}
          decoders:
            - uint
            - name: hex
              static_map: [a]
              regexps: {a: b}
              allow_unknown: maybe
              on_error: [drop]
kaddrs: symbol
";
    assert_snapshot!(faults(text), @"
    x.yaml:2: metrics.counters: expected a list, found a mapping; write `- ` before each item, or `[ITEM, ITEM]`
    x.yaml:5: metrics.histograms[0]: expected a mapping, found `just text`; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    x.yaml:6: metrics.histograms[1]: expected a mapping, found nothing; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    x.yaml:7: metrics.histograms[2].name: expected a text, found a list; write one text, in quotes if it has special characters
    x.yaml:8: metrics.histograms[2].help: expected a text, found a mapping; write one text, in quotes if it has special characters
    x.yaml:9: metrics.histograms[2].labels: expected a list, found `uint`; write `- ` before each item, or `[ITEM, ITEM]`
    x.yaml:10: metrics.histograms[2].bucket_type: expected a text, found a list; write one text, in quotes if it has special characters
    x.yaml:11: metrics.histograms[2].bucket_min: expected a whole number, found `low`; write digits alone, such as 8
    x.yaml:12: metrics.histograms[2].bucket_max: expected a whole number, found `1.5`; write digits alone, such as 8
    x.yaml:13: metrics.histograms[2].bucket_multiplier: expected a number, found `much`; write digits alone, such as 8 or 0.001
    x.yaml:14: metrics.histograms[2].bucket_keys[1]: expected a number, found `two`; write digits alone, such as 8 or 0.001
    x.yaml:14: metrics.histograms[2].bucket_keys[2]: expected a number, found a list; write digits alone, such as 8 or 0.001
    x.yaml:15: metrics.histograms[3]: the histogram has no bucket_type; add `bucket_type:`, one of exp2, exp2zero, linear, fixed, native
    x.yaml:18: metrics.histograms[3].labels[0]: expected a mapping, found a list; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    x.yaml:20: metrics.histograms[3].labels[1].size: expected a whole number, found `four`; write digits alone, such as 8
    x.yaml:21: metrics.histograms[3].labels[1].padding: expected a whole number, found a mapping; write digits alone, such as 8
    x.yaml:23: metrics.histograms[3].labels[1].decoders[0]: expected a mapping, found `uint`; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    x.yaml:25: metrics.histograms[3].labels[1].decoders[1].static_map: expected a mapping, found a list; write lines of `KEY: VALUE`, or `{KEY: VALUE}`
    x.yaml:26: metrics.histograms[3].labels[1].decoders[1].regexps: expected a list, found a mapping; write `- ` before each item, or `[ITEM, ITEM]`
    x.yaml:27: metrics.histograms[3].labels[1].decoders[1].allow_unknown: expected true or false, found `maybe`; write one of the two
    x.yaml:28: metrics.histograms[3].labels[1].decoders[1].on_error: expected a text, found a list; write one text, in quotes if it has special characters
    x.yaml:29: kaddrs: expected a list, found `symbol`; write `- ` before each item, or `[ITEM, ITEM]`
    ");
    assert_snapshot!(faults("metrics: []"), @"x.yaml:1: metrics: expected a mapping, found a list; write lines of `KEY: VALUE`, or `{KEY: VALUE}`");
    assert_snapshot!(faults("metrics: {counters: x, histograms: ~}"), @"x.yaml:1: metrics.counters: expected a list, found `x`; write `- ` before each item, or `[ITEM, ITEM]`");
}

//! Prometheus' documented rules, one case each, in its own YAML.

use ebpf_exporter_plugin::testing::{TestTransform, check_schema};

use super::*;

fn relabel(rules: &str, labels: &[&str]) -> Result<TestTransform<Relabel>, String> {
    let settings = serde_yaml::from_str(&format!("relabel_configs:\n{rules}")).unwrap();
    TestTransform::new(settings, labels)
}

#[test]
fn the_schema_says_what_settings_there_are() {
    check_schema::<Settings>(SETTINGS);
}

/// Rules, and what becomes of the row {a="foo", b="bar", c="baz"}.
const TABLE: &[(&str, &str)] = &[
    // replace
    (
        "- {source_labels: [a], regex: f(.*), target_label: d, replacement: 'ch${1}-ch${1}'}",
        r#"{a="foo", b="bar", c="baz", d="choo-choo"}"#,
    ),
    (
        "- {source_labels: [a, b], regex: f(.*);(.*)r, target_label: a, replacement: b$1$2m}",
        r#"{a="boo", b="bar", c="baz"}"#,
    ),
    (
        "- {source_labels: [a, b], regex: f(.*);(.*)r, target_label: a, replacement: 'b${1}${2}m'}",
        r#"{a="boobam", b="bar", c="baz"}"#,
    ),
    ("- {source_labels: [a], target_label: d}", r#"{a="foo", b="bar", c="baz", d="foo"}"#),
    (
        "- {source_labels: [a, b, c], separator: '', target_label: d}",
        r#"{a="foo", b="bar", c="baz", d="foobarbaz"}"#,
    ),
    (
        "- {source_labels: [a, nowhere, c], target_label: d}",
        r#"{a="foo", b="bar", c="baz", d="foo;;baz"}"#,
    ),
    ("- {target_label: d, replacement: fixed}", r#"{a="foo", b="bar", c="baz", d="fixed"}"#),
    ("- {target_label: d, replacement: 80}", r#"{a="foo", b="bar", c="baz", d="80"}"#),
    ("- {target_label: d, replacement: 'a$$b'}", r#"{a="foo", b="bar", c="baz", d="a$b"}"#),
    (
        "- {source_labels: [a], regex: oo, target_label: a, replacement: no}",
        r#"{a="foo", b="bar", c="baz"}"#,
    ),
    (
        "- {source_labels: [a], regex: fo, target_label: a, replacement: no}",
        r#"{a="foo", b="bar", c="baz"}"#,
    ),
    (
        "- {source_labels: [a], regex: f.*, target_label: a, replacement: ''}",
        r#"{b="bar", c="baz"}"#,
    ),
    ("- {target_label: b, replacement: ''}", r#"{a="foo", c="baz"}"#),
    (
        "- {source_labels: [nowhere], regex: x(.*), target_label: d}",
        r#"{a="foo", b="bar", c="baz"}"#,
    ),
    (
        "- {source_labels: [__name__], regex: 'ebpf_(.*)', target_label: d}",
        r#"{a="foo", b="bar", c="baz", d="exporter_test_total"}"#,
    ),
    // One rule sees what the one before it did.
    (
        "- {source_labels: [a], regex: 'f(.*)', target_label: b}
- {source_labels: [b], target_label: c, replacement: 'x$1'}",
        r#"{a="foo", b="oo", c="xoo"}"#,
    ),
    // keep, drop, keepequal, dropequal
    ("- {action: keep, source_labels: [a], regex: foo|x}", r#"{a="foo", b="bar", c="baz"}"#),
    ("- {action: keep, source_labels: [a], regex: fo}", "(drop)"),
    ("- {action: drop, source_labels: [a, b], regex: foo;b.*}", "(drop)"),
    ("- {action: drop, source_labels: [a], regex: o+}", r#"{a="foo", b="bar", c="baz"}"#),
    ("- {action: keep, source_labels: [nowhere], regex: ''}", r#"{a="foo", b="bar", c="baz"}"#),
    ("- {action: drop, source_labels: [a]}", "(drop)"),
    ("- {action: keepequal, source_labels: [a], target_label: b}", "(drop)"),
    (
        "- {action: keepequal, source_labels: [a], target_label: a}",
        r#"{a="foo", b="bar", c="baz"}"#,
    ),
    (
        "- {action: dropequal, source_labels: [a], target_label: b}",
        r#"{a="foo", b="bar", c="baz"}"#,
    ),
    ("- {action: dropequal, source_labels: [a], target_label: a}", "(drop)"),
    ("- {action: dropequal, source_labels: [nowhere], target_label: gone}", "(drop)"),
    // hashmod
    (
        "- {action: hashmod, source_labels: [c], target_label: d, modulus: 1000}",
        r#"{a="foo", b="bar", c="baz", d="976"}"#,
    ),
    (
        "- {action: hashmod, source_labels: [a], target_label: d, modulus: 8}",
        r#"{a="foo", b="bar", c="baz", d="0"}"#,
    ),
    (
        "- {action: hashmod, source_labels: [x, y], target_label: d, modulus: 8}",
        r#"{a="foo", b="bar", c="baz", d="1"}"#,
    ),
    (
        "- {action: hashmod, source_labels: [x], target_label: d, modulus: 8}",
        r#"{a="foo", b="bar", c="baz", d="6"}"#,
    ),
    (
        "- {action: hashmod, source_labels: [a], target_label: __tmp, modulus: 8}
- {action: keep, source_labels: [__tmp], regex: 0}",
        r#"{a="foo", b="bar", c="baz"}"#,
    ),
    // lowercase, uppercase
    (
        "- {action: uppercase, source_labels: [a], target_label: a}",
        r#"{a="FOO", b="bar", c="baz"}"#,
    ),
    (
        "- {action: uppercase, source_labels: [a, b], target_label: d}",
        r#"{a="foo", b="bar", c="baz", d="FOO;BAR"}"#,
    ),
    (
        "- {target_label: d, replacement: 'ÀÉ ß'}
- {action: lowercase, source_labels: [d], target_label: a}
- {action: uppercase, source_labels: [a], target_label: b}",
        r#"{a="àé ß", b="ÀÉ ß", c="baz", d="ÀÉ ß"}"#,
    ),
    // labelmap
    (
        "- {action: labelmap, regex: '([ab])', replacement: 'x_${1}'}",
        r#"{a="foo", b="bar", c="baz", x_a="foo", x_b="bar"}"#,
    ),
    (
        "- {action: labelmap, regex: '[ab](.*)', replacement: 'c$1'}",
        r#"{a="foo", b="bar", c="bar"}"#,
    ),
    (
        "- {action: labelmap, regex: '__(name)__'}",
        r#"{a="foo", b="bar", c="baz", name="ebpf_exporter_test_total"}"#,
    ),
    (
        "- {action: labelmap, regex: '(a)|(b)', replacement: '${2}b'}",
        r#"{a="foo", b="foo", c="baz", bb="bar"}"#,
    ),
    (
        "- {target_label: b, replacement: ''}
- {action: labelmap, regex: '(b)', replacement: 'c'}",
        r#"{a="foo", c="baz"}"#,
    ),
    // labeldrop, labelkeep
    ("- {action: labeldrop, regex: 'a|b'}", r#"{c="baz"}"#),
    ("- {action: labeldrop, regex: '.*'}", "{}"),
    ("- {action: labelkeep, regex: 'a'}", r#"{a="foo"}"#),
    (
        "- {target_label: __tmp, replacement: x}
- {action: labeldrop, regex: __tmp}
- {source_labels: [__tmp], target_label: d, replacement: '<$1>'}",
        r#"{a="foo", b="bar", c="baz", d="<>"}"#,
    ),
    (
        "- {action: labeldrop, regex: a}
- {target_label: a, replacement: again}",
        r#"{a="again", b="bar", c="baz"}"#,
    ),
];

#[test]
fn rules_do_what_prometheus_says() {
    for (rules, expected) in TABLE {
        let mut relabel = relabel(rules, &["a", "b", "c"]).unwrap();
        let seen = relabel.row(&["foo", "bar", "baz"]);
        assert_eq!(seen, *expected, "{rules}");
        // Nothing of a row is left for the next one.
        assert_eq!(relabel.row(&["foo", "bar", "baz"]), seen, "{rules}");
    }
}

#[test]
fn names_are_those_that_a_row_may_have() {
    let names = |rules| relabel(rules, &["a", "b"]).unwrap().names().join(" ");
    assert_eq!(names(" []"), "a b");
    assert_eq!(names("- {source_labels: [x], target_label: d}"), "a b d");
    assert_eq!(names("- {target_label: __tmp, replacement: x}"), "a b");
    assert_eq!(names("- {target_label: a, replacement: ''}"), "b");
    assert_eq!(names("- {action: labelkeep, regex: b}"), "b");
    assert_eq!(names("- {action: keepequal, source_labels: [x], target_label: y}"), "a b");
    assert_eq!(names("- {action: labelmap, regex: '(.)', replacement: 'x_$1'}"), "a b x_a x_b");
    assert_eq!(
        names(
            "- {action: labelmap, regex: 'a', replacement: 'd'}\n- {action: labeldrop, regex: a}"
        ),
        "b d"
    );
}

#[test]
fn a_metric_without_labels_may_get_some() {
    let mut relabel = relabel("- {target_label: rack, replacement: r7}", &[]).unwrap();
    relabel.check(&[(&[], r#"{rack="r7"}"#)]);
}

#[test]
fn hashes_are_prometheus_own_across_line_breaks() {
    let rules = "- {action: hashmod, source_labels: [a], target_label: d, modulus: 1000}";
    let mut hash = relabel(rules, &["a"]).unwrap();
    assert_eq!(hash.row(&["foo\nbar"]), r#"{a="foo\nbar", d="734"}"#);
}

#[test]
fn bad_rules_are_refused() {
    let refused = |rule: &str| relabel(rule, &["a"]).err().unwrap();
    let table = [
        (
            "- {target_label: ok, replacement: x}\n- {source_labels: [a], target_label: '${1}'}",
            "relabel_configs[1]: target_label: `${1}` would make names of values, but names are \
             agreed at start; write one rule for each name, with a regex that matches its rows",
        ),
        ("- {source_labels: [a]}", "relabel_configs[0]: target_label: replace needs one"),
        (
            "- {source_labels: [a], target_label: \"b\\tc\"}",
            "relabel_configs[0]: target_label: `b\\tc` is not a label's name; write text without \
             control characters",
        ),
        (
            "- {source_labels: [a], target_label: __name__}",
            "relabel_configs[0]: target_label: `__name__` cannot be changed: a transform does not \
             rename metrics",
        ),
        (
            "- {action: hashmod, source_labels: [a], target_label: b}",
            "relabel_configs[0]: modulus: hashmod needs one above 0",
        ),
        (
            "- {action: lowercase, source_labels: [a], target_label: b, replacement: x}",
            "relabel_configs[0]: replacement: lowercase takes none; remove it",
        ),
        (
            "- {action: labeldrop, source_labels: [a]}",
            "relabel_configs[0]: source_labels: labeldrop takes only regex; remove it",
        ),
        (
            "- {action: keepequal, source_labels: [a], target_label: b, regex: x}",
            "relabel_configs[0]: regex: keepequal takes only source_labels and target_label; \
             remove it",
        ),
        (
            "- {action: labelmap, regex: '(.)', replacement: \"$1\\n$1\"}",
            "relabel_configs[0]: labelmap of a: `a\\na` is not a label's name; write text without \
             control characters",
        ),
        (
            "- {action: keep, source_labels: [a], regex: '('}",
            "relabel_configs[0]: regex: `(` is not a regular expression: unclosed group",
        ),
        (
            "- {action: remove}",
            "settings: unknown variant `remove`, expected one of `replace`, `keep`, `drop`, \
             `keepequal`, `dropequal`, `hashmod`, `lowercase`, `uppercase`, `labelmap`, \
             `labeldrop`, `labelkeep`",
        ),
    ];
    for (rule, message) in table {
        assert_eq!(refused(rule), message);
    }
}

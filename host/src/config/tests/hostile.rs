//! Nothing that can be in a file makes the config stage panic.

use proptest::prelude::*;

use super::{faults_of, good};
use crate::config::bounds::Bounds;
use crate::config::node;

/// Words that mean something to the schema or to YAML, so that random trees reach deep.
const WORDS: [&str; 44] = [
    "metrics",
    "counters",
    "histograms",
    "name",
    "help",
    "labels",
    "size",
    "padding",
    "decoders",
    "static_map",
    "regexps",
    "allow_unknown",
    "on_error",
    "label",
    "bucket_type",
    "bucket_min",
    "bucket_max",
    "bucket_keys",
    "bucket_multiplier",
    "kaddrs",
    "flush_interval",
    "uint",
    "hex",
    "regexp",
    "exp2",
    "exp2zero",
    "linear",
    "fixed",
    "drop",
    "cpu",
    "le",
    "2",
    "-1",
    "0x1F",
    "010",
    "1e308",
    ".nan",
    "~",
    "yes",
    "<<",
    "(a",
    "1h",
    "''",
    "99999999999999999999999999999999999999999",
];

/// YAML in flow style: any tree of the words.
fn tree() -> impl Strategy<Value = String> {
    let word = prop::sample::select(&WORDS[..]).prop_map(str::to_owned);
    word.clone().prop_recursive(6, 64, 6, move |inner| {
        let entry =
            (word.clone(), inner.clone()).prop_map(|(key, value)| format!("{key}: {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec(entry, 0..6)
                .prop_map(|items| format!("{{{}}}", items.join(", "))),
        ]
    })
}

/// A file whose metrics have the right keys and anything behind them.
fn metric() -> impl Strategy<Value = String> {
    let keys = [
        "name",
        "help",
        "bucket_type",
        "bucket_min",
        "bucket_max",
        "bucket_keys",
        "bucket_multiplier",
        "labels",
        "flush_interval",
    ];
    let value = prop_oneof![
        tree(),
        Just("[{name: a, size: 4, decoders: [{name: uint}]}]".to_owned()),
        "[a-z0-9.-]{1,5}",
    ];
    let entries = prop::collection::vec((prop::sample::select(keys.to_vec()), value), 0..9);
    (any::<bool>(), entries).prop_map(|(counter, entries)| {
        let entries: Vec<_> =
            entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let list = if counter { "counters" } else { "histograms" };
        format!("metrics: {{{list}: [{{{}}}]}}", entries.join(", "))
    })
}

/// Text that looks a little like YAML.
fn scribble() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(&WORDS[..]).prop_map(str::to_owned),
        prop::sample::select(vec![
            ": ",
            "\n",
            "\n  ",
            "\n- ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "&a ",
            "*a",
            "!t ",
            "!!int ",
            "|\n",
            ">\n",
            "'",
            "\"",
            "\\",
            "? ",
            "---\n",
            "...\n",
            "#",
            "\t",
            "\r",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "é",
            "%YAML 1.1\n",
            "%TAG ! a\n",
            "\0",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_told(text in any::<String>()) {
        faults_of(&[("a.yaml", &text)]);
    }

    #[test]
    fn any_scribble_is_read_or_told(a in scribble(), b in scribble()) {
        faults_of(&[("a.yaml", &a), ("b.yaml", &b)]);
    }

    #[test]
    fn any_tree_is_read_or_told(a in tree(), b in metric()) {
        let (a, b) = (format!("metrics: {a}"), b);
        for told in faults_of(&[("a.yaml", &a), ("b.yaml", &b)]).lines() {
            prop_assert!(told.starts_with("a.yaml:") || told.starts_with("b.yaml:"), "{}", told);
        }
    }

    #[test]
    fn any_plain_text_is_kept(key in "[a-zA-Z0-9_.][a-zA-Z0-9_.+-]{0,8}", value in "[a-z0-9_.]{1,8}") {
        let text = format!("\n{key}:\n  - {value}\n");
        let document = node::parse(&text, &Bounds::default())
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(document.root.line_of(&format!("{key}[0]")), 3);
    }

    #[test]
    fn a_help_comes_back_as_it_was_written(help in "[ -~é]{1,30}") {
        let quoted = help.replace('\'', "''");
        let config = good(&format!("metrics: {{counters: [{{name: a, help: '{quoted}'}}]}}"));
        prop_assert_eq!(&config.metrics[0].help, &help);
    }
}

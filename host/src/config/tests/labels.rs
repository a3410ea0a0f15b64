//! Labels and their decoders.

use insta::assert_snapshot;

use super::{faults, good, with_buckets, with_histogram, with_labels};
use crate::decode::{Chain, Decodings, Outcome};
use crate::link;
use crate::system::System;

#[test]
fn name_and_size_are_needed() {
    assert_snapshot!(faults(&with_labels("{},\n{name: a},\n{size: 4}")), @"
    x.yaml:2: metrics.counters[0].labels[0]: the label has no name; add `name:` with what to call it
    x.yaml:2: metrics.counters[0].labels[0]: the label has no size; add `size:` with how many bytes this label takes
    x.yaml:3: metrics.counters[0].labels[1]: the label has no size; add `size:` with how many bytes this label takes
    x.yaml:4: metrics.counters[0].labels[2]: the label has no name; add `name:` with what to call it
    ");
}

#[test]
fn names_are_those_of_prometheus() {
    let text = "{name: k8s.pod, size: 1},\n{name: 1-é, size: 1},\n{name: __a, size: 1},\n{name: '', size: 1},\n\
         {name: \"a\\x7fb\", size: 1}";
    assert_snapshot!(faults(&with_labels(text)), @r"
    x.yaml:4: metrics.counters[0].labels[2].name: `__a` cannot be a label's name: Prometheus keeps names that start with `__`; take the `__` away
    x.yaml:5: metrics.counters[0].labels[3]: the label has no name; add `name:` with what to call it
    x.yaml:6: metrics.counters[0].labels[4].name: `a\u{7f}b` cannot be a label's name: it has the control character U+007F; take that character out
    ");
}

#[test]
fn a_name_is_one_label_of_a_metric() {
    assert_snapshot!(faults(&with_labels("{name: a, size: 1},\n{name: b, size: 1},\n{name: a, size: 2}")), @"x.yaml:4: metrics.counters[0].labels[2].name: `a` is the name of metrics.counters[0].labels[0] too; give each label its own name");
}

#[test]
fn two_labels_must_not_be_one_once_they_are_escaped() {
    let two = |one: &str, other: &str| {
        faults(&with_labels(&format!("{{name: {one}, size: 1}},\n{{name: {other}, size: 1}}")))
    };
    assert_snapshot!(two("a_b", "a.b"), @"x.yaml:3: metrics.counters[0].labels[1].name: `a.b` is served as `a_b` with escaping=underscores, and so is `a_b`; rename one, so that they differ in more than what is escaped");
    assert_snapshot!(two("x", "..name.."), @"x.yaml:3: metrics.counters[0].labels[1].name: `..name..` is served as `__name__` with escaping=underscores, which is the metric's own name; rename one, so that they differ in more than what is escaped");
    assert_snapshot!(two("a.b", "a.c"), @"");
    // The bucket is no label.
    let labels = "bucket_type: linear\n      bucket_max: 3\n      labels:\n        - {name: a.b, size: 1}\n        \
                  - {name: a_b, size: 4, decoders: [{name: uint}]}";
    assert_snapshot!(faults(&with_histogram(labels)), @"");
}

#[test]
fn le_belongs_to_histograms() {
    let labels = "bucket_type: linear\n      bucket_max: 3\n      labels:\n        - {name: le, size: 1}\n        \
                  - {name: bucket, size: 4, decoders: [{name: uint}]}";
    assert_snapshot!(faults(&with_histogram(labels)), @"x.yaml:8: metrics.histograms[0].labels[0].name: `le` is what a histogram's bucket bounds are called; choose another name");
    // As a counter's label and as the bucket's own name it collides with nothing.
    assert_snapshot!(faults(&with_labels("{name: le, size: 1}")), @"");
    for own in ["le,", "__bucket,"] {
        let buckets = with_buckets("bucket_type: linear\n      bucket_max: 3");
        assert_eq!(good(&buckets.replace("bucket,", own)).metrics[0].label_names().count(), 0);
    }
}

#[test]
fn sizes_are_those_of_keys() {
    let text = "\
{name: a, size: 0},
{name: b, size: -4},
{name: c, size: 99999999999999999999},
{name: d, size: 4, padding: -1},
{name: e, size: 4, padding: 4194305},
{name: f, size: ~}";
    assert_snapshot!(faults(&with_labels(text)), @"
    x.yaml:2: metrics.counters[0].labels[0].size: no label has 0 bytes; write how many bytes this label takes
    x.yaml:3: metrics.counters[0].labels[1].size: no label has -4 bytes; write how many bytes this label takes
    x.yaml:4: metrics.counters[0].labels[2].size: no label has 99999999999999999999 bytes; write how many bytes this label takes
    x.yaml:5: metrics.counters[0].labels[3].padding: no label has -1 bytes of padding; write how many bytes to pass over behind this label
    x.yaml:6: metrics.counters[0].labels[4].padding: no label has 4194305 bytes of padding; write how many bytes to pass over behind this label
    x.yaml:7: metrics.counters[0].labels[5]: the label has no size; add `size:` with how many bytes this label takes
    ");
}

#[test]
fn the_first_decoder_has_to_take_the_size() {
    let text = "\
{name: a, size: 3, decoders: [{name: uint}]},
{name: b, size: 3, decoders: [{name: hex}, {name: uint}]},
{name: c, size: 12, decoders: [{name: kstack}]}";
    assert_snapshot!(faults(&with_labels(text)), @"
    x.yaml:2: metrics.counters[0].labels[0].size: `uint` takes 1, 2, 4 or 8 bytes, not 3; correct the size, or put a decoder first that takes it
    x.yaml:3: warning: metrics.counters[0].labels[1].decoders[1].name: `uint` takes bytes as they are, which `hex` has made a text of; remove `hex` before it
    x.yaml:4: metrics.counters[0].labels[2].size: `kstack` takes a multiple of 8 bytes, not 12; correct the size, or put a decoder first that takes it
    ");
}

#[test]
fn decoders_have_to_understand_each_other() {
    let text = "\
{name: a, size: 4, decoders: [{name: errno}]},
{name: b, size: 8, decoders: [{name: uint}, {name: ksym}]},
{name: c, size: 8, decoders: [{name: ksym}, {name: cgroup}]},
{name: d, size: 4, decoders: [{name: uint}, {name: inet_ip}, {name: hex}, {name: string}, {name: uint}]}";
    assert_snapshot!(faults(&with_labels(text)), @"
    x.yaml:2: warning: metrics.counters[0].labels[0].decoders[0].name: `errno` takes decimal text, not bytes as they are; put `uint` before it
    x.yaml:3: warning: metrics.counters[0].labels[1].decoders[1].name: `ksym` takes bytes as they are, which `uint` has made a text of; remove `uint` before it
    x.yaml:4: warning: metrics.counters[0].labels[2].decoders[1].name: `cgroup` takes decimal text, which `ksym` does not give; put `uint` before it in place of `ksym`
    x.yaml:5: warning: metrics.counters[0].labels[3].decoders[1].name: `inet_ip` takes bytes as they are, which `uint` has made a text of; remove `uint` before it
    ");
    for unknown in ["static_map, static_map: {a: b}", "regexp, regexps: [a]", "string"] {
        for then in ["errno", "dname", "uint", "pci_vendor", "kstack"] {
            let chain =
                format!("{{name: a, size: 4, decoders: [{{name: {unknown}}}, {{name: {then}}}]}}");
            assert_eq!(faults(&with_labels(&chain)), "", "{chain}");
        }
    }
}

#[test]
fn decoders_are_known_by_name() {
    let text = "\
{name: a, size: 4, decoders: [{name: hexx}]},
{name: b, size: 4, decoders: [{name: base64}]},
{name: c, size: 4, decoders: [{}]}";
    assert_snapshot!(faults(&with_labels(text)), @"
    x.yaml:2: metrics.counters[0].labels[0].decoders[0].name: no decoder is called `hexx`; did you mean `hex`?
    x.yaml:3: metrics.counters[0].labels[1].decoders[0].name: no decoder is called `base64`; a decoder of your own is a plugin: add its `file` to `plugins`, and write `{name: wasm, plugin: NAME}` here; built in are cgroup, dname, errno, hex, ifname, inet_ip, kstack, ksym, majorminor, pci_class, pci_device, pci_subclass, pci_vendor, regexp, static_map, string, syscall, uint, wasm
    x.yaml:4: metrics.counters[0].labels[2].decoders[0]: the decoder has no name; add `name:`, one of cgroup, dname, errno, hex, ifname, inet_ip, kstack, ksym, majorminor, pci_class, pci_device, pci_subclass, pci_vendor, regexp, static_map, string, syscall, uint, wasm
    ");
}

#[test]
fn decoders_of_ones_own_are_plugins() {
    let names =
        ["kube_pod_name_from_pid", "POD", "pods", "Uint", "uint_", "container", "my_cgroup"];
    let labels: Vec<_> = (0..)
        .zip(names)
        .map(|(n, name)| format!("{{name: l{n}, size: 4, decoders: [{{name: {name}}}]}}"))
        .collect();
    let text =
        format!("plugins: {{pod: {{file: pod.wasm}}}}\n{}", with_labels(&labels.join(",\n")));
    assert_snapshot!(faults(&text), @"
    x.yaml:1: warning: plugins.pod: nothing uses the plugin; name it as `plugin:` of a decoder `wasm` or of a transform, or remove it
    x.yaml:3: metrics.counters[0].labels[0].decoders[0].name: no decoder is called `kube_pod_name_from_pid`; a decoder of your own is a plugin: add its `file` to `plugins`, and write `{name: wasm, plugin: NAME}` here; built in are cgroup, dname, errno, hex, ifname, inet_ip, kstack, ksym, majorminor, pci_class, pci_device, pci_subclass, pci_vendor, regexp, static_map, string, syscall, uint, wasm
    x.yaml:4: metrics.counters[0].labels[1].decoders[0].name: no decoder is called `POD`; did you mean the plugin, `{name: wasm, plugin: pod}`?
    x.yaml:5: metrics.counters[0].labels[2].decoders[0].name: no decoder is called `pods`; did you mean the plugin, `{name: wasm, plugin: pod}`?
    x.yaml:6: metrics.counters[0].labels[3].decoders[0].name: no decoder is called `Uint`; did you mean `uint`?
    x.yaml:7: metrics.counters[0].labels[4].decoders[0].name: no decoder is called `uint_`; did you mean `uint`?
    x.yaml:8: metrics.counters[0].labels[5].decoders[0].name: no decoder is called `container`; a decoder of your own is a plugin: add its `file` to `plugins`, and write `{name: wasm, plugin: NAME}` here; built in are cgroup, dname, errno, hex, ifname, inet_ip, kstack, ksym, majorminor, pci_class, pci_device, pci_subclass, pci_vendor, regexp, static_map, string, syscall, uint, wasm
    x.yaml:9: metrics.counters[0].labels[6].decoders[0].name: no decoder is called `my_cgroup`; did you mean `cgroup`? a decoder of your own is a plugin: add its `file` to `plugins`, and write `{name: wasm, plugin: NAME}` here
    ");
}

#[test]
fn settings_of_decoders_are_checked() {
    let text = "\
{name: a, size: 4, decoders: [{name: regexp}]},
{name: b, size: 4, decoders: [{name: regexp, regexps: ['ok', '(a', '(a)(b)']}]}";
    assert_snapshot!(faults(&with_labels(text)), @"
    x.yaml:2: metrics.counters[0].labels[0].decoders[0].regexps: there are no patterns, so every row would be left out; list at least one pattern
    x.yaml:3: metrics.counters[0].labels[1].decoders[0].regexps[1]: `(a` is not a regular expression: unclosed group; correct the pattern; its syntax is RE2's
    x.yaml:3: metrics.counters[0].labels[1].decoders[0].regexps[2]: `(a)(b)` has 2 groups, and a label has one text; write (?:…) for the groups that are not the label
    ");
}

#[test]
fn settings_of_other_decoders_are_told() {
    let text = "\
{name: a, size: 4, decoders: [{name: uint, regexps: [a], static_map: {}}]},
{name: b, size: 4, decoders: [{name: regexp, regexps: [a], static_map: {a: b}, allow_unknown: no}]},
{name: c, size: 4, decoders: [{name: static_map, regexps: [a], static_map: {a: b}, allow_unknown: yes}]}";
    assert_snapshot!(faults(&with_labels(text)), @"
    x.yaml:2: warning: metrics.counters[0].labels[0].decoders[0].regexps: `uint` does nothing with `regexps`, which is for `regexp`; remove it, or write `name: regexp`
    x.yaml:3: warning: metrics.counters[0].labels[1].decoders[0].static_map: `regexp` does nothing with `static_map`, which is for `static_map`; remove it, or write `name: static_map`
    x.yaml:3: warning: metrics.counters[0].labels[1].decoders[0].allow_unknown: `regexp` does nothing with `allow_unknown`, which is for `static_map`; remove it, or write `name: static_map`
    x.yaml:4: warning: metrics.counters[0].labels[2].decoders[0].regexps: `static_map` does nothing with `regexps`, which is for `regexp`; remove it, or write `name: regexp`
    ");
}

#[test]
fn on_error_is_drop_raw_or_a_label() {
    let text = "\
{name: a, size: 1, decoders: [{name: hex, on_error: ignore}]},
{name: b, size: 1, decoders: [{name: hex, on_error: {label: [x]}}]},
{name: c, size: 1, decoders: [{name: hex, on_error: {labl: x}}]},
{name: d, size: 1, decoders: [{name: hex, on_error: no}]}";
    assert_snapshot!(faults(&with_labels(text)), @"
    x.yaml:2: metrics.counters[0].labels[0].decoders[0].on_error: `ignore` is nothing to do on an error; write `drop`, `raw` or `{label: TEXT}`
    x.yaml:3: metrics.counters[0].labels[1].decoders[0].on_error.label: expected a text, found a list; write one text, in quotes if it has special characters
    x.yaml:4: warning: metrics.counters[0].labels[2].decoders[0].on_error.labl: unknown key, which does nothing; did you mean `label`?
    x.yaml:4: metrics.counters[0].labels[2].decoders[0].on_error: the label's text is missing; write `drop`, `raw` or `{label: TEXT}`
    x.yaml:5: metrics.counters[0].labels[3].decoders[0].on_error: `no` is nothing to do on an error; write `drop`, `raw` or `{label: TEXT}`
    ");
}

/// What decodes the one of these labels.
fn chain(labels: &str) -> Chain {
    let config = good(&with_labels(labels));
    let linked = link::metrics(&config, &mut link::Plugins::new(), &System::default()).0;
    linked.into_iter().flat_map(|linked| linked.chains).next().unwrap()
}

#[test]
fn on_error_is_kept() {
    for (on_error, outcome, text) in [
        ("~", Outcome::Label, "error"),
        ("raw", Outcome::Label, "6162"),
        ("{label: 010}", Outcome::Label, "010"),
        ("drop", Outcome::Drop, ""),
    ] {
        // `errno` takes numbers only.
        let labels = format!(
            "{{name: a, size: 2, decoders: [{{name: string}}, {{name: errno, on_error: {on_error}}}]}}"
        );
        let decodings = Decodings::of(&mut chain(&labels), [&b"ab"[..]]);
        let decoded = decodings.get(0);
        assert_eq!((decoded.outcome, decoded.text), (outcome, text.as_bytes()), "{on_error}");
        assert!(decoded.error.is_some());
    }
}

#[test]
fn static_maps_compare_texts() {
    let labels = "{name: a, size: 8, decoders: [{name: string}, {name: static_map, static_map: {010: a, 0x1F: on, 8: no, 8: yes, none: }}]}";
    let cases = [("010", "a"), ("0x1F", "on"), ("8", "yes"), ("31", "unknown:31"), ("none", "")];
    let decodings = Decodings::of(&mut chain(labels), cases.map(|(input, _)| input.as_bytes()));
    for ((input, text), decoded) in cases.iter().zip(decodings.iter()) {
        assert_eq!(String::from_utf8_lossy(decoded.text), *text, "{input}");
    }
}

#[test]
fn a_label_may_decode_the_bytes_before_it_once_more() {
    let labels = "\
{name: raw, size: 2, padding: 2, decoders: [{name: hex}]},
{name: text, reuse: true, decoders: [{name: string}]},
{name: again, reuse: yes, size: 2, padding: 2, decoders: [{name: uint}]},
{name: next, size: 1, reuse: no}";
    assert_eq!(faults(&with_labels(labels)), "");
    let config = good(&with_labels(labels));
    let sizes: Vec<_> = config.metrics[0]
        .labels
        .iter()
        .map(|label| (label.size, label.padding, label.reuse))
        .collect();
    assert_eq!(sizes, [(2, 2, false), (2, 0, true), (2, 0, true), (1, 0, false)]);
}

#[test]
fn what_a_label_that_reuses_cannot_have_is_told() {
    let labels = "\
{name: a, reuse: true, decoders: [{name: uint}]},
{name: b, reuse: true},
{name: c, size: 3, padding: 1},
{name: d, reuse: true, size: 4},
{name: e, size: 3},
{name: f, reuse: true, padding: 2},
{name: g, size: 3},
{name: h, reuse: true, decoders: [{name: uint}]},
{name: i, reuse: maybe, size: 3},
{name: j, reuse: true, size: x},
{name: c, reuse: true}";
    assert_snapshot!(faults(&with_labels(labels)), @"
    x.yaml:2: metrics.counters[0].labels[0].reuse: the first label has none before it whose bytes it could decode again; put it behind the label whose bytes it is to decode, or remove `reuse`
    x.yaml:5: metrics.counters[0].labels[3].size: a label with `reuse: true` decodes the 3 bytes of the label before it, not 4; remove `size`, or remove `reuse`
    x.yaml:7: metrics.counters[0].labels[5].padding: a label with `reuse: true` takes no bytes, so none can follow them; write `padding` at the label whose bytes it decodes
    x.yaml:9: metrics.counters[0].labels[7].reuse: `uint` takes 1, 2, 4 or 8 bytes, not 3; correct the size, or put a decoder first that takes it
    x.yaml:10: metrics.counters[0].labels[8].reuse: expected true or false, found `maybe`; write one of the two
    x.yaml:11: metrics.counters[0].labels[9].size: expected a whole number, found `x`; write digits alone, such as 8
    ");
}

#[test]
fn the_last_label_is_the_bucket_also_if_it_reuses() {
    let histogram =
        |labels: &str| {
            good(&with_buckets("bucket_type: linear\n      bucket_max: 3").replace(
                "[{name: bucket, size: 4, decoders: [{name: uint}]}]",
                &format!("[{labels}]"),
            ))
        };
    let number = "decoders: [{name: uint}]";
    for (labels, bucket, names) in [
        (format!("{{name: a, size: 4}}, {{name: b, reuse: true, {number}}}"), 1, "a"),
        (
            format!(
                "{{name: b, size: 4, {number}}}, {{name: cpu, size: 2}}, {{name: n, reuse: true}}"
            ),
            0,
            "cpu n",
        ),
        (
            format!(
                "{{name: a, size: 4}}, {{name: b, reuse: true, {number}}}, {{name: cpu, size: 2}}, \
                 {{name: n, reuse: true}}"
            ),
            1,
            "a cpu n",
        ),
    ] {
        let config = histogram(&labels);
        let metric = &config.metrics[0];
        let shown: Vec<_> = metric.label_names().map(|name| name.as_str()).collect();
        assert_eq!((metric.bucket(), &*shown.join(" ")), (Some(bucket), names), "{labels}");
    }
}

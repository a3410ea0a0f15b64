//! No text gets through, and nothing is lost that need not be.

use std::collections::HashSet;

use super::*;
use crate::bpf::{self, MapSpec};
use crate::config::{self, ConfigFile};
use crate::source::testing::Held;

fn disguise() -> Disguise {
    Disguise::new([7; 32])
}

fn of(part: &[u8], content: KeyContent) -> Vec<u8> {
    let mut out = vec![0; part.len()];
    hide(part, content, &disguise(), &mut out);
    out
}

/// A text of so many bytes, with NULs behind it.
fn padded(text: &[u8], size: usize) -> Vec<u8> {
    let mut padded = text.to_vec();
    padded.resize(size, 0);
    padded
}

#[test]
fn a_text_becomes_another_that_is_always_the_same() {
    let one = of(&padded(b"nginx", 16), KeyContent::Terminated);
    assert_eq!(
        one,
        of(b"nginx\0old\0\0\0\0\0\0\0", KeyContent::Terminated),
        "what is behind it too"
    );
    assert!(one.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)), "{one:?}");
    assert_ne!(one, of(&padded(b"nginy", 16), KeyContent::Terminated));
    let wide = of(&padded(b"nginx", 32), KeyContent::Terminated);
    assert_eq!((&wide[..16], &wide[16..]), (&one[..], &[0; 16][..]), "however wide its field is");
    assert_eq!(of(&padded(b"nginx", 32), KeyContent::Bytes), wide);
    assert_eq!(
        of(&padded(b"nginx", 9), KeyContent::Terminated),
        one[..9],
        "as far as there is room"
    );
    let mut other = vec![0; 16];
    hide(&padded(b"nginx", 16), KeyContent::Terminated, &Disguise::new([8; 32]), &mut other);
    assert_ne!(one, other, "another secret");
    for content in
        [KeyContent::Terminated, KeyContent::Domain, KeyContent::Bytes, KeyContent::Digits]
    {
        assert_eq!(of(&[0; 16], content), [0; 16], "an empty one stays empty");
    }
}

#[test]
fn a_domain_stays_one() {
    let domain = of(b"\x03www\x07example\x03com\0\0\0\0", KeyContent::Domain);
    assert_eq!((domain.len(), domain[0], domain[17]), (20, 16, 0));
    assert_eq!(domain, of(b"\x03www\x07example\x03com\0old", KeyContent::Domain));
}

#[test]
fn a_number_stays_and_nothing_behind_it() {
    assert_eq!(of(&[1, 2, 3, 4], KeyContent::Number(None)), [1, 2, 3, 4]);
    assert_eq!(of(b"\x01\0\0\0secret", KeyContent::Number(Some(4))), padded(&[1], 10));
    assert_eq!(of(b"17\0secret", KeyContent::Digits), padded(b"17", 9));
    assert!(!of(b"17x\0secret", KeyContent::Digits).starts_with(b"17"));
}

#[test]
fn small_fields_are_hidden_too() {
    for size in 1..4 {
        for content in [KeyContent::Terminated, KeyContent::Domain, KeyContent::Bytes] {
            let field = of(&vec![b'!'; size], content);
            assert!(field.len() == size && !field.contains(&b'!'), "{content:?} {field:?}");
        }
    }
}

#[test]
fn texts_stay_apart_as_far_as_there_is_room() {
    let apart = |texts: u32, room: usize| {
        let disguise = disguise();
        let all: Vec<_> = (0..texts).map(|n| disguise.letters(&n.to_le_bytes(), room)).collect();
        let again: Vec<_> = (0..texts).map(|n| disguise.letters(&n.to_le_bytes(), room)).collect();
        assert_eq!(all, again, "always the same");
        let different = all.iter().collect::<HashSet<_>>().len() as u64;
        assert_eq!(
            different + disguise.equal(),
            u64::from(texts),
            "those that are not are counted"
        );
        different
    };
    assert_eq!(apart(20_000, 4), 20_000);
    assert_eq!(apart(200, 2), 200);
    assert_eq!(apart(200, 1), 64);
}

/// Whatever the key is, only what is known to be of a number stands in what is read.
#[test]
fn what_no_label_decodes_is_not_there() {
    let key = *b"\x01\0\0\0secretnginx\0";
    let mut held = Held::<16, 1>::default();
    held.hold(Some(vec![(key, [5])]));
    let parts = vec![(0..4, KeyContent::Number(None)), (10..16, KeyContent::Terminated)];
    let (disguise, mut keys) = (disguise(), Vec::new());
    let mut redacted = Redacted::new(&mut held, parts, &disguise);
    redacted
        .read(&mut |chunk| chunk.entries().for_each(|entry| keys = entry.key.to_vec()))
        .unwrap();
    assert_eq!(keys[..10], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(keys[10..], of(b"nginx\0", KeyContent::Terminated));
}

/// What the parts of a key are by a config of one metric, whose map has such keys, and which labels are blind then.
fn known(metric: &str, kind: u32, key_size: u32) -> (Vec<(Range<usize>, KeyContent)>, Vec<String>) {
    let text = format!("plugins: {{p: {{file: p.wasm}}}}\nmetrics: {metric}");
    let (configs, faults) = config::load(vec![ConfigFile::new("c.yaml", text)], &[]);
    let faults: Vec<_> = faults.iter().filter(|fault| fault.path != "plugins.p").collect();
    assert!(faults.is_empty(), "{faults:?}");
    let map = MapSpec {
        name: "m".into(),
        kind: kind.into(),
        key_size,
        value_size: 8,
        max_entries: 9,
        flags: 0,
    };
    let layouts = bpf::check_maps(&configs[0], &[map]).unwrap();
    let (metric, layout) = (&configs[0].metrics[0], &layouts[0]);
    (parts(metric, layout), blinded(metric, layout))
}

fn counter(labels: &str) -> String {
    format!("{{counters: [{{name: m, help: h, labels: [{labels}]}}]}}")
}

#[test]
fn decoders_say_what_parts_are() {
    const HASH: u32 = 1;
    let of = |decoders: &str, size: u32| {
        let labels = format!("{{name: l, size: {size}, decoders: [{decoders}]}}");
        known(&counter(&labels), HASH, size).0[0].1
    };
    assert_eq!(of("{name: uint}", 8), KeyContent::Number(None));
    assert_eq!(of("{name: uint}, {name: wasm, plugin: p}", 8), KeyContent::Number(None));
    assert_eq!(of("{name: kstack}", 64), KeyContent::Number(None));
    assert_eq!(of("{name: inet_ip}", 16), KeyContent::Number(None));
    assert_eq!(of("{name: inet_ip}", 24), KeyContent::Digits, "no address is so long");
    assert_eq!(of("{name: ifname}", 16), KeyContent::Number(Some(4)));
    assert_eq!(of("{name: ksym}", 16), KeyContent::Number(Some(8)));
    assert_eq!(of("{name: majorminor}", 4), KeyContent::Number(Some(4)));
    assert_eq!(of("{name: string}", 16), KeyContent::Terminated);
    assert_eq!(of("{name: regexp, regexps: ['a']}", 16), KeyContent::Terminated);
    assert_eq!(of("{name: static_map, static_map: {a: b}}", 16), KeyContent::Terminated);
    assert_eq!(of("{name: dname}", 16), KeyContent::Domain);
    assert_eq!(of("{name: hex}", 8), KeyContent::Bytes);
    assert_eq!(of("{name: wasm, plugin: p}", 8), KeyContent::Bytes);
    assert_eq!(of("", 8), KeyContent::Bytes);
}

/// A label that is a text hides what another one over the same bytes would show.
#[test]
fn the_strictest_label_counts() {
    let labels = "{name: a, size: 8, padding: 4, decoders: [{name: uint}]}, {name: b, reuse: true, decoders: [{name: string}]},
        {name: c, size: 4, decoders: [{name: hex}]}, {name: d, reuse: true, decoders: [{name: uint}]}";
    let (parts, blind) = known(&counter(labels), 1, 16);
    assert_eq!(parts, [(0..8, KeyContent::Terminated), (12..16, KeyContent::Number(None))]);
    assert_eq!(blind, [""; 0]);
}

#[test]
fn what_decides_by_hidden_texts_is_named() {
    let labels = "{name: a, size: 8, decoders: [{name: string}, {name: regexp, regexps: ['a']}]},
        {name: b, size: 4, decoders: [{name: uint}, {name: static_map, static_map: {1: a}}]},
        {name: c, size: 4, decoders: [{name: wasm, plugin: p}]}";
    assert_eq!(known(&counter(labels), 1, 16).1, ["a", "c"]);
    let histogram =
        "{histograms: [{name: m, help: h, bucket_type: linear, bucket_min: 0, bucket_max: 9,
        labels: [{name: bucket, size: 16, decoders: [{name: string}]}]}]}";
    let (parts, blind) = known(histogram, 1, 16);
    assert_eq!((parts, blind), (vec![(0..16, KeyContent::Digits)], Vec::new()));
}

/// Without labels the key of 0 counts, and no other one becomes that. Beside a CPU alone no key counts.
#[test]
fn keys_without_labels_show_nothing() {
    const ARRAY: u32 = 2;
    const PERCPU_HASH: u32 = 5;
    let hidden_by = |labels: &str, kind: u32, key: &[u8; 4]| {
        hidden(key, &known(&counter(labels), kind, 4).0, &disguise())
    };
    assert_eq!(hidden_by("", ARRAY, &[0; 4]), [0; 4]);
    assert_eq!(hidden_by("", ARRAY, b"text"), of(b"text", KeyContent::Bytes));
    let cpu = "{name: cpu, size: 2, decoders: [{name: uint}]}";
    assert_eq!(hidden_by(cpu, PERCPU_HASH, b"text"), [0; 4]);
}

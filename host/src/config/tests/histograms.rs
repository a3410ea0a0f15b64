//! Buckets, and the label that holds them.

use insta::assert_snapshot;

use super::{faults, good, with_buckets, with_histogram};
use crate::config::MetricKind;
use crate::config::buckets::native::Native;
use crate::config::buckets::{Buckets, Scale};

fn buckets(fields: &str) -> Buckets {
    match good(&with_buckets(&fields.replace(' ', "\n      ").replace(':', ": ")))
        .metrics
        .remove(0)
        .kind
    {
        MetricKind::Histogram(buckets) => buckets,
        MetricKind::Counter => panic!("a histogram became a counter"),
    }
}

/// The faults of a histogram with these fields, written without a space behind the colon.
fn buckets_faults(fields: &str) -> String {
    faults(&with_buckets(&fields.replace(' ', "\n      ").replace(':', ": ")))
}

#[test]
fn every_type_is_read() {
    for (fields, scale, multiplier) in [
        ("bucket_type:exp2 bucket_max:26", Scale::Exp2 { min: 0, max: 26 }, 1.0),
        ("bucket_type:exp2 bucket_min:64 bucket_max:64", Scale::Exp2 { min: 64, max: 64 }, 1.0),
        ("bucket_type:exp2zero bucket_max:65", Scale::Exp2Zero { min: 0, max: 65 }, 1.0),
        (
            "bucket_type:linear bucket_max:0x10 bucket_multiplier:0",
            Scale::Linear { min: 0, max: 16 },
            1.0,
        ),
        (
            "bucket_type:linear bucket_max:1 bucket_multiplier:1e-6",
            Scale::Linear { min: 0, max: 1 },
            1e-6,
        ),
        (
            "bucket_type:fixed bucket_keys:[-0.0,0.5,1_000]",
            Scale::Fixed(vec![0.0, 0.5, 1000.0]),
            1.0,
        ),
    ] {
        assert_eq!(buckets(fields), Buckets { scale, multiplier, native: None }, "{fields}");
    }
}

#[test]
fn native_histograms_are_read() {
    let native = |schema, second, classic| Some(Native { schema, second, classic });
    let seconds = |schema, min, max| Scale::Seconds { schema, min, max };
    for (fields, scale, multiplier, native) in [
        (
            "bucket_type:exp2 bucket_max:26 bucket_multiplier:0.0009765625 native:true",
            Scale::Exp2 { min: 0, max: 26 },
            2f64.powi(-10),
            native(0, -9, true),
        ),
        (
            "bucket_type:exp2zero bucket_max:3 native:yes classic:no",
            Scale::Exp2Zero { min: 0, max: 3 },
            1.0,
            native(0, 0, false),
        ),
        (
            "bucket_type:native bucket_schema:3 bucket_max:512",
            seconds(3, 0, 512),
            1e-9,
            native(3, -239, true),
        ),
        (
            "bucket_type:native bucket_schema:0 bucket_min:10 bucket_max:10 classic:false",
            seconds(0, 10, 10),
            1e-9,
            native(0, -19, false),
        ),
        (
            "bucket_type:native bucket_schema:1 bucket_max:9 native:false",
            seconds(1, 0, 9),
            1e-9,
            None,
        ),
        (
            "bucket_type:linear bucket_max:1 native:false",
            Scale::Linear { min: 0, max: 1 },
            1.0,
            None,
        ),
    ] {
        assert_eq!(buckets(fields), Buckets { scale, multiplier, native }, "{fields}");
    }
}

#[test]
fn what_cannot_be_native_is_told() {
    assert_snapshot!(buckets_faults("bucket_type:exp2 bucket_max:3 bucket_multiplier:0.000001 native:true"), @"x.yaml:8: metrics.histograms[0].native: multiplied with 1e-6, exp2 buckets do not end at powers of two, where those of native histograms do; multiply with a power of two, such as 0.0009765625, which is 2^-10; or count nanoseconds in `bucket_type: native`; or have Prometheus make one of the classic buckets, with `convert_classic_histograms_to_nhcb: true`");
    assert_snapshot!(buckets_faults("bucket_type:exp2zero bucket_max:3 bucket_multiplier:3 native:true"), @"x.yaml:8: metrics.histograms[0].native: multiplied with 3e0, exp2zero buckets do not end at powers of two, where those of native histograms do; multiply with a power of two, such as 0.0009765625, which is 2^-10; or count nanoseconds in `bucket_type: native`; or have Prometheus make one of the classic buckets, with `convert_classic_histograms_to_nhcb: true`");
    assert_snapshot!(buckets_faults("bucket_type:linear bucket_max:3 native:true"), @"x.yaml:7: metrics.histograms[0].native: linear buckets do not double, as those of native histograms do; count in `bucket_type: exp2` or `native`; or have Prometheus make one of the classic buckets, with `convert_classic_histograms_to_nhcb: true`");
    assert_snapshot!(buckets_faults("bucket_type:exp2 bucket_max:3 classic:false"), @"x.yaml:7: metrics.histograms[0].classic: a histogram that is not native has no other buckets; remove it, or write `native: true` beside it");
    assert_snapshot!(buckets_faults("bucket_type:native bucket_schema:0 bucket_max:3 native:false classic:false"), @"x.yaml:9: metrics.histograms[0].classic: a histogram that is not native has no other buckets; remove it, or write `native: true` beside it");
    assert_snapshot!(buckets_faults("bucket_type:native bucket_max:3"), @"x.yaml:3: metrics.histograms[0]: the native histogram has no bucket_schema; add `bucket_schema:`, from 0 to 3");
    assert_snapshot!(buckets_faults("bucket_type:native bucket_max:3 bucket_schema:4"), @"x.yaml:7: metrics.histograms[0].bucket_schema: buckets of schema 4 cannot be counted in; write a number from 0, which doubles, to 3, which has eight buckets from a power of two to the next");
    assert_snapshot!(buckets_faults("bucket_type:native bucket_max:129 bucket_schema:1"), @"x.yaml:6: metrics.histograms[0].bucket_max: no native bucket has the key 129; write a number from 0 to 128");
    assert_snapshot!(buckets_faults("bucket_type:native bucket_schema:1"), @"x.yaml:3: metrics.histograms[0]: the native histogram has no bucket_max; add `bucket_max:` with the last bucket's key");
    assert_snapshot!(buckets_faults("bucket_type:native bucket_max:9 bucket_schema:1 bucket_multiplier:0.5"), @"x.yaml:8: warning: metrics.histograms[0].bucket_multiplier: native buckets do nothing with bucket_multiplier; remove it, as their bounds are in seconds, and their programs count nanoseconds");
    assert_snapshot!(buckets_faults("bucket_type:exp2 bucket_max:9 bucket_schema:1"), @"x.yaml:7: warning: metrics.histograms[0].bucket_schema: exp2 buckets do nothing with bucket_schema; remove it, or write `bucket_type: native`");
    assert_snapshot!(buckets_faults("bucket_type:exp2 bucket_max:9 native:2"), @"x.yaml:7: metrics.histograms[0].native: expected true or false, found `2`; write one of the two");
}

#[test]
fn the_type_has_to_be_one_of_five() {
    assert_snapshot!(buckets_faults("bucket_max:3"), @"x.yaml:3: metrics.histograms[0]: the histogram has no bucket_type; add `bucket_type:`, one of exp2, exp2zero, linear, fixed, native");
    assert_snapshot!(buckets_faults("bucket_type:exp bucket_max:3"), @"x.yaml:5: metrics.histograms[0].bucket_type: no bucket_type is called `exp`; did you mean `exp2`?");
    assert_snapshot!(buckets_faults("bucket_type:logarithmic bucket_max:3"), @"x.yaml:5: metrics.histograms[0].bucket_type: no bucket_type is called `logarithmic`; write one of exp2, exp2zero, linear, fixed, native");
}

#[test]
fn the_range_has_to_be_one() {
    assert_snapshot!(buckets_faults("bucket_type:linear"), @"x.yaml:3: metrics.histograms[0]: the linear histogram has no bucket_max; add `bucket_max:` with the last bucket's key");
    assert_snapshot!(buckets_faults("bucket_type:linear bucket_min:7 bucket_max:3"), @"x.yaml:6: metrics.histograms[0].bucket_min: bucket_min 7 is above bucket_max 3; exchange them or correct one");
    assert_snapshot!(buckets_faults("bucket_type:linear bucket_min:-1 bucket_max:-1"), @"
    x.yaml:6: metrics.histograms[0].bucket_min: no linear bucket has the key -1; write a number from 0 to 4294967295
    x.yaml:7: metrics.histograms[0].bucket_max: no linear bucket has the key -1; write a number from 0 to 4294967295
    ");
    assert_snapshot!(buckets_faults("bucket_type:exp2 bucket_max:65"), @"x.yaml:6: metrics.histograms[0].bucket_max: no exp2 bucket has the key 65; write a number from 0 to 64");
    assert_snapshot!(buckets_faults("bucket_type:exp2zero bucket_max:66"), @"x.yaml:6: metrics.histograms[0].bucket_max: no exp2zero bucket has the key 66; write a number from 0 to 65");
    assert_snapshot!(buckets_faults("bucket_type:linear bucket_max:4294967296"), @"x.yaml:6: metrics.histograms[0].bucket_max: no linear bucket has the key 4294967296; write a number from 0 to 4294967295");
    assert_snapshot!(buckets_faults("bucket_type:linear bucket_max:4294967295"), @"x.yaml:6: metrics.histograms[0].bucket_max: bucket_min 0 to bucket_max 4294967295 is more than 10000 buckets; count in wider steps, or use exp2");
}

#[test]
fn fixed_keys_have_to_ascend() {
    assert_snapshot!(buckets_faults("bucket_type:fixed"), @"x.yaml:3: metrics.histograms[0]: the fixed histogram has no bucket_keys; add `bucket_keys:` with the bounds, ascending");
    assert_snapshot!(buckets_faults("bucket_type:fixed bucket_keys:[]"), @"x.yaml:3: metrics.histograms[0]: the fixed histogram has no bucket_keys; add `bucket_keys:` with the bounds, ascending");
    assert_snapshot!(buckets_faults("bucket_type:fixed bucket_keys:[1,3,2]"), @"x.yaml:6: metrics.histograms[0].bucket_keys[2]: 2 follows 3; list each key once, ascending");
    assert_snapshot!(buckets_faults("bucket_type:fixed bucket_keys:[1,1]"), @"x.yaml:6: metrics.histograms[0].bucket_keys[1]: 1 follows 1; list each key once, ascending");
    assert_snapshot!(buckets_faults("bucket_type:fixed bucket_keys:[1,.inf]"), @"x.yaml:6: metrics.histograms[0].bucket_keys[1]: inf cannot be a bucket's key; write a number below 9007199254740992, which is 2^53");
    assert_snapshot!(buckets_faults("bucket_type:fixed bucket_keys:[1,18446744073709551615]"), @"x.yaml:6: metrics.histograms[0].bucket_keys[1]: 18446744073709552000 cannot be a bucket's key; write a number below 9007199254740992, which is 2^53");
    assert_snapshot!(buckets_faults("bucket_type:fixed bucket_keys:[.nan]"), @"x.yaml:6: metrics.histograms[0].bucket_keys[0]: NaN cannot be a bucket's key; write a number below 9007199254740992, which is 2^53");
    assert_snapshot!(buckets_faults("bucket_type:fixed bucket_keys:[1,x,.nan,1,3,2,{},4]"), @"
    x.yaml:6: metrics.histograms[0].bucket_keys[1]: expected a number, found `x`; write digits alone, such as 8 or 0.001
    x.yaml:6: metrics.histograms[0].bucket_keys[6]: expected a number, found a mapping; write digits alone, such as 8 or 0.001
    x.yaml:6: metrics.histograms[0].bucket_keys[2]: NaN cannot be a bucket's key; write a number below 9007199254740992, which is 2^53
    x.yaml:6: metrics.histograms[0].bucket_keys[3]: 1 follows 1; list each key once, ascending
    x.yaml:6: metrics.histograms[0].bucket_keys[5]: 2 follows 3; list each key once, ascending
    ");
    let many = format!("bucket_type:fixed bucket_keys:[{}]", "1,".repeat(10_001));
    assert_snapshot!(buckets_faults(&many), @"x.yaml:6: metrics.histograms[0].bucket_keys: 10001 buckets are more than 10000; leave some out");
}

#[test]
fn fields_of_other_types_are_told() {
    assert_snapshot!(buckets_faults("bucket_type:fixed bucket_keys:[1] bucket_min:0 bucket_max:3"), @"
    x.yaml:7: warning: metrics.histograms[0].bucket_min: fixed buckets do nothing with bucket_min; remove it, as the keys are those of bucket_keys
    x.yaml:8: warning: metrics.histograms[0].bucket_max: fixed buckets do nothing with bucket_max; remove it, as the keys are those of bucket_keys
    ");
    assert_snapshot!(buckets_faults("bucket_type:linear bucket_keys:[1] bucket_max:3"), @"x.yaml:6: warning: metrics.histograms[0].bucket_keys: linear buckets do nothing with bucket_keys; remove it, or write `bucket_type: fixed`");
}

#[test]
fn the_multiplier_has_to_give_bounds() {
    for multiplier in ["-1", ".nan", ".inf"] {
        let fields = format!("bucket_type:exp2 bucket_max:3 bucket_multiplier:{multiplier}");
        assert!(
            buckets_faults(&fields).contains(":7: metrics.histograms[0].bucket_multiplier: "),
            "{multiplier}"
        );
    }
    assert_snapshot!(buckets_faults("bucket_type:exp2 bucket_max:3 bucket_multiplier:-1"), @"x.yaml:7: metrics.histograms[0].bucket_multiplier: bounds cannot be multiplied with -1; write a number above 0, such as 1e-6 for keys in microseconds");
    assert_snapshot!(buckets_faults("bucket_type:exp2 bucket_max:64 bucket_multiplier:1e300"), @"x.yaml:7: metrics.histograms[0].bucket_multiplier: multiplied with 1e300, the bounds of the buckets are no numbers of their own; choose one that is less extreme");
    assert_snapshot!(buckets_faults("bucket_type:linear bucket_max:9 bucket_multiplier:1e-324"), @"");
    assert_snapshot!(buckets_faults("bucket_type:exp2 bucket_max:1 bucket_multiplier:5e-324 bucket_min:0"), @"");
}

const LINEAR: &str = "bucket_type: linear\n      bucket_max: 3\n      labels: ";

fn labels_faults(labels: &str) -> String {
    faults(&with_histogram(&format!("{LINEAR}{labels}")))
}

#[test]
fn a_bucket_label_is_needed() {
    assert_snapshot!(labels_faults(""), @"x.yaml:3: metrics.histograms[0]: the histogram has no labels; add a last label, before `cpu` if there is one, with the bucket's number, decoded by `uint`");
    assert_snapshot!(labels_faults("[]"), @"x.yaml:3: metrics.histograms[0]: the histogram has no labels; add a last label, before `cpu` if there is one, with the bucket's number, decoded by `uint`");
    assert_snapshot!(labels_faults("[{name: cpu, size: 2, decoders: [{name: uint}]}]"), @"x.yaml:3: metrics.histograms[0]: the histogram has no label for its buckets, only `cpu`; add a last label, before `cpu` if there is one, with the bucket's number, decoded by `uint`");
}

#[test]
fn the_bucket_label_has_to_be_a_number() {
    assert_snapshot!(labels_faults("[{name: bucket, size: 4}]"), @"x.yaml:7: metrics.histograms[0].labels[0]: the label of the buckets has no decoder that makes it a number; add `decoders: [{name: uint}]`");
    assert_snapshot!(labels_faults("[{name: bucket, size: 4, decoders: [{name: uint}, {name: hex}]}]"), @"x.yaml:7: metrics.histograms[0].labels[0].decoders[1].name: the label of the buckets has to be a number, which `hex` does not give; end its decoders with `uint`");
    let before_cpu = "[{name: bucket, size: 4, decoders: [{name: hex}]}, {name: cpu, size: 2, decoders: [{name: uint}]}]";
    assert_snapshot!(labels_faults(before_cpu), @"x.yaml:7: metrics.histograms[0].labels[0].decoders[0].name: the label of the buckets has to be a number, which `hex` does not give; end its decoders with `uint`");
    let mapped = "[{name: bucket, size: 4, decoders: [{name: uint}, {name: static_map, static_map: {1: 1, 2: two, 3.5: 3.5}}]}]";
    assert_snapshot!(labels_faults(mapped), @"
    x.yaml:7: metrics.histograms[0].labels[0].decoders[1].static_map.2: `two` is no bucket's key; map to numbers here: the label of the buckets has to be one
    x.yaml:7: metrics.histograms[0].labels[0].decoders[1].static_map.3.5: `3.5` is no bucket's key; map to numbers here: the label of the buckets has to be one
    ");
}

#[test]
fn the_bucket_stands_before_the_cpu() {
    let text = "[{name: a, size: 4}, {name: bucket, size: 4, decoders: [{name: uint}]}, {name: cpu, size: 2, decoders: [{name: uint}]}]";
    let config = good(&with_histogram(&format!("{LINEAR}{text}")));
    let metric = &config.metrics[0];
    assert_eq!(metric.bucket(), Some(1));
    let names: Vec<_> = metric.label_names().map(|name| name.as_str()).collect();
    assert_eq!(names, ["a", "cpu"]);
    // Of another size it is no CPU, and so the bucket.
    let config = good(&with_histogram(&format!("{LINEAR}{}", text.replace("size: 2", "size: 4"))));
    assert_eq!(config.metrics[0].bucket(), Some(2));
}

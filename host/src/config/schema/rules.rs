//! What the keys of one mapping have to say together, as far as JSON Schema has words for it.
//!
//! Nothing is refused here that [`super::super::check`] does not refuse.

use super::json::{Json, list, map};
use super::patterns;
use crate::config::buckets::native;
use crate::config::ranges::{MOST_BUCKETS, largest_key, largest_native_key};
use crate::config::raw::keys::{self, Section};
use crate::decode::builtin::{self, Sizes};

/// The rules of a section: schemas that all of its mappings match.
pub(super) fn of(section: &Section) -> Vec<Json> {
    let is = |one: &Section| std::ptr::eq(section, one);
    match section {
        _ if is(&keys::COUNTER) => counter(),
        _ if is(&keys::HISTOGRAM) => histogram(),
        _ if is(&keys::LABEL) => label(),
        _ => Vec::new(),
    }
}

/// A map is of one type. All labels are served, and none has a name of Prometheus' own: of a histogram one may, its
/// bucket.
fn counter() -> Vec<Json> {
    let streams = ["perf_event_array", "ringbuf"].map(|key| (key, one_of(patterns::yes())));
    let both = map([("not", all(streams))]);
    let served = map([("pattern", patterns::SERVED_NAME.into())]);
    let label = map([("items", some([("name", served)]))]);
    vec![both, some([("labels", label)])]
}

fn histogram() -> Vec<Json> {
    let mut rules: Vec<_> = ["exp2", "exp2zero", "native"].map(ends).to_vec();
    rules.extend((0..native::FINEST).map(ends_of_schema));
    rules.push(few_buckets());
    rules.push(native_types());
    rules.push(classic_or_native());
    rules
}

/// Buckets of a type have keys up to its largest.
fn ends(bucket_type: &str) -> Json {
    let is = one_of(list([bucket_type]));
    when(all([("bucket_type", is)]), keys_up_to(largest_key(bucket_type)))
}

/// Native buckets of a schema have keys up to its largest.
fn ends_of_schema(schema: u8) -> Json {
    let is = [
        ("bucket_type", one_of(list(["native"]))),
        ("bucket_schema", one_of(list([i32::from(schema)]))),
    ];
    when(all(is), keys_up_to(largest_native_key(schema)))
}

fn keys_up_to(largest: u32) -> Json {
    some(["bucket_min", "bucket_max"].map(|key| (key, at_most(u64::from(largest)))))
}

/// Buckets from 0 on are not too many. Of others a schema cannot tell how many there are.
fn few_buckets() -> Json {
    let from_zero = one_of(list([Json::Null, 0.into()]));
    let last = at_most(MOST_BUCKETS as u64 - 1);
    when(some([("bucket_min", from_zero)]), some([("bucket_max", last)]))
}

/// Only buckets that double can be native.
fn native_types() -> Json {
    let doubling = one_of(list(["exp2", "exp2zero", "native"]));
    when(all([("native", one_of(patterns::yes()))]), some([("bucket_type", doubling)]))
}

/// What has no classic buckets has native ones: it says so, or is of that type and does not say otherwise.
fn classic_or_native() -> Json {
    let says_so = all([("native", one_of(patterns::yes()))]);
    let is_native = ("bucket_type", one_of(list(["native"])));
    let otherwise = map([("not", one_of(patterns::no()))]);
    let either = [says_so, some([is_native, ("native", otherwise)])];
    when(all([("classic", one_of(patterns::no()))]), map([("anyOf", list(either))]))
}

/// A label with one decoder has as many bytes as that takes. Of a longer chain the words that both drafts share
/// cannot name the first.
fn label() -> Vec<Json> {
    let mut all = Vec::new();
    for sizes in builtin::ALL.iter().map(|builtin| builtin.sizes) {
        if !all.contains(&sizes) {
            all.push(sizes);
        }
    }
    all.into_iter().filter_map(|sizes| Some(bytes_of(sizes, fits(sizes)?))).collect()
}

/// The bytes of a label whose only decoder takes these sizes.
fn bytes_of(sizes: Sizes, fits: Json) -> Json {
    let names = builtin::ALL.iter().filter(|builtin| builtin.sizes == sizes);
    let decoder = all([("name", one_of(list(names.map(|builtin| builtin.name))))]);
    let only = map([
        ("type", "array".into()),
        ("minItems", 1.into()),
        ("maxItems", 1.into()),
        ("items", decoder),
    ]);
    when(all([("decoders", only)]), some([("size", fits)]))
}

/// A number of bytes that is one of these sizes; none if any is.
fn fits(sizes: Sizes) -> Option<Json> {
    let number = |word, bytes: usize| Some(map([(word, bytes.into())]));
    match sizes {
        Sizes::Any => None,
        Sizes::AtLeast(least) => number("minimum", least),
        Sizes::MultipleOf(unit) => number("multipleOf", unit),
        Sizes::OneOf(sizes) => {
            let no_number = map([("type", list(["string", "null"]))]);
            Some(map([("anyOf", list([no_number, one_of(list(sizes.iter().copied()))]))]))
        }
    }
}

/// What matches `condition` matches `then` too.
fn when(condition: Json, then: Json) -> Json {
    map([("if", condition), ("then", then)])
}

/// A mapping that has all these keys, with such values.
fn all<const N: usize>(keys: [(&'static str, Json); N]) -> Json {
    let names = list(keys.iter().map(|(key, _)| *key));
    map([("required", names), ("properties", map(keys))])
}

/// A mapping whose keys have such values, if it has them.
fn some<const N: usize>(keys: [(&'static str, Json); N]) -> Json {
    map([("properties", map(keys))])
}

fn one_of(values: Json) -> Json {
    map([("enum", values)])
}

fn at_most(most: u64) -> Json {
    map([("maximum", most.into())])
}

//! Holds a config's plan against its object: what fits becomes a [`Layout`], what does not a fault.
//!
//! Needs no kernel and no privilege, so `--config.check` can do all of it in a CI job.

use libbpf_rs::ProgramType;

use super::hook::HookSpec;
use super::key::KeyType;
use super::layout::{self, Key, Layout, RecordLayout, Value};
use super::{MapKind, MapSpec, Opened, cgroup_ids, text};
use crate::advice::Advice;
use crate::advice::near::{listed, nearest};
use crate::config::error::SHOWN;
use crate::config::{Config, Fault, KeyPart, Metric, Outline, Severity, SpanPlan, StreamKind};
use crate::escaping::Escaping;

/// What is wrong with a metric.
#[derive(Debug)]
struct Finding {
    /// The place below it.
    below: String,
    advice: Advice,
}

impl Finding {
    fn new(below: impl Into<String>, problem: String, remedy: impl Into<String>) -> Self {
        Self { below: below.into(), advice: Advice::new(problem, remedy) }
    }
}

/// The layouts of the config's metrics, in their order. Metrics that are faulty in themselves are
/// held against the object too, as far as they are known.
///
/// # Errors
///
/// Every fault that the object has for this config.
pub fn check(config: &Config, opened: &Opened) -> Result<Vec<Layout>, Vec<Fault>> {
    let mut faults = programs(opened);
    faults.extend(cgroup_id_map(config, opened));
    let key = |map: &MapSpec| KeyType::of_map(&opened.object, &map.name);
    match layouts(config, &opened.maps(), key) {
        Ok(layouts) if faults.is_empty() => Ok(layouts),
        Ok(_) => Err(faults),
        Err(found) => {
            faults.extend(found);
            Err(faults)
        }
    }
}

/// How the records of the ring buffers are to be read that the config's spans are made of, in the order
/// of its spans.
///
/// # Errors
///
/// Every fault that the object has for these spans.
pub fn check_spans(config: &Config, opened: &Opened) -> Result<Vec<RecordLayout>, Vec<Fault>> {
    let (maps, mut layouts, mut faults) = (opened.maps(), Vec::new(), Vec::new());
    for span in &config.spans {
        match record(span, &maps) {
            Ok(layout) => layouts.push(layout),
            Err(Finding { below, advice }) => {
                faults.push(config.refuse(&format!("{}{below}", span.path), advice));
            }
        }
    }
    if faults.is_empty() { Ok(layouts) } else { Err(faults) }
}

/// How to read the records of a span's ring buffer, or what speaks against it.
fn record(span: &SpanPlan, maps: &[MapSpec]) -> Result<RecordLayout, Finding> {
    let name = &span.ringbuf;
    let Some(map) = maps.iter().find(|map| map.name == *name) else {
        return Err(no_ring(name, maps));
    };
    if map.kind != MapKind::RINGBUF {
        let problem = format!("map `{name}` is a {}, not a ringbuf", map.kind);
        return Err(Finding::new(".ringbuf", problem, ring_remedy(maps)));
    }
    let layout = RecordLayout::new(name, &span.parts());
    let (size, most) = (layout.size, map.max_entries as usize);
    if size > most {
        let problem = format!("the labels take {size} bytes, and ringbuf `{name}` has {most}");
        return Err(Finding::new(".labels", problem, "correct the sizes"));
    }
    Ok(layout)
}

fn no_ring(name: &str, maps: &[MapSpec]) -> Finding {
    let remedy = match nearest(name, rings(maps)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => ring_remedy(maps),
    };
    Finding::new(".ringbuf", format!("the object has no map `{name}`"), remedy)
}

fn rings(maps: &[MapSpec]) -> impl Iterator<Item = &str> {
    maps.iter().filter(|map| map.kind == MapKind::RINGBUF).map(|map| map.name.as_str())
}

fn ring_remedy(maps: &[MapSpec]) -> String {
    let names: Vec<_> = rings(maps).map(|name| format!("`{name}`")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    match &*names {
        [] => "define a map of type `BPF_MAP_TYPE_RINGBUF`, and give its name".to_owned(),
        names => format!("give the name of one that it has: {}", listed(names)),
    }
}

/// As [`check`], for maps whose object is not here.
///
/// # Errors
///
/// Every fault that the maps have for this config.
pub fn check_maps(config: &Config, maps: &[MapSpec]) -> Result<Vec<Layout>, Vec<Fault>> {
    layouts(config, maps, |_| None)
}

fn layouts(
    config: &Config,
    maps: &[MapSpec],
    key: impl Fn(&MapSpec) -> Option<KeyType>,
) -> Result<Vec<Layout>, Vec<Fault>> {
    let (mut layouts, mut faults) = (Vec::new(), Vec::new());
    let mut fit = |outline: &Outline| {
        let map = map_of(outline, maps);
        if map.is_none() && faults.len() >= SHOWN {
            // What was meant takes long to find among many, and nobody is shown it.
            let (path, problem) = (&outline.path, no_map(outline.name.as_str()));
            faults.push(config.fault(path, problem, "give the metric the name of its map"));
            return None;
        }
        let key = map.and_then(&key);
        let findings = match layout(outline, maps, key.as_ref()) {
            Ok(layout) => return Some(layout),
            Err(findings) => findings,
        };
        faults.extend(findings.into_iter().map(|Finding { below, advice }| {
            config.refuse(&format!("{}{below}", outline.path), advice)
        }));
        None
    };
    layouts.extend(config.metrics.iter().map(Metric::outline).filter_map(|metric| fit(&metric)));
    for outline in &config.faulty {
        fit(outline);
    }
    if faults.is_empty() { Ok(layouts) } else { Err(faults) }
}

/// What is wrong with the map that is to hold cgroups, if there is to be one.
fn cgroup_id_map(config: &Config, opened: &Opened) -> Option<Fault> {
    let wanted = config.cgroup_id_map.as_ref()?;
    let maps = opened.maps();
    let names: Vec<_> = maps.iter().map(|map| map.name.as_str()).collect();
    let found = opened.cgroup_map(&wanted.name);
    let (below, advice) = cgroup_ids::misfit(wanted, found.as_ref(), &names)?;
    Some(config.refuse(&format!("cgroup_id_map{below}"), advice))
}

/// What can be read as it stands, but is hardly meant so: a CPU's number of the wrong size.
pub fn warnings(config: &Config, opened: &Opened) -> Vec<Fault> {
    let maps = opened.maps();
    let good = config.metrics.iter().map(Metric::outline);
    good.chain(config.faulty.iter().cloned())
        .filter_map(|metric| {
            let map = map_of(&metric, &maps)?;
            let Finding { below, advice } = summed_cpus(metric.parts.as_deref()?, map)?;
            Some(config.warn(&format!("{}{below}", metric.path), advice))
        })
        .collect()
}

/// A last label `cpu` that cannot be the CPU's number beside the key, although there is one.
fn summed_cpus(parts: &[KeyPart], map: &MapSpec) -> Option<Finding> {
    let own = parts.iter().rposition(|part| !part.reuse)?;
    let misfit = |part: &KeyPart| part.named_cpu && !part.is_cpu();
    let at = own + parts[own..].iter().position(misfit)?;
    let (name, KeyPart { size, reuse, .. }) = (&map.name, parts[at]);
    map.kind.is_per_cpu().then(|| {
        let why = if reuse {
            "reuses the bytes of the label before it".to_owned()
        } else {
            format!("has {size} bytes")
        };
        let problem = format!(
            "the label `cpu` {why}, so it is read from the key of map `{name}`, and the values of \
             all CPUs are summed"
        );
        let (key, size) =
            if reuse { ("reuse", "size 2 in place of `reuse`") } else { ("size", "size 2") };
        let remedy = format!("give it {size}: the CPU's number stands beside the key");
        Finding::new(format!(".labels[{at}].{key}"), problem, remedy)
    })
}

/// The faults of the object's programs: sections that nothing would ever attach.
fn programs(opened: &Opened) -> Vec<Fault> {
    let loaded = opened.object.progs().filter(|program| program.autoload());
    loaded
        .filter_map(|program| {
            let known = program.prog_type() != ProgramType::Unspec;
            let advice = section(&text(program.section()), known)?;
            let (severity, file) = (Severity::Error, opened.file.clone());
            let path = text(program.name());
            Some(Fault { severity, file, line: None, path, advice, count: 1 })
        })
        .collect()
}

/// What is wrong with a program's section. `known`: libbpf knows sections of this kind.
fn section(section: &str, known: bool) -> Option<Advice> {
    // What is wrong with one of these costs the program alone.
    if known || HookSpec::of(section).is_some() {
        return None;
    }
    Some(Advice::new(
        format!("section `{section}` is of no kind that libbpf knows"),
        "name the hook as libbpf does: tracepoint/GROUP/NAME, kprobe/FUNCTION",
    ))
}

/// How to read the metric's map, or all that speaks against it: nothing that could be told if its
/// labels are not known. `key` is the map's key type, if the object tells it.
fn layout(
    metric: &Outline,
    maps: &[MapSpec],
    key: Option<&KeyType>,
) -> Result<Layout, Vec<Finding>> {
    let Some(map) = map_of(metric, maps) else {
        return Err(vec![missing(metric.name.as_str(), maps)]);
    };
    let name = &map.name;
    if let Some(kind) = metric.events {
        return records(metric, kind, map);
    }
    if let Some(finding) = unreadable(map) {
        return Err(vec![finding]);
    }
    let mut findings = Vec::new();
    let size = Value::WHOLE.bytes.end;
    if map.value_size as usize != size {
        findings.push(Finding::new(
            "",
            format!("values of map `{name}` have {} bytes, not {size}", map.value_size),
            "make the map's value a `u64`, as all metrics are",
        ));
    }
    let Some(parts) = &metric.parts else { return Err(findings) };
    let per_cpu = map.kind.is_per_cpu();
    let cpu = KeyPart::cpu(parts);
    let cpu_label = cpu.filter(|_| per_cpu);
    let kind = kind_of_key(parts, map, cpu_label);
    if kind != Key::Ignored {
        findings.extend(sizes(parts, map, key, cpu_label));
    }
    // In a key, nothing stands behind the bucket.
    if findings.is_empty() && metric.histogram && cpu.is_some() && !per_cpu {
        findings.push(bucket_not_last(map));
    }
    if findings.is_empty() {
        let bucket = if metric.histogram { KeyPart::bucket(parts) } else { None };
        let fields = layout::fields(parts, cpu_label, bucket);
        let values = vec![Value { falls: falls(kind, map), ..Value::WHOLE }];
        Ok(Layout { map: name.clone(), per_cpu, key: kind, fields, values })
    } else {
        Err(findings)
    }
}

/// The metric's map: the one of its name. C has no name such as `k8s.pod`, so a map may also be called as
/// the metric is where names are escaped with underscores: `k8s_pod`.
fn map_of<'m>(metric: &Outline, maps: &'m [MapSpec]) -> Option<&'m MapSpec> {
    let name = metric.name.as_str();
    let named = |name: &str| maps.iter().find(|map| map.name == name);
    named(name).or_else(|| named(&Escaping::Underscores.metric(name)))
}

/// How to read the records of a map, or what speaks against it.
fn records(metric: &Outline, kind: StreamKind, map: &MapSpec) -> Result<Layout, Vec<Finding>> {
    let wanted = match kind {
        StreamKind::PerfEventArray => MapKind::PERF_EVENT_ARRAY,
        StreamKind::RingBuffer => MapKind::RINGBUF,
    };
    if map.kind != wanted {
        let (name, is, key) = (&map.name, map.kind, kind.key());
        let problem = format!("map `{name}` is a {is}, not a {wanted}");
        let remedy = match map.kind {
            MapKind::PERF_EVENT_ARRAY | MapKind::RINGBUF => format!("write `{is}: true` instead"),
            _ => format!("take out `{key}: true`, or make the map one"),
        };
        return Err(vec![Finding::new(format!(".{key}"), problem, remedy)]);
    }
    let Some(parts) = &metric.parts else { return Err(Vec::new()) };
    let key = if parts.is_empty() { Key::Zero } else { Key::Labels };
    let fields = layout::fields(parts, None, None);
    Ok(Layout { map: map.name.clone(), per_cpu: false, key, fields, values: vec![Value::WHOLE] })
}

fn missing(name: &str, maps: &[MapSpec]) -> Finding {
    let plain = &*Escaping::Underscores.metric(name);
    let remedy = match nearest(plain, maps.iter().map(|map| map.name.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None if maps.is_empty() => "define one in `SEC(\".maps\")`".to_owned(),
        None => {
            let names: Vec<_> = maps.iter().map(|map| format!("`{}`", map.name)).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            format!("give the metric the name of one that it has: {}", listed(&names))
        }
    };
    Finding::new(".name", no_map(name), remedy)
}

fn no_map(name: &str) -> String {
    format!("the object has no map `{}`", Escaping::Underscores.metric(name))
}

/// What speaks against reading a map of this type as a metric.
fn unreadable(map: &MapSpec) -> Option<Finding> {
    let name = &map.name;
    let kind = map.kind;
    match map.kind {
        MapKind::HASH
        | MapKind::LRU_HASH
        | MapKind::ARRAY
        | MapKind::PERCPU_HASH
        | MapKind::LRU_PERCPU_HASH
        | MapKind::PERCPU_ARRAY => None,
        // The kernel says whether it can be read.
        kind if !kind.is_known() => None,
        MapKind::PERF_EVENT_ARRAY | MapKind::RINGBUF => Some(Finding::new(
            "",
            format!("map `{name}` is a {kind}, which holds records and no counts"),
            format!("add `{kind}: true` to a counter, which counts them"),
        )),
        _ => Some(Finding::new(
            "",
            format!("map `{name}` is a {kind}, which holds no counts"),
            "use a hash, lru_hash or array, or the per-CPU form of one",
        )),
    }
}

fn kind_of_key(parts: &[KeyPart], map: &MapSpec, cpu_label: Option<usize>) -> Key {
    // An index, or the key of a hash that is used like an array.
    let only_cpu = cpu_label == Some(0) && map.key_size == 4;
    if parts.is_empty() {
        Key::Zero
    } else if only_cpu {
        Key::Ignored
    } else {
        Key::Labels
    }
}

/// Nothing deletes or evicts the one entry of an array, so only its program can have made it less. With labels it
/// may be another's number now.
fn falls(key: Key, map: &MapSpec) -> bool {
    key == Key::Zero && matches!(map.kind, MapKind::ARRAY | MapKind::PERCPU_ARRAY)
}

/// What is wrong with the sizes of the metric's labels.
fn sizes(
    parts: &[KeyPart],
    map: &MapSpec,
    key: Option<&KeyType>,
    cpu_label: Option<usize>,
) -> Option<Finding> {
    let MapSpec { name, key_size, .. } = map;
    let key_size = *key_size as usize;
    if parts.is_empty() {
        let advice = key.map(KeyType::advice).unwrap_or_else(|| format!("add up to {key_size}"));
        return (key_size != 4).then(|| {
            Finding::new(
                "",
                format!(
                    "a metric without labels is the entry of a u32 key of 0, but keys of map \
                     `{name}` have {key_size} bytes"
                ),
                format!("add labels for the key ({advice}), or make the key a `u32`"),
            )
        });
    }
    let in_key =
        || parts.iter().enumerate().filter(|(i, part)| !part.reuse && Some(*i) != cpu_label);
    let size: usize = in_key().map(|(_, part)| part.size).sum();
    let padding: usize = in_key().map(|(_, part)| part.padding).sum();
    if size + padding == key_size {
        return None;
    }
    let beside =
        if cpu_label.is_some() { " (without `cpu`, which stands beside the key)" } else { "" };
    let problem = format!(
        "sizes add up to {size} and paddings to {padding}{beside}, {} in all, but keys of map \
         `{name}` have {key_size} bytes",
        size + padding
    );
    let remedy = match key {
        _ if off_by_cpu(parts, size + padding, key_size) => cpu_remedy(map),
        Some(key) => key.advice(),
        None => format!("make them add up to {key_size}"),
    };
    Some(Finding::new(".labels", problem, remedy))
}

fn bucket_not_last(map: &MapSpec) -> Finding {
    let kind = map.kind;
    Finding::new(
        ".labels",
        format!(
            "the last part of a histogram's key is its bucket, but here it is `cpu`, which a \
             {kind} does not have beside the key"
        ),
        "put the bucket last, or make the map per-CPU and take `cpu` out of the key",
    )
}

/// Whether labels of `sum` bytes are too large for the key by just a label `cpu`.
fn off_by_cpu(parts: &[KeyPart], sum: usize, key_size: usize) -> bool {
    let mut cpus = parts.iter().filter(|part| part.is_cpu());
    cpus.any(|cpu| sum == key_size + cpu.size + cpu.padding)
}

/// What to do about a label `cpu` that is not in the key.
fn cpu_remedy(map: &MapSpec) -> String {
    if map.kind.is_per_cpu() {
        return "put the label `cpu` last: per-CPU maps have it beside the key".to_owned();
    }
    let kind = map.kind;
    format!("take the label `cpu` out or make the map per-CPU: a {kind} has no CPUs")
}

#[cfg(test)]
mod tests;

//! Configs that come and go while others are scraped, without a kernel.

use std::sync::{Arc, Mutex};

use super::*;
use crate::bpf::{self, MapSpec};
use crate::config::{self, ConfigFile};
use crate::decode::{Chain, DecodeError, Decoder, OnError, Outcome, Step};
use crate::link;
use crate::source::testing::Held;
use crate::system::System;

/// How long answers hold: each scrape asks again.
const SOON: Duration = Duration::ZERO;

/// A map of keys of one byte.
type Map = Held<1, 1>;

fn hold(map: &Map, entries: &[(u8, u64)]) {
    map.hold(Some(entries.iter().map(|(key, value)| ([*key], [*value])).collect()));
}

/// A config of this name with one counter, fed from `held`.
fn unit(name: &str, metric: &str, held: &Map) -> Unit {
    let text = format!(
        "metrics: {{counters: [{{name: {metric}, help: H, labels: \
         [{{name: l, size: 1, decoders: [{{name: uint}}]}}]}}]}}"
    );
    let file = ConfigFile::new(format!("{name}.yaml"), text);
    let (configs, faults) = config::load(vec![file], &[]);
    assert!(faults.is_empty(), "{faults:?}");
    let (mut linked, _) = link::metrics(&configs[0], &mut link::Plugins::new(), &System::default());
    let map = MapSpec {
        name: metric.into(),
        kind: crate::bpf::MapKind::HASH,
        key_size: 1,
        value_size: 8,
        max_entries: 64,
        flags: 0,
    };
    let layout = bpf::check_maps(&configs[0], &[map]).unwrap().remove(0);
    let fed = Fed { linked: linked.remove(0), layout, source: Box::new(held.clone()) };
    Unit {
        name: name.into(),
        metrics: vec![fed],
        attached: None,
        plugins: Vec::new(),
        enrolled: None,
        bundle: None,
        file: format!("{name}.yaml").into(),
    }
}

/// A plugin: it leaves out an input that a test says, and has time for so many inputs.
#[derive(Clone, Default)]
struct Sieve(Arc<Mutex<Sieved>>);

#[derive(Default)]
struct Sieved {
    out: u8,
    time: usize,
}

impl Decoder for Sieve {
    fn decode(&mut self, input: &[u8], text: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let Sieved { out, time } = &mut *self.0.lock().unwrap();
        let Some(left) = time.checked_sub(1) else {
            return Err(DecodeError::new("no time").deferred());
        };
        *time = left;
        let outcome =
            if input == [*out] { Outcome::DropFor(SOON) } else { Outcome::LabelFor(SOON) };
        text.extend_from_slice(b"pod");
        Ok(outcome)
    }
}

/// The samples of what the maps have become.
fn scraped(scraper: &mut Scraper) -> Vec<String> {
    scraper.read_maps();
    let text = String::from_utf8(scraper.maps_text()).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn a_config_that_goes_takes_only_its_own() {
    let (one, other, third) = (Map::default(), Map::default(), Map::default());
    hold(&one, &[(1, 10), (2, 20)]);
    hold(&other, &[(2, 5), (3, 7)]);
    hold(&third, &[(1, 1)]);
    let units =
        vec![unit("one", "x", &one), unit("other", "x", &other), unit("third", "y", &third)];
    let mut scraper = Scraper::new(units);
    let x = |l, n| format!("ebpf_exporter_x{{l=\"{l}\"}} {n}");
    let y = "ebpf_exporter_y{l=\"1\"} 1".to_owned();
    assert_eq!(scraped(&mut scraper), [x(1, 10), x(2, 25), x(3, 7), y.clone()]);
    assert!(scraper.remove("other"));
    hold(&one, &[(1, 11), (2, 20)]);
    // What was counted in a series that stays is not taken back.
    assert_eq!(scraped(&mut scraper), [x(1, 11), x(2, 25), y.clone()]);
    assert!(scraper.remove("one"));
    assert_eq!(scraped(&mut scraper), [y]);
    assert!(!scraper.remove("one"), "it has gone");
}

#[test]
fn a_config_that_comes_leaves_the_others_as_they_are() {
    let (one, other) = (Map::default(), Map::default());
    hold(&one, &[(1, 10)]);
    hold(&other, &[(1, 5), (2, 5)]);
    let mut scraper = Scraper::new(vec![unit("one", "x", &one)]);
    let x = |l, n| format!("ebpf_exporter_x{{l=\"{l}\"}} {n}");
    assert_eq!(scraped(&mut scraper), [x(1, 10)]);
    scraper.add(unit("other", "x", &other));
    assert_eq!(scraped(&mut scraper), [x(1, 15), x(2, 5)]);
    let own = String::from_utf8(scraper.scrape().concat()).unwrap();
    assert!(own.contains("ebpf_exporter_enabled_configs{name=\"other\"} 1"), "{own}");
    scraper.remove("one");
    scraper.add(unit("one", "x", &one));
    assert_eq!(scraped(&mut scraper), [x(1, 25), x(2, 5)], "the same map anew");
}

/// A renewal of the config `one`, whose only metric is made anew of what feeds it.
fn renewal(map: &Map) -> Change {
    let Unit { name, metrics, .. } = unit("one", "x", map);
    let linked = |Fed { linked, layout, source }: Fed| {
        let map = source.name().to_owned();
        Renewed::Linked(Box::new((linked, bpf::Layout { map, ..layout })))
    };
    let metrics = metrics.into_iter().map(linked).collect();
    let (attached, plugins, enrolled, bundle) = (None, None, None, None);
    Change::Renew(Renewal { name, metrics, attached, plugins, enrolled, bundle })
}

#[test]
fn a_metric_made_anew_counts_once_beside_another_configs() {
    let (one, other) = (Map::default(), Map::default());
    hold(&one, &[(1, 10)]);
    hold(&other, &[(1, 5), (2, 5)]);
    let mut scraper = Scraper::new(vec![unit("one", "x", &one), unit("other", "x", &other)]);
    let x = |l, n| format!("ebpf_exporter_x{{l=\"{l}\"}} {n}");
    assert_eq!(scraped(&mut scraper), [x(1, 15), x(2, 5)]);
    for _ in 0..2 {
        scraper.change_all(vec![renewal(&one)]);
        assert_eq!(scraped(&mut scraper), [x(1, 15), x(2, 5)]);
    }
    hold(&one, &[(1, 11)]);
    assert_eq!(scraped(&mut scraper), [x(1, 16), x(2, 5)]);
}

/// Whether it is known of each series of the only family when it began.
fn known_to_have_begun(scraper: &mut Scraper) -> Vec<bool> {
    scraper.read_maps();
    let family = scraper.families.iter().next().unwrap().family();
    (0..family.room()).map(|id| family.begun(id).is_some()).collect()
}

#[test]
fn a_series_that_the_reading_before_had_not_has_begun_since() {
    let map = Map::default();
    let mut scraper = Scraper::new(vec![unit("one", "x", &map)]);
    let mut known = |entries: Option<&[(u8, u64)]>| {
        match entries {
            Some(entries) => hold(&map, entries),
            None => map.hold(None),
        }
        known_to_have_begun(&mut scraper)
    };
    let all = [(1, 10), (2, 3), (3, 4), (4, 1)];
    assert_eq!(known(Some(&all[..1])), [false], "it may have counted for long");
    assert_eq!(known(Some(&all[..2])), [false, true]);
    assert_eq!(known(None), [false, true]);
    assert_eq!(known(Some(&all[..3])), [false, true, false], "it may have been there before");
    assert_eq!(known(Some(&all)), [false, true, false, true]);
}

/// A push tells no differences of what was counted before that, as it may have told them under another name.
#[test]
fn a_series_of_a_metric_made_anew_may_have_begun_before() {
    let map = Map::default();
    let mut scraper = Scraper::new(vec![unit("one", "x", &map)]);
    hold(&map, &[]);
    assert_eq!(known_to_have_begun(&mut scraper), [] as [bool; 0]);
    hold(&map, &[(1, 10)]);
    assert_eq!(known_to_have_begun(&mut scraper), [true]);
    scraper.change_all(vec![renewal(&map)]);
    assert_eq!(known_to_have_begun(&mut scraper), [false]);
    assert!(scraper.families.iter().next().unwrap().family().is_found(0));
}

/// One config whose label such a plugin makes.
fn sieved(map: &Map) -> (Sieve, Scraper) {
    let (sieve, mut unit) = (Sieve::default(), unit("one", "x", map));
    let step = Step { name: "wasm", decoder: Box::new(sieve.clone()), on_error: OnError::Drop };
    unit.metrics[0].linked.chains[0] = Chain::new(vec![step]);
    (sieve, Scraper::new(vec![unit]))
}

#[test]
fn a_series_whose_row_has_waited_may_have_begun_before() {
    let map = Map::default();
    let (sieve, mut scraper) = sieved(&map);
    let mut known = |time| {
        *sieve.0.lock().unwrap() = Sieved { out: 0, time };
        known_to_have_begun(&mut scraper)
    };
    hold(&map, &[(1, 10)]);
    assert_eq!(known(0), [] as [bool; 0], "it waits");
    assert_eq!(known(9), [false]);
}

#[test]
fn a_series_whose_row_was_left_out_may_have_begun_before() {
    let map = Map::default();
    let (sieve, mut scraper) = sieved(&map);
    let mut known = |out| {
        *sieve.0.lock().unwrap() = Sieved { out, time: 9 };
        known_to_have_begun(&mut scraper)
    };
    hold(&map, &[(1, 10)]);
    assert_eq!(known(1), [] as [bool; 0], "it is left out");
    hold(&map, &[(1, 12)]);
    assert_eq!(known(1), [] as [bool; 0], "and is again");
    hold(&map, &[(1, 12), (2, 3)]);
    assert_eq!(known(0), [false], "it brings what it counted while it was left out");
}

#[test]
fn no_config_may_take_a_name_that_the_exporter_has() {
    let held = Map::default();
    hold(&held, &[(1, 1)]);
    let text = Scraper::new(vec![unit("one", "x", &held)]).scrape().concat();
    let text = String::from_utf8(text).unwrap();
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut names: Vec<_> = families.map(|line| line.split(' ').next().unwrap()).collect();
    names.retain(|name| *name != "ebpf_exporter_x");
    let own = own_series();
    assert!(names.len() > 20, "{names:?}");
    assert!(names.iter().all(|name| own.iter().any(|own| own == name)), "{names:?}");
    for name in ["ebpf_exporter_plugin_call_seconds_bucket", "ebpf_exporter_http_connections"] {
        assert!(own.iter().any(|own| own == name), "{name}");
    }
}

/// A container is started again: its old row leaves the series in a scrape that has no time for the new one.
#[test]
fn a_series_whose_rows_are_decided_one_by_one_goes_on_where_it_was() {
    let map = Map::default();
    let (sieve, mut scraper) = sieved(&map);
    let mut scraped = |out, time| {
        *sieve.0.lock().unwrap() = Sieved { out, time };
        scraped(&mut scraper)
    };
    let pod = |n| vec![format!("ebpf_exporter_x{{l=\"pod\"}} {n}")];
    hold(&map, &[(1, 10)]);
    assert_eq!(scraped(0, 9), pod(10));
    hold(&map, &[(1, 10), (2, 3)]);
    assert_eq!(scraped(2, 9), pod(10));
    assert_eq!(scraped(1, 1), Vec::<String>::new());
    assert_eq!(scraped(1, 9), pod(13));
    // Nobody waits any more.
    hold(&map, &[(1, 10)]);
    assert_eq!(scraped(1, 9), Vec::<String>::new());
    hold(&map, &[(1, 10), (3, 4)]);
    assert_eq!(scraped(1, 9), pod(4));
}

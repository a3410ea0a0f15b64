//! Configs that come and go while others are scraped, without a kernel.

use super::*;
use crate::bpf::{self, MapSpec};
use crate::config::{self, ConfigFile};
use crate::link;
use crate::source::testing::Held;
use crate::system::System;

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

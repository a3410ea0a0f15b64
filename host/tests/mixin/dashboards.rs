//! What Grafana wants of a dashboard.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::asked;

/// The columns that Grafana has.
const COLUMNS: u64 = 24;

/// Each is known by the name of its file, and its panels by numbers.
pub fn can_be_imported() {
    let all = asked::dashboards();
    assert!(all.len() >= 9);
    for (name, dashboard) in &all {
        assert_eq!(dashboard["uid"], Value::from(name.as_str()));
        assert!(name.len() <= 40, "{name} is longer than a uid may be");
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{name}");
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{name}: {}", panel["title"]);
            assert!(
                !panel["description"].as_str().unwrap().is_empty(),
                "{name}: {}",
                panel["title"]
            );
        }
    }
    let titles: BTreeSet<_> =
        all.iter().map(|(_, dashboard)| dashboard["title"].to_string()).collect();
    assert_eq!(titles.len(), all.len());
}

/// No panel lies on another, or beyond the right edge.
pub fn panels_have_places_of_their_own() {
    for (name, dashboard) in asked::dashboards() {
        let mut taken = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            let mut cells =
                (x..x + w).flat_map(|column| (y..y + h).map(move |line| (column, line)));
            assert!(
                cells.all(|cell| taken.insert(cell)),
                "{name}: {} lies on another",
                panel["title"]
            );
            assert!(x + w <= COLUMNS, "{name}: {} is too far right", panel["title"]);
        }
    }
}

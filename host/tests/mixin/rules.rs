//! What promtool makes of alerts, rules and all other expressions.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::{MIXIN, asked, files, promtool, read};

pub fn promtool_takes_the_rules() {
    let files =
        ["alerts", "rules"].map(|name| PathBuf::from(format!("{MIXIN}/rendered/{name}.yaml")));
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &files);
}

pub fn alerts_and_rules_do_what_they_are_for() {
    promtool(&["test", "rules"], &files(format!("{MIXIN}/tests"), "yaml"));
}

/// Prometheus reads them as rules, which are called as their places, so that it names those in what it says.
pub fn every_expression_can_be_read() {
    let mut text = "groups:\n- name: all\n  rules:\n".to_owned();
    let all = asked::all();
    for (at, asked) in all.iter().enumerate() {
        let place = asked.place.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        // A text of JSON is one of YAML.
        let expr = serde_json::to_string(&asked.expr).unwrap();
        writeln!(text, "  - record: {place}_{at}\n    expr: {expr}").unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.yaml");
    fs::write(&file, text).unwrap();
    let said = promtool(&["check", "rules"], &[file]);
    assert!(said.contains(&format!("{} rules found", all.len())), "{said}");
}

/// Each alert fires in a test, and stands in the table of the book with what it means.
pub fn every_alert_is_tried_and_told_of() {
    let tests = read("deploy/mixin/tests/alerts.yaml");
    let chapter = read("docs/src/operate/prometheus.md");
    let rules = asked::rules();
    let alerts: Vec<_> = rules.iter().filter(|rule| rule.get("alert").is_some()).collect();
    for alert in &alerts {
        let name = asked::name(alert);
        assert!(tests.contains(&format!("alertname=\"{name}\",instance=")), "{name} is not tried");
        assert!(chapter.contains(&format!("\n| `{name}` | ")), "{name} is not told of");
        for part in ["summary", "description", "runbook_url"] {
            assert!(!alert["annotations"][part].as_str().unwrap().is_empty(), "{name}: {part}");
        }
    }
    assert_eq!(chapter.matches("\n| `EbpfExporter").count(), alerts.len(), "the book has others");
}

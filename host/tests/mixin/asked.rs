//! Every expression that somebody asks Prometheus for, with its place.

use serde_json::Value;

use crate::{MIXIN, ROOT, files, read};

/// Chapters with queries.
const CHAPTERS: [&str; 3] =
    ["docs/src/operate/prometheus.md", "docs/src/operate/tracing.md", "docs/src/operate.md"];

/// An expression.
#[derive(Debug)]
pub struct Asked {
    /// Who asks.
    pub place: String,
    /// What for, with nothing that only Grafana knows.
    pub expr: String,
}

impl Asked {
    fn new(place: impl Into<String>, expr: &str) -> Self {
        let expr = expr.replace("$__rate_interval", "5m");
        assert!(!expr.contains("$__"), "{expr}");
        Self { place: place.into(), expr }
    }
}

/// Everything that is asked.
pub fn all() -> Vec<Asked> {
    let mut all = of_rules();
    all.extend(by_dashboards());
    all.extend(CHAPTERS.iter().flat_map(|chapter| of_chapter(chapter)));
    all
}

/// What dashboards ask for.
pub fn by_dashboards() -> Vec<Asked> {
    let mut all = Vec::new();
    for (name, dashboard) in dashboards() {
        of_dashboard(&name, &dashboard, &mut all);
    }
    all
}

/// The rules that are rendered.
pub fn rules() -> Vec<serde_yaml::Value> {
    let of = |file: &str| -> Vec<serde_yaml::Value> {
        let text = read(format!("deploy/mixin/rendered/{file}"));
        let file: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        let groups = file["groups"].as_sequence().unwrap();
        groups.iter().flat_map(|group| group["rules"].as_sequence().unwrap().clone()).collect()
    };
    ["alerts.yaml", "rules.yaml"].map(of).concat()
}

/// The dashboards that are rendered, by their files' names.
pub fn dashboards() -> Vec<(String, Value)> {
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&read(path)).unwrap())
    };
    files(format!("{MIXIN}/rendered/dashboards"), "json").into_iter().map(read).collect()
}

/// What an alert or a rule is called.
pub fn name(rule: &serde_yaml::Value) -> &str {
    ["alert", "record"].iter().find_map(|key| rule.get(*key)).unwrap().as_str().unwrap()
}

fn of_rules() -> Vec<Asked> {
    rules().iter().map(|rule| Asked::new(name(rule), rule["expr"].as_str().unwrap())).collect()
}

/// Expressions of panels, and what the choices at the top are made of.
fn of_dashboard(name: &str, dashboard: &Value, all: &mut Vec<Asked>) {
    for panel in dashboard["panels"].as_array().unwrap() {
        let place = format!("{name}: {}", panel["title"].as_str().unwrap());
        let targets = panel["targets"].as_array().into_iter().flatten();
        all.extend(targets.map(|target| Asked::new(&place, target["expr"].as_str().unwrap())));
    }
    for choice in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(query) = choice["query"]["query"].as_str() else { continue };
        let inner = query.strip_prefix("label_values(").unwrap();
        let (series, _label) = inner.rsplit_once(", ").unwrap();
        all.push(Asked::new(format!("{name}: {}", choice["name"]), series));
    }
}

/// Fenced code of the language promql: an expression a block. And a table's cells in code under `query`.
fn of_chapter(chapter: &str) -> Vec<Asked> {
    let text = read(std::path::Path::new(ROOT).join(chapter));
    let blocks = text.split("```promql\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let table = text.split("| query |\n").nth(1).unwrap_or_default();
    let rows = table.lines().take_while(|line| line.starts_with('|')).skip(1);
    let cells = rows.map(|row| row.rsplit('`').nth(1).unwrap());
    blocks.chain(cells).map(|expr| Asked::new(chapter, expr.trim())).collect()
}

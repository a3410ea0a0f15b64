//! `my-plugin`: joins labels of a row into one.
//!
//! Settings:
//!
//! ```yaml
//! labels: [source, destination]  # which, at least two; the first gives its place to the joined one
//! to: path                       # the name of the joined one
//! separator: "-"                 # what stands between their values; a hyphen if it is left out
//! ```

use ebpf_exporter_plugin::{Labels, Metric, RowOutcome, Transform, export_transform};
use serde::Deserialize;

/// The config's `settings`. A key that is not here is refused with a message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    labels: Vec<String>,
    to: String,
    #[serde(default = "hyphen")]
    separator: String,
}

fn hyphen() -> String {
    "-".to_owned()
}

/// What is joined, by the labels' positions in a row.
pub struct Join {
    names: Vec<String>,
    joined: Vec<usize>,
    separator: String,
}

impl Transform for Join {
    type Settings = Settings;

    fn configure(settings: Settings, metric: &Metric) -> Result<Self, String> {
        let Settings { labels, to, separator } = settings;
        if labels.len() < 2 {
            return Err("labels: name two labels or more".to_owned());
        }
        let joined = labels.iter().map(|label| metric.position(label));
        let joined = joined.collect::<Result<Vec<_>, _>>()?;
        let kept = metric.labels.iter().enumerate().filter(|(i, _)| !joined[1..].contains(i));
        let names = kept.map(|(i, name)| if i == joined[0] { to.clone() } else { name.clone() });
        Ok(Self { names: names.collect(), joined, separator })
    }

    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn transform(&mut self, row: &[&str], out: &mut Labels) -> Result<RowOutcome, String> {
        for (i, value) in row.iter().enumerate() {
            if i == self.joined[0] {
                let values: Vec<_> = self.joined.iter().map(|&i| row[i]).collect();
                out.push(&values.join(&self.separator));
            } else if !self.joined.contains(&i) {
                out.push(value);
            }
        }
        Ok(RowOutcome::Labels)
    }
}

/// The same for programs: the exporter tells which key of a config is misspelt, and on which line.
const SETTINGS: &str = include_str!("../settings.schema.json");

export_transform!(Join, settings = SETTINGS);

#[cfg(test)]
mod tests {
    use ebpf_exporter_plugin::testing::{TestTransform, check_schema, json};

    use super::{Join, SETTINGS, Settings};

    const LABELS: &[&str] = &["source", "protocol", "destination"];

    #[test]
    fn the_schema_says_what_settings_there_are() {
        check_schema::<Settings>(SETTINGS);
    }

    #[test]
    fn labels_are_joined_where_the_first_stood() {
        let settings = json!({"labels": ["destination", "source"], "to": "path"});
        TestTransform::<Join>::new(settings, LABELS).unwrap().check(&[
            (&["web", "tcp", "db"], r#"{protocol="tcp", path="db-web"}"#),
            (&["", "", ""], r#"{path="-"}"#),
        ]);
    }

    #[test]
    fn labels_that_are_not_there_are_named() {
        let refused = |labels| {
            TestTransform::<Join>::new(json!({"labels": labels, "to": "x"}), LABELS).err().unwrap()
        };
        assert_eq!(refused(json!(["source"])), "labels: name two labels or more");
        assert_eq!(
            refused(json!(["source", "target"])),
            "metric ebpf_exporter_test_total has no label \"target\"; \
             name one of: source, protocol, destination"
        );
    }
}

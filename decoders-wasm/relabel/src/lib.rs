//! `relabel`: Prometheus' `relabel_configs` on the labels of a metric, YAML unchanged.
//!
//! ```yaml
//! settings:
//!   relabel_configs:
//!     - source_labels: [comm]
//!       regex: "(nginx|envoy).*"
//!       target_label: proxy
//!     - action: labeldrop
//!       regex: comm
//! ```
//!
//! All actions are there: `replace`, `keep`, `drop`, `keepequal`, `dropequal`, `hashmod`,
//! `lowercase`, `uppercase`, `labelmap`, `labeldrop`, `labelkeep`. Fields, defaults, and which of
//! them an action takes are Prometheus' own. Rows that become equal are summed.
//!
//! As in Prometheus:
//! - a label that is empty is a label that is absent, before, between and after the rules;
//! - patterns are RE2's (`\d`, `\w`, `\s` and `\b` are ASCII, `.` is any character), and match the
//!   whole text;
//! - labels whose name begins with `__` are gone at the end, so `__tmp` is free for use;
//! - `__name__` may be read. It is the metric's name as exposed, `ebpf_exporter_…`.
//!
//! Other than in Prometheus, because a plugin agrees once to the names of the labels it returns:
//! - `target_label` must be a name. A template in it (`target_label: ${1}`) would make names of
//!   values and is refused. In `labelmap`, names make names, all of which are known at start.
//! - `__name__` cannot be changed.
//! - When `labelmap` gives one name to two labels, the one that sorts last wins.
//! - Labels that Prometheus adds when it scrapes (`job`, `instance`) are not there yet: absent.
//! - Of RE2's syntax `\B`, `\C` and `\Q…\E` are refused.

use ebpf_exporter_plugin::{Labels, Metric, RowOutcome, Transform, export_transform};

mod pattern;
mod program;
mod rule;

use program::Program;
use rule::RawRule;

/// What the config says.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    relabel_configs: Vec<RawRule>,
}

/// The transform.
pub struct Relabel(Program);

impl Transform for Relabel {
    type Settings = Settings;

    fn configure(settings: Settings, metric: &Metric) -> Result<Self, String> {
        let mut program = Program::new(metric);
        for (index, raw) in settings.relabel_configs.into_iter().enumerate() {
            raw.check()
                .and_then(|rule| program.add(rule))
                .map_err(|error| format!("relabel_configs[{index}]: {error}"))?;
        }
        Ok(Self(program))
    }

    fn names(&self) -> Vec<String> {
        self.0.names()
    }

    fn transform(&mut self, row: &[&str], out: &mut Labels) -> Result<RowOutcome, String> {
        if !self.0.run(row) {
            return Ok(RowOutcome::Drop);
        }
        self.0.values().for_each(|value| out.push(value));
        Ok(RowOutcome::Labels)
    }
}

/// What the config may say, for messages.
const SETTINGS: &str = include_str!("../settings.schema.json");

export_transform!(Relabel, settings = SETTINGS);

#[cfg(test)]
mod tests;

//! What flags say of all metrics: how many series each may have, and which labels are left out.
//!
//! Never looks at a label's value.

use super::error::Fault;
use super::name::LabelName;
use super::plan::{Config, Metric};
use crate::advice::{Advice, near};

/// The flags, as what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesRules {
    max_series: Option<u32>,
    drops: Vec<LabelDrop>,
}

/// A label that is left out of the series of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelDrop {
    flag: String,
    config: String,
    metric: String,
    label: LabelName,
}

impl SeriesRules {
    /// Reads `--metrics.max-series`, 0 for any number, and each `--metrics.label-drop`.
    ///
    /// # Errors
    ///
    /// When one is not CONFIG/METRIC/LABEL.
    pub fn parse(max_series: u32, drops: &[String]) -> Result<Self, Advice> {
        let drops = drops.iter().map(|text| LabelDrop::parse(text)).collect::<Result<_, _>>()?;
        Ok(Self { max_series: Some(max_series).filter(|most| *most > 0), drops })
    }

    /// Has these configs follow them; what names nothing of them is a fault.
    pub fn apply(&self, configs: &mut [Config]) -> Vec<Fault> {
        for metric in configs.iter_mut().flat_map(|config| &mut config.metrics) {
            metric.max_series = metric.max_series.or(self.max_series);
        }
        self.drops.iter().filter_map(|drop| drop.apply(configs).err()).map(|fault| *fault).collect()
    }
}

impl LabelDrop {
    fn parse(text: &str) -> Result<Self, Advice> {
        let flag = format!("--metrics.label-drop={text}");
        // A config may be in a directory.
        let mut parts = text.rsplitn(3, '/');
        let (Some(label), Some(metric), Some(config)) = (parts.next(), parts.next(), parts.next())
        else {
            let problem = format!("{flag} names no label");
            return Err(Advice::new(problem, "write CONFIG/METRIC/LABEL"));
        };
        let label = LabelName::new(label)
            .map_err(|_| Advice::plain(format!("{flag}: no label can be called that")))?;
        let metric = metric.strip_prefix("ebpf_exporter_").unwrap_or(metric).to_owned();
        Ok(Self { flag, config: config.to_owned(), metric, label })
    }

    fn apply(&self, configs: &mut [Config]) -> Result<(), Box<Fault>> {
        let missing = |problem: String, remedy: String| {
            Box::new(Fault::of_file(self.flag.as_ref(), Advice::new(problem, remedy)))
        };
        let names: Vec<_> = configs.iter().map(|config| config.name.clone()).collect();
        let config = configs.iter_mut().find(|config| config.name == self.config);
        let config = config.ok_or_else(|| {
            let hint = near::hint(&self.config, names.iter().map(String::as_str));
            missing(
                format!("no config `{}` is served{hint}", self.config),
                "name one that is".to_owned(),
            )
        })?;
        let names: Vec<_> =
            config.metrics.iter().map(|metric| metric.name.as_str().to_owned()).collect();
        let named = |metric: &&mut Metric| metric.name.as_str() == self.metric;
        let metric = config.metrics.iter_mut().find(named).ok_or_else(|| {
            let hint = near::hint(&self.metric, names.iter().map(String::as_str));
            let problem = format!("config `{}` has no metric `{}`{hint}", self.config, self.metric);
            missing(problem, "name one that it has".to_owned())
        })?;
        metric.dropped.push(self.label.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, ConfigFile};

    const YAML: &str = "
metrics:
  counters:
    - {name: runs_total, help: h, max_series: 5, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}
    - {name: stops_total, help: h, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}
";

    fn told(max_series: u32, drops: &[&str]) -> (Vec<Option<u32>>, Vec<usize>, String) {
        let (mut configs, faults) = config::load(vec![ConfigFile::new("dir/work.yaml", YAML)], &[]);
        assert_eq!(faults, []);
        let drops: Vec<_> = drops.iter().map(|text| (*text).to_owned()).collect();
        let rules = match SeriesRules::parse(max_series, &drops) {
            Ok(rules) => rules,
            Err(advice) => return (Vec::new(), Vec::new(), advice.to_string()),
        };
        let faults = rules.apply(&mut configs);
        let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
        let metrics = &configs[0].metrics;
        let most = metrics.iter().map(|metric| metric.max_series).collect();
        let dropped = metrics.iter().map(|metric| metric.dropped.len()).collect();
        (most, dropped, lines.join("\n"))
    }

    #[test]
    fn the_bound_of_a_metric_goes_before_that_of_all() {
        assert_eq!(told(0, &[]).0, [Some(5), None]);
        assert_eq!(told(9, &[]).0, [Some(5), Some(9)]);
    }

    #[test]
    fn labels_are_found_by_config_and_metric() {
        assert_eq!(told(0, &["work/runs_total/a"]).1, [1, 0]);
        assert_eq!(told(0, &["work/ebpf_exporter_stops_total/a"]).1, [0, 1]);
    }

    #[test]
    fn what_names_nothing_is_said() {
        insta::assert_snapshot!(told(0, &["wrok/runs_total/a", "work/run_total/a"]).2, @r#"
        --metrics.label-drop=wrok/runs_total/a: no config `wrok` is served, did you mean "work"; name one that is
        --metrics.label-drop=work/run_total/a: config `work` has no metric `run_total`, did you mean "runs_total"; name one that it has
        "#);
        insta::assert_snapshot!(told(0, &["work/a"]).2, @"--metrics.label-drop=work/a names no label; write CONFIG/METRIC/LABEL");
    }
}

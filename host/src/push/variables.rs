//! The variables of OpenTelemetry that are of metrics, as what they mean: where they go, how often, and in which
//! form.
//!
//! Metrics are pushed only if a variable of metrics asks for it. One of all signals does not: whoever has set it for
//! spans has not asked for a second stream.

use std::time::Duration;

use opentelemetry_sdk::Resource;

use crate::advice::Advice;
use crate::otlp::{Environment, OtlpResource, Signal, Target};

/// What the variables say.
#[derive(Clone, Debug, PartialEq)]
pub struct PushVariables {
    pub(super) target: Target,
    pub(super) form: Form,
    pub(super) pace: Pace,
    resource: OtlpResource,
}

/// When there is a push, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// From the beginning of one to that of the next.
    pub(super) interval: Duration,
    /// How long one may take, all messages together.
    pub(super) patience: Duration,
}

/// What points tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// Whether counters are told as what was counted since the last time.
    pub(super) delta_counters: bool,
    /// Whether histograms are.
    pub(super) delta_histograms: bool,
    /// Whether histograms have exponential buckets where those are exact.
    pub(super) exponential: bool,
}

impl PushVariables {
    /// What the variables of this environment say. Those that say how metrics are pushed are looked at only if any
    /// says that they are.
    ///
    /// # Errors
    ///
    /// The first that means nothing, and what to write.
    pub fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Advice> {
        let environment = Environment::new(get, Signal::Metrics);
        let target = target(&environment)?;
        let said = !matches!(target, Target::Nowhere(_));
        let (form, pace) =
            if said { (form(&environment)?, pace(&environment)?) } else { Default::default() };
        Ok(Self { target, form, pace, resource: OtlpResource::read(&environment)? })
    }

    /// Whose the metrics are. Two hosts that are one to the collector would spoil each other's counters, so the
    /// host's name is in it.
    pub(super) fn resource(&self) -> Resource {
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        let usual = ["host.name", "service.instance.id"].map(|name| (name, &*host));
        self.resource.of(self.resource.service(), &usual)
    }
}

impl Default for Pace {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { interval: minute, patience: minute / 2 }
    }
}

fn target(environment: &Environment<'_>) -> Result<Target, Advice> {
    const WORDS: [&str; 4] = ["otlp", "console", "prometheus", "none"];
    if let Some(why) = environment.disabled()? {
        return Ok(Target::Nowhere(why));
    }
    let Some(said) = environment.get("OTEL_METRICS_EXPORTER") else {
        return match environment.export_own("ENDPOINT") {
            Some(_) => environment.collector(),
            None => Ok(Target::Nowhere("no variable asks for a push")),
        };
    };
    let words = said.listed().map(|word| word.one_of(&WORDS)).collect::<Result<Vec<_>, _>>()?;
    match (words.contains(&0), words.contains(&1)) {
        (true, true) => {
            let problem =
                "OTEL_METRICS_EXPORTER has `otlp` and `console`, and metrics go to one place";
            Err(Advice::new(problem, "leave one of them out"))
        }
        (true, false) => environment.collector(),
        (false, true) => Ok(Target::Console),
        // What Prometheus scrapes is there anyway.
        (false, false) => Ok(Target::Nowhere("OTEL_METRICS_EXPORTER asks for no push")),
    }
}

fn form(environment: &Environment<'_>) -> Result<Form, Advice> {
    let one_of = |name: &str, words: &[&str]| {
        let said = environment.get(name).map(|said| said.one_of(words));
        said.transpose().map(Option::unwrap_or_default)
    };
    let temporality = one_of(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        &["cumulative", "delta", "lowmemory"],
    )?;
    let histograms = one_of(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        &["explicit_bucket_histogram", "base2_exponential_bucket_histogram"],
    )?;
    Ok(Form {
        // Counters that are looked at, as ours are, stay as they are with `lowmemory`: so it is in OpenTelemetry.
        delta_counters: temporality == 1,
        delta_histograms: temporality >= 1,
        exponential: histograms == 1,
    })
}

fn pace(environment: &Environment<'_>) -> Result<Pace, Advice> {
    let interval = environment.time("OTEL_METRIC_EXPORT_INTERVAL", 60_000)?;
    let patience = environment.time("OTEL_METRIC_EXPORT_TIMEOUT", 30_000)?;
    Ok(Pace { interval, patience })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use opentelemetry::Key;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<PushVariables, Advice> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        PushVariables::read(&get)
    }

    const EXPORTER: &str = "OTEL_METRICS_EXPORTER";
    const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    const HISTOGRAMS: &str = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";

    #[test]
    fn only_a_variable_of_metrics_asks_for_a_push() {
        let pushes = |variables: &[(&str, &str)]| match read(variables).unwrap().target {
            Target::Collector(_) => "to a collector",
            Target::Console => "to the console",
            Target::Nowhere(_) => "no",
        };
        assert_eq!(pushes(&[]), "no");
        assert_eq!(pushes(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a")]), "no");
        assert_eq!(pushes(&[("OTEL_TRACES_EXPORTER", "otlp")]), "no");
        let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://a/v1/metrics");
        assert_eq!(pushes(&[own]), "to a collector");
        for (word, where_to) in [
            ("otlp", "to a collector"),
            ("prometheus, OTLP", "to a collector"),
            ("console", "to the console"),
            ("none", "no"),
            ("prometheus", "no"),
        ] {
            assert_eq!(pushes(&[own, (EXPORTER, word)]), where_to, "{word}");
        }
        assert_eq!(pushes(&[own, ("OTEL_SDK_DISABLED", "true")]), "no");
    }

    #[test]
    fn what_is_not_asked_for_is_not_looked_at() {
        assert!(read(&[(TEMPORALITY, "monthly"), ("OTEL_METRIC_EXPORT_INTERVAL", "1m")]).is_ok());
    }

    #[test]
    fn the_form_and_the_pace_are_said_by_variables() {
        let said = |name, value| read(&[(EXPORTER, "otlp"), (name, value)]).unwrap();
        let form = |name, value| {
            let Form { delta_counters, delta_histograms, exponential } = said(name, value).form;
            [delta_counters, delta_histograms, exponential]
        };
        assert_eq!(form(TEMPORALITY, ""), [false, false, false]);
        assert_eq!(form(TEMPORALITY, "cumulative"), [false, false, false]);
        assert_eq!(form(TEMPORALITY, "Delta"), [true, true, false]);
        assert_eq!(form(TEMPORALITY, "lowmemory"), [false, true, false]);
        assert_eq!(form(HISTOGRAMS, "base2_exponential_bucket_histogram"), [false, false, true]);
        let pace = |name, value| {
            let Pace { interval, patience } = said(name, value).pace;
            (interval.as_millis(), patience.as_millis())
        };
        assert_eq!(pace("x", ""), (60_000, 30_000));
        assert_eq!(pace("OTEL_METRIC_EXPORT_TIMEOUT", "7"), (60_000, 7));
        assert_eq!(pace("OTEL_METRIC_EXPORT_INTERVAL", "1000"), (1000, 30_000));
    }

    #[test]
    fn a_resource_names_the_service_and_the_host() {
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=a%20b");
        let names = |resource: &Resource| {
            let mut names: Vec<_> = resource.iter().map(|(name, _)| name.to_string()).collect();
            names.sort();
            names
        };
        let of = |resource: &Resource, key| {
            resource.get(&Key::from_static_str(key)).unwrap().to_string()
        };
        let resource = read(&[("OTEL_SERVICE_NAME", "us")]).unwrap().resource();
        assert_eq!(of(&resource, "service.name"), "us");
        assert_eq!(of(&resource, "service.instance.id"), of(&resource, "host.name"));
        // Nothing that is not so: no SDK makes the messages.
        assert_eq!(names(&resource), ["host.name", "service.instance.id", "service.name"]);
        let resource = read(&[attributes]).unwrap().resource();
        assert_eq!(of(&resource, "service.instance.id"), "a b");
    }

    #[test]
    fn slips_are_said() {
        let said = |name: &str, value: &str| {
            let asked = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://a");
            read(&[asked, (name, value)]).unwrap_err().to_string()
        };
        assert_snapshot!(said("OTEL_SDK_DISABLED", "1"), @"OTEL_SDK_DISABLED=1 means nothing; write one of false, true");
        assert_snapshot!(said(EXPORTER, "oltp"), @"OTEL_METRICS_EXPORTER=oltp means nothing; did you mean `otlp`?");
        assert_snapshot!(said(EXPORTER, "otlp,console"), @"OTEL_METRICS_EXPORTER has `otlp` and `console`, and metrics go to one place; leave one of them out");
        assert_snapshot!(said(TEMPORALITY, "monthly"), @"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=monthly means nothing; write one of cumulative, delta, lowmemory");
        assert_snapshot!(said(HISTOGRAMS, "explicit"), @"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=explicit means nothing; write one of explicit_bucket_histogram, base2_exponential_bucket_histogram");
        assert_snapshot!(said("OTEL_METRIC_EXPORT_INTERVAL", "60s"), @"OTEL_METRIC_EXPORT_INTERVAL=60s is no time in milliseconds; write a whole number, such as 10000");
    }
}

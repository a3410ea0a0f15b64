//! The variables of OpenTelemetry that are of spans, as what they mean: where spans go, and how many at a time.

use std::time::Duration;

use crate::advice::Advice;
use crate::otlp::{Environment, OtlpResource, Signal, Target};

/// What the variables say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variables {
    /// Whose spans they are, unless their config says otherwise.
    pub(super) resource: OtlpResource,
    pub(super) target: Target,
    pub(super) batches: Batches,
    /// Whether somebody asked for spans by a variable, so that the exporter's own are made too.
    pub(super) asked: bool,
}

/// How many spans wait, and how many are sent at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batches {
    pub(super) queue: usize,
    pub(super) batch: usize,
    /// How long a span waits for others at the most.
    pub(super) delay: Duration,
    /// How long a batch may take, all tries together.
    pub(super) patience: Duration,
}

impl Variables {
    /// What the variables of this environment say.
    ///
    /// # Errors
    ///
    /// The first that means nothing, and what to write.
    pub fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Advice> {
        let environment = Environment::new(get, Signal::Traces);
        let exporter = environment.get("OTEL_TRACES_EXPORTER");
        Ok(Self {
            resource: OtlpResource::read(&environment)?,
            target: target(&environment)?,
            batches: batches(&environment)?,
            asked: exporter.or_else(|| environment.export("ENDPOINT")).is_some(),
        })
    }

    /// Why spans are sent to nobody, if that is so.
    pub(crate) fn nowhere(&self) -> Option<&str> {
        match &self.target {
            Target::Nowhere(why) => Some(why),
            Target::Collector(_) | Target::Console => None,
        }
    }
}

fn target(environment: &Environment<'_>) -> Result<Target, Advice> {
    if let Some(why) = environment.disabled()? {
        return Ok(Target::Nowhere(why));
    }
    let exporter = environment.get("OTEL_TRACES_EXPORTER");
    let exporter = exporter.map(|said| said.one_of(&["otlp", "console", "none"])).transpose()?;
    match exporter {
        None | Some(0) => environment.collector(),
        Some(1) => Ok(Target::Console),
        Some(_) => Ok(Target::Nowhere("OTEL_TRACES_EXPORTER=none")),
    }
}

fn batches(environment: &Environment<'_>) -> Result<Batches, Advice> {
    let number = |name: &str, default: usize| {
        environment.get(name).map_or(Ok(default), |said| said.number(1..=1 << 24))
    };
    let queue = number("OTEL_BSP_MAX_QUEUE_SIZE", 2048)?;
    Ok(Batches {
        queue,
        batch: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?.min(queue),
        delay: environment.time("OTEL_BSP_SCHEDULE_DELAY", 5000)?,
        patience: environment.time("OTEL_BSP_EXPORT_TIMEOUT", 30_000)?,
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Variables, Advice> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Variables::read(&get)
    }

    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

    #[test]
    fn without_any_spans_go_to_a_collector_of_this_host() {
        let Variables { resource, target, batches, asked } = read(&[]).unwrap();
        assert!(matches!(target, Target::Collector(_)), "{target:?}");
        assert_eq!((resource.service(), asked), ("ebpf_exporter", false));
        let Batches { queue, batch, delay, patience } = batches;
        assert_eq!((queue, batch), (2048, 512));
        assert_eq!((delay.as_millis(), patience.as_millis()), (5000, 30_000));
    }

    #[test]
    fn spans_may_go_nowhere_or_to_the_console() {
        let target = |name, value| read(&[(name, value)]).unwrap().target;
        assert_eq!(target("OTEL_TRACES_EXPORTER", "console"), Target::Console);
        assert_eq!(
            target("OTEL_TRACES_EXPORTER", "none"),
            Target::Nowhere("OTEL_TRACES_EXPORTER=none")
        );
        assert_eq!(target("OTEL_SDK_DISABLED", "TRUE"), Target::Nowhere("OTEL_SDK_DISABLED=true"));
    }

    #[test]
    fn an_empty_one_is_none_and_an_exporter_is_asked_for_by_some() {
        assert!(!read(&[(ENDPOINT, " "), ("OTEL_SERVICE_NAME", "x")]).unwrap().asked);
        assert!(read(&[(ENDPOINT, "http://a")]).unwrap().asked);
        assert!(read(&[("OTEL_TRACES_EXPORTER", "otlp")]).unwrap().asked);
        assert!(!read(&[("OTEL_METRICS_EXPORTER", "otlp")]).unwrap().asked);
        assert_eq!(read(&[("OTEL_SERVICE_NAME", "x")]).unwrap().resource.service(), "x");
    }

    #[test]
    fn batches_are_no_larger_than_the_queue() {
        let batches = read(&[("OTEL_BSP_MAX_QUEUE_SIZE", "10"), ("OTEL_BSP_SCHEDULE_DELAY", "7")]);
        let Batches { queue, batch, delay, .. } = batches.unwrap().batches;
        assert_eq!((queue, batch, delay.as_millis()), (10, 10, 7));
    }

    #[test]
    fn slips_are_said() {
        let said = |name: &str, value: &str| read(&[(name, value)]).unwrap_err().to_string();
        assert_snapshot!(said("OTEL_TRACES_EXPORTER", "zipkin"), @"OTEL_TRACES_EXPORTER=zipkin means nothing; write one of otlp, console, none");
        assert_snapshot!(said("OTEL_BSP_MAX_QUEUE_SIZE", "0"), @"OTEL_BSP_MAX_QUEUE_SIZE=0 is no number that it can be; write one from 1 to 16777216");
    }
}

//! The exporter's own start as a trace: what it spent its time on until it served.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use super::kind::TracedKind;
use super::record::{About, Made};

/// When the start of the exporter came to what.
#[derive(Clone, Debug)]
pub struct StartTimes {
    /// When it began.
    pub began: Instant,
    /// When all configs were read and checked.
    pub read: Instant,
    /// Each config, in whatever order.
    pub configs: Vec<ConfigTimes>,
}

/// When the kernel came to have a config.
#[derive(Clone, Debug)]
pub struct ConfigTimes {
    /// The config's name.
    pub name: String,
    /// When it began to be loaded.
    pub began: Instant,
    /// When its object was loaded.
    pub loaded: Instant,
    /// When its programs were attached.
    pub attached: Instant,
}

/// A trace in the making, of spans of one kind.
struct Trace<'a> {
    kind: &'a Arc<TracedKind>,
    id: TraceId,
    /// A moment by both clocks.
    now: (Instant, SystemTime),
    spans: Vec<Made>,
}

/// The spans of a start that ends now.
pub(super) fn spans(times: &StartTimes, kind: &Arc<TracedKind>) -> Vec<Made> {
    let now = (Instant::now(), SystemTime::now());
    let id = RandomIdGenerator::default().new_trace_id();
    let mut trace = Trace { kind, id, now, spans: Vec::new() };
    let StartTimes { began, read, configs } = times;
    let root = trace.add(SpanId::INVALID, "start", (*began, now.0), None);
    trace.add(root, "read_configs", (*began, *read), None);
    for ConfigTimes { name, began, loaded, attached } in configs {
        let name: Arc<str> = name.as_str().into();
        let of = trace.add(root, "start_config", (*began, *attached), Some(&name));
        trace.add(of, "load", (*began, *loaded), Some(&name));
        trace.add(of, "attach", (*loaded, *attached), Some(&name));
    }
    trace.spans
}

impl Trace<'_> {
    fn add(
        &mut self,
        parent: SpanId,
        name: &'static str,
        (start, end): (Instant, Instant),
        config: Option<&Arc<str>>,
    ) -> SpanId {
        let id = RandomIdGenerator::default().new_span_id();
        let attributes = config.map(|name| KeyValue::new("config", Arc::clone(name)));
        let about = About {
            name: name.into(),
            start: self.time(start),
            end: self.time(end),
            attributes: attributes.into_iter().collect(),
        };
        self.spans
            .push(Made { kind: Arc::clone(self.kind), span: about.span(self.id, id, parent) });
        id
    }

    fn time(&self, at: Instant) -> SystemTime {
        let (now, wall) = self.now;
        wall.checked_sub(now.saturating_duration_since(at)).unwrap_or(wall)
    }
}

impl ConfigTimes {
    /// How long it took.
    pub fn took(&self) -> Duration {
        self.attached.saturating_duration_since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::OtlpResource;
    use crate::spans::stats::SpanStats;

    #[test]
    fn a_start_is_a_tree_of_what_it_did() {
        let ms = Duration::from_millis;
        let began = Instant::now() - ms(100);
        let config = ConfigTimes {
            name: "timers".to_owned(),
            began: began + ms(20),
            loaded: began + ms(30),
            attached: began + ms(35),
        };
        assert_eq!(config.took(), ms(15));
        let times = StartTimes { began, read: began + ms(10), configs: vec![config] };
        let kind = TracedKind::new(
            Some("own"),
            &OtlpResource::default(),
            SpanStats::default().kind("", "start"),
        );
        let spans = spans(&times, &Arc::new(kind));
        let root = &spans[0].span;
        let told: Vec<_> = spans
            .iter()
            .map(|Made { kind, span }| {
                let after = span.start_time.duration_since(root.start_time).unwrap();
                let took = span.end_time.duration_since(span.start_time).unwrap();
                let parent = spans
                    .iter()
                    .find(|other| other.span.span_context.span_id() == span.parent_span_id);
                let parent = parent.map_or("-", |parent| &parent.span.name);
                let took = if parent == "-" { 0 } else { took.as_millis() };
                let same = span.span_context.trace_id() == root.span_context.trace_id();
                format!(
                    "{} {parent} {} {} {took} {same}",
                    kind.service,
                    span.name,
                    after.as_millis()
                )
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"), @"
        own - start 0 0 true
        own start read_configs 0 10 true
        own start start_config 20 15 true
        own start_config load 20 10 true
        own start_config attach 30 5 true
        ");
        assert!(spans[2].span.attributes.contains(&KeyValue::new("config", "timers")));
    }
}

//! A log that panics: what a thread meets that cannot go on.

/// Has this thread's log panic from now on, then panics itself.
pub(crate) fn die(why: &str) -> ! {
    std::mem::forget(tracing::subscriber::set_default(BadLog));
    panic!("{why}");
}

struct BadLog;

impl tracing::Subscriber for BadLog {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        panic!("no line of the log either");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

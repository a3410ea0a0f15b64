//! What a family and its labels are called in one exposition.
//!
//! In the text formats a name that is not plain stands in quotes, a metric's inside the braces:
//! `{"k8s.pod_total","k8s.node"="a"} 1`. Protobuf has no such need.

use std::borrow::Cow;

use crate::escaping::{Escaping, is_plain_label, is_plain_metric};
use crate::series::Family;

/// The names of one family, escaped.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The family's.
    pub(super) name: String,
    /// Its labels', in their order.
    pub(super) labels: Vec<String>,
}

impl Names {
    pub(super) fn of(family: &Family, escaping: Escaping) -> Self {
        let labels = family.labels.iter().map(|label| escaping.label(label).into_owned());
        Self { name: escaping.metric(&family.name).into_owned(), labels: labels.collect() }
    }

    /// The same for a text format: labels in quotes where they need them.
    pub(super) fn quoted(self) -> Self {
        let quoted = |label: String| if is_plain_label(&label) { label } else { quote(&label) };
        Self { labels: self.labels.into_iter().map(quoted).collect(), ..self }
    }
}

/// Whether the family is called the same whatever a client asks for.
pub(super) fn is_plain(family: &Family) -> bool {
    is_plain_metric(&family.name) && family.labels.iter().all(|label| is_plain_label(label))
}

/// A metric's name as a comment has it.
pub(super) fn commented(name: &str) -> Cow<'_, str> {
    if is_plain_metric(name) { name.into() } else { quote(name).into() }
}

/// `text` between quotes.
pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

/// `text` for a place between quotes.
pub(super) fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

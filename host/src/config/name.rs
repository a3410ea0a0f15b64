//! Names that Prometheus accepts, checked once.
//!
//! Prometheus 3 takes any UTF-8 (`k8s.pod`). What is refused here nobody can want: names that are empty,
//! break a line, or are longer than any reader. Clients that take plain names alone are served others
//! (see [`crate::escaping`]), so two names must not become one then: [`labels_that_meet`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use crate::advice::Advise;
use crate::escaping::{Escaping, is_plain_label};

/// What all metrics of all configs are prefixed with.
pub(super) const NAMESPACE: &str = "ebpf_exporter";

/// How many bytes a name may have: it stands in every line of its series.
pub(super) const LONGEST: usize = 1024;

/// What Prometheus keeps for itself in front of a label's name.
const RESERVED: &str = "__";

/// The label that Prometheus makes of a metric's name.
const METRIC_NAME: &str = "__name__";

/// A metric's name without its prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricName(String);

/// A label's name, not starting with `__` if it is served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelName(String);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is none.
    #[error("it is empty")]
    Empty,
    /// It would be too much in every line: so many bytes.
    #[error("it has {0} bytes, more than {LONGEST}")]
    Long(usize),
    /// It would break the line, or the terminal of who reads it.
    #[error("it has the control character U+{:04X}", u32::from(*.0))]
    Control(char),
    /// It is a label's, and Prometheus' own.
    #[error("Prometheus keeps names that start with `__`")]
    Reserved,
}

impl Advise for NameError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Empty => "write what to call it",
            Self::Long(_) => "shorten it",
            Self::Control(_) => "take that character out",
            Self::Reserved => "take the `__` away",
        };
        Some(remedy.to_owned())
    }
}

impl MetricName {
    /// `text` as a metric's name.
    ///
    /// # Errors
    ///
    /// See [`NameError`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        checked(text).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it is exposed: `ebpf_exporter_` and this.
    pub fn exposed(&self) -> String {
        format!("{NAMESPACE}_{}", self.0)
    }
}

impl LabelName {
    /// `text` as a label's name.
    ///
    /// # Errors
    ///
    /// See [`NameError`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.starts_with(RESERVED) {
            return Err(NameError::Reserved);
        }
        checked(text).map(Self)
    }

    /// `text` as the name of a label that Prometheus never sees, such as one of a span.
    ///
    /// # Errors
    ///
    /// See [`NameError`]; none is reserved.
    pub fn unserved(text: &str) -> Result<Self, NameError> {
        checked(text).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn checked(text: &str) -> Result<String, NameError> {
    match text.chars().find(|c| c.is_control()) {
        _ if text.is_empty() => Err(NameError::Empty),
        _ if text.len() > LONGEST => Err(NameError::Long(text.len())),
        Some(control) => Err(NameError::Control(control)),
        None => Ok(text.to_owned()),
    }
}

/// Two labels of a metric that some clients would see as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting<'a> {
    /// The label that comes first; none if it is the one that Prometheus makes of the metric's name.
    pub first: Option<&'a LabelName>,
    /// The other one.
    pub second: &'a LabelName,
    /// What clients have to ask for to see it.
    pub escaping: Escaping,
}

/// What to do about a [`Meeting`].
pub const APART: &str = "rename one, so that they differ in more than what is escaped";

impl fmt::Display for Meeting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, second, escaping } = self;
        let (name, scheme) = (escaping.label(second.as_str()), escaping.as_str());
        write!(f, "`{}` is served as `{name}` with escaping={scheme}, ", second.as_str())?;
        match first {
            Some(first) => write!(f, "and so is `{}`", first.as_str()),
            None => f.write_str("which is the metric's own name"),
        }
    }
}

/// The first two of a metric's labels that have one name once they are escaped.
pub fn labels_that_meet<'a>(
    labels: impl Iterator<Item = &'a LabelName> + Clone,
) -> Option<Meeting<'a>> {
    if labels.clone().all(|label| is_plain_label(label.as_str())) {
        return None;
    }
    Escaping::ALL.into_iter().find_map(|escaping| {
        let mut taken = HashMap::from([(Cow::Borrowed(METRIC_NAME), None)]);
        labels.clone().find_map(|second| {
            let first = taken.insert(escaping.label(second.as_str()), Some(second))?;
            (first != Some(second)).then_some(Meeting { first, second, escaping })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_takes_any_text() {
        for name in ["a", "_", "k8s.pod", "a-b", "9", "\u{706b}", "a b", "\"\\", "a:b", "{}"] {
            assert_eq!(MetricName::new(name).unwrap().as_str(), name);
            assert_eq!(LabelName::new(name).unwrap().as_str(), name);
        }
        assert!(LabelName::new(&"x".repeat(LONGEST)).is_ok());
        assert!(MetricName::new("__a").is_ok());
        assert_eq!(MetricName::new("k8s.pod").unwrap().exposed(), "ebpf_exporter_k8s.pod");
    }

    #[test]
    fn says_why_a_text_is_no_name() {
        let both = |text: &str| {
            let error = LabelName::new(text).unwrap_err();
            assert_eq!(MetricName::new(text).unwrap_err(), error);
            error.advice()
        };
        insta::assert_snapshot!(both(""), @"it is empty; write what to call it");
        insta::assert_snapshot!(
            both(&"\u{e9}".repeat(513)),
            @"it has 1026 bytes, more than 1024; shorten it"
        );
        insta::assert_snapshot!(
            both("a\nb"),
            @"it has the control character U+000A; take that character out"
        );
        for control in ["\0", "\t", "\u{7f}", "\u{85}"] {
            assert!(matches!(LabelName::new(control), Err(NameError::Control(_))));
        }
        for reserved in ["__name__", "__", "__a.b"] {
            assert_eq!(LabelName::new(reserved), Err(NameError::Reserved));
            assert_eq!(LabelName::unserved(reserved).unwrap().as_str(), reserved);
        }
        assert_eq!(LabelName::unserved(""), Err(NameError::Empty));
    }

    fn meeting(names: &[&str]) -> Option<String> {
        let labels: Vec<_> = names.iter().map(|name| LabelName::new(name).unwrap()).collect();
        labels_that_meet(labels.iter()).map(|meeting| meeting.to_string())
    }

    #[test]
    fn labels_must_not_become_one() {
        insta::assert_snapshot!(
            meeting(&["x", "a_b", "a.b"]).unwrap(),
            @"`a.b` is served as `a_b` with escaping=underscores, and so is `a_b`"
        );
        insta::assert_snapshot!(
            meeting(&["a.b", "a_dot_b"]).unwrap(),
            @"`a_dot_b` is served as `a_dot_b` with escaping=dots, and so is `a.b`"
        );
        insta::assert_snapshot!(
            meeting(&["U__a_2e_b", "a.b"]).unwrap(),
            @"`a.b` is served as `U__a_2e_b` with escaping=values, and so is `U__a_2e_b`"
        );
        insta::assert_snapshot!(
            meeting(&["..name.."]).unwrap(),
            @"`..name..` is served as `__name__` with escaping=underscores, which is the metric's own name"
        );
        insta::assert_snapshot!(
            meeting(&["-name-"]).unwrap(),
            @"`-name-` is served as `__name__` with escaping=dots, which is the metric's own name"
        );
        for apart in [&[][..], &["a_b", "a__b"], &["a.b", "a.c"], &["a.b", "b"], &["_name_"]] {
            assert_eq!(meeting(apart), None, "{apart:?}");
        }
        assert!(meeting(&["a-b", "a.b"]).is_some());
    }
}

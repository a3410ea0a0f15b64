//! Names that Prometheus accepts, checked once.

/// A metric's name without its prefix: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricName(String);

/// A label's name: `[a-zA-Z_][a-zA-Z0-9_]*`, not starting with `__`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelName(String);

impl MetricName {
    /// `text` as a metric's name, if Prometheus takes it.
    pub fn new(text: &str) -> Option<Self> {
        is_name(text, |byte| byte == b':').then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LabelName {
    /// `text` as a label's name, if Prometheus takes it.
    pub fn new(text: &str) -> Option<Self> {
        (is_name(text, |_| false) && !text.starts_with("__")).then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(text: &str, also: fn(u8) -> bool) -> bool {
    !text.is_empty()
        && !text.as_bytes()[0].is_ascii_digit()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || also(byte))
}

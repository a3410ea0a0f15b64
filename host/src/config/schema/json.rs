//! JSON whose objects keep the order in which they are written, whatever `serde_json` is built with.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// A value of JSON.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Null,
    /// A boolean, a number or a text.
    Scalar(Value),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// An object with these entries.
pub(super) fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Json)>) -> Json {
    Json::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

/// An array of these.
pub(super) fn list<T: Into<Json>>(items: impl IntoIterator<Item = T>) -> Json {
    Json::List(items.into_iter().map(Into::into).collect())
}

impl Json {
    /// What a line of YAML holds, which is ours.
    pub(super) fn of_yaml(text: &str) -> Self {
        serde_yaml::from_str::<Value>(text).unwrap_or(Value::Null).into()
    }

    /// As text, a line for each entry, with a line feed at its end.
    pub(super) fn pretty(&self) -> String {
        // Only keys that are no texts could fail, and maps that say too late how long they are.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Array(items) => list(items),
            Value::Object(entries) => {
                map(entries.into_iter().map(|(key, value)| (key, value.into())))
            }
            scalar => Self::Scalar(scalar),
        }
    }
}

macro_rules! from_scalar {
    ($($type:ty),*) => {$(
        impl From<$type> for Json {
            fn from(value: $type) -> Self {
                Self::Scalar(value.into())
            }
        }
    )*};
}

from_scalar!(bool, u64, i64, i32, usize, f64, &str, String);

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Scalar(value) => value.serialize(serializer),
            Self::List(items) => items.serialize(serializer),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

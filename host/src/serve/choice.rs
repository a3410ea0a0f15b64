//! Which configs a scrape is to be of: `?collect[]=NAME` and `?exclude[]=NAME`, as node_exporter takes them.
//!
//! Does not know which configs there are.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

/// Which configs a scrape is of. Equal ones share a reading. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// All, and what the exporter says about itself.
    #[default]
    All,
    /// These alone.
    Collect(Arc<BTreeSet<String>>),
    /// All but these, and what the exporter says about itself.
    Exclude(Arc<BTreeSet<String>>),
}

/// A query that asks for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("collect[] and exclude[] are not taken together; ask for one of them")]
pub struct Both;

impl Choice {
    /// What the query of a request asks for. What else it has is not looked at, as Prometheus adds `params` of all
    /// kinds.
    ///
    /// # Errors
    ///
    /// When it asks for some and for all but some.
    pub fn of(query: Option<&str>) -> Result<Self, Both> {
        let (mut collect, mut exclude) = (BTreeSet::new(), BTreeSet::new());
        let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        for (key, value) in pairs {
            match &*decoded(key) {
                "collect[]" => _ = collect.insert(decoded(value).into_owned()),
                "exclude[]" => _ = exclude.insert(decoded(value).into_owned()),
                _ => {}
            }
        }
        match (collect.is_empty(), exclude.is_empty()) {
            (true, true) => Ok(Self::All),
            (false, true) => Ok(Self::Collect(Arc::new(collect))),
            (true, false) => Ok(Self::Exclude(Arc::new(exclude))),
            (false, false) => Err(Both),
        }
    }

    /// Whether this config is among them.
    pub fn takes(&self, config: &str) -> bool {
        match self {
            Self::All => true,
            Self::Collect(names) => names.contains(config),
            Self::Exclude(names) => !names.contains(config),
        }
    }

    /// Whether what the exporter says about itself is.
    pub fn takes_own(&self) -> bool {
        !matches!(self, Self::Collect(_))
    }

    /// The configs that it names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::All => None,
            Self::Collect(names) | Self::Exclude(names) => Some(names),
        };
        names.into_iter().flat_map(|names| names.iter()).map(String::as_str)
    }
}

/// As a form writes it.
fn decoded(text: &str) -> Cow<'_, str> {
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_configs() {
        let takes = |query: &str| {
            let choice = Choice::of(Some(query)).unwrap();
            (["a", "b", "c d"].map(|config| choice.takes(config)), choice.takes_own())
        };
        assert_eq!(takes(""), ([true; 3], true));
        assert_eq!(takes("name=x&collect=a&a"), ([true; 3], true));
        assert_eq!(takes("collect[]=a"), ([true, false, false], false));
        assert_eq!(takes("collect%5B%5D=a&collect[]=c+d&x=1"), ([true, false, true], false));
        assert_eq!(takes("exclude[]=c%20d&exclude[]=a"), ([false, true, false], true));
        assert_eq!(
            Choice::of(Some("collect[]=b&collect[]=a")),
            Choice::of(Some("collect[]=a&collect[]=b"))
        );
        assert_eq!(Choice::of(None), Ok(Choice::All));
        assert_eq!(Choice::of(Some("collect[]=a&exclude[]=b")), Err(Both));
    }
}

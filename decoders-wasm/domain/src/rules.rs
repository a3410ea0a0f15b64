//! The rules of the Public Suffix List, and which of them is a name's.
//!
//! They are data of the component, read once for each instance. Never copies a rule's text.

use std::collections::HashMap;

/// All rules, those of ICANN first.
pub(crate) const TEXT: &str = include_str!("suffixes.txt");

/// The suffix of a name: what nobody can register, since others register below it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Suffix<'a> {
    pub(crate) text: &'a str,
    /// Whether it is a company's, which lets others have names below its own.
    pub(crate) is_private: bool,
}

/// The rules, by the names that they are about.
pub(crate) struct Rules {
    by_name: HashMap<&'static str, Rule>,
    /// Labels of the longest.
    longest: usize,
}

/// What rules say of one name. `Some(true)` is a company's.
#[derive(Default)]
struct Rule {
    /// `co.uk`: it is a suffix.
    is_suffix: Option<bool>,
    /// `*.ck`: each name that has one label more is one.
    above: Option<bool>,
    /// `!www.ck`: it is none, although it would be by the rule before.
    exception: Option<bool>,
}

impl Rules {
    pub(crate) fn new() -> Self {
        // At once: memory that a table has outgrown is never given back to the host.
        let mut by_name = HashMap::<_, Rule>::with_capacity(TEXT.lines().count());
        let mut longest = 0;
        let mut is_private = false;
        for line in TEXT.lines().filter(|line| !line.is_empty()) {
            if line.starts_with("//") {
                is_private |= line.contains("BEGIN PRIVATE DOMAINS");
                continue;
            }
            longest = longest.max(line.split('.').count());
            let said = Some(is_private);
            if let Some(name) = line.strip_prefix("*.") {
                by_name.entry(name).or_default().above = said;
            } else if let Some(name) = line.strip_prefix('!') {
                by_name.entry(name).or_default().exception = said;
            } else {
                by_name.entry(line).or_default().is_suffix = said;
            }
        }
        Self { by_name, longest }
    }

    /// The suffix of a lowercase name: by the longest rule that fits, else its last label.
    pub(crate) fn suffix<'a>(&self, name: &'a str) -> Suffix<'a> {
        let mut suffix = Suffix { text: "", is_private: false };
        // What the rule says that is about the name with one label less.
        let mut above = None;
        for text in tails(name).take(self.longest) {
            let rule = self.by_name.get(text);
            if let Some(is_private) = rule.and_then(|rule| rule.exception) {
                let text = text.split_once('.').map_or(text, |(_, rest)| rest);
                return Suffix { text, is_private };
            }
            match rule.and_then(|rule| rule.is_suffix).or(above) {
                Some(is_private) => suffix = Suffix { text, is_private },
                None if suffix.text.is_empty() => suffix.text = text,
                None => {}
            }
            above = rule.and_then(|rule| rule.above);
        }
        suffix
    }
}

/// The last label of a name, its last two, and so on up to all of it.
fn tails(name: &str) -> impl Iterator<Item = &str> {
    let behind = |(dot, _)| &name[dot + 1..];
    name.rmatch_indices('.').map(behind).chain([name])
}

#[cfg(test)]
mod tests {
    use psl::{Psl as _, Type};

    use super::*;

    /// The crate `psl` has the same list as code.
    #[test]
    fn the_list_is_what_another_reader_makes_of_it() {
        let (rules, mut count, mut differ) = (Rules::new(), 0, Vec::new());
        for rule in TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with("//")) {
            count += 1;
            let name = rule.trim_start_matches('!').replace('*', "some");
            let below = name.split_once('.').map_or("", |(_, below)| below);
            for name in [format!("a.b.{name}"), format!("a.{name}"), name.clone(), below.to_owned()]
            {
                let other = psl::List.suffix(name.as_bytes()).map(|it| Suffix {
                    text: std::str::from_utf8(it.as_bytes()).unwrap(),
                    is_private: it.typ() == Some(Type::Private),
                });
                let other = other.unwrap_or(Suffix { text: "", is_private: false });
                if rules.suffix(&name) != other {
                    differ.push(name);
                }
            }
        }
        assert!(count > 10_000, "{count}");
        // `*.run.app` makes `mtls.run.app` a suffix. The crate does not see it where there is a longer rule below,
        // such as `*.mtls.run.app`.
        let by_wildcard = |name: &str| {
            let (_, rest) = name.split_once('.').unwrap();
            rules.by_name[rest].above.is_some() && TEXT.contains(&format!(".{name}\n"))
        };
        assert!(differ.iter().all(|name| by_wildcard(name)) && differ.len() < 30, "{differ:?}");
    }
}

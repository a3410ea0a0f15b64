//! What a person is told of a fault: what is wrong and what to do about it, each a field of its own; and
//! what messages are made of: texts of others quoted, without secrets; words that were probably meant; and the
//! system's words of an error.
//!
//! The ground floor: uses no other room. Nothing ever takes a message apart again.

use std::error::Error;
use std::fmt;
use std::io;
use std::iter::successors;

pub(crate) mod near;
pub(crate) mod secrets;

/// A fault, as a person is told of it: `PROBLEM; REMEDY; EVIDENCE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is wrong: lowercase, no final period.
    pub problem: String,
    /// What to do: lowercase, no final period. None if that is not known.
    pub remedy: Option<String>,
    /// What others said, which the rest was made of. It may have several lines.
    pub evidence: Option<String>,
}

/// An error that displays as what is wrong, and knows what to do about it.
pub trait Advise: Error + 'static {
    /// What to do: lowercase, no final period. None if that is not known.
    fn remedy(&self) -> Option<String>;

    /// What others said, which the rest was made of. Most errors have none.
    fn evidence(&self) -> Option<String> {
        None
    }

    /// The whole of it: what is wrong with what caused it, and what to do.
    fn advice(&self) -> Advice
    where
        Self: Sized,
    {
        let (problem, remedy, evidence) = (with_causes(self), self.remedy(), self.evidence());
        Advice { problem, remedy, evidence }
    }
}

impl Advice {
    /// Something is wrong, and this is to be done about it.
    pub fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::plain(problem) }
    }

    /// Something is wrong, and what to do about it is not known.
    pub fn plain(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: None, evidence: None }
    }

    /// The same, made of what others said.
    #[must_use]
    pub fn said(self, evidence: impl Into<String>) -> Self {
        Self { evidence: Some(evidence.into()), ..self }
    }

    /// The same, with what it is about in front.
    #[must_use]
    pub fn about(self, subject: impl fmt::Display) -> Self {
        Self { problem: format!("{subject}: {}", self.problem), ..self }
    }
}

impl<E: Advise> From<E> for Advice {
    fn from(error: E) -> Self {
        error.advice()
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        let more = self.remedy.iter().chain(&self.evidence);
        more.into_iter().try_for_each(|part| write!(f, "; {part}"))
    }
}

impl Error for Advice {}

/// The system's error alone, for want of anything that could be said of it everywhere.
impl Advise for io::Error {
    fn remedy(&self) -> Option<String> {
        None
    }
}

/// An error and, behind colons, what caused it.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let text = |error: &(dyn Error + 'static)| match error.downcast_ref::<io::Error>() {
        Some(error) => words(error),
        None => error.to_string(),
    };
    let all = successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    let all: Vec<_> = all.map(text).collect();
    all.join(": ")
}

/// A text of the file as a message shows it: in backticks, without secrets, and no longer than it helps.
pub(crate) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    let text = secrets::veiled(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// A text of somebody who may mean harm, as a message may show it: at most `longest` bytes of it, on one
/// line, nothing in it that a terminal obeys.
pub(crate) fn plain(text: &str, longest: usize) -> String {
    let end = text.floor_char_boundary(longest);
    let mut plain = String::with_capacity(end);
    for char in text[..end].chars() {
        match char {
            '"' | '\'' => plain.push(char),
            _ => plain.extend(char.escape_debug()),
        }
    }
    if end < text.len() {
        plain.push('…');
    }
    plain
}

/// The words of an error and, behind colons, of what caused it. Some say themselves what caused them.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let all = successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    let mut texts: Vec<String> = Vec::new();
    for text in all.map(ToString::to_string) {
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

/// The first of these in a line, and how many more there are.
pub(crate) fn few(all: impl IntoIterator<Item = String>, most: usize) -> String {
    let mut all = all.into_iter();
    let mut named: Vec<_> = all.by_ref().take(most).collect();
    match all.count() {
        0 => {}
        more => named.push(format!("and {more} more")),
    }
    named.join(", ")
}

/// A text that is cut behind so many characters.
pub(crate) fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// An error of the system in its words alone, lowercase and without the number.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    lowered(text.split(" (os error").next().unwrap_or_default())
}

/// Words of others that begin in lowercase, as messages do. BPF stays BPF.
pub(crate) fn lowered(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to open the door")]
    struct Shut(#[source] io::Error);

    impl Advise for Shut {
        fn remedy(&self) -> Option<String> {
            Some("knock".to_owned())
        }
    }

    #[test]
    fn parts_stand_one_behind_the_other() {
        let advice = || Advice::new("it is shut", "knock");
        insta::assert_snapshot!(advice(), @"it is shut; knock");
        insta::assert_snapshot!(advice().about("the door"), @"the door: it is shut; knock");
        insta::assert_snapshot!(advice().said("a bell rang"), @"it is shut; knock; a bell rang");
        insta::assert_snapshot!(Advice::plain("it is shut").said("a bell rang"), @"it is shut; a bell rang");
    }

    #[test]
    fn a_cause_stands_before_the_remedy() {
        let denied = io::Error::from_raw_os_error(libc::EACCES);
        insta::assert_snapshot!(Advice::from(Shut(denied)), @"failed to open the door: permission denied; knock");
    }

    #[test]
    fn words_of_others_begin_in_lowercase() {
        for (text, expected) in [
            ("Permission denied", "permission denied"),
            ("BPF object format invalid", "BPF object format invalid"),
            ("I/O error", "I/O error"),
            ("", ""),
        ] {
            assert_eq!(lowered(text), expected, "{text:?}");
        }
    }
}

//! A reader of the text formats that shares nothing with what writes them: made from Prometheus' description of
//! the format and from OpenMetrics 1.0. It is strict, and refuses what a lenient reader passes over.

use std::collections::HashSet;

/// A sample. What a number is, is left to who asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sample {
    /// Of its series.
    pub(crate) name: String,
    /// Name and value, in the order in which they stand.
    pub(crate) labels: Vec<(String, String)>,
    /// As it is written.
    pub(crate) value: String,
}

/// What an exposition says.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    /// Name, help and type of each family.
    pub(crate) families: Vec<(String, String, String)>,
    pub(crate) samples: Vec<Sample>,
    /// Whether the end is said.
    pub(crate) has_ended: bool,
}

/// Reads an exposition in text or OpenMetrics.
///
/// # Errors
///
/// The first line that is none of the format, and why.
pub(crate) fn read(text: &str) -> Result<Exposition, String> {
    let mut found = Exposition::default();
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    for line in text.split_terminator('\n') {
        let taken = if found.has_ended { None } else { found.take(line) };
        taken.ok_or_else(|| format!("no line of the format: {line:?}"))?;
    }
    let mut names = HashSet::new();
    for (name, ..) in &found.families {
        if !names.insert(name) {
            return Err(format!("a family comes twice: {name:?}"));
        }
    }
    Ok(found)
}

impl Exposition {
    fn take(&mut self, line: &str) -> Option<()> {
        if line == "# EOF" {
            self.has_ended = true;
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, rest) = name_of_family(rest)?;
            let help = unescaped(rest.strip_prefix(' ')?)?;
            self.families.push((name, help, String::new()));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, rest) = name_of_family(rest)?;
            let kind = rest
                .strip_prefix(' ')
                .filter(|kind| ["counter", "gauge", "histogram", "unknown"].contains(kind))?;
            // Behind the help of the same family.
            let (helped, _, of) = self.families.last_mut()?;
            if *helped != name || !of.is_empty() {
                return None;
            }
            kind.clone_into(of);
        } else {
            self.samples.push(sample(line)?);
        }
        Some(())
    }
}

/// A name, plain or in quotes, and what stands behind it.
fn name_of_family(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') { quoted(text) } else { plain(text, true) }
}

fn plain(text: &str, is_metric: bool) -> Option<(String, &str)> {
    let may = |c: char| c.is_ascii_alphanumeric() || c == '_' || (is_metric && c == ':');
    let end = text.find(|c| !may(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let is_good = name.chars().next().is_some_and(|first| !first.is_ascii_digit());
    is_good.then(|| (name.to_owned(), rest))
}

/// A text in quotes, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = text.find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    })?;
    Some((unquoted(&text[..end])?, &text[end + 1..]))
}

fn unquoted(text: &str) -> Option<String> {
    unescape(text, |c| match c {
        'n' => Some('\n'),
        '\\' | '"' => Some(c),
        _ => None,
    })
}

/// The text of a help: text 0.0.4 knows no escaped quote there, OpenMetrics does.
fn unescaped(text: &str) -> Option<String> {
    unquoted(text)
}

fn unescape(text: &str, meant: impl Fn(char) -> Option<char>) -> Option<String> {
    let (mut out, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { meant(chars.next()?)? } else { c });
    }
    Some(out)
}

fn sample(line: &str) -> Option<Sample> {
    let (bare, value) = series(line)?;
    number(value)?;
    Some(Sample { value: value.to_owned(), ..bare })
}

/// The series of a line, without a value yet, and what stands behind it.
pub(crate) fn series(line: &str) -> Option<(Sample, &str)> {
    let (mut name, mut rest) = match line.strip_prefix('{') {
        Some(_) => (None, line),
        None => plain(line, true).map(|(name, rest)| (Some(name), rest))?,
    };
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let is_quoted = rest.starts_with('"');
            let (label, behind) = if is_quoted { quoted(rest)? } else { plain(rest, false)? };
            match behind.strip_prefix('=') {
                Some(value) => {
                    let (value, behind) = quoted(value)?;
                    labels.push((label, value));
                    rest = behind;
                }
                // The name of the metric stands first.
                None if is_quoted && name.is_none() && labels.is_empty() => {
                    name = Some(label);
                    rest = behind;
                }
                None => return None,
            }
            match rest.strip_prefix(',') {
                Some(more) if !more.starts_with('}') => rest = more,
                Some(_) => return None,
                None if rest.starts_with('}') => {}
                None => return None,
            }
        }
        rest = &rest[1..];
    }
    let behind = rest.strip_prefix(' ')?;
    let unique: HashSet<_> = labels.iter().map(|(name, _)| name).collect();
    if unique.len() < labels.len() {
        return None;
    }
    Some((Sample { name: name?, labels, value: String::new() }, behind))
}

/// A number as the formats have it.
pub(crate) fn number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "+Inf" | "inf" => Some(f64::INFINITY),
        "-Inf" | "-inf" => Some(f64::NEG_INFINITY),
        text => {
            let may = |byte: u8| byte.is_ascii_digit() || b"+-.e".contains(&byte);
            text.bytes().all(may).then(|| text.parse().ok()).flatten()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_of_the_format() {
        let text = "# HELP a b \\\\ \\n\n# TYPE a counter\na{x=\"\\\"\\n\",\"y.z\"=\"\"} 1\n\
            # HELP \"b.c\" \n# TYPE \"b.c\" gauge\n{\"b.c\",l=\"v\"} -1.5e+10\n{\"b.c\"} NaN\n# EOF\n";
        let found = read(text).unwrap();
        assert_eq!(found.families[0], ("a".to_owned(), "b \\ \n".to_owned(), "counter".to_owned()));
        assert_eq!(found.families[1].0, "b.c");
        let labels = [("x", "\"\n"), ("y.z", "")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(found.samples[0].labels, labels);
        assert_eq!(found.samples.len(), 3);
        assert!(found.has_ended);
    }

    #[test]
    fn refuses_what_is_not() {
        for line in [
            "a 1 ",
            "a  1",
            "a",
            "a{} ",
            "a{,} 1",
            "a{x=\"1\",} 1",
            "a{x=\"1\"y=\"2\"} 1",
            "a{x=1} 1",
            "a{x=\"1\",x=\"2\"} 1",
            "a{x=\"\\t\"} 1",
            "1a 1",
            "a 0x1",
            "a nan",
            "a{\"b\"} 1",
            "{x=\"1\"} 1",
            "# TYPE a counter",
            "# HELP a",
            "a{x=\"1} 1",
            "\"a\" 1",
            "{\"a\"b=\"c\"} 1",
        ] {
            assert!(read(&format!("{line}\n")).is_err(), "{line}");
        }
        assert!(read("a 1").is_err());
        assert!(read("# EOF\na 1\n").is_err());
        assert!(read("# HELP a b\n# TYPE a gauge\n# HELP a b\n# TYPE a gauge\n").is_err());
    }
}

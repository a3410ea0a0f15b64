//! What the exporter says about itself at a scrape. It is kept until the next one: most of it is the
//! same again, and only numbers that differ are written anew.
//!
//! Never decides what is said: who tells it does.

use crate::exposition::kept::Kept;
use crate::series::{Family, Kind, LabelSet};

/// The families of all metrics about the exporter itself, in the order in which they are told.
#[derive(Debug, Default)]
pub struct Report {
    families: Vec<Kept>,
    /// How many have been told since [`Report::begin`].
    told: usize,
}

impl Report {
    /// Begins to be told anew.
    pub fn begin(&mut self) {
        self.told = 0;
    }

    /// Forgets what was not told since [`Report::begin`].
    pub fn end(&mut self) {
        self.families.truncate(self.told);
    }

    /// The families with their texts.
    pub fn families(&self) -> &[Kept] {
        &self.families
    }

    /// The families with their texts, to be written out.
    pub fn families_mut(&mut self) -> &mut [Kept] {
        &mut self.families
    }

    /// Is told a family whose numbers are real: each row is the values of its labels and its number.
    pub fn family<'a, const N: usize>(
        &mut self,
        about: About<'_, N>,
        kind: Kind,
        rows: impl IntoIterator<Item = ([&'a str; N], f64)>,
    ) {
        let rows = rows.into_iter().map(|(labels, value)| (labels, [value.to_bits()]));
        self.numbers(about, kind, &rows.collect::<Vec<_>>());
    }

    /// Is told a family: each row is the values of its labels and its numbers, [`Kind::cells`] of them.
    pub fn numbers<const N: usize, C: AsRef<[u64]>>(
        &mut self,
        About { name, help, labels }: About<'_, N>,
        kind: Kind,
        rows: &[([&str; N], C)],
    ) {
        let at = self.told;
        self.told += 1;
        if self.families.get(at).is_none_or(|kept| kept.family().name != name) {
            let labels = labels.map(str::to_owned).to_vec();
            let family = Family::new(name.to_owned(), help.to_owned(), labels, kind);
            self.families.insert(at, family.into());
        }
        let kept = &mut self.families[at];
        if has_rows(kept.family(), rows) {
            let family = kept.family_mut();
            rows.iter()
                .enumerate()
                .for_each(|(id, (_, numbers))| family.set_series(id, numbers.as_ref()));
            return;
        }
        kept.clear();
        for (labels, numbers) in rows {
            kept.family_mut().set_numbers(&LabelSet::of(*labels), numbers.as_ref());
        }
    }
}

/// What a family is called, what it means, and the names of its labels.
#[derive(Clone, Copy, Debug)]
pub struct About<'a, const N: usize> {
    /// The name, prefix included.
    pub name: &'a str,
    /// The help text.
    pub help: &'a str,
    /// The names of its labels.
    pub labels: [&'a str; N],
}

/// See [`About`].
pub fn about<'a, const N: usize>(
    name: &'a str,
    help: &'a str,
    labels: [&'a str; N],
) -> About<'a, N> {
    About { name, help, labels }
}

/// Whether the series of a family have the labels of these rows, in their order.
fn has_rows<const N: usize, C>(family: &Family, rows: &[([&str; N], C)]) -> bool {
    let mut rows = rows.iter().enumerate();
    family.room() == rows.len()
        && rows.all(|(id, (labels, _))| family.label_values(id).eq(labels.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escaping::Escaping;
    use crate::exposition::{Format, page};

    fn tell(report: &mut Report, told: &[(&str, &[(&str, f64)])]) -> String {
        report.begin();
        for (name, rows) in told {
            let rows = rows.iter().map(|(label, value)| ([*label], *value));
            report.family(about(name, "x", ["l"]), Kind::Gauge, rows);
        }
        report.end();
        let families = report.families_mut().iter_mut();
        let text = page::render(families, Format::Text, Escaping::default()).concat();
        let text = String::from_utf8(text).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_was_told_before_leaves_no_trace() {
        let mut report = Report::default();
        let both: &[(&str, &[(&str, f64)])] =
            &[("a", &[("x", 1.0), ("y", 2.0)]), ("b", &[("", 0.5)])];
        assert_eq!(tell(&mut report, both), r#"a{l="x"} 1 a{l="y"} 2 b{l=""} 0.5"#);
        let numbers: &[(&str, &[(&str, f64)])] =
            &[("a", &[("x", 1.0), ("y", 10.25)]), ("b", &[("", 0.0)])];
        assert_eq!(tell(&mut report, numbers), r#"a{l="x"} 1 a{l="y"} 10.25 b{l=""} 0"#);
        let other_rows: &[(&str, &[(&str, f64)])] =
            &[("a", &[("y", 3.0)]), ("b", &[("", 1.0), ("z", 1.0)])];
        assert_eq!(tell(&mut report, other_rows), r#"a{l="y"} 3 b{l=""} 1 b{l="z"} 1"#);
        assert_eq!(tell(&mut report, &[("b", &[("", 4.0)])]), r#"b{l=""} 4"#);
        assert_eq!(tell(&mut report, both), r#"a{l="x"} 1 a{l="y"} 2 b{l=""} 0.5"#);
        assert_eq!(tell(&mut report, &[]), "");
    }
}

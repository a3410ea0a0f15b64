//! Rules for the labels of one metric: names are resolved once, rows carry values only.
//!
//! Every label that there is at any time has a *slot*; a rule reads and writes slots by number.
//! An empty slot is a label that is absent.

use std::mem;

use ebpf_exporter_plugin::Metric;
use md5::{Digest, Md5};

use crate::pattern::Pattern;
use crate::rule::{METRIC_NAME, Rule, Source, check_name};

/// The rules of one metric, and the row they are at.
pub(crate) struct Program {
    steps: Vec<Step>,
    slots: Vec<Slot>,
    /// How many slots the row's own values fill; they come first.
    width: usize,
    /// The values of a rule's source labels, joined.
    joined: String,
    /// A value in the making.
    made: String,
}

struct Slot {
    name: String,
    value: String,
    /// Whether some row may have a value here after the last rule.
    may_be_set: bool,
}

enum Step {
    Replace {
        source: Slots,
        regex: Pattern,
        target: usize,
        replacement: String,
    },
    Filter {
        source: Slots,
        regex: Pattern,
        keep: bool,
    },
    FilterEqual {
        source: Slots,
        target: usize,
        keep: bool,
    },
    HashMod {
        source: Slots,
        target: usize,
        modulus: u64,
    },
    Case {
        source: Slots,
        target: usize,
        upper: bool,
    },
    /// Copies the values of slots to other slots, all as they were before the step.
    Copy {
        pairs: Vec<(usize, usize)>,
    },
    Clear {
        slots: Vec<usize>,
    },
}

/// Where the values stand that a rule looks at.
struct Slots {
    slots: Vec<usize>,
    separator: String,
}

impl Program {
    /// No rules for this metric.
    pub(crate) fn new(metric: &Metric) -> Self {
        let slot =
            |name: &String| Slot { name: name.clone(), value: String::new(), may_be_set: true };
        let mut slots: Vec<Slot> = metric.labels.iter().map(slot).collect();
        let width = slots.len();
        slots.push(Slot {
            name: METRIC_NAME.to_owned(),
            value: metric.name.clone(),
            may_be_set: true,
        });
        Self { steps: Vec::new(), slots, width, joined: String::new(), made: String::new() }
    }

    /// Adds a rule behind the others.
    ///
    /// # Errors
    ///
    /// When it would make a label of a name that cannot be one.
    pub(crate) fn add(&mut self, rule: Rule) -> Result<(), String> {
        let step = match rule {
            Rule::Replace { regex, target, replacement, .. }
                if regex.is_default && replacement.is_empty() =>
            {
                let target = self.slot(target);
                self.clear(vec![target])
            }
            Rule::Replace { source, regex, target, replacement } => {
                let source = self.source(source);
                Step::Replace { source, regex, target: self.target(target), replacement }
            }
            Rule::Filter { source, regex, keep } => {
                Step::Filter { source: self.source(source), regex, keep }
            }
            Rule::FilterEqual { source, target, keep } => {
                let source = self.source(source);
                Step::FilterEqual { source, target: self.slot(target), keep }
            }
            Rule::HashMod { source, target, modulus } => {
                let source = self.source(source);
                Step::HashMod { source, target: self.target(target), modulus }
            }
            Rule::Case { source, target, upper } => {
                let source = self.source(source);
                Step::Case { source, target: self.target(target), upper }
            }
            Rule::LabelMap { regex, replacement } => self.copy(&regex, &replacement)?,
            Rule::LabelFilter { regex, keep } => {
                let slots = self.labels().filter(|(_, name)| regex.matches(name) != keep);
                let slots = slots.map(|(slot, _)| slot).collect();
                self.clear(slots)
            }
        };
        self.steps.push(step);
        Ok(())
    }

    /// The names of the labels that a row may have after the last rule.
    pub(crate) fn names(&self) -> Vec<String> {
        self.left().map(|slot| slot.name.clone()).collect()
    }

    /// The values of those labels, once [`Self::run`] has said that the row stays.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.left().map(|slot| slot.value.as_str())
    }

    fn left(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.may_be_set && !slot.name.starts_with("__"))
    }

    /// Labels that a row may have now, but for the metric's name.
    fn labels(&self) -> impl Iterator<Item = (usize, &str)> {
        let set = self.slots.iter().enumerate().filter(|(_, slot)| slot.may_be_set);
        set.map(|(i, slot)| (i, slot.name.as_str())).filter(|(_, name)| *name != METRIC_NAME)
    }

    /// The slot of this name, which may have been empty until now.
    fn slot(&mut self, name: String) -> usize {
        self.slots.iter().position(|slot| slot.name == name).unwrap_or_else(|| {
            self.slots.push(Slot { name, value: String::new(), may_be_set: false });
            self.slots.len() - 1
        })
    }

    /// The slot of this name, into which a step writes.
    fn target(&mut self, name: String) -> usize {
        let slot = self.slot(name);
        self.slots[slot].may_be_set = true;
        slot
    }

    fn source(&mut self, source: Source) -> Slots {
        let slots = source.labels.into_iter().map(|name| self.slot(name)).collect();
        Slots { slots, separator: source.separator }
    }

    fn clear(&mut self, slots: Vec<usize>) -> Step {
        for &slot in &slots {
            self.slots[slot].may_be_set = false;
        }
        Step::Clear { slots }
    }

    /// `labelmap`: which labels there are is known, so which names it makes is too.
    fn copy(&mut self, regex: &Pattern, replacement: &str) -> Result<Step, String> {
        let mut named = Vec::new();
        let present = self.slots.iter().enumerate().filter(|(_, slot)| slot.may_be_set);
        for (from, slot) in present {
            if let Some(captures) = regex.captures(&slot.name) {
                let mut to = String::new();
                captures.expand(replacement, &mut to);
                if to != slot.name {
                    check_name(&to)
                        .map_err(|error| format!("labelmap of {}: {error}", slot.name))?;
                    named.push((slot.name.clone(), from, to));
                }
            }
        }
        named.sort();
        let pairs = named.into_iter().map(|(_, from, to)| (from, self.target(to))).collect();
        Ok(Step::Copy { pairs })
    }

    /// Takes a row's values through all rules; whether the row stays.
    pub(crate) fn run(&mut self, row: &[&str]) -> bool {
        for (i, slot) in self.slots.iter_mut().enumerate() {
            match row.get(i) {
                Some(value) => replace(&mut slot.value, value),
                None if i > self.width => slot.value.clear(),
                None => {}
            }
        }
        let steps = mem::take(&mut self.steps);
        let stays = steps.iter().all(|step| self.step(step));
        self.steps = steps;
        stays
    }

    /// Whether the row stays.
    fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::Replace { source, regex, target, replacement } => {
                self.join(source);
                if let Some(captures) = regex.captures(&self.joined) {
                    self.made.clear();
                    captures.expand(replacement, &mut self.made);
                    mem::swap(&mut self.slots[*target].value, &mut self.made);
                }
            }
            Step::Filter { source, regex, keep } => {
                self.join(source);
                return regex.matches(&self.joined) == *keep;
            }
            Step::FilterEqual { source, target, keep } => {
                self.join(source);
                return (self.joined == self.slots[*target].value) == *keep;
            }
            Step::HashMod { source, target, modulus } => {
                self.join(source);
                let value = (hash(&self.joined) % modulus).to_string();
                self.slots[*target].value = value;
            }
            Step::Case { source, target, upper } => {
                self.join(source);
                let case = if *upper { upper_char } else { lower_char };
                self.slots[*target].value = self.joined.chars().map(case).collect();
            }
            Step::Copy { pairs } => self.copy_values(pairs),
            Step::Clear { slots } => {
                slots.iter().for_each(|&slot| self.slots[slot].value.clear());
            }
        }
        true
    }

    fn join(&mut self, source: &Slots) {
        self.joined.clear();
        for (i, &slot) in source.slots.iter().enumerate() {
            if i > 0 {
                self.joined.push_str(&source.separator);
            }
            self.joined.push_str(&self.slots[slot].value);
        }
    }

    fn copy_values(&mut self, pairs: &[(usize, usize)]) {
        let read: Vec<String> =
            pairs.iter().map(|&(from, _)| self.slots[from].value.clone()).collect();
        for (value, &(_, to)) in read.into_iter().zip(pairs) {
            // An absent label has no name to map.
            if !value.is_empty() {
                self.slots[to].value = value;
            }
        }
    }
}

fn replace(value: &mut String, by: &str) {
    value.clear();
    value.push_str(by);
}

/// Prometheus' `hashmod`: the last 8 bytes of the MD5, big-endian.
fn hash(text: &str) -> u64 {
    let hash: [u8; 16] = Md5::digest(text).into();
    u128::from_be_bytes(hash) as u64
}

/// One character for one, as Go has it: `ß` stays, since its uppercase would be two.
fn upper_char(c: char) -> char {
    one(c.to_uppercase(), c)
}

fn lower_char(c: char) -> char {
    one(c.to_lowercase(), c)
}

fn one(mut chars: impl ExactSizeIterator<Item = char>, otherwise: char) -> char {
    if chars.len() == 1 { chars.next().unwrap_or(otherwise) } else { otherwise }
}

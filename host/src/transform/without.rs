//! A transform of our own: the labels that are left out, so that rows which differ in nothing else are summed.
//!
//! Never changes a value.

use super::{LabelRows, RowAnswers, Transform};
use crate::decode::Outcome;

/// Leaves out labels.
#[derive(Debug)]
pub struct Without(Vec<usize>);

impl Without {
    /// Leaves out the labels at these places.
    pub fn new(places: Vec<usize>) -> Self {
        Self(places)
    }
}

impl Transform for Without {
    fn transform(&mut self, rows: &LabelRows, answers: &mut RowAnswers) {
        for row in rows.iter() {
            let kept = row.enumerate().filter(|(place, _)| !self.0.contains(place));
            answers.push(Ok(Outcome::Label), kept.map(|(_, value)| value));
        }
    }
}

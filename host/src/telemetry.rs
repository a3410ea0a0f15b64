//! How the exporter says what it knows of itself: each room tells its own metrics.
//!
//! Never decides what is said.

mod report;

pub use report::{About, Report, about};

/// What has metrics of its own.
pub trait Collect {
    /// Tells every family that it has, those too that have no series now: what is told when nothing has
    /// been done yet is what no config may call its metrics.
    fn collect(&self, report: &mut Report);
}

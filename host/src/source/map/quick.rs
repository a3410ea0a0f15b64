//! The quick ways of reading a map: programs of the exporter's own, which run in the kernel.
//!
//! They promise less than the exact ways, and say what. Each is tried on a map of its own before it is
//! trusted; where it cannot be had, maps are read exactly.

use super::{Target, Walk};
use crate::source::{Reading, Way, Why};

mod copy;
mod elements;
mod harvest;
mod sink;
mod trial;
mod window;

pub use sink::Sink;

use copy::Copy;
use harvest::Harvest;

/// The quickest way that there is for this map, or why there is none.
pub(super) fn best(
    reading: Reading,
    map: &Target,
    sink: Option<&Sink>,
) -> Result<(Way, Box<dyn Walk>), Why> {
    let not_copied = match Copy::new(reading, map, sink.and_then(|sink| sink.copier.as_ref())) {
        Ok(copy) => return Ok((Way::Copy, Box::new(copy))),
        Err(why) if reading == Reading::Pinned(Way::Copy) => return Err(why),
        Err(why) => why,
    };
    match Harvest::new(reading, map, sink.map(|sink| &sink.window)) {
        Ok(harvest) => Ok((Way::Harvest, Box::new(harvest))),
        // Maps of a type that is never harvested are copied or nothing: what keeps them from that is told.
        Err(Why::Type) => Err(not_copied),
        Err(why) => Err(why),
    }
}

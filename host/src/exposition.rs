//! From families to the bytes that a scrape answers with. Never sees a config.

pub(crate) mod sheet;
pub mod text;

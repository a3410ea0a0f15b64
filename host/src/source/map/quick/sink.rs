//! What the quick ways of reading share: one window, one program that copies; they serve all maps in turn.

use std::io;
use std::sync::Arc;

use super::copy::{self, Copier, Places};
use super::window::Window;
use super::{harvest, trial};
use crate::bpf::MapRef;
use crate::source::Reading;

/// The window, and the program that copies into it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sink {
    pub(super) window: Window,
    /// None if no map can be copied.
    pub(super) copier: Option<Arc<Copier>>,
}

impl Sink {
    /// Memory for those of the `maps` that are not read by system calls alone; `None` if there is
    /// none. To be made when the maps are.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the memory.
    pub fn for_maps<'a>(
        maps: impl IntoIterator<Item = &'a MapRef>,
        reading: Reading,
    ) -> io::Result<Option<Self>> {
        let maps: Vec<_> = maps.into_iter().collect();
        let copied = maps.iter().filter(|map| copy::fits(&map.spec, reading));
        let places = trial::places(copied.copied());
        let copies = Some(places.room()).filter(|_| !places.is_empty());
        let rooms = maps.iter().filter(|map| !places.has(map));
        let rooms = rooms.filter_map(|map| harvest::room(&map.spec, reading).ok()).chain(copies);
        let Some(words) = rooms.max() else { return Ok(None) };
        Ok(Some(Self::new(words, places)?))
    }

    fn new(words: usize, places: Places) -> io::Result<Self> {
        let window = Window::new(words)?;
        let copier = if places.is_empty() { None } else { Copier::load(&window, places) };
        Ok(Self { window, copier: copier.map(Arc::new) })
    }
}

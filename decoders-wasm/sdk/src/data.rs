//! Files of the host that the config names, such as a list of pods.
//!
//! The host takes a snapshot of each anew while it runs, and asks a plugin again whose files have
//! changed. Natively (in tests) there is what [`testing`](crate::testing::set_data) was told.
//!
//! ```
//! use ebpf_exporter_plugin::{Data, Decoder, Outcome};
//!
//! /// A line a pod: `UID NAME`.
//! struct Pods {
//!     file: Data,
//!     /// What came of the last version, which is given once.
//!     text: Result<String, String>,
//! }
//!
//! impl Decoder for Pods {
//!     type Settings = ();
//!
//!     fn configure((): ()) -> Result<Self, String> {
//!         Ok(Self { file: Data::required("pods")?, text: Ok(String::new()) })
//!     }
//!
//!     fn decode(&mut self, uid: &[u8]) -> Result<Outcome, String> {
//!         if let Some(bytes) = self.file.changed() {
//!             self.text = String::from_utf8(bytes).map_err(|_| "the list of pods is no text".to_owned());
//!         }
//!         let text = self.text.as_ref().map_err(String::clone)?;
//!         let line = |line: &str| line.split_once(' ').filter(|(of, _)| of.as_bytes() == uid).map(|(_, name)| name.to_owned());
//!         Ok(text.lines().find_map(line).map_or(Outcome::DropFor(10), Outcome::Label))
//!     }
//! }
//!
//! use ebpf_exporter_plugin::testing::{TestDecoder, json, set_data};
//!
//! set_data("pods", b"17 web\n18 db\n");
//! let mut pods = TestDecoder::<Pods>::new(json!(null)).unwrap();
//! pods.check(&[(b"17", "web"), (b"19", "(drop for 10 s)")]);
//! set_data("pods", b"19 cache\n");
//! pods.check(&[(b"19", "cache")]);
//! set_data("pods", b"\xff");
//! pods.check(&[(b"19", "(error: the list of pods is no text)")]);
//! pods.check(&[(b"19", "(error: the list of pods is no text)")]);
//! ```

use std::cell::Cell;

/// A file that the config gives this plugin, and which version of it the plugin has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    name: String,
    known: Option<u64>,
    /// What was read and not handed out yet.
    fresh: Option<Vec<u8>>,
    /// In which call of the host it was last asked for, and what there was to say then beside bytes.
    asked: Option<(u64, Reading)>,
}

thread_local! {
    /// How many calls the host has made.
    static CALL: Cell<u64> = const { Cell::new(0) };
}

/// Notes that the host makes another call.
pub(crate) fn begin_call() {
    CALL.set(CALL.get() + 1);
}

/// What became of a file since the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The config names no such file.
    Unnamed,
    /// The host could not read it yet. Its log says why.
    Unread,
    /// It is as it was.
    Unchanged,
    /// It holds these bytes now, and did not before.
    Changed(Vec<u8>),
}

impl Data {
    /// The file that the config calls so under `data`, if it does.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), known: None, fresh: None, asked: None }
    }

    /// The same, of a file that the plugin is no use without. For `configure`.
    ///
    /// # Errors
    ///
    /// When the config names no such file: a text for `configure` to return. A file that is named and
    /// cannot be read yet is no error, as it may come later.
    pub fn required(name: impl Into<String>) -> Result<Self, String> {
        let mut data = Self::named(name);
        match data.read() {
            Reading::Unnamed => {
                let name = &data.name;
                Err(format!(
                    "it reads data that the config does not name; add `data: {{{name}: {{file: FILE}}}}`"
                ))
            }
            Reading::Changed(bytes) => Ok(Self { fresh: Some(bytes), ..data }),
            Reading::Unread | Reading::Unchanged => Ok(data),
        }
    }

    /// The bytes of the file, if they are others than the last time, or were not asked for yet. The host is
    /// asked once in each of its calls, of up to 1,024 inputs, so this may stand before each answer.
    pub fn changed(&mut self) -> Option<Vec<u8>> {
        match self.read() {
            Reading::Changed(bytes) => Some(bytes),
            Reading::Unnamed | Reading::Unread | Reading::Unchanged => None,
        }
    }

    /// The same, and why there are none.
    pub fn read(&mut self) -> Reading {
        let call = CALL.get();
        let state = match self.asked.take() {
            Some((last, state)) if last == call => state,
            _ => self.ask(),
        };
        self.asked = Some((call, state.clone()));
        self.fresh.take().map_or(state, Reading::Changed)
    }

    /// Asks the host. Bytes are kept to be handed out.
    fn ask(&mut self) -> Reading {
        match host::read(&self.name, self.known) {
            host::Reading::Changed(content) => {
                (self.known, self.fresh) = (Some(content.version), Some(content.bytes));
                Reading::Unchanged
            }
            host::Reading::Unchanged => Reading::Unchanged,
            host::Reading::Unread => Reading::Unread,
            host::Reading::Unnamed => Reading::Unnamed,
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod host {
    pub(super) use crate::bindings::decoder::ebpf_exporter::plugin::data::{Reading, read};
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod host {
    use std::cell::RefCell;
    use std::collections::HashMap;

    pub(crate) use crate::bindings::decoder::ebpf_exporter::plugin::data::{Content, Reading};

    /// A file of a test: its version and its bytes. Without bytes it cannot be read.
    type TestFile = (u64, Option<Vec<u8>>);

    thread_local! {
        /// By their names.
        static FILES: RefCell<HashMap<String, TestFile>> = RefCell::default();
    }

    /// Has the file `name` hold these bytes from now on, or be named only.
    pub(crate) fn set(name: &str, bytes: Option<&[u8]>) {
        super::begin_call();
        FILES.with_borrow_mut(|files| {
            let (version, content) = files.entry(name.to_owned()).or_default();
            let bytes = bytes.map(<[u8]>::to_vec);
            if bytes != *content {
                (*version, *content) = (*version + 1, bytes);
            }
        });
    }

    pub(super) fn read(name: &str, known: Option<u64>) -> Reading {
        FILES.with_borrow(|files| match files.get(name) {
            None => Reading::Unnamed,
            Some((_, None)) => Reading::Unread,
            Some((version, _)) if known == Some(*version) => Reading::Unchanged,
            Some((version, Some(bytes))) => {
                Reading::Changed(Content { version: *version, bytes: bytes.clone() })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{set_data, set_unread_data};

    #[test]
    fn a_file_is_handed_out_once_a_version() {
        let mut pods = Data::named("pods");
        assert_eq!(pods.read(), Reading::Unnamed);
        set_unread_data("pods");
        assert_eq!(pods.read(), Reading::Unread);
        set_data("pods", b"a");
        assert_eq!(pods.changed().as_deref(), Some(&b"a"[..]));
        assert_eq!(pods.changed(), None);
        set_data("pods", b"a");
        assert_eq!(pods.read(), Reading::Unchanged);
        set_data("pods", b"b");
        assert_eq!(pods.changed().as_deref(), Some(&b"b"[..]));
        assert_eq!(pods.changed(), None);
    }

    #[test]
    fn the_host_is_asked_once_in_each_call() {
        set_data("pods", b"a");
        let mut pods = Data::named("pods");
        assert_eq!(pods.changed().as_deref(), Some(&b"a"[..]));
        // The host's copy changes while a call lasts.
        let call = CALL.get();
        set_data("pods", b"b");
        CALL.set(call);
        assert_eq!(pods.read(), Reading::Unchanged);
        begin_call();
        assert_eq!(pods.changed().as_deref(), Some(&b"b"[..]));
        assert_eq!(pods.read(), Reading::Unchanged);
    }

    #[test]
    fn what_was_read_at_the_start_is_handed_out_first() {
        let missing = Data::required("pods").unwrap_err();
        assert_eq!(
            missing,
            "it reads data that the config does not name; add `data: {pods: {file: FILE}}`"
        );
        set_unread_data("pods");
        let mut late = Data::required("pods").unwrap();
        set_data("pods", b"a");
        let mut pods = Data::required("pods").unwrap();
        for data in [&mut late, &mut pods] {
            assert_eq!(data.changed().as_deref(), Some(&b"a"[..]));
            assert_eq!(data.changed(), None);
        }
        let mut older = Data::required("pods").unwrap();
        set_data("pods", b"b");
        assert_eq!(older.changed().as_deref(), Some(&b"b"[..]));
        assert_eq!(older.changed(), None);
    }
}

//! Write a plugin for ebpf_wasm_exporter: a decoder or a label transform, as a Wasm component.
//!
//! `ebpf_wasm_exporter plugin new NAME --lang rust --world decoder` begins one, with all that is here.
//!
//! # A decoder, from nothing to a label
//!
//! A *decoder* turns the bytes of a map's key into a label's text. Say that keys hold a queue's
//! number, one byte, and that the config is to name the queues.
//!
//! **1.** A library crate of two kinds: `cdylib` becomes the component, `rlib` lets `cargo test`
//! run without Wasm.
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]
//!
//! [dependencies]
//! ebpf-exporter-plugin = { git = "https://github.com/ebpf-wasm-exporter/ebpf_wasm_exporter" }
//! serde = { version = "1", features = ["derive"] }
//! ```
//!
//! **2.** The decoder, and at the end a table that tests it. This runs as it stands:
//!
//! ```
//! use ebpf_exporter_plugin::{Decoder, Outcome, export_decoder};
//!
//! /// The config's `settings`. What is not listed here is refused with a message.
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     queues: Vec<String>,
//! }
//!
//! struct Queue(Settings);
//!
//! impl Decoder for Queue {
//!     type Settings = Settings;
//!
//!     fn configure(settings: Settings) -> Result<Self, String> {
//!         Ok(Self(settings))
//!     }
//!
//!     fn decode(&mut self, input: &[u8]) -> Result<Outcome, String> {
//!         let &[number] = input else { return Err("a queue has one byte".into()) };
//!         let name = self.0.queues.get(usize::from(number)).ok_or("no such queue")?;
//!         Ok(Outcome::label(name))
//!     }
//! }
//!
//! export_decoder!(Queue);
//!
//! // In a #[test]:
//! use ebpf_exporter_plugin::testing::{TestDecoder, json};
//!
//! let settings = json!({"queues": ["rx", "tx"]});
//! TestDecoder::<Queue>::new(settings).unwrap().check(&[
//!     (&[0], "rx"),
//!     (&[1], "tx"),
//!     (&[2], "(error: no such queue)"),
//!     (b"??", "(error: a queue has one byte)"),
//! ]);
//! ```
//!
//! **3.** Build it for `wasm32-unknown-unknown`, and make the core module a component, which also
//! checks it against the contract. The component says what `Cargo.toml` says of the crate, and
//! which settings it takes if [`export_decoder!`] is given their schema:
//!
//! ```text
//! rustup target add wasm32-unknown-unknown
//! cargo build --release --target wasm32-unknown-unknown
//! ebpf_wasm_exporter plugin componentize target/wasm32-unknown-unknown/release/queue.wasm queue.wasm
//! ```
//!
//! **4.** Put `queue.wasm` beside the config, and name it there:
//!
//! ```yaml
//! plugins:
//!   queue: {file: queue.wasm, settings: {queues: [rx, tx]}}
//! metrics:
//!   counters:
//!     - name: packets_total
//!       help: Packets by queue
//!       labels:
//!         - name: queue
//!           size: 1
//!           decoders: [{name: wasm, plugin: queue}]
//! ```
//!
//! # A transform
//!
//! A *transform* sees a row's labels after all decoders, and returns others: it renames, adds,
//! merges, redacts or drops. The names of the labels are agreed once, in [`Transform::configure`]
//! and [`Transform::names`]; rows carry values by position. Rows that leave with equal labels are
//! summed by the host.
//!
//! ```
//! use ebpf_exporter_plugin::{Labels, Metric, RowOutcome, Transform, export_transform};
//!
//! #[derive(serde::Deserialize)]
//! struct Settings {
//!     from: String,
//! }
//!
//! /// Keeps the first directory of a path, and counts paths outside /usr as one.
//! struct TopDirectory {
//!     names: Vec<String>,
//!     path: usize,
//! }
//!
//! impl Transform for TopDirectory {
//!     type Settings = Settings;
//!
//!     fn configure(settings: Settings, metric: &Metric) -> Result<Self, String> {
//!         let path = metric.position(&settings.from)?;
//!         Ok(Self { names: metric.labels.clone(), path })
//!     }
//!
//!     fn names(&self) -> Vec<String> {
//!         self.names.clone()
//!     }
//!
//!     fn transform(&mut self, row: &[&str], out: &mut Labels) -> Result<RowOutcome, String> {
//!         for (i, &value) in row.iter().enumerate() {
//!             let changed = if value.starts_with("/usr/") { "/usr" } else { "elsewhere" };
//!             out.push(if i == self.path { changed } else { value });
//!         }
//!         Ok(RowOutcome::Labels)
//!     }
//! }
//!
//! export_transform!(TopDirectory);
//!
//! use ebpf_exporter_plugin::testing::{TestTransform, json};
//!
//! let settings = json!({"from": "file"});
//! TestTransform::<TopDirectory>::new(settings, &["device", "file"]).unwrap().check(&[
//!     (&["sda", "/usr/bin/true"], r#"{device="sda", file="/usr"}"#),
//!     (&["sda", "/root/.netrc"], r#"{device="sda", file="elsewhere"}"#),
//! ]);
//! ```
//!
//! # What to know
//!
//! - **Answers are remembered.** The host asks once for each new key, not at every scrape, so an
//!   answer must depend on the input, the settings and [`data`] only. One that may change is
//!   [`Outcome::LabelFor`] so many seconds.
//! - **No way out.** A plugin has no files, no network, no clock and no randomness: only its
//!   settings, [`data`] and [`log`]. The host can fill a setting from a file (`key: {file: NAME}`),
//!   once; a file that changes is [`data`].
//! - **Bounded.** Memory and time have limits in the config. A panic costs the plugin's own labels
//!   only: its message is logged, and the host goes on with a new instance.
//! - The exact contract, with all bounds, is in `wit/0.1.0` of this crate.

extern crate self as ebpf_exporter_plugin;

mod bindings;
pub mod data;
mod decoder;
mod export;
pub mod log;
pub mod testing;
mod transform;

pub use data::Data;
pub use decoder::{Decoder, Outcome};
#[doc(hidden)]
pub use export::__private;
pub use transform::{Kind, Labels, Metric, RowOutcome, Transform};

/// Has the README's example compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! The macros that make a type the plugin of a component, and what they expand to.
//!
//! Never holds logic of its own: a component does what the native tests saw.

/// Makes a [`Decoder`](crate::Decoder) the plugin of this crate's component. Once in a crate;
/// gives no code unless built for Wasm.
///
/// The component says what the crate's `Cargo.toml` says of it: name, version, description, authors,
/// license, repository and homepage. With a JSON Schema it says which settings it takes too, so that
/// the host can tell who writes a config what is misspelt, and on which line:
///
/// ```
/// # use ebpf_exporter_plugin::{Decoder, Outcome, export_decoder};
/// # struct Queue;
/// # impl Decoder for Queue {
/// #     type Settings = ();
/// #     fn configure((): ()) -> Result<Self, String> { Ok(Self) }
/// #     fn decode(&mut self, _: &[u8]) -> Result<Outcome, String> { Ok(Outcome::Drop) }
/// # }
/// /// In a crate it is a file: `include_str!("../settings.schema.json")`.
/// const SETTINGS: &str = r#"{
///     "type": "object",
///     "properties": {"queues": {"type": "array", "items": {"type": "string"}}},
///     "required": ["queues"],
///     "additionalProperties": false
/// }"#;
///
/// export_decoder!(Queue, settings = SETTINGS);
/// ```
///
/// [`testing::check_schema`](crate::testing::check_schema) holds it against the type of the settings.
#[macro_export]
macro_rules! export_decoder {
    ($decoder:ty) => {
        $crate::export_decoder!($decoder, settings = "");
    };
    ($decoder:ty, settings = $schema:expr $(,)?) => {
        $crate::__say!($schema);

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::__private::decoder as bindings;

            ::std::thread_local! {
                static PLUGIN: $crate::__private::Slot<$decoder> =
                    const { $crate::__private::Slot::new(None) };
            }

            struct Plugin;

            impl bindings::exports::ebpf_exporter::plugin::decoding::Guest for Plugin {
                fn configure(settings: String) -> Result<(), String> {
                    PLUGIN.with(|slot| $crate::__private::configure_decoder(slot, &settings))
                }

                fn decode(
                    inputs: bindings::exports::ebpf_exporter::plugin::decoding::Batch,
                ) -> Vec<bindings::exports::ebpf_exporter::plugin::decoding::Outcome> {
                    PLUGIN.with(|slot| $crate::__private::decode(slot, &inputs))
                }
            }

    bindings::__export_decoder_world!(Plugin with_types_in bindings);
        };
    };
}

/// Makes a [`Transform`](crate::Transform) the plugin of this crate's component. Once in a crate;
/// gives no code unless built for Wasm. What the component says of itself, and `settings = …`, is as
/// with [`export_decoder!`](crate::export_decoder).
#[macro_export]
macro_rules! export_transform {
    ($transform:ty) => {
        $crate::export_transform!($transform, settings = "");
    };
    ($transform:ty, settings = $schema:expr $(,)?) => {
        $crate::__say!($schema);

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::__private::transform as bindings;

            ::std::thread_local! {
                static PLUGIN: $crate::__private::Slot<$crate::__private::Agreed<$transform>> =
                    const { $crate::__private::Slot::new(None) };
            }

            struct Plugin;

            impl bindings::exports::ebpf_exporter::plugin::transforming::Guest for Plugin {
                fn configure(
                    settings: String,
                    metric: bindings::exports::ebpf_exporter::plugin::transforming::Metric,
                ) -> Result<Vec<String>, String> {
                    PLUGIN.with(|slot| {
                        $crate::__private::configure_transform(slot, &settings, metric)
                    })
                }

                fn transform(
                    rows: bindings::exports::ebpf_exporter::plugin::transforming::Rows,
                ) -> bindings::exports::ebpf_exporter::plugin::transforming::Answers {
                    PLUGIN.with(|slot| $crate::__private::transform(slot, &rows))
                }
            }

    bindings::__export_transform_world!(Plugin with_types_in bindings);
        };
    };
}

/// Puts what a crate says of itself, and the schema, into custom sections of its module, from where
/// `componentize` takes them to those of the component. An empty text says nothing.
#[doc(hidden)]
#[macro_export]
macro_rules! __say {
    ($schema:expr) => {
        // Looked at natively too, so that a file that is not there is found by `cargo check`.
        const _: &str = $schema;

        #[cfg(target_arch = "wasm32")]
        $crate::__say! {
            "ebpf-exporter:name" = $crate::__private::said(option_env!("CARGO_PKG_NAME")),
            "ebpf-exporter:version" = $crate::__private::said(option_env!("CARGO_PKG_VERSION")),
            "ebpf-exporter:description" = $crate::__private::said(option_env!("CARGO_PKG_DESCRIPTION")),
            "ebpf-exporter:authors" = $crate::__private::said(option_env!("CARGO_PKG_AUTHORS")),
            "ebpf-exporter:licenses" = $crate::__private::said(option_env!("CARGO_PKG_LICENSE")),
            "ebpf-exporter:source" = $crate::__private::said(option_env!("CARGO_PKG_REPOSITORY")),
            "ebpf-exporter:homepage" = $crate::__private::said(option_env!("CARGO_PKG_HOMEPAGE")),
            "ebpf-exporter:settings" = $schema,
        }
    };
    ($($section:tt = $text:expr),* $(,)?) => {
        $(const _: () = {
            const TEXT: &str = $text;

            #[unsafe(link_section = $section)]
            pub static SAID: [u8; TEXT.len()] = $crate::__private::bytes(TEXT);
        };)*
    };
}

/// What the macros expand to. No part of the crate's interface.
#[doc(hidden)]
#[allow(missing_docs)]
pub mod __private {
    use std::cell::RefCell;

    pub use wit_bindgen::rt;

    pub use crate::bindings::{decoder, transform};
    pub use crate::transform::Agreed;
    use crate::{Decoder, Kind, Metric, Outcome, RowOutcome, Transform};
    use decoder::exports::ebpf_exporter::plugin::decoding;
    use transform::exports::ebpf_exporter::plugin::transforming;

    /// What Cargo says, if it is Cargo that builds.
    pub const fn said(text: Option<&'static str>) -> &'static str {
        match text {
            Some(text) => text,
            None => "",
        }
    }

    /// All bytes of a text, which has `N`.
    pub const fn bytes<const N: usize>(text: &str) -> [u8; N] {
        match text.as_bytes().first_chunk() {
            Some(bytes) => *bytes,
            None => panic!("a text has as many bytes as it says"),
        }
    }

    /// The one plugin of a component, once it is configured.
    pub type Slot<T> = RefCell<Option<T>>;

    pub fn configure_decoder<D: Decoder>(slot: &Slot<D>, settings: &str) -> Result<(), String> {
        log_panics();
        crate::data::begin_call();
        let decoder = D::configure(crate::decoder::settings(settings)?)?;
        slot.replace(Some(decoder));
        Ok(())
    }

    pub fn decode<D: Decoder>(slot: &Slot<D>, batch: &decoding::Batch) -> Vec<decoding::Outcome> {
        crate::data::begin_call();
        let mut slot = slot.borrow_mut();
        let decoder = slot.as_mut().expect("decode was called before configure");
        crate::decoder::inputs(&batch.bytes, &batch.ends)
            .map(|input| match decoder.decode(input) {
                Ok(Outcome::Label(text)) => decoding::Outcome::Label(text),
                Ok(Outcome::LabelFor(text, s)) => decoding::Outcome::LabelFor((text, s)),
                Ok(Outcome::Drop) => decoding::Outcome::Drop,
                Ok(Outcome::DropFor(s)) => decoding::Outcome::DropFor(s),
                Err(why) => decoding::Outcome::Error(why),
            })
            .collect()
    }

    pub fn configure_transform<T: Transform>(
        slot: &Slot<Agreed<T>>,
        settings: &str,
        metric: transforming::Metric,
    ) -> Result<Vec<String>, String> {
        log_panics();
        crate::data::begin_call();
        let kind = match metric.kind {
            transforming::Kind::Counter => Kind::Counter,
            transforming::Kind::Gauge => Kind::Gauge,
            transforming::Kind::Histogram => Kind::Histogram,
        };
        let metric = Metric { name: metric.name, kind, labels: metric.labels };
        let (agreed, names) = Agreed::configure(settings, &metric)?;
        slot.replace(Some(agreed));
        Ok(names)
    }

    pub fn transform<T: Transform>(
        slot: &Slot<Agreed<T>>,
        rows: &transforming::Rows,
    ) -> transforming::Answers {
        crate::data::begin_call();
        let mut slot = slot.borrow_mut();
        let agreed = slot.as_mut().expect("transform was called before configure");
        let count = rows.count as usize;
        let mut outcomes = Vec::with_capacity(count);
        let out = agreed.rows(count, &rows.values.text, &rows.values.ends, |answer| {
            outcomes.push(match answer {
                Ok(RowOutcome::Labels) => transforming::RowOutcome::Labels,
                Ok(RowOutcome::LabelsFor(s)) => transforming::RowOutcome::LabelsFor(s),
                Ok(RowOutcome::Drop) => transforming::RowOutcome::Drop,
                Ok(RowOutcome::DropFor(s)) => transforming::RowOutcome::DropFor(s),
                Err(why) => transforming::RowOutcome::Error(why),
            });
        });
        let (text, ends) = out.into_parts();
        transforming::Answers { outcomes, values: transforming::Values { text, ends } }
    }

    /// A panic reaches the host as a bare trap; its message would be lost.
    fn log_panics() {
        std::panic::set_hook(Box::new(|panic| crate::log::error(&panic.to_string())));
    }
}

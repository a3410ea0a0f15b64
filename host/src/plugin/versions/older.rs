//! 0.0.1, a version of the contract that never was: its guests are called as those of the newest, and answer the same.

use wasmtime::Store;
use wasmtime::component::{HasSelf, InstancePre, Linker};

use super::{DecoderGuest, TransformGuest, TransformStart};
use crate::plugin::bindings::decoder::{Batch, Outcome};
use crate::plugin::bindings::log as newest;
use crate::plugin::bindings::transform::{Answers, RowOutcome, Rows, ValuesParam, ValuesResult};
use crate::plugin::instance::{Start, State};

mod decoders {
    wasmtime::component::bindgen!({ path: "tests/guests/0.0.1", world: "decoder" });
}

mod transforms {
    wasmtime::component::bindgen!({
        path: "tests/guests/0.0.1",
        world: "transform",
        with: { "ebpf-exporter:plugin/log@0.0.1": super::decoders::ebpf_exporter::plugin::log },
    });
}

use decoders::ebpf_exporter::plugin::log;

pub(super) fn give(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    log::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

impl log::Host for State {
    fn log(&mut self, message: String) {
        newest::Host::log(self, newest::Level::Info, message);
    }
}

pub(super) fn decoder(pre: InstancePre<State>) -> wasmtime::Result<Start<Box<dyn DecoderGuest>>> {
    let pre = decoders::DecoderPre::new(pre)?;
    Ok(Box::new(move |store, settings| {
        let guest = pre.instantiate(&mut *store)?;
        let answer = guest.ebpf_exporter_plugin_decoding().call_configure(store, settings)?;
        Ok(answer.map(|()| Box::new(guest) as Box<dyn DecoderGuest>))
    }))
}

impl DecoderGuest for decoders::Decoder {
    fn decode(
        &self,
        store: &mut Store<State>,
        inputs: Batch<'_>,
    ) -> wasmtime::Result<Vec<Outcome>> {
        let inputs: Vec<_> = pieces(inputs.bytes, inputs.ends).map(<[u8]>::to_vec).collect();
        let answers = self.ebpf_exporter_plugin_decoding().call_decode(store, &inputs)?;
        let outcome = |answer| match answer {
            Ok(Some(text)) => Outcome::Label(text),
            Ok(None) => Outcome::Drop,
            Err(text) => Outcome::Error(text),
        };
        Ok(answers.into_iter().map(outcome).collect())
    }
}

pub(super) fn transform(pre: InstancePre<State>) -> wasmtime::Result<TransformStart> {
    let pre = transforms::TransformPre::new(pre)?;
    Ok(Box::new(move |store, settings, metric| {
        let labels: Vec<_> = metric.labels.iter().map(|label| (*label).to_owned()).collect();
        let guest = pre.instantiate(&mut *store)?;
        let interface = guest.ebpf_exporter_plugin_transforming();
        let answer = interface.call_configure(store, settings, &labels)?;
        Ok(answer.map(|names| {
            let guest = Named { guest, width: labels.len() };
            (Box::new(guest) as Box<dyn TransformGuest>, names)
        }))
    }))
}

/// A transform, and how many labels its rows come with, which rows of the newest version do not say.
struct Named {
    guest: transforms::Transform,
    width: usize,
}

impl TransformGuest for Named {
    fn transform(&self, store: &mut Store<State>, rows: Rows<'_>) -> wasmtime::Result<Answers> {
        let ValuesParam { text, ends } = rows.values;
        let owned = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let mut values = pieces(text.as_bytes(), ends).map(owned);
        let row = |_| values.by_ref().take(self.width).collect::<Vec<_>>();
        let rows: Vec<_> = (0..rows.count).map(row).collect();
        let answers =
            self.guest.ebpf_exporter_plugin_transforming().call_transform(store, &rows)?;
        let mut values = ValuesResult { text: String::new(), ends: Vec::new() };
        let outcomes = answers.into_iter().map(|answer| match answer {
            None => RowOutcome::Drop,
            Some(labels) => {
                for label in labels {
                    values.text.push_str(&label);
                    values.ends.push(u32::try_from(values.text.len()).unwrap_or(u32::MAX));
                }
                RowOutcome::Labels
            }
        });
        Ok(Answers { outcomes: outcomes.collect(), values })
    }
}

/// What lies end to end.
fn pieces<'a>(bytes: &'a [u8], ends: &'a [u32]) -> impl Iterator<Item = &'a [u8]> {
    ends.iter().scan(0, |start, end| {
        let piece = &bytes[*start..*end as usize];
        *start = *end as usize;
        Some(piece)
    })
}

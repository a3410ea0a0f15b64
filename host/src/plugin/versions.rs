//! The versions of the contract that this host takes: a guest of each is called as one of the newest.
//!
//! What an older version says in other words is put into the newest's here, and nowhere else. Nothing is bounded or
//! checked here: who calls does that, for all versions alike.

use wasmtime::component::{HasSelf, InstancePre, Linker};
use wasmtime::{Store, StoreContextMut};

use super::bindings::decoder::{Batch, Decoder, DecoderPre, Outcome};
use super::bindings::log;
use super::bindings::transform::{Answers, Metric, Rows, Transform, TransformPre};
use super::inspect::data_interface;
use super::instance::{Failure, Start, State};

#[cfg(test)]
mod older;

/// An instance of a decoder.
pub(super) trait DecoderGuest: Send {
    /// One call of `decode`.
    fn decode(&self, store: &mut Store<State>, inputs: Batch<'_>)
    -> wasmtime::Result<Vec<Outcome>>;
}

/// An instance of a transform.
pub(super) trait TransformGuest: Send {
    /// One call of `transform`.
    fn transform(&self, store: &mut Store<State>, rows: Rows<'_>) -> wasmtime::Result<Answers>;
}

/// Makes an instance of a transform and configures it, which gives the labels that it agrees to, or its own error.
pub(super) type TransformStart = Box<dyn Fn(&mut Store<State>, &str, Metric<'_>) -> Agreed + Send>;
type Agreed = Result<Result<(Box<dyn TransformGuest>, Vec<String>), String>, Failure>;

/// A version of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// The newest.
    V0_1_0,
    /// One that never was, which shows that there can be others.
    #[cfg(test)]
    V0_0_1,
}

impl Version {
    /// The version that a component was found to be built for; the newest if it is none that is known, which does
    /// not come this far.
    pub(super) fn named(text: &str) -> Self {
        match text {
            #[cfg(test)]
            "0.0.1" => Self::V0_0_1,
            _ => Self::V0_1_0,
        }
    }

    /// Defines what the contract gives.
    pub(super) fn give(self, linker: &mut Linker<State>) -> wasmtime::Result<()> {
        match self {
            Self::V0_1_0 => {
                log::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
                give_data(linker)
            }
            #[cfg(test)]
            Self::V0_0_1 => older::give(linker),
        }
    }

    /// What makes instances of a decoder and configures them.
    pub(super) fn decoder(
        self,
        pre: InstancePre<State>,
    ) -> wasmtime::Result<Start<Box<dyn DecoderGuest>>> {
        match self {
            Self::V0_1_0 => decoder(pre),
            #[cfg(test)]
            Self::V0_0_1 => older::decoder(pre),
        }
    }

    /// What makes instances of a transform and configures them.
    pub(super) fn transform(self, pre: InstancePre<State>) -> wasmtime::Result<TransformStart> {
        match self {
            Self::V0_1_0 => transform(pre),
            #[cfg(test)]
            Self::V0_0_1 => older::transform(pre),
        }
    }
}

/// Defines what reads files of the host.
fn give_data(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(&data_interface())?.func_wrap(
        "read",
        |mut store: StoreContextMut<'_, State>, (name, known): (String, Option<u64>)| {
            Ok((store.data_mut().read(&name, known),))
        },
    )
}

fn decoder(pre: InstancePre<State>) -> wasmtime::Result<Start<Box<dyn DecoderGuest>>> {
    let pre = DecoderPre::new(pre)?;
    Ok(Box::new(move |store, settings| {
        let guest = pre.instantiate(&mut *store)?;
        let answer = guest.ebpf_exporter_plugin_decoding().call_configure(store, settings)?;
        Ok(answer.map(|()| Box::new(guest) as Box<dyn DecoderGuest>))
    }))
}

fn transform(pre: InstancePre<State>) -> wasmtime::Result<TransformStart> {
    let pre = TransformPre::new(pre)?;
    Ok(Box::new(move |store, settings, metric| {
        let guest = pre.instantiate(&mut *store)?;
        let interface = guest.ebpf_exporter_plugin_transforming();
        let answer = interface.call_configure(store, settings, metric)?;
        Ok(answer.map(|names| (Box::new(guest) as Box<dyn TransformGuest>, names)))
    }))
}

impl DecoderGuest for Decoder {
    fn decode(
        &self,
        store: &mut Store<State>,
        inputs: Batch<'_>,
    ) -> wasmtime::Result<Vec<Outcome>> {
        self.ebpf_exporter_plugin_decoding().call_decode(store, inputs)
    }
}

impl TransformGuest for Transform {
    fn transform(&self, store: &mut Store<State>, rows: Rows<'_>) -> wasmtime::Result<Answers> {
        self.ebpf_exporter_plugin_transforming().call_transform(store, rows)
    }
}

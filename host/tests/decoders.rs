//! Properties that hold for every built-in decoder, whatever bytes a key has.

use std::net::IpAddr;
use std::sync::LazyLock;

use ebpf_wasm_exporter::decode::builtin::{ALL, Builtin, DecoderSettings, Room, Sizes, find};
use ebpf_wasm_exporter::decode::{Chain, Decoder, Decodings, OnError, Outcome, Step};
use ebpf_wasm_exporter::system::System;
use proptest::prelude::*;

/// This host, its tables read once for all cases.
static SYSTEM: LazyLock<System> = LazyLock::new(System::default);

/// Settings in which each decoder finds what it needs.
static SETTINGS: LazyLock<DecoderSettings> = LazyLock::new(|| DecoderSettings {
    static_map: vec![("1".to_owned(), "read".to_owned())],
    regexps: vec!["^[0-9]+$".to_owned(), "a(.)c".to_owned(), "^[^x]+$".to_owned()],
    allow_unknown: false,
    ..DecoderSettings::default()
});

fn build(builtin: &Builtin) -> Box<dyn Decoder> {
    // Room for patterns of its own: there are many of each here.
    let settings = DecoderSettings { room: Room::default(), ..SETTINGS.clone() };
    let spec = find(builtin.name).and_then(|builtin| builtin.with(&settings).ok());
    spec.expect("the settings fit").decoder(&SYSTEM)
}

fn label(name: &str, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let outcome = build(find(name).expect("a built-in decoder")).decode(input, &mut out);
    assert_eq!(outcome, Ok(Outcome::Label), "{name}");
    out
}

/// Bytes as keys have them: any, short text, numbers in text, one repeated.
fn input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        "[a-z0-9./-]{0,20}".prop_map(String::into_bytes),
        any::<u64>().prop_map(|number| number.to_string().into_bytes()),
        (0_u64..600).prop_map(|number| number.to_string().into_bytes()),
        (any::<u8>(), 0..300_usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn on_error() -> impl Strategy<Value = OnError> {
    prop_oneof![Just(OnError::default()), Just(OnError::Drop), Just(OnError::Raw)]
}

proptest! {
    /// An error is one line that can be shown, and the same bytes decode to the same twice.
    #[test]
    fn no_bytes_are_too_much_for_a_decoder(input in input()) {
        for builtin in ALL {
            let mut decoder = build(builtin);
            let (mut first, mut second) = (Vec::new(), Vec::new());
            let outcome = decoder.decode(&input, &mut first);
            prop_assert_eq!(&outcome, &decoder.decode(&input, &mut second), "{}", builtin.name);
            match outcome {
                Ok(_) => prop_assert_eq!(first, second, "{}", builtin.name),
                Err(error) => {
                    let text = error.to_string();
                    prop_assert!(!text.is_empty() && !text.contains('\n') && !text.ends_with('.'));
                }
            }
        }
    }

    /// A decoder that says which sizes it takes answers to all of these.
    #[test]
    fn sizes_that_are_taken_are_answered(bytes in prop::collection::vec(any::<u8>(), 64)) {
        for builtin in ALL {
            let sizes: Vec<usize> = match builtin.sizes {
                Sizes::Any => continue,
                Sizes::OneOf(sizes) => sizes.to_vec(),
                Sizes::AtLeast(least) => (least..=least + 8).collect(),
                Sizes::MultipleOf(size) => (1..=64 / size).map(|count| count * size).collect(),
            };
            for size in sizes {
                let answer = build(builtin).decode(&bytes[..size], &mut Vec::new());
                let label = answer.as_ref().is_ok_and(|outcome| !outcome.leaves_out());
                prop_assert!(label, "{} of {} bytes: {:?}", builtin.name, size, answer);
            }
        }
    }

    /// A chain comes to an end that one of its steps, or the failing one's `on_error`, allows.
    #[test]
    fn no_bytes_are_too_much_for_a_chain(
        steps in prop::collection::vec(0..ALL.len(), 1..5),
        on_error in on_error(),
        inputs in prop::collection::vec(input(), 1..4),
    ) {
        let step = |&index: &usize| Step {
            name: ALL[index].name,
            decoder: build(&ALL[index]),
            on_error: on_error.clone(),
        };
        let mut chain = Chain::new(steps.iter().map(step).collect());
        let together = Decodings::of(&mut chain, inputs.iter().map(Vec::as_slice));
        for (input, decoded) in inputs.iter().zip(together.iter()) {
            if decoded.error.is_some() {
                let dropped = decoded.outcome.leaves_out();
                prop_assert_eq!(dropped, on_error == OnError::Drop);
                if let OnError::Label(text) = &on_error {
                    prop_assert_eq!(decoded.text, text.as_bytes());
                }
            } else if decoded.outcome.leaves_out() {
                prop_assert!(steps.iter().any(|&index| ALL[index].name == "regexp"));
            }
            let alone = Decodings::of(&mut chain, [input.as_slice()]);
            prop_assert_eq!(decoded.outcome, alone.get(0).outcome);
            prop_assert_eq!(decoded.text, alone.get(0).text);
            prop_assert_eq!(decoded.error, alone.get(0).error);
        }
    }

    #[test]
    fn numbers_read_back(number in any::<u64>()) {
        let text = String::from_utf8(label("uint", &number.to_ne_bytes())).unwrap();
        prop_assert_eq!(text.parse(), Ok(number));
        let text = String::from_utf8(label("uint", &(number as u16).to_ne_bytes())).unwrap();
        prop_assert_eq!(text.parse(), Ok(number as u16));
    }

    #[test]
    fn addresses_read_back(v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>()) {
        let text = |bytes| String::from_utf8(label("inet_ip", bytes)).unwrap();
        prop_assert_eq!(text(&v4).parse(), Ok(IpAddr::from(v4)));
        prop_assert_eq!(text(&v6).parse(), Ok(IpAddr::from(v6).to_canonical()));
    }

    #[test]
    fn hex_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let text = String::from_utf8(label("hex", &bytes)).unwrap();
        let back = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16));
        prop_assert_eq!(back.collect::<Result<Vec<_>, _>>(), Ok(bytes));
    }

    /// What `dname` writes is what was put into wire format.
    #[test]
    fn names_read_back(labels in prop::collection::vec("[a-z0-9-]{1,63}", 0..5), end in any::<bool>()) {
        let mut wire = Vec::new();
        for label in &labels {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label.as_bytes());
        }
        if end {
            wire.push(0);
        }
        let name = if labels.is_empty() { ".".to_owned() } else { labels.join(".") };
        prop_assert_eq!(label("dname", &wire), name.into_bytes());
    }
}

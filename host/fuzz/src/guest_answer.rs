//! What a guest answers, through a component that answers what it is given: its settings are the memory of its
//! answer to `configure`, what it is asked is the memory of its answer to that.
//!
//! ```text
//! u8 n: a decoder if it is even, else a transform, and how many inputs or rows
//! u8 n, then n bytes: the result of `configure`, from CONFIGURED on
//! then the result of `decode`, or of `transform`, from ANSWERED on
//! ```
//!
//! Addresses are those of the guest: see its text below.

use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use ebpf_wasm_exporter::advice::Advise;
use ebpf_wasm_exporter::config::name::LabelName;
use ebpf_wasm_exporter::decode::{Answers, Batch, Outcome};
use ebpf_wasm_exporter::plugin::{Compiler, Limits, Loader, MetricShape, Plugin, Request};
use ebpf_wasm_exporter::transform::{LabelRows, RowAnswers};

use crate::{exporter, text};

/// Bytes of the longest label that a guest may give.
const LONGEST_LABEL: usize = 16_384;
/// Inputs of a call, or rows.
const MOST_INPUTS: u8 = 8;

/// What both guests have. `$unfold` makes bytes of letters: each letter has four bits, from `@` on, so that they
/// may stand in a text.
const MEMORY: &str = concat!(
    include_str!("../../tests/guests/memory.wat"),
    r#"
(func $unfold (param $text i32) (param $size i32) (param $to i32)
  (local $n i32)
  (block $done (loop $next
    (br_if $done (i32.ge_u (i32.add (local.get $n) (i32.const 1)) (local.get $size)))
    (i32.store8 (i32.add (local.get $to) (i32.shr_u (local.get $n) (i32.const 1)))
      (i32.or
        (i32.shl (i32.and (i32.load8_u (i32.add (local.get $text) (local.get $n))) (i32.const 15)) (i32.const 4))
        (i32.and (i32.load8_u offset=1 (i32.add (local.get $text) (local.get $n))) (i32.const 15))))
    (local.set $n (i32.add (local.get $n) (i32.const 2)))
    (br $next))))
"#
);
/// Answers from 98304, CONFIGURED, and from 65536, ANSWERED.
const DECODER: &str = r#"
(func (export "configure") (param $text i32) (param $size i32) (result i32)
  (call $unfold (local.get $text) (local.get $size) (i32.const 98304))
  (call $reset) (i32.const 98304))
(func (export "decode") (param $text i32) (param $size i32) (param i32 i32) (result i32)
  (call $unfold (local.get $text) (local.get $size) (i32.const 65536))
  (call $reset) (i32.const 65536))
"#;
const TRANSFORM: &str = r#"
(func (export "configure") (param $text i32) (param $size i32) (param i32 i32 i32 i32 i32) (result i32)
  (call $unfold (local.get $text) (local.get $size) (i32.const 98304))
  (call $reset) (i32.const 98304))
(func (export "transform") (param i32) (param $text i32) (param $size i32) (param i32 i32) (result i32)
  (call $unfold (local.get $text) (local.get $size) (i32.const 65536))
  (call $reset) (i32.const 65536))
"#;

static GUESTS: LazyLock<[Bytes; 2]> = LazyLock::new(|| {
    let component = |frame: &str, module: &str| {
        let module = format!("(core module $guest\n{MEMORY}\n{module})");
        let text = frame.replace(";; MODULE", &module);
        Bytes::from(wat::parse_str(text).expect("a component"))
    };
    [
        component(include_str!("../../tests/guests/decoder.wat"), DECODER),
        component(include_str!("../../tests/guests/transform.wat"), TRANSFORM),
    ]
});

/// One for all inputs: each of the guests is compiled once.
static LOADER: LazyLock<Mutex<Loader>> = LazyLock::new(|| {
    let program =
        exporter().expect("EXPORTER names no exporter, and none was built with this program");
    Mutex::new(Loader::new(Compiler::program(program), None))
});

/// Takes in what a guest answers.
pub fn guest_answer(data: &[u8]) {
    let [kind, size, rest @ ..] = data else { return };
    let Some((settings, answer)) = rest.split_at_checked(usize::from(*size)) else { return };
    let (settings, answer) = (folded(settings), folded(answer));
    let count = (kind >> 1) % MOST_INPUTS + 1;
    if kind.is_multiple_of(2) {
        decoder(&settings, &answer, count.into());
    } else {
        transform(&settings, &answer, count.into());
    }
}

/// Bytes as letters of four bits each.
fn folded(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|bits| char::from(b'@' + bits))
        .collect()
}

/// A plugin of its own for each input: what one has done wrong is not remembered of the next.
fn loaded(guest: usize, settings: &str) -> Plugin {
    let request = Request {
        config: "config",
        name: "guest",
        file: Path::new("guest.wasm"),
        places: &[],
        held: Some(&GUESTS[guest]),
        pin: None,
        settings,
        data: &[],
        limits: Limits::default(),
    };
    let mut loader = LOADER.lock().unwrap_or_else(PoisonError::into_inner);
    loader.load(&request).expect("a plugin that loads")
}

fn decoder(settings: &str, answer: &str, count: usize) {
    let mut decoder = match loaded(0, settings).decoder() {
        Ok(decoder) => decoder,
        Err(error) => return text::one_line(&error.advice().to_string()),
    };
    let (mut inputs, mut answers) = (Batch::default(), Answers::default());
    pieces(answer, count).for_each(|piece| inputs.push(piece.as_bytes()));
    decoder.decode_batch(&inputs, &mut answers);
    assert_eq!(answers.len(), inputs.len());
    for (label, outcome) in answers.iter() {
        std::str::from_utf8(label).expect("a label of text");
        assert!(label.len() <= LONGEST_LABEL, "a label of {} bytes", label.len());
        match outcome {
            Ok(Outcome::Label | Outcome::LabelFor(_)) => {}
            Ok(outcome) => {
                assert!(outcome.leaves_out() && label.is_empty(), "a text of what is left out")
            }
            Err(error) => text::one_line(&error.to_string()),
        }
    }
}

fn transform(settings: &str, answer: &str, count: usize) {
    let labels = ["a", "b"].map(|name| LabelName::new(name).expect("a name")).into();
    let metric = MetricShape { name: "m_total".to_owned(), histogram: false, labels };
    let (mut transform, labels) = match loaded(1, settings).transform(metric) {
        Ok(agreed) => agreed,
        Err(error) => return text::one_line(&error.advice().to_string()),
    };
    labels.iter().for_each(|label| text::one_line(label.as_str()));
    let (mut rows, mut answers) = (LabelRows::default(), RowAnswers::default());
    rows.reset(2);
    for piece in pieces(answer, count) {
        let (one, other) = piece.split_at(piece.len() / 2);
        rows.push([one.as_bytes(), other.as_bytes()]);
    }
    answers.reset(labels.len());
    transform.transform(&rows, &mut answers);
    assert_eq!(answers.len(), rows.len());
    for n in 0..answers.len() {
        let (outcome, values) = answers.get(n);
        assert_eq!(values.len(), labels.len());
        for value in values {
            std::str::from_utf8(value).expect("a value of text");
            assert!(value.len() <= LONGEST_LABEL, "a value of {} bytes", value.len());
        }
        if let Err(error) = outcome {
            text::one_line(&error.to_string());
        }
    }
}

/// A text in so many pieces, the first of which are one letter each.
fn pieces(text: &str, count: usize) -> impl Iterator<Item = &str> {
    let short = (count - 1).min(text.len());
    (0..short).map(|at| &text[at..=at]).chain([&text[short..]])
}

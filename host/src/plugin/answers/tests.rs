//! Remembered answers are those that would be given.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn failed() -> DecodeError {
    DecodeError::new("the call failed").again_in(SECOND)
}

fn own() -> DecodeError {
    guests_own("no such input".to_owned())
}

/// A guest: its answer depends on the input only, and its first byte says what it is.
fn guest(input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
    out.extend_from_slice(b"text of ");
    out.extend_from_slice(input);
    match input.first() {
        Some(b'd') => Ok(Outcome::Drop),
        Some(b'e') => Err(own()),
        Some(b'f') => Err(failed()),
        Some(b'0'..=b'9') => Ok(Outcome::LabelFor(SECOND * u32::from(input[0] - b'0'))),
        _ => Ok(Outcome::Label),
    }
}

fn batch(inputs: &[impl AsRef<[u8]>]) -> Batch {
    let mut batch = Batch::default();
    inputs.iter().for_each(|input| batch.push(input.as_ref()));
    batch
}

type Answer = (Vec<u8>, Result<Outcome, DecodeError>);

impl AnswerCache {
    /// The answers, and what was asked for them.
    fn ask(&mut self, inputs: &[impl AsRef<[u8]>], now: Instant) -> (Vec<Answer>, Vec<Vec<u8>>) {
        let (mut answers, mut asked) = (Answers::default(), Vec::new());
        self.answer(&batch(inputs), &Moment(now.into()), &mut answers, |inputs, answers| {
            for input in inputs.iter() {
                asked.push(input.to_vec());
                answers.push(|out| guest(input, out));
            }
        });
        (answers.iter().map(|(text, outcome)| (text.to_vec(), outcome.clone())).collect(), asked)
    }

    fn asked(&mut self, inputs: &[&str], now: Instant) -> Vec<String> {
        let text = |input: Vec<u8>| String::from_utf8(input).unwrap();
        self.ask(inputs, now).1.into_iter().map(text).collect()
    }

    fn outcome(&mut self, input: &str, now: Instant) -> Result<Outcome, DecodeError> {
        self.ask(&[input], now).0.remove(0).1
    }
}

#[test]
fn what_was_answered_is_asked_once() {
    let (mut memory, now) = (AnswerCache::new(1 << 20, FIRST_RETRY), Instant::now());
    assert_eq!(memory.asked(&["a", "b", "a", "", "drop", "b"], now), ["a", "b", "", "drop"]);
    assert_eq!(memory.asked(&["drop", "c", "", "a"], now + SECOND * 1000), ["c"]);
    let bytes = 5 * ENTRY + 3 * "text of ".len() + "aabbccdrop".len() + "text of ".len();
    let expected = Remembered { hits: 5, misses: 5, evictions: 0, changed: 0, entries: 5, bytes };
    assert_eq!(memory.counts(), expected);
}

#[test]
fn time_runs_on_for_what_is_remembered() {
    let (mut memory, now) = (AnswerCache::new(1 << 20, FIRST_RETRY), Instant::now());
    let label_for = |seconds| Ok(Outcome::LabelFor(SECOND * seconds));
    assert_eq!(memory.outcome("9", now), label_for(9));
    assert_eq!(memory.outcome("9", now + SECOND * 7), label_for(2));
    assert_eq!(memory.asked(&["9"], now + SECOND * 9), ["9"]);
    assert_eq!(memory.outcome("9", now + SECOND * 10), label_for(8));
    // What holds for no time is asked at every scrape.
    assert_eq!(memory.asked(&["0", "0"], now), ["0"]);
    assert_eq!(memory.asked(&["0"], now), ["0"]);
    assert_eq!(memory.counts().entries, 1);
}

#[test]
fn errors_stand_for_longer_each_time() {
    let (mut memory, mut now) = (AnswerCache::new(1 << 20, FIRST_RETRY), Instant::now());
    let error = |seconds| Err(own().again_in(SECOND * seconds));
    for seconds in [5, 10, 20, 40, 80, 160, 300, 300] {
        assert_eq!(memory.asked(&["e"], now), ["e"], "{seconds}");
        assert_eq!(memory.outcome("e", now + SECOND * (seconds - 1)), error(1));
        now += SECOND * seconds;
    }
    assert_eq!(memory.outcome("e", now), error(300));
    assert_eq!(memory.outcome("err", now), error(5), "each input has its own");
}

#[test]
fn a_call_that_failed_is_nobodys_answer() {
    let (mut memory, now) = (AnswerCache::new(1 << 20, FIRST_RETRY), Instant::now());
    assert_eq!(memory.outcome("f", now), Err(failed()));
    assert_eq!(memory.asked(&["f", "f"], now), ["f"]);
    assert_eq!(memory.counts().entries, 0);
}

#[test]
fn what_was_wanted_longest_ago_makes_room() {
    let (mut memory, now) = (AnswerCache::new(3 * (ENTRY + 10), FIRST_RETRY), Instant::now());
    memory.ask(&["a", "b", "c"], now);
    assert_eq!(memory.asked(&["a", "d"], now), ["d"]);
    assert_eq!(memory.counts().evictions, 1);
    assert_eq!(memory.asked(&["a", "c", "d"], now), [""; 0]);
    // More than there is room for is answered all the same.
    let many: Vec<_> = (0..100).map(|n| format!("n{n}")).collect();
    let (answers, asked) = memory.ask(&many, now);
    assert_eq!((answers.len(), asked.len()), (100, 100));
    assert_eq!(memory.ask(&["x".repeat(1000)], now).1.len(), 1);
    assert_eq!(memory.ask(&["x".repeat(1000)], now).1.len(), 1, "it would take all the room");
    assert!(memory.counts().entries <= 3);
}

#[test]
fn without_room_everything_is_asked() {
    let (mut memory, now) = (AnswerCache::new(0, FIRST_RETRY), Instant::now());
    assert_eq!(memory.asked(&["a", "a", "e"], now), ["a", "a", "e"]);
    assert_eq!(memory.outcome("e", now), Err(own().again_in(RETRY)));
    assert_eq!(memory.counts(), Remembered::default());
}

/// The answer to the `n`-th question, each time another one.
fn fickle(memory: &mut AnswerCache, input: &str, now: Instant, text: &str, outcome: Outcome) {
    let mut answers = Answers::default();
    memory.answer(&batch(&[input]), &Moment(now.into()), &mut answers, |inputs, answers| {
        for _ in inputs.iter() {
            answers.push(|out| {
                out.extend_from_slice(text.as_bytes());
                Ok(outcome)
            });
        }
    });
}

#[test]
fn an_answer_that_is_not_the_one_before_it_is_counted() {
    for most in [1 << 20, 0] {
        let (mut memory, mut now) = (AnswerCache::new(most, SECOND), Instant::now());
        let brief = Outcome::LabelFor(SECOND);
        let mut changed = Vec::new();
        for (text, outcome) in [
            ("a", brief),
            ("a", brief),
            ("b", brief),
            ("b", Outcome::Drop),
            ("b", brief),
            ("b", Outcome::Label),
        ] {
            now += SECOND * 2;
            // The drop of before would hold for ever.
            memory.forget(b"x");
            fickle(&mut memory, "x", now, text, outcome);
            fickle(&mut memory, "y", now, "same", brief);
            changed.push(memory.counts().changed);
        }
        assert_eq!(changed, [0, 0, 1, 2, 3, 3], "{most}");
    }
}

#[test]
fn what_is_compared_is_bounded() {
    let (mut memory, now) = (AnswerCache::new(0, SECOND), Instant::now());
    for n in 0..MOST_COMPARED + 9 {
        fickle(&mut memory, &n.to_string(), now, "a", Outcome::LabelFor(SECOND));
    }
    assert_eq!((memory.last.len(), memory.counts().changed), (9, 0));
    let mut plain = AnswerCache::new(0, SECOND);
    fickle(&mut plain, "x", now, "a", Outcome::Label);
    assert!(plain.last.is_empty(), "answers for ever are not noted");
}

#[test]
fn an_error_stands_at_least_as_long_as_answers_hold() {
    let now = Instant::now();
    for (most, hold, stands) in [(1 << 20, 60, 60), (1 << 20, 600, 600), (0, 60, 60), (0, 1, 30)] {
        let mut memory = AnswerCache::new(most, SECOND * hold);
        assert_eq!(memory.outcome("e", now), Err(own().again_in(SECOND * stands)), "{most} {hold}");
    }
}

/// Some inputs, short and few, so that they come again; now and then a long one.
fn inputs() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let input = prop_oneof![
        8 => proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'd'), Just(b'e'), Just(b'3'), Just(b'f')], 0..3),
        1 => proptest::collection::vec(any::<u8>(), 0..400),
    ];
    proptest::collection::vec(input, 0..40)
}

proptest! {
    #[test]
    fn cold_and_warm_answers_are_the_same(
        most in prop_oneof![Just(0), 1..2000_usize, Just(1 << 20)],
        batches in proptest::collection::vec((0..20_u64, inputs()), 1..20),
    ) {
        let (mut memory, mut now) = (AnswerCache::new(most, FIRST_RETRY), Instant::now());
        // Until when what was answered must not be asked again, if nothing is ever forgotten.
        let mut holds: HashMap<Vec<u8>, Instant> = HashMap::new();
        for (seconds, inputs) in batches {
            now += Duration::from_secs(seconds);
            let (answers, asked) = memory.ask(&inputs, now);
            prop_assert_eq!(answers.len(), inputs.len());
            for (input, (text, outcome)) in inputs.iter().zip(&answers) {
                let mut cold = Vec::new();
                match (guest(input, &mut cold), outcome) {
                    (Ok(Outcome::Drop), Ok(Outcome::Drop)) => {}
                    (Ok(Outcome::Label), Ok(Outcome::Label)) => prop_assert_eq!(text, &cold),
                    (Ok(Outcome::LabelFor(all)), Ok(Outcome::LabelFor(left))) => {
                        prop_assert_eq!(text, &cold);
                        prop_assert!(*left <= all && (!left.is_zero() || all.is_zero()));
                    }
                    (Err(cold), Err(warm)) => {
                        prop_assert_eq!(cold.to_string(), warm.to_string());
                        prop_assert!(warm.holds() <= LONGEST_RETRY && !warm.holds().is_zero());
                    }
                    (cold, warm) => prop_assert!(false, "{cold:?} and {warm:?}"),
                }
            }
            if most == 1 << 20 {
                for input in &asked {
                    prop_assert!(holds.get(input).is_none_or(|until| *until <= now), "{:?}", input);
                }
                prop_assert_eq!(memory.counts().evictions, 0);
            }
            for (input, (_, outcome)) in inputs.iter().zip(&answers) {
                let time = match outcome {
                    Ok(Outcome::LabelFor(left)) => *left,
                    Ok(_) => SECOND * 1_000_000,
                    Err(_) if input[0] == b'f' => Duration::ZERO,
                    Err(error) => error.holds(),
                };
                holds.insert(input.clone(), now + time);
            }
            let kept: usize = memory.kept.iter().map(|(kept, _)| kept.cost()).sum();
            prop_assert_eq!(kept, memory.counts().bytes);
            prop_assert_eq!(memory.kept.len(), memory.counts().entries);
            prop_assert!(kept <= most);
        }
    }
}

#[test]
fn all_is_forgotten_once_when_what_answers_depend_on_has_changed() {
    let (mut memory, now) = (AnswerCache::new(1 << 20, FIRST_RETRY), Instant::now());
    for changes in [1, 2, 5] {
        memory.follow(changes);
        assert_eq!(memory.counts().entries, 0, "{changes}");
        assert_eq!(memory.asked(&["a", "drop", "5", "e"], now), ["a", "drop", "5", "e"]);
        memory.follow(changes);
        assert_eq!(memory.asked(&["a", "drop", "5", "e"], now), Vec::<String>::new());
    }
    assert_eq!(
        memory.counts().changed,
        0,
        "what was answered before the change is no other answer"
    );
    memory.follow(6);
    assert_eq!((memory.counts().entries, memory.counts().bytes), (0, 0));
}

//! Bounds, held against components whose instances can be counted by hand.

use super::*;
use crate::advice::{Advice, Advise as _};
use crate::plugin::guests;

fn weigh(text: &str) -> Weight {
    component(&wat::parse_str(text).unwrap()).unwrap()
}

fn refusal(text: &str) -> Advice {
    component(&wat::parse_str(text).unwrap()).unwrap_err().advice()
}

#[test]
fn each_instance_of_a_module_counts() {
    let module = "(core module $m (global i64 (i64.const 1)) (global v128 (v128.const i64x2 0 0)))";
    let one = weigh(&format!("(component {module} (core instance (instantiate $m)))"));
    assert_eq!((one.instances, one.bytes), (1, EMPTY + 2 * GLOBAL));
    let none = weigh(&format!("(component {module})"));
    assert_eq!((none.instances, none.bytes), (0, 0));
    let instances = "(core instance (instantiate $m))".repeat(9);
    let nine = weigh(&format!("(component {module} {instances})"));
    assert_eq!((nine.instances, nine.bytes), (9, 9 * one.bytes));
}

#[test]
fn components_within_components_multiply() {
    let doubled = |levels| {
        let start = "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
        (1..=levels).fold(start, |text, level| {
            let twice = format!("(instance (instantiate $c{}))", level - 1).repeat(2);
            format!("(component $c{level} {text} {twice})")
        })
    };
    assert_eq!(weigh(&doubled(13)).instances, 1 << 13);
    insta::assert_snapshot!(refusal(&doubled(40)), @"the component has 1099511627776 core instances, more than 10000; build it from fewer or smaller parts");
    // One that nobody makes an instance of.
    let text = "(component (component (core module $m) (core instance (instantiate $m))))";
    assert_eq!(weigh(text).instances, 0);
}

#[test]
fn other_names_are_followed() {
    // Aliases of what is outside, and exports, have indices of their own.
    let outer = "(component $o
        (core module $light) (core module $heavy (global i32 (i32.const 0)))
        (component $c (alias outer $o $heavy (core module $a)) (core instance (instantiate $a)))
        (export $c2 \"c\" (component $c))
        (instance (instantiate $c2)))";
    assert_eq!(weigh(outer).bytes, EMPTY + GLOBAL + CANONICAL);
    // A module that is given could be any.
    let given = "(component
        (core module $light) (core module $heavy (global i32 (i32.const 0)))
        (component $c (import \"m\" (core module $m)) (core instance (instantiate $m)))
        (instance (instantiate $c (with \"m\" (core module $light)))))";
    let given = weigh(given);
    assert_eq!((given.instances, given.bytes), (1, EMPTY + GLOBAL + CANONICAL));
    insta::assert_snapshot!(refusal("(component (import \"c\" (component $c)) (instance (instantiate $c)))"), @"failed to compile the component: it makes instances of a component that it is given, which nothing bounds; build it again against wit/0.1.0 of this exporter");
}

#[test]
fn what_a_start_writes_is_bounded() {
    let module = |fields: &str| format!("(core module $m {fields})");
    let table = format!("(table 1000 funcref) (func $f) {}", {
        let functions = "$f ".repeat(1000);
        format!("(elem (i32.const 0) func {functions})")
    });
    let starts = |times: usize| "(core instance (instantiate $m))".repeat(times);
    let weight = weigh(&format!("(component {} {})", module(&table), starts(100)));
    assert_eq!((weight.elements, weight.data), (100_000, 0));
    let inner = format!("(component $c {} {})", module(&table), starts(500));
    let text = format!("(component {inner} {})", "(instance (instantiate $c))".repeat(3));
    insta::assert_snapshot!(refusal(&text), @"the component has 1500000 table elements to write at each start, more than 1000000; build it from fewer or smaller parts");
    let data = format!("(memory 16) (data (i32.const 0) \"{}\")", "a".repeat(1 << 20));
    let text = format!("(component {} {})", module(&data), starts(257));
    insta::assert_snapshot!(refusal(&text), @"the component has 269484032 bytes of data to write at each start, more than 268435456; build it from fewer or smaller parts");
}

#[test]
fn a_guest_of_tests_is_light() {
    let weight = component(&guests::component("echo")).unwrap();
    assert_eq!(weight.instances, 1);
    assert!(weight.bytes < 4096, "{weight:?}");
}

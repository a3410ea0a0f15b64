//! What the page is put together from: cells that say on a phone which column they are of, pills, bars.

use maud::{Markup, html};

use crate::status::Moment;
use crate::status::words::{age, grouped, percent};

/// A state in one word: `ok`, `warn`, `bad` or `off` gives its colour, and the word what that means.
pub(super) fn pill(state: &str, word: &str) -> Markup {
    html! { span class={ "pill " (state) } { (word) } }
}

/// When it was, seen from `now`.
pub(super) fn ago(at: Moment, now: Moment) -> Markup {
    html! { time datetime=(at) title=(at) { (age(at.age(now))) " ago" } }
}

/// How much of something is taken: `812 / 1,024, 79 %`, and a bar for those who see it.
pub(super) fn fill(part: u64, whole: u64, state: &str) -> Markup {
    let width = u128::from(part.min(whole)) * 100 / u128::from(whole.max(1));
    html! {
        span.fill { (grouped(part)) " / " (grouped(whole)) ", " (percent(part, whole)) }
        (bar(width, state))
    }
}

/// A bar that is so many percent full. What it says is said beside it in words.
pub(super) fn bar(percent: u128, state: &str) -> Markup {
    html! {
        svg class={ "bar " (state) } aria-hidden="true" viewBox="0 0 100 4" preserveAspectRatio="none" {
            rect.track width="100" height="4" {}
            rect.full width=(percent) height="4" {}
        }
    }
}

/// A table. On a phone each row becomes a block, of which browsers forget that it is one: the roles say so.
pub(super) fn table(caption: &str, columns: &[&str], rows: impl Iterator<Item = Markup>) -> Markup {
    html! {
        table role="table" {
            caption { (caption) }
            thead role="rowgroup" {
                tr role="row" { @for column in columns { th scope="col" role="columnheader" { (column) } } }
            }
            tbody role="rowgroup" { @for row in rows { tr role="row" { (row) } } }
        }
    }
}

/// The cell that a row is called by.
pub(super) fn first(content: Markup) -> Markup {
    html! { th scope="row" role="rowheader" { (content) } }
}

/// A cell of this column.
pub(super) fn cell(column: &str, content: Markup) -> Markup {
    html! { td role="cell" data-label=(column) { div { (content) } } }
}

/// A cell of this column with a number, or a dash.
pub(super) fn number(column: &str, text: Option<String>) -> Markup {
    html! { td.number role="cell" data-label=(column) { div { (text.as_deref().unwrap_or("–")) } } }
}

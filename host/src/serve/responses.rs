//! What all pages have in common: types that no browser guesses, refusals, and text inside HTML.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::scrapes::ScrapeError;
use crate::advice::Advise as _;

/// The type of texts that are no metrics.
pub(super) const TEXT_TYPE: &str = "text/plain; charset=utf-8";

/// That there is no page, and why.
pub(super) fn failure(error: &ScrapeError) -> Response {
    let status = match error {
        ScrapeError::Panicked(_) => StatusCode::INTERNAL_SERVER_ERROR,
        ScrapeError::NoConfig(_) => StatusCode::BAD_REQUEST,
        ScrapeError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    refusal(status, format!("{}\n", error.advice()))
}

/// That the request is not answered, and why: a text that ends a line.
pub(super) fn refusal(status: StatusCode, text: String) -> Response {
    (status, typed(TEXT_TYPE.to_owned(), text)).into_response()
}

/// A body that no browser takes for another type, whatever bytes the kernel put in it.
pub(super) fn typed<B>(content_type: String, body: B) -> ([(HeaderName, String); 2], B) {
    let nosniff = (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned());
    let headers = [(header::CONTENT_TYPE, content_type), nosniff];
    (headers, body)
}

/// `text` for a place inside HTML, between quotes or not.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

//! `/-/healthy` and `/-/ready`: whether the exporter is to be left running, and whether it is to be asked.
//!
//! Never asks the thread that scrapes: what it has put up answers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::board::Ailment;
use super::responses::{TEXT_TYPE, refusal, typed};
use super::scrapes::Scrapes;

/// Where it says whether it is healthy.
pub const HEALTHY: &str = "/-/healthy";
/// Where it says whether it is ready.
pub(super) const READY: &str = "/-/ready";

/// 200 while pages can be made.
pub(super) async fn healthy(State(scrapes): State<Scrapes>) -> Response {
    answer("healthy", scrapes.ailment())
}

/// 200 once the maps were read.
pub(super) async fn ready(State(scrapes): State<Scrapes>) -> Response {
    answer("ready", scrapes.unready())
}

fn answer(word: &str, ailment: Option<Ailment>) -> Response {
    match ailment {
        None => typed(TEXT_TYPE.to_owned(), format!("{word}\n")).into_response(),
        Some(why) => refusal(StatusCode::SERVICE_UNAVAILABLE, format!("not {word}: {why}\n")),
    }
}

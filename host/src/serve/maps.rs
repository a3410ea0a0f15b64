//! `/maps`: which maps there are, and the entries of one, a piece at a time.
//!
//! A piece is asked for when the client has taken the one before, so a page of any length takes the
//! memory of a few pieces, scrapes are made between them, and a client that stops reading keeps nobody
//! waiting.

use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;

use super::parts::held;
use super::paths;
use super::responses::{TEXT_TYPE, escaped, failure, refusal, typed};
use super::room::Handle;
use super::scrapes::{MapSummary, Piece, ScrapeError, Scrapes};

/// The index.
pub(super) async fn index(State(scrapes): State<Scrapes>) -> Response {
    let maps = scrapes.ask(|gatherer| {
        gatherer.read(None);
        gatherer.maps()
    });
    match maps.await {
        Ok(maps) => Html(list(&maps)).into_response(),
        Err(error) => failure(&error),
    }
}

/// The page of a map: its path is the config's name, which may have slashes, and the map's.
pub(super) async fn entries(
    State(scrapes): State<Scrapes>,
    Extension(seat): Extension<Handle>,
    Path(path): Path<String>,
) -> Response {
    let Some((config, map)) = path.rsplit_once('/') else { return nothing(&path) };
    let place = Place { scrapes, config: config.to_owned(), map: map.to_owned() };
    match place.clone().first().await {
        Ok(Some(first)) => {
            let entries = Entries::new(place, seat, first);
            typed(TEXT_TYPE.to_owned(), Body::new(entries)).into_response()
        }
        Ok(None) => nothing(&path),
        Err(error) => failure(&error),
    }
}

fn nothing(path: &str) -> Response {
    let text = format!("no such map: {path:?}; /maps lists those that there are\n");
    refusal(StatusCode::NOT_FOUND, text)
}

/// A map and how to get at it.
#[derive(Clone, Debug)]
struct Place {
    scrapes: Scrapes,
    config: String,
    map: String,
}

type Asked = Pin<Box<dyn Future<Output = Result<Option<Piece>, ScrapeError>> + Send>>;

impl Place {
    /// The first piece, of a map that was read for it.
    fn first(self) -> Asked {
        self.ask(true, 0)
    }

    fn ask(self, read: bool, from: usize) -> Asked {
        let Self { scrapes, config, map } = self;
        Box::pin(async move {
            let piece = scrapes.ask(move |gatherer| {
                if read {
                    gatherer.read(None);
                }
                gatherer.entries(&config, &map, from)
            });
            piece.await
        })
    }
}

/// The body of a page of entries.
struct Entries {
    place: Place,
    seat: Handle,
    /// The next piece, if it is here.
    ready: Option<Piece>,
    asked: Option<Asked>,
    /// Why there is no more.
    failed: Option<ScrapeError>,
}

impl Entries {
    fn new(place: Place, seat: Handle, first: Piece) -> Self {
        Self { place, seat, ready: Some(first), asked: None, failed: None }
    }

    /// Gives a piece out. The next one is asked for when it is wanted.
    fn give(&mut self, piece: Piece) -> Frame<Bytes> {
        self.asked = piece.next.map(|next| self.place.clone().ask(false, next));
        Frame::data(held(&self.seat, piece.text))
    }
}

impl http_body::Body for Entries {
    type Data = Bytes;
    type Error = ScrapeError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ScrapeError>>> {
        if let Some(piece) = self.ready.take() {
            return Poll::Ready(Some(Ok(self.give(piece))));
        }
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let Some(asked) = &mut self.asked else { return Poll::Ready(None) };
        let result = ready!(asked.as_mut().poll(cx));
        self.asked = None;
        match result {
            Ok(Some(piece)) => Poll::Ready(Some(Ok(self.give(piece)))),
            // The map has gone.
            Ok(None) => Poll::Ready(None),
            // The client is to get what there is, and to see that it is not all. The server sends what it
            // has when a body waits. When a body fails, it sends nothing more. So this one waits first.
            Err(error) => {
                self.failed = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

/// The index as a page. Links are relative, as those of the landing page.
fn list(maps: &[MapSummary]) -> String {
    let mut page = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
                    <meta name=\"viewport\" content=\"width=device-width\">\n\
                    <title>maps</title>\n<h1>maps</h1>\n<table>\n\
                    <tr><th>config<th>map<th>type<th>entries<th>capacity\n"
        .to_owned();
    for MapSummary { config, name, kind, capacity, entries } in maps {
        let link = format!("./maps/{}/{}", paths::escaped(config), paths::escaped(name));
        let entries = entries.map_or_else(|| "not read yet".to_owned(), |count| count.to_string());
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "<tr><td>{}<td><a href=\"{}\">{}</a><td>{}<td>{entries}<td>{capacity}",
            escaped(config),
            escaped(&link),
            escaped(name),
            escaped(kind)
        );
    }
    page.push_str("</table>\n</html>\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(config: &str, entries: Option<usize>) -> MapSummary {
        let (name, kind) = ("starts_total".to_owned(), "hash".to_owned());
        MapSummary { config: config.to_owned(), name, kind, capacity: 1024, entries }
    }

    #[test]
    fn the_index_links_to_each_map() {
        let page = list(&[summary("timers", Some(7)), summary("sub dir/<b>", None)]);
        insta::assert_snapshot!(page, @r#"
        <!doctype html>
        <html lang="en">
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <title>maps</title>
        <h1>maps</h1>
        <table>
        <tr><th>config<th>map<th>type<th>entries<th>capacity
        <tr><td>timers<td><a href="./maps/timers/starts_total">starts_total</a><td>hash<td>7<td>1024
        <tr><td>sub dir/&lt;b&gt;<td><a href="./maps/sub%20dir/%3Cb%3E/starts_total">starts_total</a><td>hash<td>not read yet<td>1024
        </table>
        </html>
        "#);
    }
}

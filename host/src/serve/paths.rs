//! What the path of a request means, if it is not that of a page letter by letter: `/%6detrics` is
//! `/metrics`, and `//metrics` leads there, as users of Go's mux are used to.
//!
//! Nobody is led anywhere but to a page of ours, whatever the path says.

use std::borrow::Cow;

use axum::http::{HeaderValue, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What a segment of a path cannot have as it is (RFC 3986 §3.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// A page: the path as it is compared, with the query.
    Page(Uri),
    /// A page that is found here, for a `Location` header.
    Elsewhere(HeaderValue),
    /// No page.
    Nothing,
    /// Nothing at all: its escapes are not any.
    Nonsense,
}

/// What the path of `uri` means, where `pages` are the paths of all pages, as they are compared. There
/// are pages at all paths that begin with `below`, too.
pub(super) fn meant(uri: &Uri, pages: &[String], below: Option<&str>) -> Meant {
    let Some(path) = canonical(uri.path()) else { return Meant::Nonsense };
    let clean = clean(&path);
    let is_below = below.is_some_and(|below| clean.starts_with(below));
    if !is_below && !pages.iter().any(|page| *page == clean) {
        return Meant::Nothing;
    }
    let place = match uri.query() {
        Some(query) => format!("{clean}?{query}"),
        None => clean.clone().into_owned(),
    };
    if clean == path {
        place.parse().map_or(Meant::Nothing, Meant::Page)
    } else {
        place.parse().map_or(Meant::Nothing, Meant::Elsewhere)
    }
}

/// The one way to write `path`: escapes only where there must be some. A slash that was escaped
/// stays so, for it is not one between segments. None if a percent sign stands for nothing.
pub(super) fn canonical(path: &str) -> Option<String> {
    let escapes = path.split('%').skip(1);
    let whole = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !escapes.into_iter().all(whole) {
        return None;
    }
    let segments = path.split('/').map(|segment| {
        let bytes: Cow<'_, [u8]> = percent_decode_str(segment).into();
        match std::str::from_utf8(&bytes) {
            Ok(text) => utf8_percent_encode(text, ESCAPED).to_string(),
            // No page has such a path, so none has to be compared with it.
            Err(_) => segment.to_owned(),
        }
    });
    Some(segments.collect::<Vec<_>>().join("/"))
}

/// A text as a part of a path; slashes stay.
pub(super) fn escaped(text: &str) -> String {
    let segments = text.split('/').map(|segment| utf8_percent_encode(segment, ESCAPED).to_string());
    segments.collect::<Vec<_>>().join("/")
}

/// `path` without segments that are empty or dots, as file systems and Go's mux read it.
fn clean(path: &str) -> Cow<'_, str> {
    if !path.contains("//") && !path.contains("/.") {
        return path.into();
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let clean = format!("/{}", segments.join("/"));
    let slash = if path.ends_with('/') && clean != "/" { "/" } else { "" };
    format!("{clean}{slash}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(path: &str) -> String {
        let pages = ["/metrics", "/", "/maps", "/a%20b/c%2Fd"].map(str::to_owned);
        match meant(&path.parse().unwrap(), &pages, Some("/maps/")) {
            Meant::Page(uri) => uri.to_string(),
            Meant::Elsewhere(place) => format!("-> {}", place.to_str().unwrap()),
            Meant::Nothing => "nothing".to_owned(),
            Meant::Nonsense => "nonsense".to_owned(),
        }
    }

    #[test]
    fn a_path_means_what_it_decodes_to() {
        let cases = [
            ("/metrics", "/metrics"),
            ("/%6detrics", "/metrics"),
            ("/%6Detrics?a=%zz", "/metrics?a=%zz"),
            ("/%6d%65%74%72%69%63%73", "/metrics"),
            ("/a%20b/c%2fd", "/a%20b/c%2Fd"),
            ("/%61%20b/c%2Fd", "/a%20b/c%2Fd"),
            ("/a%20b/c/d", "nothing"),
            ("/metrics%2F", "nothing"),
            ("/%2fmetrics", "nothing"),
            ("/metrics%00", "nothing"),
            ("/metrics%ff", "nothing"),
            ("/metrics/", "nothing"),
            ("/METRICS", "nothing"),
            ("/%256detrics", "nothing"),
            ("/%6daps/a%2Fb/%6d?x", "/maps/a%2Fb/m?x"),
            ("/maps%2Fa/m", "nothing"),
            ("/%6dapsx/a", "nothing"),
        ];
        for (path, wanted) in cases {
            assert_eq!(meaning(path), wanted, "{path}");
        }
    }

    #[test]
    fn what_is_not_clean_leads_to_pages_only() {
        let cases = [
            ("//", "-> /"),
            ("//metrics", "-> /metrics"),
            ("///%6detrics?x=1", "-> /metrics?x=1"),
            ("/./metrics", "-> /metrics"),
            ("/x/../metrics", "-> /metrics"),
            ("/../../metrics", "-> /metrics"),
            ("//maps/.", "-> /maps"),
            ("//%6daps/a//m", "-> /maps/a/m"),
            ("/maps/../x", "nothing"),
            ("//metrics/", "nothing"),
            ("//example.org/metrics", "nothing"),
            ("//example.org/..", "-> /"),
            ("//example.org/%2e%2e", "-> /"),
            ("/%5Cexample.org/", "nothing"),
        ];
        for (path, wanted) in cases {
            assert_eq!(meaning(path), wanted, "{path}");
        }
    }

    #[test]
    fn half_an_escape_is_nonsense() {
        for path in ["/%", "/%6", "/%zz", "/metrics%", "/%6%64", "/%%36d", "/%-1"] {
            assert_eq!(meaning(path), "nonsense", "{path}");
        }
        assert_eq!(canonical("/%\u{e9}"), None);
    }
}

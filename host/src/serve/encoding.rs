//! Whether a client takes gzip (RFC 9110 §12.5.3).

use axum::http::{HeaderMap, header};

/// Whether gzip is what these headers ask for: acceptable, and not liked less than plain text.
pub(super) fn wants_gzip(headers: &HeaderMap) -> bool {
    let mut weights = Weights::default();
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        let text = value.to_str().unwrap_or_default();
        text.split(',').for_each(|element| weights.note(element));
    }
    let gzip = weights.gzip.or(weights.any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= weights.identity.unwrap_or(0.0)
}

/// The weight that this text says; one that makes no sense counts as refused.
pub(super) fn weight(text: &str) -> f32 {
    text.parse().ok().filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0)
}

/// The weights from 0 to 1 that were given.
#[derive(Default)]
struct Weights {
    gzip: Option<f32>,
    identity: Option<f32>,
    any: Option<f32>,
}

impl Weights {
    /// Takes one element such as `gzip;q=0.5`; one that makes no sense counts as refused.
    fn note(&mut self, element: &str) {
        let (coding, parameter) = element.split_once(';').unwrap_or((element, "q=1"));
        let q = parameter.trim().split_once('=');
        let q = q.filter(|(name, _)| name.trim_end().eq_ignore_ascii_case("q"));
        let weight = q.map_or(0.0, |(_, value)| weight(value.trim()));
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => self.gzip = Some(weight),
            "identity" => self.identity = Some(weight),
            "*" => self.any = Some(weight),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn honours_weights() {
        let cases: [(&[&str], bool); 19] = [
            (&[], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZip"], true),
            (&["x-gzip"], true),
            (&["deflate, gzip;q=1.0, *;q=0.5"], true),
            (&["gzip;q=0"], false),
            (&["gzip;q=0.000, *"], false),
            (&["gzip ; q=0.001"], true),
            (&["gzip; Q=0.5"], true),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["br, deflate"], false),
            (&["br", "gzip"], true),
            (&["identity, gzip;q=0.5"], false),
            (&["identity;q=0.5, gzip"], true),
            (&["gzip;q=x"], false),
            (&["gzip;q=2"], false),
            (&["gzip;q=NaN"], false),
        ];
        for (values, wanted) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(wants_gzip(&headers), wanted, "{values:?}");
        }
    }
}

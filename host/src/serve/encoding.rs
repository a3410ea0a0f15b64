//! Whether a client takes gzip (RFC 9110 §12.5.3), and gzip itself.

use std::io::{self, Write};

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

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
        let weight = parameter
            .trim()
            .split_once('=')
            .filter(|(name, _)| name.trim_end().eq_ignore_ascii_case("q"));
        let weight = weight.and_then(|(_, value)| value.trim().parse().ok());
        let weight = weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0);
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => self.gzip = Some(weight),
            "identity" => self.identity = Some(weight),
            "*" => self.any = Some(weight),
            _ => {}
        }
    }
}

/// `text` as gzip, at the level that costs least.
///
/// # Errors
///
/// None that writing to memory could have.
pub(super) fn gzip(text: &[u8]) -> io::Result<Bytes> {
    // Expositions shrink to between a twentieth and an eighth.
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::http::HeaderValue;
    use flate2::read::GzDecoder;

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

    #[test]
    fn gzip_gives_the_text_back() {
        for text in ["", "a", &"timer_starts_total{function=\"tick\"} 7\n".repeat(10_000)] {
            let zipped = gzip(text.as_bytes()).unwrap();
            let mut back = String::new();
            GzDecoder::new(&zipped[..]).read_to_string(&mut back).unwrap();
            assert_eq!(back, text);
            assert!(zipped.len() < 64 + text.len() / 8);
        }
    }
}

//! `cidr`: an IP address → the name of the longest prefix that holds it.
//!
//! The input is 4 or 16 bytes in network order (a slice of a key), or text (`10.0.0.7`, as the
//! `inet_ip` decoder gives it). 4 and 16 bytes that are also an address's text, such as `::ab`,
//! are taken for raw bytes: put `inet_ip` in front or don't, but don't mix. An IPv4 address that
//! is mapped into IPv6 (`::ffff:10.0.0.7`) is taken for the IPv4 address, as `inet_ip` does.
//!
//! Settings:
//!
//! ```yaml
//! prefixes:              # prefix: name; an address alone is its own prefix
//!   10.0.0.0/8: lan
//!   10.7.0.0/16: lab     # the longest prefix that holds an address wins
//!   "fd00::/8": lan      # a text with a colon needs quotes
//! default: internet      # for addresses that no prefix holds; without it they are an error
//! ```
//!
//! Prefixes become ranges that do not overlap, sorted once: an answer costs one binary search,
//! however many thousand prefixes there are and however they nest.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ebpf_exporter_plugin::{Decoder, Outcome, export_decoder};

mod ranges;

use ranges::{Prefix, Ranges};

/// What the config says.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    prefixes: BTreeMap<String, String>,
    default: Option<String>,
}

/// The decoder.
pub struct Cidr {
    v4: Ranges,
    v6: Ranges,
    default: Option<String>,
}

impl Decoder for Cidr {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (text, name) in settings.prefixes {
            let (address, prefix) = Prefix::parse(&text, name)?;
            if address.is_ipv4() { v4.push(prefix) } else { v6.push(prefix) }
        }
        Ok(Self { v4: Ranges::new(v4)?, v6: Ranges::new(v6)?, default: settings.default })
    }

    fn decode(&mut self, input: &[u8]) -> Result<Outcome, String> {
        let (ranges, bits) = match address(input)? {
            IpAddr::V4(address) => (&self.v4, u128::from(address.to_bits())),
            IpAddr::V6(address) => (&self.v6, address.to_bits()),
        };
        let name = ranges.find(bits).or(self.default.as_deref());
        name.map(Outcome::label).ok_or_else(|| "no prefix holds this address".to_owned())
    }
}

fn address(input: &[u8]) -> Result<IpAddr, String> {
    let address = if let Ok(bytes) = <[u8; 4]>::try_from(input) {
        IpAddr::from(bytes)
    } else if let Ok(bytes) = <[u8; 16]>::try_from(input) {
        IpAddr::from(bytes)
    } else {
        let text = std::str::from_utf8(input).ok();
        text.and_then(|text| text.parse().ok())
            .ok_or("neither 4 or 16 bytes nor the text of an address")?
    };
    Ok(address.to_canonical())
}

/// What the config may say, for messages.
const SETTINGS: &str = include_str!("../settings.schema.json");

export_decoder!(Cidr, settings = SETTINGS);

#[cfg(test)]
mod tests {
    use ebpf_exporter_plugin::testing::{TestDecoder, check_schema, json};

    use super::*;

    #[test]
    fn the_schema_says_what_settings_there_are() {
        check_schema::<Settings>(SETTINGS);
    }

    #[test]
    fn the_longest_prefix_names_an_address() {
        let settings = json!({
            "prefixes": {
                "10.0.0.0/8": "lan",
                "10.7.0.0/16": "lab",
                "10.7.255.255": "lab broadcast",
                "fd00::/8": "lan6",
                "fd00:7::/32": "lab6",
            },
            "default": "internet",
        });
        TestDecoder::<Cidr>::new(settings).unwrap().check(&[
            (&[10, 0, 0, 0], "lan"),
            (&[10, 6, 255, 255], "lan"),
            (&[10, 7, 0, 0], "lab"),
            (&[10, 7, 255, 254], "lab"),
            (&[10, 7, 255, 255], "lab broadcast"),
            (&[10, 8, 0, 0], "lan"),
            (&[10, 255, 255, 255], "lan"),
            (&[9, 255, 255, 255], "internet"),
            (&[11, 0, 0, 0], "internet"),
            (b"10.7.3.4", "lab"),
            (b"::ffff:10.7.3.4", "lab"),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 7, 3, 4], "lab"),
            (b"fd00:6:ffff::", "lan6"),
            (b"fd00:7::1", "lab6"),
            (b"fd00:8::", "lan6"),
            (&[0xfd, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "lab6"),
            (b"2001:db8::1", "internet"),
            (b"", "(error: neither 4 or 16 bytes nor the text of an address)"),
            (b"10.7.3", "(error: neither 4 or 16 bytes nor the text of an address)"),
        ]);
    }

    #[test]
    fn zero_length_prefixes_and_no_default() {
        let settings = json!({"prefixes": {"0.0.0.0/0": "v4"}});
        TestDecoder::<Cidr>::new(settings).unwrap().check(&[
            (&[0, 0, 0, 0], "v4"),
            (&[255, 255, 255, 255], "v4"),
            (b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "(error: no prefix holds this address)"),
        ]);
        let settings = json!({"prefixes": {"::/0": "v6"}});
        TestDecoder::<Cidr>::new(settings).unwrap().check(&[
            (b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "v6"),
            (&[0, 0, 0, 0], "(error: no prefix holds this address)"),
        ]);
    }

    #[test]
    fn bad_settings_are_refused() {
        let refused =
            |prefixes| TestDecoder::<Cidr>::new(json!({"prefixes": prefixes})).err().unwrap();
        assert_eq!(
            refused(json!({"10.0.0.0/33": "x"})),
            "prefixes: \"10.0.0.0/33\" is longer than 32 bits"
        );
        assert_eq!(
            refused(json!({"10.0.0/24": "x"})),
            "prefixes: \"10.0.0/24\" is not an address with a length, such as 10.0.0.0/8"
        );
        assert_eq!(
            refused(json!({"10.0.0.1/24": "x"})),
            "prefixes: \"10.0.0.1/24\" has bits set behind its length; write 10.0.0.0/24"
        );
        assert_eq!(
            refused(json!({"fd00::/8": "x", "FD00::/8": "y"})),
            "prefixes: \"fd00::/8\" is there twice"
        );
    }
}

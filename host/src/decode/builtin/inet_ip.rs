//! `inet_ip`: 4 or 16 bytes in network order → an address in text.
//!
//! IPv6 is written as RFC 5952 says, an IPv4 address mapped into it as IPv4. Other lengths are
//! written as `?` and hex.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Behaviour, Builtin, Form, Make, Sizes, hex};
use crate::decode::{DecodeError, Decoder, Outcome};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "inet_ip",
    sizes: Sizes::Any,
    takes: Form::Bytes,
    gives: Form::Text,
    about: Behaviour {
        input: "4 or 16 bytes in network order",
        gives: "an address, `10.0.0.1` or `2001:db8::1` as RFC 5952 has it; IPv4 mapped into IPv6 as IPv4",
        otherwise: "other lengths: `?` and hex",
    },
    wants: |_| {},
    make: Make::Plain(|_| Box::new(InetIp)),
};

struct InetIp;

impl Decoder for InetIp {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        // Writing to a Vec does not fail.
        let _: std::io::Result<()> = if let Ok(bytes) = <[u8; 4]>::try_from(input) {
            write!(out, "{}", Ipv4Addr::from(bytes))
        } else if let Ok(bytes) = <[u8; 16]>::try_from(input) {
            let address = Ipv6Addr::from(bytes);
            match address.to_ipv4_mapped() {
                Some(address) => write!(out, "{address}"),
                None => write!(out, "{address}"),
            }
        } else {
            out.push(b'?');
            hex::write(input, out);
            Ok(())
        };
        Ok(Outcome::Label)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;

    #[test]
    fn table() {
        let bytes = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
        testing::check(
            "inet_ip",
            &[
                (&[1, 1, 1, 1], "1.1.1.1"),
                (&[0; 4], "0.0.0.0"),
                (&[255; 4], "255.255.255.255"),
                (&[0; 16], "::"),
                (&bytes("::1"), "::1"),
                (&bytes("2001:0DB8:0:0:1:0:0:1"), "2001:db8::1:0:0:1"),
                (&bytes("2001:db8:0:1:1:1:1:1"), "2001:db8:0:1:1:1:1:1"),
                (&bytes("1:0:0:2:0:0:0:3"), "1:0:0:2::3"),
                (&bytes("fe80::1:2:3:4"), "fe80::1:2:3:4"),
                (&bytes("::ffff:10.1.2.3"), "10.1.2.3"),
                (&bytes("::10.1.2.3"), "::a01:203"),
                (b"", "?"),
                (&[0xab, 0xcd, 1], "?abcd01"),
                (&[0; 5], "?0000000000"),
            ],
        );
    }
}

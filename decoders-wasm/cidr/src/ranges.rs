//! Nested prefixes as a flat, sorted table of ranges.
//!
//! Never looks at more than one family: IPv4 addresses are the low 32 bits of a number of their own.

use std::net::IpAddr;

/// A prefix and its name.
pub(crate) struct Prefix {
    text: String,
    first: u128,
    last: u128,
    name: String,
}

impl Prefix {
    /// A prefix from its text; also its address, which tells the family.
    pub(crate) fn parse(text: &str, name: String) -> Result<(IpAddr, Self), String> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address.parse().ok(), length.parse().ok()),
            None => (text.parse().ok(), Some(u32::MAX)),
        };
        let (Some(address), Some(length)) = (address, length) else {
            return Err(format!(
                "prefixes: {text:?} is not an address with a length, such as 10.0.0.0/8"
            ));
        };
        let (first, width) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let length = if text.contains('/') { length } else { width };
        if length > width {
            return Err(format!("prefixes: {text:?} is longer than {width} bits"));
        }
        let hosts = u128::MAX.checked_shr(128 - (width - length)).unwrap_or(0);
        if first & hosts != 0 {
            let network = match address {
                IpAddr::V4(_) => IpAddr::from(((first & !hosts) as u32).to_be_bytes()),
                IpAddr::V6(_) => IpAddr::from((first & !hosts).to_be_bytes()),
            };
            return Err(format!(
                "prefixes: {text:?} has bits set behind its length; write {network}/{length}"
            ));
        }
        Ok((address, Self { text: text.to_owned(), first, last: first | hosts, name }))
    }
}

/// Ranges of addresses, each with the name of the longest prefix that holds it.
pub(crate) struct Ranges {
    /// The first address of each range, ascending. A range ends where the next one begins.
    starts: Vec<u128>,
    /// For each range the name among `names`, or none.
    held_by: Vec<Option<usize>>,
    names: Vec<String>,
}

impl Ranges {
    /// The ranges of these prefixes, none of which may be there twice.
    pub(crate) fn new(mut prefixes: Vec<Prefix>) -> Result<Self, String> {
        // A prefix stands before those within it, and two prefixes overlap only by nesting.
        prefixes.sort_by_key(|prefix| (prefix.first, u128::MAX - prefix.last));
        if let Some(pair) = prefixes
            .windows(2)
            .find(|pair| (pair[0].first, pair[0].last) == (pair[1].first, pair[1].last))
        {
            return Err(format!("prefixes: {:?} is there twice", pair[1].text));
        }
        let mut ranges = Self { starts: Vec::new(), held_by: Vec::new(), names: Vec::new() };
        // The prefixes that hold the address where the sweep stands, from the shortest.
        let mut open: Vec<usize> = Vec::new();
        for (i, prefix) in prefixes.iter().enumerate() {
            ranges.close(&mut open, &prefixes, Some(prefix.first));
            ranges.begin(prefix.first, Some(i));
            open.push(i);
        }
        ranges.close(&mut open, &prefixes, None);
        ranges.names = prefixes.into_iter().map(|prefix| prefix.name).collect();
        Ok(ranges)
    }

    /// Ends the open prefixes that do not reach `until` (all if there is none).
    fn close(&mut self, open: &mut Vec<usize>, prefixes: &[Prefix], until: Option<u128>) {
        while let Some(&inner) = open.last() {
            let last = prefixes[inner].last;
            if until.is_some_and(|until| last >= until) {
                return;
            }
            open.pop();
            if let Some(behind) = last.checked_add(1) {
                self.begin(behind, open.last().copied());
            }
        }
    }

    /// Begins a range. One that begins at the same address before was empty.
    fn begin(&mut self, start: u128, held_by: Option<usize>) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.held_by.pop();
        }
        self.starts.push(start);
        self.held_by.push(held_by);
    }

    /// The name of the longest prefix that holds this address.
    pub(crate) fn find(&self, address: u128) -> Option<&str> {
        let behind = self.starts.partition_point(|&start| start <= address);
        let name = self.held_by[behind.checked_sub(1)?]?;
        Some(&self.names[name])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plain twin: the longest of all prefixes that hold the address.
    fn plain(prefixes: &[Prefix], address: u128) -> Option<&str> {
        let holds = |prefix: &&Prefix| (prefix.first..=prefix.last).contains(&address);
        let length = |prefix: &&Prefix| prefix.last - prefix.first;
        prefixes.iter().filter(holds).min_by_key(length).map(|prefix| prefix.name.as_str())
    }

    fn prefixes(texts: &[String]) -> Vec<Prefix> {
        let parse = |text: &String| Prefix::parse(text, text.clone()).unwrap().1;
        texts.iter().map(parse).collect()
    }

    #[test]
    fn ranges_find_what_a_search_of_all_prefixes_finds() {
        // Every prefix of 4 to 12 bits whose address is a multiple of an odd step: deep nesting,
        // prefixes that begin and end together, and gaps.
        let mut texts = Vec::new();
        for length in 4..=12u32 {
            for network in (0..1u32 << length).step_by(length as usize | 1) {
                let [a, b, ..] = (network << (32 - length)).to_be_bytes();
                texts.push(format!("{a}.{b}.0.0/{length}"));
            }
        }
        let ranges = Ranges::new(prefixes(&texts)).unwrap();
        let all = prefixes(&texts);
        for block in 0..1u128 << 13 {
            for address in [block << 19, (block << 19) + 1, ((block + 1) << 19) - 1] {
                assert_eq!(ranges.find(address), plain(&all, address), "address {address:#x}");
            }
        }
        assert!(texts.len() > 700, "{}", texts.len());
    }
}

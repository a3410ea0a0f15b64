//! What the kernel prints for an address (`%pS`), as `/proc/kallsyms` would list its symbol.

/// A symbol that an address lies in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Printed<'a> {
    name: &'a [u8],
    module: Option<&'a [u8]>,
    /// How far behind the start of the symbol the address is, in bytes.
    pub(super) offset: u64,
}

impl<'a> Printed<'a> {
    /// Reads `name+0x1/0x80 [module]`, the module left out for the kernel itself. `None` is what has
    /// no name: the bare address.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let module = text.strip_suffix(']').and_then(|text| text.rsplit_once(" ["));
        let (place, module) = module.map_or((text, None), |(place, name)| (place, Some(name)));
        let (name, numbers) = place.rsplit_once("+0x")?;
        let (offset, _size) = numbers.split_once("/0x")?;
        let offset = u64::from_str_radix(offset, 16).ok()?;
        Some(Self { name: name.as_bytes(), module: module.map(str::as_bytes), offset })
    }

    /// Appends its name as the list has it: name, and for a module's symbol tab, `[module]`.
    pub(super) fn list(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name);
        if let Some(module) = self.module.or_else(|| is_bpf(self.name).then_some(b"bpf")) {
            out.extend_from_slice(b"\t[");
            out.extend_from_slice(module);
            out.push(b']');
        }
    }
}

/// Whether code of this name is a BPF program, or made for some. Those are listed as of a module
/// `bpf` but printed without it; no function of the kernel itself is named like them.
fn is_bpf(name: &[u8]) -> bool {
    if let Some(tagged) = name.strip_prefix(b"bpf_prog_") {
        let tag = tagged.iter().take_while(|byte| **byte != b'_');
        return tag.clone().count() == 16 && tag.into_iter().all(u8::is_ascii_hexdigit);
    }
    if let Some(id) = name.strip_prefix(b"bpf_trampoline_") {
        return !id.is_empty() && id.iter().all(u8::is_ascii_digit);
    }
    // The entries of a struct_ops map, since 6.14: `bpf__TYPE_MEMBER`.
    name.starts_with(b"bpf__")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Option<(String, u64)> {
        let printed = Printed::parse(text.as_bytes())?;
        let mut out = Vec::new();
        printed.list(&mut out);
        Some((String::from_utf8(out).unwrap(), printed.offset))
    }

    #[test]
    fn names_are_those_of_the_list() {
        for (text, name, offset) in [
            ("schedule+0x0/0x80", "schedule", 0),
            ("schedule+0x7f/0x80", "schedule", 0x7f),
            ("commit_timeout+0x10/0x20 [jbd2]", "commit_timeout\t[jbd2]", 0x10),
            ("a.b+c+0x1/0x2", "a.b+c", 1),
            ("bpf_prog_6deef7357e7b4530+0x4/0x40", "bpf_prog_6deef7357e7b4530\t[bpf]", 4),
            ("bpf_prog_6deef7357e7b4530_x+0x4/0x40", "bpf_prog_6deef7357e7b4530_x\t[bpf]", 4),
            ("bpf_trampoline_6442526459+0x0/0x1000", "bpf_trampoline_6442526459\t[bpf]", 0),
            ("bpf__tcp_congestion_ops_init+0x0/0x40", "bpf__tcp_congestion_ops_init\t[bpf]", 0),
        ] {
            assert_eq!(listed(text), Some((name.to_owned(), offset)), "{text}");
        }
    }

    #[test]
    fn functions_of_the_kernel_are_no_bpf_programs() {
        for name in [
            "bpf_prog_alloc",
            "bpf_prog_free_deferred",
            "bpf_prog_6deef7357e7b453",
            "bpf_prog_6deef7357e7b45300",
            "bpf_prog_6deef7357e7b453g_x",
            "bpf_trampoline_link_prog",
            "bpf_trampoline_",
            "bpf_dispatcher_xdp_func",
        ] {
            assert_eq!(listed(&format!("{name}+0x0/0x1")), Some((name.to_owned(), 0)));
        }
    }

    #[test]
    fn what_has_no_name_is_not_known() {
        for text in ["", "0x0", "0xffffffffc0201000", "name", "name+0x", "name+0xg/0x1", "+0x1"] {
            assert_eq!(listed(text), None, "{text}");
        }
    }
}

//! Any bytes as a plugin's file, as a child looks at them. None is compiled, which is a matter of seconds.

use ebpf_wasm_exporter::plugin::inspect_here;

use crate::text;

/// Takes in a file that somebody says is a plugin.
pub fn component(data: &[u8]) {
    match inspect_here(data) {
        Ok((inspection, _)) => {
            assert_eq!(inspection.size, data.len());
            inspection.notes.iter().for_each(|note| text::one_line(note));
        }
        Err(error) => text::one_line(&error.to_string()),
    }
}

//! Configs that stay in the kernel when the exporter ends.

use tracing::info;

use super::Checked;
use crate::advice;
use crate::bpf::PinDir;

/// Configs that are named in a line.
const MOST: usize = 8;

/// Has all that can be pinned of these configs stay in this directory, once they are loaded. What is there of others is
/// left alone, and said.
pub fn pin(configs: &mut [Checked], dir: &PinDir) {
    for config in &mut *configs {
        config.opened.pin_in(dir);
    }
    let found = dir.configs().unwrap_or_default();
    let others =
        found.into_iter().filter(|name| configs.iter().all(|config| config.name() != name));
    if let Some(told) = not_served(others.collect(), &dir.path().display().to_string()) {
        info!("{told}");
    }
}

/// What is said of configs that are pinned and not served.
fn not_served(names: Vec<String>, dir: &str) -> Option<String> {
    let count = names.len();
    let (what, these) = match count {
        0 => return None,
        1 => ("1 config that is not served goes on".to_owned(), "it"),
        _ => (format!("{count} configs that are not served go on"), "them"),
    };
    let names = advice::few(names, MOST);
    Some(format!(
        "{what} counting in {dir}: {names}; to let go of {these}: ebpf_wasm_exporter unpin --bpf.pin-dir={dir} CONFIG"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_that_are_not_served_are_named() {
        let told = |names: &[&str]| {
            not_served(names.iter().map(|&name| name.to_owned()).collect(), "/sys/fs/bpf/x")
        };
        assert_eq!(told(&[]), None);
        insta::assert_snapshot!(told(&["a"]).unwrap(), @"1 config that is not served goes on counting in /sys/fs/bpf/x: a; to let go of it: ebpf_wasm_exporter unpin --bpf.pin-dir=/sys/fs/bpf/x CONFIG");
        insta::assert_snapshot!(told(&["a", "b"]).unwrap(), @"2 configs that are not served go on counting in /sys/fs/bpf/x: a, b; to let go of them: ebpf_wasm_exporter unpin --bpf.pin-dir=/sys/fs/bpf/x CONFIG");
    }
}

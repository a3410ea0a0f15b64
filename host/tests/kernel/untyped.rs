//! A kernel that does not tell its types: the exporter sees an empty directory where this one has them.

use std::fs;
use std::process::Command;

use insta::assert_snapshot;

use crate::configs::{Configs, WORKLOAD};
use crate::exporter::{BINARY, Exporter, Said, run};
use crate::load::anywhere;
use crate::plain;

/// Of an object with hooks that are found by type.
const HOOKS: &str = "metrics:
  counters:
    - name: raw_tp_renames_total
      help: Names that threads were given
      labels: [{name: name, size: 16, decoders: [{name: string}]}]
";

/// An exporter of these configs that sees none of the kernel's types.
fn untyped(configs: &Configs) -> Command {
    const SCRIPT: &str = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT, BINARY]).args(configs.flags());
    command
}

/// What it says of these configs, with these flags too.
fn checked(configs: &Configs, flags: &[&str]) -> Said {
    let mut said = run(untyped(configs).arg("--config.check").args(flags));
    said.stderr = anywhere(&said.stderr);
    said
}

/// Counted to the number, and why no map is copied is told.
pub fn what_takes_no_types_is_served() {
    let configs = plain::configs();
    let mut command = untyped(&configs);
    command.args(["--web.listen-address=127.0.0.1:0", "--log.no-timestamps"]);
    let Some(told) = plain::counts_and_is_not_copied(Exporter::serve(&mut command)) else {
        return;
    };
    assert_snapshot!(anywhere(&told), @" INFO maps are not copied but read in other ways, which take longer: this kernel (RELEASE) does not tell its types: no BTF at /sys/kernel/btf/vmlinux; use a kernel with CONFIG_DEBUG_INFO_BTF=y");
}

/// A file of them does for fields of theirs, and not for hooks.
pub fn what_takes_types_says_where_they_are_missing() {
    let mut fields = Configs::new();
    fields.add_workload("fields", WORKLOAD);
    let mut hooks = Configs::new();
    hooks.add_object("hooks", HOOKS);
    let file = fields.path().join("vmlinux");
    fs::copy("/sys/kernel/btf/vmlinux", &file).unwrap();
    let file = format!("--btf.path={}", file.display());

    let [of_fields, of_hooks] = [&fields, &hooks].map(|configs| checked(configs, &[]));
    assert_eq!((of_fields.code, of_hooks.code), (Some(4), Some(4)), "{of_fields:?} {of_hooks:?}");
    assert_snapshot!(of_fields.stderr, @"error: failed to load config `fields`: this kernel (RELEASE) does not tell its types: no BTF at /sys/kernel/btf/vmlinux; give it with --btf.path, or use a kernel with CONFIG_DEBUG_INFO_BTF=y");
    assert_snapshot!(of_hooks.stderr, @"error: failed to load config `hooks`: this kernel (RELEASE) does not tell its types: no BTF at /sys/kernel/btf/vmlinux; give it with --btf.path, or use a kernel with CONFIG_DEBUG_INFO_BTF=y");
    let [of_fields, of_hooks] = [&fields, &hooks].map(|configs| checked(configs, &[&file]));
    assert_eq!((of_fields.code, &*of_fields.stdout), (Some(0), "ok\n"), "{of_fields:?}");
    assert_eq!(of_hooks.code, Some(4), "{of_hooks:?}");
    assert_snapshot!(of_hooks.stderr, @"error: failed to load config `hooks`: this kernel (RELEASE) does not tell its types: no BTF at /sys/kernel/btf/vmlinux; --btf.path does not do for this config: use a kernel with CONFIG_DEBUG_INFO_BTF=y");
}

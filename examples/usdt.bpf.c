/* Modules that Python programs import, by name: a probe that the interpreter has built in (a USDT). It costs next to
 * nothing until somebody asks for it, and a trap into the kernel each time then.
 *
 * Needs CONFIG_UPROBES, and a python3 that was built --with-dtrace, as Debian's is. A module that is there already is not
 * looked for, and does not count. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>
#include "maps.bpf.h"

struct import {
	char module[128];
};

/* LRU, for there is no end to names. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct import);
	__type(value, u64);
} python_module_imports_total SEC(".maps");

/* libbpf looks for a bare file name along PATH, and then in /usr/bin. A file that is a script is none. */
SEC("usdt/python3:python:import__find__load__start")
int BPF_USDT(import_starts, const char *name)
{
	struct import key = {};

	bpf_probe_read_user_str(key.module, sizeof(key.module), name);
	add_to_map(&python_module_imports_total, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

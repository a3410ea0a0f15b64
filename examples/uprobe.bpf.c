/* Calls of malloc() in the system's C library, by cgroup. A probe in user space costs a trap into the kernel
 * each time, a microsecond or so: this is for a look, not for ever. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "maps.bpf.h"

/* LRU, for cgroups come and go; per CPU, for malloc() is called often and everywhere. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u64);
} libc_malloc_calls_total SEC(".maps");

/* libbpf looks for a bare file name where the dynamic linker would. */
SEC("uprobe/libc.so.6:malloc")
int malloc_called(void *ctx)
{
	u64 cgroup = bpf_get_current_cgroup_id();

	add_to_map(&libc_malloc_calls_total, &cgroup, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

/* The memory of compiled BPF programs, in pages: a variable of the kernel, bpf_jit_current. Unprivileged programs,
 * such as socket filters, are refused when it reaches the sysctl net.core.bpf_jit_limit.
 *
 * Needs the variable's address: CONFIG_KALLSYMS_ALL, and who may read /proc/kallsyms. A program has to be started
 * to read it. What frees compiled programs is done by a kernel's worker, and workers are busy all the time:
 * whatever work one has done, the variable is looked at. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define PAGE_SIZE 4096 /* there are kernels for arm64 with larger ones: their memory is told in these, too */

/* Set by the exporter before the program is loaded. */
const volatile u64 kaddr_bpf_jit_current = 0;

/* Before Linux 5.18 the kernel counted pages, since then bytes. */
struct bpf_binary_header___pages {
	u32 pages;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} bpf_jit_pages_currently_allocated SEC(".maps");

SEC("tp_btf/workqueue_execute_end")
int workqueue_execute_end(void *ctx)
{
	static const u32 only = 0;
	struct bpf_binary_header___pages *header = NULL;
	u64 current = 0;

	if (bpf_probe_read_kernel(&current, sizeof(current), (void *)kaddr_bpf_jit_current))
		return 0;
	if (!bpf_core_field_exists(header->pages))
		current = (current + PAGE_SIZE - 1) / PAGE_SIZE;
	bpf_map_update_elem(&bpf_jit_pages_currently_allocated, &only, &current, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

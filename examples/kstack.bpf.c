/* Who uses the page cache: the kernel's functions that were under way when a page was marked as used.
 *
 * Needs CONFIG_KPROBES. The function is called folio_mark_accessed() since Linux 5.16, and the old one calls it: so both
 * are probed, and the old one counts where there is no other. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

#define DEPTH 20

/* The decoder's name for 0 is the end, so what is not filled is. */
struct stack {
	u64 functions[DEPTH];
};

/* LRU: there are more ways to get here than anybody wants to see. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct stack);
	__type(value, u64);
} mark_page_accessed_total SEC(".maps");

static __always_inline int count_stack(void *ctx)
{
	struct stack key = {};

	/* A stack of the kernel, not of the user's; of a kprobe it begins with the function that is probed. */
	if (bpf_get_stack(ctx, key.functions, sizeof(key.functions), 0) > 0)
		add_to_map(&mark_page_accessed_total, &key, 1);
	return 0;
}

SEC("kprobe/folio_mark_accessed")
int folio_mark_accessed(void *ctx)
{
	return count_stack(ctx);
}

SEC("kprobe/mark_page_accessed")
int mark_page_accessed(void *ctx)
{
	if (bpf_core_type_exists(struct folio))
		return 0;
	return count_stack(ctx);
}

char LICENSE[] SEC("license") = "GPL";

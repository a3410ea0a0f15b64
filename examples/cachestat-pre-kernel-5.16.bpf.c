/* The same as cachestat for kernels before Linux 5.16, when the page cache had pages instead of folios. Needs
 * CONFIG_KPROBES for what is looked at. */
#include "page_cache.bpf.h"

SEC("kprobe/mark_page_accessed")
int mark_page_accessed(void *ctx)
{
	return count(CACHE_ACCESS);
}

/* Where account_page_dirtied() begins. */
SEC("tp_btf/writeback_dirty_page")
int writeback_dirty_page(void *ctx)
{
	return count(PAGE_MARK_DIRTIES);
}

char LICENSE[] SEC("license") = "GPL";

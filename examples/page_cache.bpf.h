/* What is done to the page cache, counted by kind. The programs that see it are left to the includer, for some of
 * the hooks are others by kernel; those that are everywhere are here. */
#pragma once

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

enum page_cache_op { CACHE_ACCESS, CACHE_WRITES, PAGE_ADD_LRU, PAGE_MARK_DIRTIES, PAGE_CACHE_OPS };

/* Per CPU, for every read of a file comes by here. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PAGE_CACHE_OPS);
	__type(key, u32);
	__type(value, u64);
} page_cache_ops_total SEC(".maps");

static __always_inline int count(u32 op)
{
	add_to_map(&page_cache_ops_total, &op, 1);
	return 0;
}

/* Where mark_buffer_dirty() begins. */
SEC("tp_btf/block_dirty_buffer")
int block_dirty_buffer(void *ctx)
{
	return count(CACHE_WRITES);
}

/* What add_to_page_cache_lru() was called for, and filemap_add_folio() is since Linux 5.16. */
SEC("tp_btf/mm_filemap_add_to_page_cache")
int mm_filemap_add_to_page_cache(void *ctx)
{
	return count(PAGE_ADD_LRU);
}

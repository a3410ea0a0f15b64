/* The page cache: what is looked at, written, added and made dirty. The share of looks that add nothing is the hit
 * rate. Needs Linux 5.16, and CONFIG_KPROBES for what is looked at; cachestat-pre-kernel-5.16 is for older ones.
 *
 * All but one are tracepoints, which stay when functions are renamed or inlined. Folios are counted, which may be
 * several pages each. */
#include "page_cache.bpf.h"

/* mark_page_accessed() calls it too, as long as there is one. */
SEC("kprobe/folio_mark_accessed")
int folio_mark_accessed(void *ctx)
{
	return count(CACHE_ACCESS);
}

SEC("tp_btf/writeback_dirty_folio")
int writeback_dirty_folio(void *ctx)
{
	return count(PAGE_MARK_DIRTIES);
}

char LICENSE[] SEC("license") = "GPL";

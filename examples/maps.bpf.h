/* Counting in maps: every example's keys come and go through these. */
#pragma once

#include <bpf/bpf_helpers.h>

/* How often a map had no room for a new entry. The exporter finds it by its name, and serves it as
 * ebpf_exporter_map_insert_failures_total. */
__u64 ebpf_exporter_insert_failures;

static __always_inline void insert_failed(void)
{
	__sync_fetch_and_add(&ebpf_exporter_insert_failures, 1);
}

/* Adds `add` to the entry of `key`, which is made if it is not there yet. Exact when many CPUs
 * make the same entry at once: whoever comes second finds it. */
static __always_inline void add_to_map(void *map, const void *key, __u64 add)
{
	__u64 zero = 0;
	__u64 *value = bpf_map_lookup_elem(map, key);

	if (!value) {
		bpf_map_update_elem(map, key, &zero, BPF_NOEXIST);
		value = bpf_map_lookup_elem(map, key);
		if (!value) {
			insert_failed();
			return;
		}
	}
	__sync_fetch_and_add(value, add);
}

/* Like add_to_map, for a hash that is to lose no count. An LRU hash loses what a row counts between two scrapes
 * if the row is forgotten before the second. This one forgets nothing: once it is full, what is new counts
 * under `rest`. */
static __always_inline void add_or_rest(void *map, const void *key, const void *rest, __u64 add)
{
	__u64 zero = 0;
	__u64 *value = bpf_map_lookup_elem(map, key);

	if (!value) {
		/* The rest first, while there is room for it. */
		bpf_map_update_elem(map, rest, &zero, BPF_NOEXIST);
		bpf_map_update_elem(map, key, &zero, BPF_NOEXIST);
		value = bpf_map_lookup_elem(map, key);
		if (!value)
			value = bpf_map_lookup_elem(map, rest);
		if (!value) {
			insert_failed();
			return;
		}
	}
	__sync_fetch_and_add(value, add);
}

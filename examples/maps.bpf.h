/* Counting in maps: every example's keys come and go through these. */
#pragma once

#include <bpf/bpf_helpers.h>

/* Adds `add` to the entry of `key`, which is made if it is not there yet. Exact when many CPUs
 * make the same entry at once: whoever comes second finds it. */
static __always_inline void add_to_map(void *map, const void *key, __u64 add)
{
	__u64 zero = 0;
	__u64 *value = bpf_map_lookup_elem(map, key);

	if (!value) {
		bpf_map_update_elem(map, key, &zero, BPF_NOEXIST);
		value = bpf_map_lookup_elem(map, key);
		if (!value)
			return;
	}
	__sync_fetch_and_add(value, add);
}

/* Like add_to_map, for a hash whose rows a plugin merges. Such a map must forget nothing, for a sum that falls
 * is a reset to Prometheus: so it is no LRU hash, and once it is full, what is new counts under `rest`. */
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
		if (!value)
			return;
	}
	__sync_fetch_and_add(value, add);
}

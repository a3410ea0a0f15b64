/* Which processes have to free kernel memory: calls of a shrinker, by the name of the process. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "maps.bpf.h"

#define COMM_LENGTH 16

/* Processes can name themselves as they like, and there is no end to names. Still no LRU hash: the config makes
 * one series of several names. Those that find no room count under the empty one. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, char[COMM_LENGTH]);
	__type(value, u64);
} mm_shrink_slab_events_total SEC(".maps");

SEC("raw_tp/mm_shrink_slab_end")
int mm_shrink_slab_end(void *ctx)
{
	static const char no_room[COMM_LENGTH] = {};
	/* Bytes behind the name are part of the key: the helper fills them with zeros. */
	char comm[COMM_LENGTH];

	bpf_get_current_comm(comm, sizeof(comm));
	add_or_rest(&mm_shrink_slab_events_total, comm, no_room, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

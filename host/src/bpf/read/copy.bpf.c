/* Copies a stretch of a hash map's elements, as they lie in the kernel's memory, into memory that the
 * host has mapped: twice, one copy behind the other, so that the host can tell what stayed. The host
 * puts the place of the elements in here before it loads it; nothing else can be read. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

const volatile struct {
	/* The address of the first element. */
	u64 elements;
	/* Bytes of an element. */
	u64 size;
	/* How many there are. */
	u64 count;
	/* Bytes of the sink for one copy. */
	u64 room;
} map = {};

u64 sink[1] SEC(".data.sink");

struct stretch {
	u64 first;
	u64 count;
};

/* 0 if all went well. */
SEC("syscall")
int copy(struct stretch *stretch)
{
	u64 first = stretch->first, count = stretch->count, bytes = count * map.size;
	void *from = (void *)(map.elements + first * map.size), *to = sink;

	if (first > map.count || count > map.count - first || bytes > map.room)
		return 1;
	if (bpf_probe_read_kernel(to, bytes, from))
		return 1;
	return bpf_probe_read_kernel(to + map.room, bytes, from) ? 1 : 0;
}

char LICENSE[] SEC("license") = "GPL";

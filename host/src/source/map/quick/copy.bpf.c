/* Copies a stretch of a hash map's elements, as they lie in the kernel's memory, into memory that the
 * host has mapped: twice, one copy behind the other, so that the host can tell what stayed. The host
 * puts the places of the elements of its maps in here, and freezes them, before it runs this once;
 * nothing else can be read. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

/* Bytes of the sink for one copy. */
const volatile u64 room = 0;

/* The elements of a map. */
struct place {
	/* The address of the first. */
	u64 elements;
	/* Bytes of an element. */
	u64 size;
	/* How many there are. */
	u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct place);
} ewe_copy_places SEC(".maps");

u64 sink[1] SEC(".data.sink");

struct stretch {
	u64 place;
	u64 first;
	u64 count;
};

/* 0 if all went well. */
SEC("syscall")
int ewe_copy(struct stretch *stretch)
{
	u64 first = stretch->first, count = stretch->count, bytes;
	u32 index = stretch->place;
	const struct place *place = bpf_map_lookup_elem(&ewe_copy_places, &index);
	void *from, *to = sink;

	if (!place || first > place->count || count > place->count - first)
		return 1;
	bytes = count * place->size;
	if (bytes > room)
		return 1;
	from = (void *)(place->elements + first * place->size);
	if (bpf_probe_read_kernel(to, bytes, from))
		return 1;
	return bpf_probe_read_kernel(to + room, bytes, from) ? 1 : 0;
}

char LICENSE[] SEC("license") = "GPL";

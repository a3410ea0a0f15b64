/* Copies a stretch of a hash map's elements, as they lie in the kernel's memory, into memory that the
 * host has mapped: twice, one copy behind the other, so that the host can tell what stayed. If each CPU
 * has values of its own, they are copied between the two. The host puts the places of the elements of
 * its maps in here, and freezes them, before it runs this once; nothing else can be read. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

/* Bytes of the sink for one copy, and for the values of all CPUs. */
const volatile u64 room = 0;
/* How many CPUs there can be; 0 if none has values of its own. */
const volatile u64 cpus = 0;

/* Values to copy at a time: behind the sink there is room for so many. */
#define MOST 512

/* The elements of a map. */
struct place {
	/* The address of the first. */
	u64 elements;
	/* Bytes of an element. */
	u64 size;
	/* How many there are. */
	u64 count;
	/* Bytes of an element before the pointer to its values, one for each CPU; 0 if it has none. */
	u64 values;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct place);
} ewe_copy_places SEC(".maps");

/* What is to be added to such a pointer for each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} ewe_copy_offsets SEC(".maps");

u64 sink[1] SEC(".data.sink");

struct stretch {
	u64 place;
	u64 first;
	u64 count;
};

/* The values of a stretch. The kernel allocates those of one element after those of another, so that
 * most lie end to end, and are copied at once. */
struct values {
	/* The address of the pointer of the first element, and how far it is to the next one. */
	u64 pointers;
	u64 size;
	/* How many elements there are. */
	u64 count;
	/* The pointer of the first element whose values lie end to end with those before `end`. */
	u64 from;
	u64 begin;
	u64 end;
	u64 failed;
};

static long copy_for_cpu(u32 cpu, struct values *values)
{
	const u64 *offset = bpf_map_lookup_elem(&ewe_copy_offsets, &cpu);
	u64 at = (cpu * values->count + values->begin) * sizeof(u64);
	u64 bytes = (values->end - values->begin) * sizeof(u64);
	void *to = sink;

	if (offset && at < room && bytes <= MOST * sizeof(u64) &&
	    !bpf_probe_read_kernel(to + 2 * room + at, bytes, (void *)(values->from + *offset)))
		return 0;
	values->failed = 1;
	return 1;
}

/* Is called for each element, and once more behind the last one. */
static long copy_values(u32 element, struct values *values)
{
	const void *pointer = (void *)(values->pointers + element * values->size);
	u64 before = element - values->begin, from = 0;

	if (element < values->count && bpf_probe_read_kernel(&from, sizeof(from), pointer)) {
		values->failed = 1;
		return 1;
	}
	if (from == values->from + before * sizeof(u64) && before < MOST)
		return 0;
	values->end = element;
	bpf_loop(cpus, copy_for_cpu, values, 0);
	values->from = from;
	values->begin = element;
	return 0;
}

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
	if (cpus && place->values) {
		struct values values = {
			.pointers = (u64)from + place->values,
			.size = place->size,
			.count = count,
		};

		bpf_loop(count + 1, copy_values, &values, 0);
		if (values.failed)
			return 1;
	}
	return bpf_probe_read_kernel(to + room, bytes, from) ? 1 : 0;
}

char LICENSE[] SEC("license") = "GPL";

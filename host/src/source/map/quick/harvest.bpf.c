/* Walks a map inside the kernel and leaves its rows in memory that the host has mapped. One object
 * serves every map whose keys are whole 4-byte words: the host puts the map's descriptor, the size
 * of its keys and the room there is in here before it loads it. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

const volatile struct {
	/* Bytes of a key; at most 96, which the verifier has to be able to see. */
	u32 key_size;
	/* u64s in the sink that a row may begin at, so that it ends within. */
	u32 room;
} map = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, u64);
} target SEC(".maps");

/* Rows end to end: the words of the key, the last one filled up with zeros, and the value. */
u64 sink[1] SEC(".data.sink");

struct walk {
	/* u64s written. */
	u32 at;
};

/* Plain loads and stores, word by word: bpf_probe_read_kernel would double the cost. The size of
 * the key is a constant to the verifier, which drops what does not apply. */
static long copy_row(struct bpf_map *unused, const void *key, const u64 *value, struct walk *walk)
{
	const u64 *words = key;
	u32 count = map.key_size / 8;
	u64 *row = sink + walk->at;

	if (walk->at >= map.room)
		return 1;
#define WORD(n)                                                                                    \
	case n + 1:                                                                                \
		row[n] = words[n]; /* fall through */
	switch (count) {
		WORD(11) WORD(10) WORD(9) WORD(8) WORD(7) WORD(6)
		WORD(5) WORD(4) WORD(3) WORD(2) WORD(1) WORD(0)
	case 0:
		break;
	default:
		return 1;
	}
	if (map.key_size % 8) {
		row[count] = *(const u32 *)(key + count * 8);
		count++;
	}
	row[count] = *value;
	/* An element that was taken for another key meanwhile has that key by now: leave it out, and
	 * the host misses its old key and asks for it. */
#define SAME(n)                                                                                    \
	case n + 1:                                                                                \
		if (((const volatile u64 *)key)[n] != row[n])                                      \
			return 0; /* fall through */
	switch (map.key_size / 8) {
		SAME(11) SAME(10) SAME(9) SAME(8) SAME(7) SAME(6)
		SAME(5) SAME(4) SAME(3) SAME(2) SAME(1) SAME(0)
	}
	if (map.key_size % 8 &&
	    *(const volatile u32 *)(key + map.key_size / 8 * 8) != row[map.key_size / 8])
		return 0;
	walk->at += count + 1;
	return 0;
}

/* Gives the number of u64s written; more rows than there is room for are left out. */
SEC("syscall")
int ewe_harvest(void *ctx)
{
	struct walk walk = {};

	bpf_for_each_map_elem(&target, copy_row, &walk, 0);
	return walk.at;
}

char LICENSE[] SEC("license") = "GPL";

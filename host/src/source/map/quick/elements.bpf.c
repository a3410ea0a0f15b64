/* Says where the kernel keeps the elements of its hash maps: one record for each map whose elements
 * were all allocated when it was made. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

struct record {
	u64 elements;
	u64 buckets;
	u64 buckets_end;
	u32 id;
	u32 max_entries;
	/* Bytes of an element, and those before its link backwards and before its key. */
	u32 size;
	u32 link;
	u32 key;
	u32 padding;
};

/* What the kernel hands to a program for each map: `struct bpf_iter__bpf_map`, which it keeps as it is.
 * Each struct whose fields libbpf has to find takes it a search through all types of the kernel, so the
 * fewest are named: a hash map's own begins with that of any map. */
struct step {
	struct {
		struct seq_file *seq;
	} *meta;
	struct bpf_htab *map;
};

SEC("iter/bpf_map")
int ewe_elements(struct step *step)
{
	struct bpf_htab *hash = step->map;
	struct record record = {};

	if (!hash || (hash->map.map_type != BPF_MAP_TYPE_HASH && hash->map.map_type != BPF_MAP_TYPE_LRU_HASH))
		return 0;
	record.elements = (u64)BPF_CORE_READ(hash, elems);
	record.buckets = (u64)BPF_CORE_READ(hash, buckets);
	record.buckets_end = record.buckets +
			     (u64)BPF_CORE_READ(hash, n_buckets) * bpf_core_type_size(struct bucket);
	record.id = hash->map.id;
	record.max_entries = hash->map.max_entries;
	record.size = BPF_CORE_READ(hash, elem_size);
	record.link = bpf_core_field_offset(struct htab_elem, hash_node.pprev);
	record.key = bpf_core_field_offset(struct htab_elem, key);
	if (record.elements)
		bpf_seq_write(step->meta->seq, &record, sizeof(record));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

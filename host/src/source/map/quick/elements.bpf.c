/* Says where the kernel keeps the elements of its hash maps: one record for each map whose elements
 * were all allocated when it was made. And where each CPU has what is its own. */
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
	/* Those before the pointer to its values, one for each CPU; 0 if it has its value in itself. */
	u32 values;
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

static bool is_per_cpu(u32 type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static bool is_hash(u32 type)
{
	return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH || is_per_cpu(type);
}

SEC("iter/bpf_map")
int ewe_elements(struct step *step)
{
	struct bpf_htab *hash = step->map;
	struct record record = {};

	if (!hash || !is_hash(hash->map.map_type))
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
	if (is_per_cpu(hash->map.map_type))
		record.values = record.key + (hash->map.key_size + 7) / 8 * 8;
	if (record.elements)
		bpf_seq_write(step->meta->seq, &record, sizeof(record));
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} ewe_own SEC(".maps");

struct question {
	u64 cpu;
	/* Where this CPU has its value, and the pointer to the values of all: what lies between is the
	 * same for all such pointers. */
	u64 value;
	u64 pointer;
};

/* 0 if there is such a CPU. */
SEC("syscall")
int ewe_offset(volatile struct question *question)
{
	const struct bpf_array *own;
	u32 index = 0;
	void *value;

	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_map_lookup_percpu_elem))
		return 1;
	value = bpf_map_lookup_percpu_elem(&ewe_own, &index, question->cpu);
	if (!value)
		return 1;
	question->value = (u64)value;
	/* Read back, so that it is a number to the verifier. */
	question->pointer = (u64)&ewe_own;
	own = (struct bpf_array *)question->pointer;
	question->pointer = (u64)BPF_CORE_READ(own, pptrs[0]);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

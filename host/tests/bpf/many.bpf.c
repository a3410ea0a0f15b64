/* Many maps of each type that is read in a way of its own, for what each of them takes. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

#define MAP(name, map_type, key_type)                                                              \
	struct {                                                                                   \
		__uint(type, map_type);                                                            \
		__uint(max_entries, 64);                                                           \
		__type(key, key_type);                                                             \
		__type(value, u64);                                                                \
	} name SEC(".maps");

#define MAPS(n)                                                                                    \
	MAP(hash_##n, BPF_MAP_TYPE_HASH, u64)                                                      \
	MAP(lru_hash_##n, BPF_MAP_TYPE_LRU_HASH, u64)                                              \
	MAP(array_##n, BPF_MAP_TYPE_ARRAY, u32)                                                    \
	MAP(percpu_hash_##n, BPF_MAP_TYPE_PERCPU_HASH, u64)                                        \
	MAP(percpu_array_##n, BPF_MAP_TYPE_PERCPU_ARRAY, u32)

MAPS(0)
MAPS(1)
MAPS(2)
MAPS(3)
MAPS(4)
MAPS(5)
MAPS(6)
MAPS(7)

/* Kept in a map of libbpf's. */
volatile u64 runs;

SEC("tracepoint/syscalls/sys_enter_prctl")
int on_prctl(void *ctx)
{
	(void)ctx;
	runs++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

/* A map of BENCH_ENTRIES rows that nobody but the benchmark fills. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BENCH_TYPE);
	__uint(max_entries, BENCH_ENTRIES);
	__uint(key_size, BENCH_KEY_SIZE);
	__type(value, u64);
} rows_total SEC(".maps");

/* Keeps the object from being one without programs; never attached to anything that fires. */
SEC("raw_tp/sys_enter")
int idle(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

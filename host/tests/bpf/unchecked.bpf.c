/* Uses what a lookup found without a look whether it found any: the verifier refuses it. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

SEC("raw_tp/task_rename")
int on_rename(void *ctx)
{
	u32 key = 0;
	u64 *count = bpf_map_lookup_elem(&counts, &key);

	(void)ctx;
	*count += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

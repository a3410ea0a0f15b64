/* Calls of kernel functions that are under way: what is known when a function is entered is needed when it
 * returns. */
#pragma once

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

struct call {
	u32 caller;
	u32 function; /* which of an example's functions, if it has several: one may call another */
};

/* LRU, for a return may be missed: the kernel has so many places for calls that wait for theirs, and no more. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct call);
	__type(value, u64);
} calls SEC(".maps");

/* The thread. The idle tasks all have id 0, and are told apart by their CPUs. */
static __always_inline u32 caller(void)
{
	u32 thread = bpf_get_current_pid_tgid();

	return thread ? thread : ~bpf_get_smp_processor_id();
}

/* Keeps `value`, which is not 0, until the function returns. 0, or an error's number. */
static __always_inline long enter(u32 function, u64 value)
{
	struct call key = { .caller = caller(), .function = function };

	return bpf_map_update_elem(&calls, &key, &value, BPF_ANY);
}

/* What was kept; 0 if the call began before this program was there. */
static __always_inline u64 leave(u32 function)
{
	struct call key = { .caller = caller(), .function = function };
	u64 *kept = bpf_map_lookup_elem(&calls, &key);
	u64 value;

	if (!kept)
		return 0;
	value = *kept;
	bpf_map_delete_elem(&calls, &key);
	return value;
}

/* One program that runs at each getpid(). It counts the call in a map, if BENCH_TYPE says of which type: by
 * the call's number, or, with BENCH_COMM, by the caller's name. BENCH_HOOK_… says where it is attached. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

#define COMM_LENGTH 16

#ifdef BENCH_TYPE
struct {
	__uint(type, BENCH_TYPE);
	__uint(map_flags, BENCH_FLAGS);
	__uint(max_entries, 1024);
#ifdef BENCH_COMM
	__type(key, char[COMM_LENGTH]);
#else
	__type(key, u32);
#endif
	__type(value, u64);
} calls_total SEC(".maps");
#endif

static __always_inline int count(u32 number)
{
#if defined(BENCH_COMM)
	char comm[COMM_LENGTH];

	bpf_get_current_comm(comm, sizeof(comm));
	add_to_map(&calls_total, comm, 1);
#elif defined(BENCH_TYPE)
	add_to_map(&calls_total, &number, 1);
#endif
	return 0;
}

#if defined(BENCH_HOOK_RAW_TP)
SEC("raw_tp/sys_enter")
int call(struct bpf_raw_tracepoint_args *ctx)
{
	return count(ctx->args[1]);
}
#elif defined(BENCH_HOOK_TP_BTF)
SEC("tp_btf/sys_enter")
int BPF_PROG(call, struct pt_regs *registers, long number)
{
	return count(number);
}
#elif defined(BENCH_HOOK_TRACEPOINT)
SEC("tracepoint/syscalls/sys_enter_getpid")
int call(struct syscall_trace_enter *ctx)
{
	return count(ctx->nr);
}
#endif

char LICENSE[] SEC("license") = "GPL";

/* One program that attaches, among others that no kernel can attach. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

/* For a config to have a metric. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_prctl")
int attaches(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_prctll")
int misspelt_tracepoint(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("tracepoint/no_such_group/x")
int no_group(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("raw_tp/task_renamed")
int misspelt_raw_tp(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("kprobe/no_such_function_at_all")
int no_function(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("uprobe//no/such/file:symbol")
int no_file(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("uprobe//proc/self/exe:no_such_symbol")
int no_symbol(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("uprobe.multi//proc/self/exe:no_such_symbol_*")
int no_symbols(void *ctx)
{
	(void)ctx;
	return 0;
}

/* A script of bash, in each Debian. */
SEC("uprobe//usr/bin/ldd:main")
int of_script(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("usdt//usr/bin/ldd:provider:name")
int probe_of_script(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("usdt//proc/self/exe:provider:name")
int no_probe(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("syscall")
int not_by_section(void *ctx)
{
	(void)ctx;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

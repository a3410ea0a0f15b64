/* Programs whose hooks are reached while they cannot run. A system call of the test's process has `outer` call
 * two helpers: the kernel runs no kprobe inside another, and no program inside itself. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* The test's process. */
const volatile __u64 process = 0;

SEC("ksyscall/getppid")
int outer(void *ctx)
{
	char name[16];

	(void)ctx;
	if (bpf_get_current_pid_tgid() >> 32 != process)
		return 0;
	bpf_get_current_comm(name, sizeof(name));
	bpf_get_current_uid_gid();
	return 0;
}

/* Missed once a call. */
SEC("kprobe/bpf_get_current_comm")
int inner(void *ctx)
{
	(void)ctx;
	return 0;
}

/* Runs once a call, and is missed once for what it calls itself. */
SEC("fentry/bpf_get_current_uid_gid")
int nested(void *ctx)
{
	(void)ctx;
	bpf_get_current_uid_gid();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

/* The same, with one more program that says how often it was called. */
#include "kept.bpf.c"

#ifndef PAIR_HOOK
#define PAIR_HOOK "tracepoint/syscalls/sys_exit_prctl"
#endif

SEC(PAIR_HOOK)
int paired(void *ctx)
{
	(void)ctx;
	return 0;
}

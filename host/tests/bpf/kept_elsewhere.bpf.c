/* The same, with one more program at a hook that is not there. */
#include "kept.bpf.c"

SEC("uprobe//no/such/file:nothing")
int elsewhere(void *ctx)
{
	(void)ctx;
	return 0;
}

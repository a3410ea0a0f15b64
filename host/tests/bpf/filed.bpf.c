/* Counts calls of a function in a file whose path a test writes into the object. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "counts.bpf.h"

COUNTS(filed_total, u32);

SEC("uprobe//the/place/of/a/path/that/is/as/long/as/this/one:post_attach_mark")
int filed(void *ctx)
{
	u32 key = 0;

	(void)ctx;
	add_to_map(&filed_total, &key, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

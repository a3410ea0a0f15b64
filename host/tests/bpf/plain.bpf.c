/* Takes none of the kernel's types and reads none of its memory: counts what threads were called before they are
 * called otherwise. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include "counts.bpf.h"

struct name {
	char text[16];
};

COUNTS(renames_total, struct name);

SEC("raw_tp/task_rename")
int renamed(void *ctx)
{
	struct name name = {};

	(void)ctx;
	bpf_get_current_comm(&name, sizeof(name));
	add_to_map(&renames_total, &name, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

/* Has the kernel print what it calls an address, which it knows without a table that would have to
 * be copied to the host first. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

/* The longest that the kernel prints has some 600 bytes: a name of 512 at most, two numbers and the
 * name of a module. */
char text[1024];

/* Leaves `name+0x0/0x80 [module]`, or the bare address if it has no name, in `text`. Gives the bytes
 * that this takes with the NUL at its end, or would take if there were room. */
SEC("syscall")
long ewe_symbols(u64 *address)
{
	static const char format[] = "%pS";
	u64 argument = *address;

	return bpf_snprintf(text, sizeof(text), format, &argument, sizeof(argument));
}

char LICENSE[] SEC("license") = "GPL";

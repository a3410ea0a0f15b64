/* Sockets of the Unix domain, by the path that a server has bound them to. */
#pragma once

#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Longer than any path that is asked for, so that what is cut off is none of them. */
#define PATH_LENGTH 48

/* Reads the path; false if the socket has none. */
static __always_inline bool read_path(char path[PATH_LENGTH], struct sock *socket)
{
	struct unix_address *address = BPF_CORE_READ((struct unix_sock *)socket, addr);

	/* Names in the abstract namespace begin with a 0. */
	return address &&
	       bpf_probe_read_kernel_str(path, PATH_LENGTH, &address->name[0].sun_path) > 1;
}

/* Whether it is this one: a literal, so that its length is known. */
#define is_path(path, literal) (!__builtin_memcmp(path, literal, sizeof(literal)))

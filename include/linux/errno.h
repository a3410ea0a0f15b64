/* The kernel's errors, as far as they are asked for here; they have these numbers on x86 and arm64. libbpf's usdt.bpf.h
 * includes this file. The system's own leads on to a directory that a compiler for BPF does not know of. */
#pragma once

#define ENOENT 2
#define ESRCH 3
#define ENOMEM 12
#define EBUSY 16
#define EEXIST 17
#define EINVAL 22

/* The same, one of whose programs is at a hook that is not there. */
#define PAIR_HOOK "tracepoint/syscalls/sys_exit_prctI"
#include "kept_pair.bpf.c"

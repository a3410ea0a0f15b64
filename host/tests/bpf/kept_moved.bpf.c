/* The same, at another hook that each call passes too. */
#define KEPT_HOOK "tracepoint/raw_syscalls/sys_enter"
#include "kept.bpf.c"

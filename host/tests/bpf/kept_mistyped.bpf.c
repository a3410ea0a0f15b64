/* The same, at a hook that is not there. */
#define KEPT_HOOK "tracepoint/syscalls/sys_enter_prctI"
#include "kept.bpf.c"

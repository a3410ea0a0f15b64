/* The same under another name, at a hook that is not there. */
#define KEPT_HOOK "tracepoint/syscalls/sys_enter_prctI"
#define kept kept_anew
#include "kept.bpf.c"

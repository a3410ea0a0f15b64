/* The same, whose hook is named in other words. */
#define KEPT_HOOK "tp/syscalls/sys_enter_prctl"
#include "kept.bpf.c"

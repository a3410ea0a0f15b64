/* The same, and nobody is woken for a record. */
#define TRACED_FLAGS BPF_RB_NO_WAKEUP
#include "traced.bpf.c"

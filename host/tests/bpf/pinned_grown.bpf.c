/* The same map, of another size. */
#define PINNED_ENTRIES 2
#include "pinned.bpf.c"

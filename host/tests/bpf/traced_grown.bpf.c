/* The same, with a ring buffer of another size. */
#define TRACED_BYTES (128 * 1024)
#include "traced.bpf.c"

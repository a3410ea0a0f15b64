/* The hooks of `fired.bpf.c` whose programs read none of the kernel's memory. */
#define READS_NO_MEMORY
#include "fired.bpf.c"

/* The same, with a program that loads and does not attach, and a map of another size. */
#define KEPT_BEYOND
#define KEPT_ENTRIES 1024
#include "kept.bpf.c"

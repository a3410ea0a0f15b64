/* The same, with a program that loads and does not attach. */
#define KEPT_BEYOND
#include "kept.bpf.c"

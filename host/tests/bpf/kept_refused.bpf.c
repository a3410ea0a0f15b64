/* The same, with a map more and a program that the verifier refuses. */
#define KEPT_REFUSED
#define KEPT_MORE
#include "kept.bpf.c"

/* The same, with a program that loads and does not attach. */
#define CGROUPS_BEYOND
#include "cgroup_ids.bpf.c"

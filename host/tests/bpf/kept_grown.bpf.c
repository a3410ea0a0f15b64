/* The same, with a map of another size, one of other fields, and one more. */
#define KEPT_ENTRIES 1024
#define KEPT_OTHER_FIELDS
#define KEPT_MORE
#include "kept.bpf.c"

/* Hashes that count by keys of one type. */
#pragma once

#include "maps.bpf.h"

#define COUNTS(name, key_type)                                                                     \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__uint(max_entries, 1024);                                                         \
		__type(key, key_type);                                                             \
		__type(value, u64);                                                                \
	} name SEC(".maps")

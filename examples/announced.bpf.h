/* Programs that say which trace they are working on, by probes that they have built in (USDTs of the provider
 * ebpf_exporter). A probe is a `nop` until somebody asks for it. spans/demo.c has them, and shows how to have some in a
 * program of your own; its path then belongs into the sections of these examples. */
#pragma once

#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>
#include "span.bpf.h"

/* Relative to where the exporter is started, as libbpf reads it. */
#define DEMO "usdt/./examples/spans/demo:ebpf_exporter:"

/* Where whoever has announced it is in its trace, by what the includer knows it by. LRU, for not everybody says when
 * it is over. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 10240);
	__type(key, u64);
	__type(value, struct span_context);
} announced SEC(".maps");

static __always_inline void announce(u64 who, const struct span_context *context)
{
	bpf_map_update_elem(&announced, &who, context, BPF_ANY);
}

static __always_inline void forget(u64 who)
{
	bpf_map_delete_elem(&announced, &who);
}

/* NULL if it has announced nothing. */
static __always_inline struct span_context *context_of(u64 who)
{
	return bpf_map_lookup_elem(&announced, &who);
}

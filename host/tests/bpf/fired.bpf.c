/* One program for each kind of hook that counts: each counts what the thread `firing` does on purpose. */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>
#include "maps.bpf.h"

/* The thread's name as a number. */
#define FIRING 0x676e69726966ULL
/* A UDP port that nobody else sends to, and the upper half of addresses where nobody else has memory. */
#define PORT 26217
#define MEMORY 0x1337

enum hook {
	KPROBE,
	KRETPROBE,
	KPROBE_MULTI,
	KRETPROBE_MULTI,
	KPROBE_SESSION,
	KSYSCALL,
	KRETSYSCALL,
	FENTRY,
	FEXIT,
	LSM,
	TP_BTF,
	RAW_TP,
	TRACEPOINT,
	UPROBE,
	URETPROBE,
	UPROBE_MULTI,
	URETPROBE_MULTI,
	UPROBE_SESSION,
	USDT,
	PERF_EVENT,
	XDP,
	TC_INGRESS,
	TC_EGRESS,
	HOOKS,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HOOKS);
	__type(key, u32);
	__type(value, u64);
} hook_hits_total SEC(".maps");

static __always_inline int count(u32 hook)
{
	u64 name[2] = {};

	bpf_get_current_comm(name, sizeof(name));
	if (name[0] == FIRING)
		add_to_map(&hook_hits_total, &hook, 1);
	return 0;
}

#define COUNTS(section, name, hook)                                                                \
	SEC(section)                                                                               \
	int name(void *ctx)                                                                        \
	{                                                                                          \
		return count(hook);                                                                \
	}

COUNTS("kprobe/hrtimer_nanosleep", kprobe, KPROBE)
COUNTS("kretprobe/hrtimer_nanosleep", kretprobe, KRETPROBE)
COUNTS("kprobe.multi/hrtimer_nanosleep", kprobe_multi, KPROBE_MULTI)
COUNTS("kretprobe.multi/hrtimer_nanosleep", kretprobe_multi, KRETPROBE_MULTI)
/* Twice for each call. */
COUNTS("kprobe.session/hrtimer_nanosleep", kprobe_session, KPROBE_SESSION)
COUNTS("ksyscall/getpgid", ksyscall, KSYSCALL)
COUNTS("kretsyscall/getpgid", kretsyscall, KRETSYSCALL)
COUNTS("fentry/hrtimer_nanosleep", fentry, FENTRY)
COUNTS("fexit/hrtimer_nanosleep", fexit, FEXIT)
COUNTS("lsm/task_getpgid", lsm, LSM)
COUNTS("tp_btf/task_rename", tp_btf, TP_BTF)
COUNTS("raw_tp/task_rename", raw_tp, RAW_TP)
COUNTS("tracepoint/syscalls/sys_enter_getpgid", tracepoint, TRACEPOINT)
COUNTS("uprobe/libc.so.6:getpgid", uprobe, UPROBE)
COUNTS("uretprobe/libc.so.6:getpgid", uretprobe, URETPROBE)
COUNTS("uprobe.multi/libc.so.6:getpgid", uprobe_multi, UPROBE_MULTI)
COUNTS("uretprobe.multi/libc.so.6:getpgid", uretprobe_multi, URETPROBE_MULTI)
COUNTS("uprobe.session/libc.so.6:getpgid", uprobe_session, UPROBE_SESSION)

#ifndef READS_NO_MEMORY
/* Of a whole interpreter, whose thread cannot be named before it starts: its event has the name. Where an argument
 * is, the kernel's memory says. */
SEC("usdt//usr/bin/python3:python:audit")
int BPF_USDT(usdt, const char *event)
{
	u32 hook = USDT;
	u64 name = 0;

	bpf_probe_read_user(&name, sizeof("firing"), event);
	if (name == FIRING)
		add_to_map(&hook_hits_total, &hook, 1);
	return 0;
}
#endif

/* Each fault of a page. */
SEC("perf_event/type=1,config=2,period=1")
int perf_event(struct bpf_perf_event_data *event)
{
	u32 hook = PERF_EVENT;

	if (event->addr >> 32 == MEMORY)
		add_to_map(&hook_hits_total, &hook, 1);
	return 0;
}

static __always_inline void count_packet(void *data, void *end, u32 hook)
{
	struct ethhdr *link = data;
	struct iphdr *ip = (void *)(link + 1);
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end || ip->protocol != IPPROTO_UDP)
		return;
	if (udp->dest == __builtin_bswap16(PORT))
		add_to_map(&hook_hits_total, &hook, 1);
}

SEC("xdp/lo")
int xdp(struct xdp_md *packet)
{
	count_packet((void *)(long)packet->data, (void *)(long)packet->data_end, XDP);
	return XDP_PASS;
}

#define TRAFFIC(section, name, hook)                                                               \
	SEC(section)                                                                               \
	int name(struct __sk_buff *packet)                                                         \
	{                                                                                          \
		count_packet((void *)(long)packet->data, (void *)(long)packet->data_end, hook);    \
		return TCX_NEXT;                                                                   \
	}

TRAFFIC("tc/ingress/lo", tc_ingress, TC_INGRESS)
TRAFFIC("tc/egress/lo", tc_egress, TC_EGRESS)

char LICENSE[] SEC("license") = "GPL";

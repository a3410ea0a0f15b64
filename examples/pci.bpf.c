/* Reads of PCI devices' configuration that programs ask for, by device: such a read can stop the device, and the CPU
 * that waits for it, for a millisecond. Needs CONFIG_PCI and CONFIG_KPROBES: no tracepoint tells of them.
 *
 * Programs read by /sys/bus/pci/devices/…/config; one read of many bytes is many operations. */
#include <vmlinux.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"

struct device_key {
	u32 vendor;
	u32 device; /* with the vendor, as a device's number alone says nothing */
	u16 class;
	u16 subclass; /* with the class */
};

/* LRU, for devices can be plugged in. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct device_key);
	__type(value, u64);
} pci_user_read_config_ops_total SEC(".maps");

static __always_inline int count_read(struct pci_dev *device)
{
	/* Class, subclass and programming interface, a byte each. */
	u32 class = BPF_CORE_READ(device, class);
	struct device_key key = {
		.vendor = BPF_CORE_READ(device, vendor),
		.class = class >> 16,
		.subclass = class >> 8,
	};

	key.device = key.vendor << 16 | BPF_CORE_READ(device, device);
	add_to_map(&pci_user_read_config_ops_total, &key, 1);
	return 0;
}

SEC("kprobe/pci_user_read_config_byte")
int BPF_KPROBE(pci_user_read_config_byte, struct pci_dev *device)
{
	return count_read(device);
}

SEC("kprobe/pci_user_read_config_word")
int BPF_KPROBE(pci_user_read_config_word, struct pci_dev *device)
{
	return count_read(device);
}

SEC("kprobe/pci_user_read_config_dword")
int BPF_KPROBE(pci_user_read_config_dword, struct pci_dev *device)
{
	return count_read(device);
}

char LICENSE[] SEC("license") = "GPL";

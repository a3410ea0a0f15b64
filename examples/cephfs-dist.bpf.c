/* How long the kernel's client of CephFS takes to read, write and sync files, and to make and remove names. Needs
 * CONFIG_KPROBES, and the module ceph before the exporter starts. */
#include "file_latency.bpf.h"

enum operation { FILE_READ, FILE_WRITE, FILE_MKDIR, FILE_UNLINK, FILE_SYNC, OPERATIONS };

OPERATIONS_MAP(cephfs_latency_seconds, OPERATIONS);

TIMED(ceph_read_iter, cephfs_latency_seconds, FILE_READ)
TIMED(ceph_write_iter, cephfs_latency_seconds, FILE_WRITE)
TIMED(ceph_mkdir, cephfs_latency_seconds, FILE_MKDIR)
TIMED(ceph_unlink, cephfs_latency_seconds, FILE_UNLINK)
TIMED(ceph_fsync, cephfs_latency_seconds, FILE_SYNC)

char LICENSE[] SEC("license") = "GPL";

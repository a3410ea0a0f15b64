/* How long XFS takes to read, write, open and sync files. Reads and writes from and to the page cache count too.
 * Needs CONFIG_KPROBES, and XFS, as a module or not, before the exporter starts. */
#include "file_latency.bpf.h"

enum operation { FILE_READ, FILE_WRITE, FILE_OPEN, FILE_SYNC, OPERATIONS };

OPERATIONS_MAP(xfs_latency_seconds, OPERATIONS);

TIMED(xfs_file_read_iter, xfs_latency_seconds, FILE_READ)
TIMED(xfs_file_write_iter, xfs_latency_seconds, FILE_WRITE)
TIMED(xfs_file_open, xfs_latency_seconds, FILE_OPEN)
/* A write to a file that was opened with O_SYNC calls this one, and counts as both. */
TIMED(xfs_file_fsync, xfs_latency_seconds, FILE_SYNC)

char LICENSE[] SEC("license") = "GPL";

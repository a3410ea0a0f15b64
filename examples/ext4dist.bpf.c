/* How long ext4 takes to read, write, open, sync and look at files. Reads and writes from and to the page cache
 * count too. Needs CONFIG_KPROBES, and ext4, as a module or not, before the exporter starts. */
#include "file_latency.bpf.h"

enum operation { FILE_READ, FILE_WRITE, FILE_OPEN, FILE_SYNC, FILE_GETATTR, OPERATIONS };

OPERATIONS_MAP(ext4_latency_seconds, OPERATIONS);

TIMED(ext4_file_read_iter, ext4_latency_seconds, FILE_READ)
TIMED(ext4_file_write_iter, ext4_latency_seconds, FILE_WRITE)
TIMED(ext4_file_open, ext4_latency_seconds, FILE_OPEN)
/* A write to a file that was opened with O_SYNC calls this one, and counts as both. */
TIMED(ext4_sync_file, ext4_latency_seconds, FILE_SYNC)
TIMED(ext4_file_getattr, ext4_latency_seconds, FILE_GETATTR)

char LICENSE[] SEC("license") = "GPL";

/*
 * Lets a plugin use snprintf. The C library's snprintf shares code with what writes to files, and so asks for three
 * functions of a system that a plugin does not have. It never calls them.
 *
 * Printing needs more of a system: `plugin componentize` refuses a plugin that calls printf or puts.
 */

#include <stdint.h>

enum { NO_SUCH_FILE = 8 }; /* EBADF */

int32_t __imported_wasi_snapshot_preview1_fd_close(int32_t file)
{
	(void)file;
	return NO_SUCH_FILE;
}

int32_t __imported_wasi_snapshot_preview1_fd_seek(int32_t file, int64_t offset, int32_t from, int32_t to)
{
	(void)file, (void)offset, (void)from, (void)to;
	return NO_SUCH_FILE;
}

int32_t __imported_wasi_snapshot_preview1_fd_write(int32_t file, int32_t pieces, int32_t count, int32_t written)
{
	(void)file, (void)pieces, (void)count, (void)written;
	return NO_SUCH_FILE;
}

/*
 * What a runtime may write about its code: any bytes, read as a jitdump and as a perf map, and
 * asked about addresses.
 */
#include "symbolizer/jitdump.h"
#include "symbolizer/perf_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_dump(const char *path)
{
	struct jitdump dump;
	if (jitdump_read(&dump, path, NULL) != 0)
		return;
	for (size_t i = 0; i < dump.table.n; i++) {
		const struct symbol *symbol = &dump.table.symbols[i];
		struct symbol_frame frame;
		if (jitdump_find(&dump, symbol->start, &frame) && !frame.name[0])
			abort();
		jitdump_find(&dump, symbol->end - 1, &frame);
	}
	jitdump_deinit(&dump);
}

static void read_map(const char *path)
{
	struct perf_map map;
	if (perf_map_read(&map, path, NULL) != 0)
		return;
	for (size_t i = 0; i < map.table.n; i++)
		if (!symbol_table_find(&map.table, map.table.symbols[i].start))
			abort();
	perf_map_deinit(&map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char path[64];
	int fd = memfd_create("input", MFD_CLOEXEC);
	if (fd < 0 || (n > 0 && write(fd, data, n) != (ssize_t)n))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_dump(path);
	read_map(path);
	close(fd);
	return 0;
}

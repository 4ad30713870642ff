/* /proc/PID/maps of any bytes: each line parsed, and its mapping added to an address space. */
#include "unwind/address_space.h"
#include "unwind/maps_line.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Sorted, disjoint and not empty: seen by looking up both ends of what was added. */
static void check(struct address_space *space, const struct maps_line *line)
{
	const uint64_t ends[] = {line->avma_start, line->avma_end - 1};
	for (size_t i = 0; i < 2; i++) {
		const struct mapping *m = address_space_find(space, ends[i]);
		if (!m || m->avma_start >= m->avma_end || ends[i] < m->avma_start ||
		    ends[i] >= m->avma_end)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct image_store *store = NULL;
	struct address_space *space = NULL;
	if (image_store_create(&store) || address_space_create(store, 0, &space))
		abort();
	while (n > 0) {
		const uint8_t *newline = memchr(data, '\n', n);
		const size_t length = newline ? (size_t)(newline - data) : n;
		char *line = malloc(length + 1);
		if (!line)
			abort();
		memcpy(line, data, length);
		line[length] = '\0';
		struct maps_line parsed;
		if (maps_line_parse(line, &parsed)) {
			/* a file, but none that would be opened */
			if (parsed.file.inode != 0)
				parsed.file.path = "/";
			if (address_space_add(space, parsed.avma_start, parsed.avma_end,
					      parsed.file_off, &parsed.file) != 0)
				abort();
			check(space, &parsed);
		}
		free(line);
		n -= newline ? length + 1 : length;
		data += newline ? length + 1 : length;
	}
	address_space_destroy(space);
	image_store_destroy(store);
	return 0;
}

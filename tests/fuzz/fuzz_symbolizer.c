/*
 * A binary of any bytes, as far as names go: opened with its debug information and its symbols, and
 * asked about addresses in and around its code.
 */
#include "symbolizer/binary.h"
#include "symbolizer/code_ranges.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MAX_QUESTIONS = 400 };

static void ask(struct binary *binary, uint64_t svma)
{
	const struct symbol_frame *frames;
	size_t n;
	size_t length = 0;
	if (binary_find(binary, svma, &frames, &n) != 0)
		return; /* out of memory */
	for (size_t i = 0; i < n; i++) {
		length += strlen(frames[i].name) + strlen(frames[i].system_name);
		length += strlen(frames[i].file);
		if (!frames[i].name[0])
			abort();
	}
	if (length > 0 && n == 0)
		abort();
}

static void ask_all(struct binary *binary, const uint8_t *data, size_t n)
{
	struct code_ranges code = {.n = 0};
	Elf *elf = elf_memory((char *)data, n);
	if (elf && code_ranges_read(&code, elf) == 0 && code.n > 0) {
		const uint64_t start = code.ranges[0].start;
		const uint64_t end = code.ranges[code.n - 1].end;
		const uint64_t step = (end - start) / MAX_QUESTIONS + 1;
		ask(binary, start - 1);
		for (size_t i = 0; i < MAX_QUESTIONS; i++)
			ask(binary, start + i * step);
		ask(binary, end);
	}
	ask(binary, 0);
	ask(binary, UINT64_MAX);
	code_ranges_deinit(&code);
	elf_end(elf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct binary *binary;
	uint8_t *copy = malloc(n + 1);
	if (!copy)
		return 0;
	memcpy(copy, data, n);
	if (binary_open_memory(data, n, "", &binary, NULL) == 0) {
		ask_all(binary, copy, n);
		binary_close(binary);
	}
	free(copy);
	return 0;
}

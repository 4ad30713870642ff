/*
 * heap_settings.h - the variables that libcprof_heap.so reads, and what they can be.
 *
 * The library cannot print in somebody else's process. A value that it cannot use is not used (the
 * default is), and says so as a bit of heap_header.settings_refused; `cprof heap run` looks at the
 * same variables before it starts anything.
 *
 * Depends on: nothing. Freestanding. Threads: any.
 */
#ifndef CPROF_HEAP_HEAP_SETTINGS_H
#define CPROF_HEAP_HEAP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

/* The numbers first, in the order of heap_setting_numbers. Their values are part of the format. */
enum heap_setting {
	HEAP_SETTING_MAX_BLOCKS,
	HEAP_SETTING_MAX_NODES,
	HEAP_SETTING_MAX_SITES,
	HEAP_SETTING_MAX_MODULES,
	HEAP_SETTING_REPLICAS,
	HEAP_SETTING_POPULATE,
	HEAP_SETTING_SEED,
	HEAP_SETTING_SAMPLE_BYTES,
	HEAP_SETTING_ROOT_PID,
	HEAP_SETTING_NUMBERS,
	HEAP_SETTING_FOLLOW = HEAP_SETTING_NUMBERS, /* no regular expression */
	HEAP_SETTING_OUTPUT,                        /* too long */
	HEAP_SETTING_COUNT
};

/* Of each, from @least to @most. Blocks are rounded down to a multiple of 4096. */
static const struct heap_setting_number {
	const char *name;
	uint64_t least, most;
} heap_setting_numbers[HEAP_SETTING_NUMBERS] = {
	[HEAP_SETTING_MAX_BLOCKS] = {"CPROF_HEAP_MAX_BLOCKS", 4096, UINT32_C(1) << 30},
	[HEAP_SETTING_MAX_NODES] = {"CPROF_HEAP_MAX_NODES", 1024, UINT32_C(1) << 28},
	[HEAP_SETTING_MAX_SITES] = {"CPROF_HEAP_MAX_SITES", 64, UINT32_C(1) << 24},
	[HEAP_SETTING_MAX_MODULES] = {"CPROF_HEAP_MAX_MODULES", 16, UINT16_MAX},
	[HEAP_SETTING_REPLICAS] = {"CPROF_HEAP_REPLICAS", 2, 64},
	[HEAP_SETTING_POPULATE] = {"CPROF_HEAP_POPULATE", 0, 1},
	[HEAP_SETTING_SEED] = {"CPROF_HEAP_SEED", 0, UINT64_MAX},
	[HEAP_SETTING_SAMPLE_BYTES] = {"CPROF_HEAP_SAMPLE_BYTES", 0, UINT64_C(1) << 40},
	[HEAP_SETTING_ROOT_PID] = {"CPROF_HEAP_ROOT_PID", 0, UINT32_MAX},
};

/** Digits and nothing else. Return: false when @text is no such number, or not in the range. */
static inline bool heap_setting_parse(enum heap_setting setting, const char *text, uint64_t *out)
{
	const struct heap_setting_number *number = &heap_setting_numbers[setting];
	uint64_t value = 0;
	const char *at = text;
	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return false;
	if (at == text || *at || value < number->least || value > number->most)
		return false;
	*out = value;
	return true;
}

#endif

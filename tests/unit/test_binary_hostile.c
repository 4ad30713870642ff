/*
 * Damaged binaries: whatever is in the file, opening and looking up ends, in bounds (the
 * sanitizers watch) and without a hang (ctest's time limit). What is answered does not matter.
 */
#include "symbolizer/binary.h"

#include "symbolizer_fixtures/fixtures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_BYTES = 256 * 1024, TRUNCATION_STEP = 64, N_FLIPS = 2000 };

struct victim {
	uint8_t bytes[MAX_BYTES];
	size_t n;
	uint64_t start, end; /* svma of its code */
};

static struct victim victim;

static void load(const char *name, const char *first, const char *last)
{
	char path[FIXTURE_PATH_MAX];
	fixture_path(name, path);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	victim.n = fread(victim.bytes, 1, sizeof(victim.bytes), file);
	fclose(file);
	assert_true(victim.n > 1000 && victim.n < sizeof(victim.bytes));
	victim.start = fixture_address(path, first);
	victim.end = fixture_address(path, last) + 16;
}

/* Open damaged bytes as a file and look up addresses in and around its code. */
static size_t look_up(const uint8_t *bytes, size_t n)
{
	const struct binary_options none = {0};
	struct binary *binary;
	size_t answered = 0;
	char path[64];
	int fd = memfd_create("damaged", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (binary_open(path, "", &none, &binary, NULL) == 0) {
		for (uint64_t svma = victim.start - 8; svma < victim.end; svma += 3) {
			const struct symbol_frame *frames;
			size_t n_frames;
			assert_int_equal(binary_find(binary, svma, &frames, &n_frames), 0);
			for (size_t i = 0; i < n_frames; i++)
				answered += strlen(frames[i].name) + strlen(frames[i].file) > 0;
		}
		binary_close(binary);
	}
	close(fd);
	return answered;
}

static void test_binary_hostile__truncated_at_every_64_bytes(void **state)
{
	(void)state;
	load("chain_gcc5", "outer", "at_last");
	assert_true(look_up(victim.bytes, victim.n) > 10);
	for (size_t n = 0; n < victim.n; n += TRUNCATION_STEP)
		look_up(victim.bytes, n);
}

static void flip_bits(const char *name, const char *first, const char *last, unsigned int seed)
{
	static uint8_t damaged[MAX_BYTES];
	load(name, first, last);
	assert_true(look_up(victim.bytes, victim.n) > 10);
	srandom(seed);
	for (int i = 0; i < N_FLIPS; i++) {
		memcpy(damaged, victim.bytes, victim.n);
		for (long flips = 1 + random() % 4; flips > 0; flips--)
			damaged[(size_t)random() % victim.n] ^= (uint8_t)(1 << random() % 8);
		look_up(damaged, victim.n);
	}
}

static void test_binary_hostile__bit_flips_in_dwarf_5(void **state)
{
	(void)state;
	flip_bits("chain_gcc5", "outer", "at_last", 1);
}

static void test_binary_hostile__bit_flips_in_cxx(void **state)
{
	(void)state;
	flip_bits("templates_gcc", "at_hidden", "at_area", 2);
}

static void test_binary_hostile__bit_flips_in_compressed_sections(void **state)
{
	(void)state;
	flip_bits("chain_gz", "outer", "at_last", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_binary_hostile__truncated_at_every_64_bytes),
		cmocka_unit_test(test_binary_hostile__bit_flips_in_dwarf_5),
		cmocka_unit_test(test_binary_hostile__bit_flips_in_cxx),
		cmocka_unit_test(test_binary_hostile__bit_flips_in_compressed_sections),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "elf/inflate.h"

#include <errno.h>
#include <lzma.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

enum { TEXT_BYTES = 600 * 1000, PACKED_BYTES = 700 * 1000 };

/* Numbers that repeat, but not soon. */
static uint8_t *make_text(void)
{
	uint8_t *text = malloc(TEXT_BYTES);
	assert_non_null(text);
	for (uint32_t i = 0; i < TEXT_BYTES; i++)
		text[i] = (uint8_t)(i * i >> 7);
	return text;
}

static size_t pack(uint32_t type, const uint8_t *text, uint8_t *packed)
{
	if (type == ELFCOMPRESS_ZSTD) {
		size_t n = ZSTD_compress(packed, PACKED_BYTES, text, TEXT_BYTES, 3);
		assert_false(ZSTD_isError(n));
		return n;
	}
	uLongf n = PACKED_BYTES;
	assert_int_equal(compress(packed, &n, text, TEXT_BYTES), Z_OK);
	return n;
}

static void check_section(uint32_t type)
{
	uint8_t *text = make_text(), *packed = malloc(PACKED_BYTES), *out = malloc(TEXT_BYTES);
	assert_true(packed && out);
	size_t n = pack(type, text, packed);
	assert_int_equal(inflate_check(type, n, TEXT_BYTES), 0);
	assert_int_equal(inflate_into(type, packed, n, out, TEXT_BYTES), 0);
	assert_memory_equal(out, text, TEXT_BYTES);
	/* claims that are not kept */
	assert_int_equal(inflate_into(type, packed, n, out, TEXT_BYTES - 1), -EBADMSG);
	assert_int_equal(inflate_into(type, packed, n - 1, out, TEXT_BYTES), -EBADMSG);
	assert_int_equal(inflate_into(type, packed, 0, out, TEXT_BYTES), -EBADMSG);
	packed[n / 2] ^= 0xff;
	packed[n / 2 + 1] ^= 0xff;
	inflate_into(type, packed, n, out, TEXT_BYTES); /* no more than the memory given */
	free(text);
	free(packed);
	free(out);
}

static void test_inflate__sections_of_both_compressions(void **state)
{
	(void)state;
	check_section(ELFCOMPRESS_ZLIB);
	check_section(ELFCOMPRESS_ZSTD);
}

static void test_inflate__impossible_claims_are_refused_before_memory_is_taken(void **state)
{
	(void)state;
	const uint64_t huge = 100ULL << 30;
	assert_int_equal(inflate_check(ELFCOMPRESS_ZLIB, 1000, huge), -EBADMSG);
	assert_int_equal(inflate_check(ELFCOMPRESS_ZSTD, 1000, huge), -EBADMSG);
	assert_int_equal(inflate_check(ELFCOMPRESS_ZLIB, 1000, 1000 * 1032), 0);
	assert_int_equal(inflate_check(77, 1000, 1000), -ENOTSUP);
	uint8_t byte = 0;
	assert_int_equal(inflate_into(77, &byte, 1, &byte, 1), -ENOTSUP);
}

static void test_inflate__most_that_zstd_can_give_passes(void **state)
{
	(void)state;
	enum { ZEROS_BYTES = 16 << 20 };
	uint8_t *zeros = calloc(1, ZEROS_BYTES), *packed = malloc(PACKED_BYTES);
	assert_true(zeros && packed);
	size_t n = ZSTD_compress(packed, PACKED_BYTES, zeros, ZEROS_BYTES, 19);
	assert_false(ZSTD_isError(n));
	assert_int_equal(inflate_check(ELFCOMPRESS_ZSTD, n, ZEROS_BYTES), 0);
	free(zeros);
	free(packed);
}

static void test_inflate__xz_of_unknown_size_up_to_a_limit(void **state)
{
	(void)state;
	uint8_t *text = make_text(), *packed = malloc(PACKED_BYTES), *out = NULL;
	size_t n = 0;
	uint64_t n_out = 0;
	const uint64_t enough = 64 << 20;
	assert_non_null(packed);
	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, text, TEXT_BYTES,
						 packed, &n, PACKED_BYTES),
			 LZMA_OK);
	assert_int_equal(inflate_xz(packed, n, enough, &out, &n_out), 0);
	assert_int_equal(n_out, TEXT_BYTES);
	assert_memory_equal(out, text, TEXT_BYTES);
	free(out);
	out = NULL;
	assert_int_equal(inflate_xz(packed, n, 1000, &out, &n_out), -EFBIG);
	assert_int_equal(inflate_xz(packed, n - 1, enough, &out, &n_out), -EBADMSG);
	assert_int_equal(inflate_xz(packed, 0, enough, &out, &n_out), -EBADMSG);
	for (size_t cut = 1; cut < 64; cut++)
		assert_int_equal(inflate_xz(packed, cut, enough, &out, &n_out), -EBADMSG);
	packed[n / 2] ^= 0xff;
	assert_int_equal(inflate_xz(packed, n, enough, &out, &n_out), -EBADMSG);
	assert_null(out);
	free(text);
	free(packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inflate__sections_of_both_compressions),
		cmocka_unit_test(
			test_inflate__impossible_claims_are_refused_before_memory_is_taken),
		cmocka_unit_test(test_inflate__most_that_zstd_can_give_passes),
		cmocka_unit_test(test_inflate__xz_of_unknown_size_up_to_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

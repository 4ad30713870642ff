#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/gzip_in.h"
#include "profile/gzip_out.h"

#include "../support/proto_bytes.h"

#include <errno.h>

/* Read all: "[" data "]" per member, then what ended it. Chunks of @cap bytes. */
static enum gzip_event drain(const void *bytes, size_t n, size_t cap, struct proto_bytes *text,
			     struct gzip_in *gz)
{
	struct byte_source source;
	byte_source_memory(&source, bytes, n);
	assert_int_equal(gzip_in_init(gz, &source), 0);
	uint8_t *out = malloc(cap);
	assert_non_null(out);
	enum gzip_event event;
	size_t got;
	while ((event = gzip_in_next(gz, out, cap, &got)) <= GZIP_MEMBER_END) {
		if (event == GZIP_MEMBER_END) {
			proto_raw(text, "]", 1);
		} else {
			assert_true(got > 0 && got <= cap);
			proto_raw(text, out, got);
		}
	}
	proto_raw(text, "", 1);
	free(out);
	gzip_in_deinit(gz);
	byte_source_close(&source);
	return event;
}

static void test_gzip_in__members_come_one_after_the_other(void **state)
{
	(void)state;
	struct proto_bytes file = {0};
	proto_gzip(&file, "first", 5);
	proto_gzip(&file, "", 0);
	proto_gzip(&file, "second", 6);
	struct gzip_in *gz = malloc(sizeof(*gz));
	assert_non_null(gz);
	for (size_t cap = 1; cap <= 16; cap++) {
		struct proto_bytes text = {0};
		assert_int_equal(drain(file.bytes, file.n, cap, &text, gz), GZIP_END);
		assert_string_equal((char *)text.bytes, "first]]second]");
		assert_int_equal(gz->n_out, 11);
		proto_free(&text);
	}
	free(gz);
	proto_free(&file);
}

static void test_gzip_in__every_cut_is_torn_where_the_member_begins(void **state)
{
	(void)state;
	struct proto_bytes file = {0};
	proto_gzip(&file, "first", 5);
	size_t second = file.n;
	proto_gzip(&file, "second", 6);
	struct gzip_in *gz = malloc(sizeof(*gz));
	assert_non_null(gz);
	for (size_t n = 1; n < file.n; n++) {
		struct proto_bytes text = {0};
		enum gzip_event event = drain(file.bytes, n, 64, &text, gz);
		assert_int_equal(event, n == second ? GZIP_END : GZIP_TORN);
		if (n != second)
			assert_int_equal(gz->member_off, n < second ? 0 : second);
		assert_int_equal(strncmp((char *)text.bytes, "first]", 6) == 0, n >= second);
		proto_free(&text);
	}
	free(gz);
	proto_free(&file);
}

static void test_gzip_in__a_flipped_bit_is_never_a_whole_member(void **state)
{
	(void)state;
	struct proto_bytes file = {0};
	proto_gzip(&file, "some text, some text", 20);
	struct gzip_in *gz = malloc(sizeof(*gz));
	assert_non_null(gz);
	for (size_t bit = 0; bit < 8 * file.n; bit++) {
		file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		struct proto_bytes text = {0};
		enum gzip_event event = drain(file.bytes, file.n, 64, &text, gz);
		/* the flags, time and system of the header say nothing about the data */
		bool header = bit / 8 >= 2 && bit / 8 < 10;
		if (header || gz->bare)
			assert_true(event == GZIP_TORN || event == GZIP_END);
		else
			assert_int_equal(event, GZIP_TORN);
		proto_free(&text);
		file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(gz);
	proto_free(&file);
}

static void test_gzip_in__what_follows_the_last_member_is_torn(void **state)
{
	(void)state;
	struct proto_bytes file = {0};
	proto_gzip(&file, "data", 4);
	size_t whole = file.n;
	proto_raw(&file, "\0\0\0\0", 4);
	struct gzip_in *gz = malloc(sizeof(*gz));
	assert_non_null(gz);
	struct proto_bytes text = {0};
	assert_int_equal(drain(file.bytes, file.n, 64, &text, gz), GZIP_TORN);
	assert_string_equal((char *)text.bytes, "data]");
	assert_int_equal(gz->member_off, whole);
	proto_free(&text);
	free(gz);
	proto_free(&file);
}

static void test_gzip_in__other_bytes_pass_through(void **state)
{
	(void)state;
	struct gzip_in *gz = malloc(sizeof(*gz));
	assert_non_null(gz);
	struct proto_bytes text = {0};
	assert_int_equal(drain("plain text", 10, 3, &text, gz), GZIP_END);
	assert_string_equal((char *)text.bytes, "plain text]");
	proto_free(&text);
	assert_int_equal(drain("", 0, 3, &text, gz), GZIP_END);
	assert_string_equal((char *)text.bytes, "");
	proto_free(&text);
	free(gz);
}

/* A gzip header and @n times 16 MiB of zeros, each deflated so that it stands alone. */
static void make_bomb(struct proto_bytes *file, size_t n)
{
	size_t size = (size_t)16 << 20;
	uint8_t *zeros = calloc(1, size), *packed = malloc(size);
	assert_non_null(zeros);
	assert_non_null(packed);
	z_stream z = {.next_in = zeros,
		      .avail_in = (uInt)size,
		      .next_out = packed,
		      .avail_out = (uInt)size};
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FULL_FLUSH), Z_OK);
	proto_raw(file, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
	while (n--)
		proto_raw(file, packed, z.total_out);
	deflateEnd(&z);
	free(zeros);
	free(packed);
}

static void test_gzip_in__a_bomb_is_refused(void **state)
{
	(void)state;
	/* zeros deflate 1000 times: 400 MiB from 0.4 MiB, for which 64 + 0.4 * 128 MiB is allowed
	 */
	struct proto_bytes file = {0};
	make_bomb(&file, 400 / 16);
	struct byte_source source;
	byte_source_memory(&source, file.bytes, file.n);
	struct gzip_in *gz = malloc(sizeof(*gz));
	static uint8_t out[1 << 16];
	assert_non_null(gz);
	assert_int_equal(gzip_in_init(gz, &source), 0);
	enum gzip_event event;
	size_t got;
	while ((event = gzip_in_next(gz, out, sizeof(out), &got)) == GZIP_DATA)
		;
	assert_int_equal(event, GZIP_FAILED);
	assert_int_equal(gz->status, -E2BIG);
	assert_true(gz->n_out < ((uint64_t)120 << 20));
	gzip_in_deinit(gz);
	free(gz);
	proto_free(&file);
}

static int sink(void *ctx, const void *bytes, size_t n)
{
	proto_raw(ctx, bytes, n);
	return 0;
}

static int sink_full(void *ctx, const void *bytes, size_t n)
{
	(void)bytes;
	(void)n;
	++*(int *)ctx;
	return -ENOSPC;
}

static void test_gzip_in__reads_what_gzip_out_wrote(void **state)
{
	(void)state;
	struct gzip_out *out = malloc(sizeof(*out));
	struct gzip_in *in = malloc(sizeof(*in));
	struct proto_bytes file = {0}, expected = {0}, text = {0};
	assert_non_null(out);
	assert_non_null(in);
	assert_int_equal(gzip_out_init(out), 0);
	uint32_t random = 1;
	for (int member = 0; member < 3; member++) {
		gzip_out_begin(out, sink, &file);
		for (int i = 0; i < 100000; i++) {
			random = random * 1664525 + 1013904223;
			uint8_t bytes[4] = {'a', (uint8_t)(random >> 24) | 1, 'c', 'd'};
			size_t n = random >> 30;
			gzip_out_put(out, bytes, n);
			proto_raw(&expected, bytes, n);
		}
		assert_int_equal(gzip_out_end(out), 0);
		proto_raw(&expected, "]", 1);
	}
	/* header: magic, deflate, no flags, and a time stamp of 0 */
	assert_memory_equal(file.bytes, "\x1f\x8b\x08\x00\x00\x00\x00\x00", 8);
	assert_int_equal(drain(file.bytes, file.n, 5000, &text, in), GZIP_END);
	assert_int_equal(text.n, expected.n + 1);
	assert_memory_equal(text.bytes, expected.bytes, expected.n);
	gzip_out_deinit(out);
	free(out);
	free(in);
	proto_free(&file);
	proto_free(&expected);
	proto_free(&text);
}

static void test_gzip_in__a_failing_sink_is_asked_once_per_member(void **state)
{
	(void)state;
	struct gzip_out *out = malloc(sizeof(*out));
	assert_non_null(out);
	assert_int_equal(gzip_out_init(out), 0);
	int calls = 0;
	gzip_out_begin(out, sink_full, &calls);
	gzip_out_put(out, "x", 1);
	assert_int_equal(gzip_out_end(out), -ENOSPC);
	assert_int_equal(calls, 1);
	/* and the next member is as good as new */
	struct proto_bytes file = {0};
	gzip_out_begin(out, sink, &file);
	gzip_out_put(out, "y", 1);
	assert_int_equal(gzip_out_end(out), 0);
	assert_true(file.n > 18);
	gzip_out_deinit(out);
	free(out);
	proto_free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gzip_in__members_come_one_after_the_other),
		cmocka_unit_test(test_gzip_in__every_cut_is_torn_where_the_member_begins),
		cmocka_unit_test(test_gzip_in__a_flipped_bit_is_never_a_whole_member),
		cmocka_unit_test(test_gzip_in__what_follows_the_last_member_is_torn),
		cmocka_unit_test(test_gzip_in__other_bytes_pass_through),
		cmocka_unit_test(test_gzip_in__a_bomb_is_refused),
		cmocka_unit_test(test_gzip_in__reads_what_gzip_out_wrote),
		cmocka_unit_test(test_gzip_in__a_failing_sink_is_asked_once_per_member),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

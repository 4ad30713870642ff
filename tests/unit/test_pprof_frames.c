#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/pprof_frames.h"

#include "../support/proto_bytes.h"

#include <errno.h>
#include <stdio.h>

/* Writes what was taken as text: "6=abc 9:5 ". */
struct taken {
	char text[256];
	int result;
};

static int take(void *ctx, const struct pprof_field_value *value)
{
	struct taken *taken = ctx;
	size_t used = strlen(taken->text);
	char *at = taken->text + used;
	size_t room = sizeof(taken->text) - used;
	if (value->is_bytes)
		snprintf(at, room, "%u=%.*s ", value->field, (int)value->n, value->bytes);
	else
		snprintf(at, room, "%u:%llu ", value->field, (unsigned long long)value->number);
	return taken->result;
}

/* Feed in chunks of @chunk bytes. */
static int feed(const struct proto_bytes *p, size_t chunk, struct taken *taken, bool *boundary)
{
	struct pprof_frames frames = {
		.wanted = 1 << 6 | 1 << 9, .max_bytes = 100, .take = take, .ctx = taken};
	int rc = 0;
	for (size_t i = 0; i < p->n && !rc; i += chunk)
		rc = pprof_frames_feed(&frames, p->bytes + i, p->n - i < chunk ? p->n - i : chunk);
	*boundary = pprof_frames_at_boundary(&frames);
	pprof_frames_deinit(&frames);
	return rc;
}

static void test_pprof_frames__chunks_of_any_size_give_the_same_fields(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	proto_text(&p, 6, "one");
	proto_int(&p, 9, 300);
	proto_text(&p, 2, "not wanted");
	proto_int(&p, 10, 1);
	proto_text(&p, 6, "");
	proto_raw(&p,
		  "\x59"         /* field 11, fixed64 */
		  "12345678\x5d" /* field 11, fixed32 */
		  "1234",
		  14);
	proto_text(&p, 1000, "beyond the mask");
	proto_text(&p, 6, "the last one");
	for (size_t chunk = 1; chunk <= p.n; chunk++) {
		struct taken taken = {.text = ""};
		bool boundary;
		assert_int_equal(feed(&p, chunk, &taken, &boundary), 0);
		assert_string_equal(taken.text, "6=one 9:300 6= 6=the last one ");
		assert_true(boundary);
	}
	proto_free(&p);
}

static void test_pprof_frames__the_end_of_a_field_is_the_only_boundary(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	proto_int(&p, 9, 300);   /* 3 bytes */
	proto_text(&p, 6, "ab"); /* 4 bytes */
	size_t whole = p.n;
	for (p.n = 0; p.n <= whole; p.n++) {
		struct taken taken = {.text = ""};
		bool boundary;
		assert_int_equal(feed(&p, 1, &taken, &boundary), 0);
		assert_int_equal(boundary, p.n == 0 || p.n == 3 || p.n == 7);
	}
	proto_free(&p);
}

static void refuse(const char *bytes, size_t n)
{
	struct proto_bytes p = {0};
	proto_raw(&p, bytes, n);
	for (size_t chunk = 1; chunk <= n; chunk++) {
		struct taken taken = {.text = ""};
		bool boundary;
		assert_int_equal(feed(&p, chunk, &taken, &boundary), -EBADMSG);
		assert_string_equal(taken.text, "");
	}
	proto_free(&p);
}

static void test_pprof_frames__what_is_no_framing_is_refused(void **state)
{
	(void)state;
	refuse("\x00\x01", 2);                                      /* field 0 */
	refuse("\x4b", 1);                                          /* a group */
	refuse("\x4f", 1);                                          /* wire type 7 */
	refuse("\x49", 1);                                          /* a wanted field, fixed64 */
	refuse("\x48\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11); /* over 64 bits */
	refuse("\x48\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80", 11); /* an eleventh byte */
	refuse("\x32\x65", 2);                 /* longer than the limit of 100 */
	refuse("\x80\x80\x80\x80\x10\x01", 6); /* field 2^29 */
}

static void test_pprof_frames__numbers_have_64_bits(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	proto_int(&p, 9, UINT64_MAX);
	struct taken taken = {.text = ""};
	bool boundary;
	assert_int_equal(feed(&p, 1, &taken, &boundary), 0);
	assert_string_equal(taken.text, "9:18446744073709551615 ");
	proto_free(&p);
}

static void test_pprof_frames__what_take_returns_ends_the_feeding(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	proto_text(&p, 6, "one");
	proto_text(&p, 6, "two");
	struct taken taken = {.result = -ENOMEM};
	bool boundary;
	assert_int_equal(feed(&p, p.n, &taken, &boundary), -ENOMEM);
	assert_string_equal(taken.text, "6=one ");
	proto_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pprof_frames__chunks_of_any_size_give_the_same_fields),
		cmocka_unit_test(test_pprof_frames__the_end_of_a_field_is_the_only_boundary),
		cmocka_unit_test(test_pprof_frames__what_is_no_framing_is_refused),
		cmocka_unit_test(test_pprof_frames__numbers_have_64_bits),
		cmocka_unit_test(test_pprof_frames__what_take_returns_ends_the_feeding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/*
 * Files that are broken, cut, flipped or made to hurt: each gives a message, none a crash. What
 * one of them costs in time and memory is bounded, too.
 */
#include "profile/pprof_file.h"

#include "../support/profile_equal.h"
#include "../support/profile_full.h"
#include "../support/proto_profile.h"
#include "../support/temp_dir.h"

#include <errno.h>

static void refuse(const struct proto_bytes *p, int code, const char *message)
{
	struct cp_err err = {""};
	struct profile *profile = NULL;
	struct pprof_load_info info = {.members = 99};
	int rc = pprof_load_bytes(p->bytes, p->n, &profile, &info, &err);
	if (!strstr(err.message, message))
		print_error("message: %s\n", err.message);
	assert_non_null(strstr(err.message, message));
	assert_int_equal(rc, code);
	assert_null(profile);
	assert_int_equal(info.members, 99);
	/* nobody has to want the message */
	assert_int_equal(pprof_load_bytes(p->bytes, p->n, &profile, NULL, NULL), code);
}

/* The same bytes uncompressed and in a gzip member. */
static void refuse_both(struct proto_bytes *p, const char *message)
{
	refuse(p, -EBADMSG, message);
	struct proto_bytes file = {0};
	proto_gzip(&file, p->bytes, p->n);
	refuse(&file, -EBADMSG, message);
	proto_free(&file);
	proto_free(p);
}

static void test_pprof_damage__what_is_no_profile_at_all(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	refuse(&p, -EBADMSG, "empty");
	proto_raw(&p, "root:x:0:0:root:/root:/bin/bash\n", 32);
	refuse(&p, -EBADMSG, "neither gzip nor an uncompressed pprof");
	struct proto_bytes file = {0};
	proto_gzip(&file, p.bytes, p.n);
	refuse(&file, -EBADMSG, "holds something other than pprof");
	proto_free(&file);
	proto_free(&p);
	proto_gzip(&file, "", 0);
	refuse(&file, -EBADMSG, "empty");
	proto_free(&file);
	proto_int(&p, IN_DURATION, 5);
	refuse_both(&p, "it has no strings");
	put_strings(&p);
	refuse_both(&p, "it has no sample types");
}

static void test_pprof_damage__strings_out_of_range(void **state)
{
	(void)state;
	static const uint64_t bad[] = {6, 1ULL << 32, UINT64_MAX};
	for (size_t i = 0; i < 3; i++) {
		struct proto_bytes p = {0};
		put_sound(&p);
		put_value_type(&p, IN_SAMPLE_TYPE, bad[i], 2);
		refuse_both(&p, "string");
		put_sound(&p);
		put_value_type(&p, IN_PERIOD_TYPE, 1, bad[i]);
		refuse_both(&p, "string");
		put_sound(&p);
		put_mapping(&p, 2, bad[i]);
		refuse_both(&p, "string");
		put_sound(&p);
		put_function(&p, 2, 3, bad[i], 4);
		refuse_both(&p, "string");
		put_sound(&p);
		proto_int(&p, IN_COMMENT, bad[i]);
		refuse_both(&p, "comment");
		put_sound(&p);
		struct proto_bytes sample = begin_sample((uint64_t[]){1}, 1, 3);
		put_label(&sample, bad[i], 1, 0);
		proto_message(&p, IN_SAMPLE, &sample);
		refuse_both(&p, "label's key");
		put_sound(&p);
		proto_text(&p, IN_STRING, "thread");
		sample = begin_sample((uint64_t[]){1}, 1, 3);
		put_label(&sample, 6, bad[i] == 6 ? 7 : bad[i], 0);
		proto_message(&p, IN_SAMPLE, &sample);
		refuse_both(&p, "label is string");
	}
	struct proto_bytes p = {0};
	proto_text(&p, IN_STRING, "not empty");
	put_sound(&p);
	refuse_both(&p, "string 0 is not empty");
}

static void test_pprof_damage__ids_that_are_zero_twice_or_unknown(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_sound(&p);
	put_mapping(&p, 0, 5);
	refuse_both(&p, "mapping has the id 0");
	put_sound(&p);
	put_function(&p, 1, 3, 3, 4);
	refuse_both(&p, "function id 1 is there twice");
	put_sound(&p);
	put_location(&p, 77, 1, 0, 1, 1);
	put_location(&p, 77, 1, 0, 1, 1);
	refuse_both(&p, "location id 77 is there twice");
	put_sound(&p);
	put_location(&p, 2, 9, 0, 1, 1);
	refuse_both(&p, "location 2 is in mapping 9, which is not there");
	put_sound(&p);
	put_location(&p, 2, 1, 0, 9, 1);
	refuse_both(&p, "location 2 is in function 9, which is not there");
	put_sound(&p);
	put_sample(&p, 9, 1);
	refuse_both(&p, "a sample is at location 9, which is not there");
	put_sound(&p);
	put_sample(&p, 0, 1);
	refuse_both(&p, "a sample is at location 0, which is not there");
}

static void test_pprof_damage__values_that_do_not_match_their_types(void **state)
{
	(void)state;
	struct proto_bytes p = {0}, sample = {0};
	put_sound(&p);
	proto_packed(&sample, 2, (uint64_t[]){1, 2}, 2);
	proto_message(&p, IN_SAMPLE, &sample);
	refuse_both(&p, "a sample of 2 values, not 1");
	put_sound(&p);
	proto_message(&p, IN_SAMPLE, &sample);
	refuse_both(&p, "a sample of 0 values, not 1");
	put_sound(&p);
	for (int i = 0; i < 6; i++)
		put_value_type(&p, IN_SAMPLE_TYPE, 1, 2);
	refuse_both(&p, "7 values per sample");
	put_sound(&p);
	for (int i = 0; i < 100; i++)
		put_value_type(&p, IN_SAMPLE_TYPE, 1, 2);
	refuse_both(&p, "not a profile");
}

static void test_pprof_damage__messages_that_cannot_be_decoded(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_sound(&p);
	proto_text(&p, IN_SAMPLE, "\x0a\x7f"); /* locations that are longer than the sample */
	refuse_both(&p, "a sample that cannot be decoded");
	put_sound(&p);
	proto_int(&p, IN_SAMPLE, 5);
	refuse_both(&p, "a sample that is a number");
	put_sound(&p);
	proto_text(&p, IN_LOCATION, "\x0a\x7f");
	refuse_both(&p, "not a profile");
	put_sound(&p);
	proto_int(&p, IN_MAPPING, 5);
	refuse_both(&p, "not a profile");
	put_sound(&p);
	proto_text(&p, IN_PERIOD, "x");
	refuse_both(&p, "not a profile");
	put_sound(&p);
	proto_text(&p, IN_COMMENT, "\x80");
	refuse_both(&p, "not a profile");
	put_sound(&p);
	proto_raw(&p, "\x32\x7fshort", 7);
	refuse_both(&p, "the middle of a field");
	put_sound(&p);
	proto_varint(&p, IN_STRING * 8 + 2);
	proto_varint(&p, UINT64_MAX);
	refuse_both(&p, "not a profile");
	put_sound(&p);
	proto_varint(&p, IN_SAMPLE * 8 + 2);
	proto_varint(&p, (uint64_t)1 << 30);
	refuse_both(&p, "the middle of a field");
}

static void test_pprof_damage__a_sample_of_more_than_the_limit(void **state)
{
	(void)state;
	struct proto_bytes p = {0}, sample = {0};
	size_t n = 5 << 20;
	uint8_t *long_field = malloc(n);
	assert_non_null(long_field);
	memset(long_field, 1, n);
	put_sound(&p);
	proto_bytes(&p, IN_SAMPLE, long_field, n);
	refuse_both(&p, "a sample of an impossible length");
	put_sound(&p);
	proto_bytes(&p, IN_STRING, long_field, n);
	refuse_both(&p, "not a profile");
	put_sound(&p);
	proto_bytes(&sample, 1, long_field, 70000); /* 70,000 times location 1 */
	proto_packed(&sample, 2, (uint64_t[]){1}, 1);
	proto_message(&p, IN_SAMPLE, &sample);
	refuse_both(&p, "a stack of 70000 frames");
	free(long_field);
}

/* @n times the same inlined function at location @id. */
static void put_inlined(struct proto_bytes *p, uint64_t id, size_t n)
{
	struct proto_bytes m = {0};
	proto_int(&m, 1, id);
	proto_int(&m, 2, 1);
	proto_int(&m, 3, 0x400000 + id);
	while (n--) {
		struct proto_bytes line = {0};
		proto_int(&line, 1, 1);
		proto_message(&m, 4, &line);
	}
	proto_message(p, IN_LOCATION, &m);
}

/* Every view expands inline chains: few bytes of file would become millions of frames. */
static void test_pprof_damage__inline_chains_of_more_than_the_limit(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_sound(&p);
	put_inlined(&p, 2, 1025);
	refuse_both(&p, "location 2 is of 1025 inlined functions");

	uint64_t stack[65];
	for (size_t i = 0; i < 65; i++)
		stack[i] = 2;
	put_sound(&p);
	put_inlined(&p, 2, 1024);
	struct proto_bytes sample = begin_sample(stack, 64, 1);
	proto_message(&p, IN_SAMPLE, &sample);
	struct profile *profile;
	assert_int_equal(pprof_load_bytes(p.bytes, p.n, &profile, NULL, NULL), 0);
	profile_destroy(profile);
	sample = begin_sample(stack, 65, 1);
	proto_message(&p, IN_SAMPLE, &sample);
	refuse_both(&p, "a stack of 66560 frames");
}

/* Each comment of free text is kept, though all of them are one string of the file. */
static void test_pprof_damage__one_long_string_as_many_comments(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	char *text = malloc((1 << 20) + 1);
	assert_non_null(text);
	memset(text, 'x', 1 << 20);
	text[1 << 20] = '\0';
	put_sound(&p);
	proto_text(&p, IN_STRING, text);
	free(text);
	for (size_t i = 0; i < 15; i++)
		proto_int(&p, IN_COMMENT, 6);
	struct profile *profile;
	assert_int_equal(pprof_load_bytes(p.bytes, p.n, &profile, NULL, NULL), 0);
	profile_destroy(profile);
	proto_int(&p, IN_COMMENT, 6);
	refuse_both(&p, "comments of more than 16 MiB");
}

static void test_pprof_damage__too_many_comments(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_sound(&p);
	for (unsigned i = 0; i < 2000; i++) {
		char text[32];
		snprintf(text, sizeof(text), "key%u=x", i);
		proto_text(&p, IN_STRING, text);
		proto_int(&p, IN_COMMENT, 6 + i);
	}
	refuse_both(&p, "more than 1024 comments");
	/* but a key may change as often as it likes */
	put_sound(&p);
	for (unsigned i = 0; i < 100000; i++) {
		proto_text(&p, IN_STRING, i % 2 ? "a=1" : "b=2");
		proto_int(&p, IN_COMMENT, 6 + i);
	}
	struct profile *profile = NULL;
	assert_int_equal(pprof_load_bytes(p.bytes, p.n, &profile, NULL, NULL), 0);
	assert_int_equal(profile->n_header, 2);
	profile_destroy(profile);
	proto_free(&p);
}

/* Each gets an address of its own; looking for one anew from the start would be quadratic. */
static void test_pprof_damage__many_locations_at_one_address(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_sound(&p);
	for (uint64_t i = 2; i < 50000; i++)
		put_location(&p, i, 1, UINT64_MAX - i % 2, 1, i);
	struct profile *profile = NULL;
	assert_int_equal(pprof_load_bytes(p.bytes, p.n, &profile, NULL, NULL), 0);
	assert_int_equal(profile->n_locations, 49999);
	assert_true(profile->locations[1].svma == UINT64_MAX);
	assert_true(profile->locations[2].svma == UINT64_MAX - 1);
	assert_true(profile->locations[3].svma == 1ULL << 63);
	assert_true(profile->locations[49998].svma == (1ULL << 63) + 49995);
	profile_destroy(profile);
	proto_free(&p);
}

/* Our own file of one member, and one of two; uncompressed, too. */
static void make_files(struct temp_dir *dir, struct proto_bytes *one, struct proto_bytes *two,
		       size_t *first)
{
	struct profile *profile = full_profile();
	struct cp_err err = {""};
	struct pprof_writer *writer = NULL;
	assert_int_equal(pprof_writer_create(temp_dir_file(dir, "a"), &writer, &err), 0);
	assert_int_equal(pprof_writer_flush(writer, profile, &err), 0);
	*first = pprof_writer_size_bytes(writer);
	profile_clear_samples(profile);
	build_at(profile, (module_id){0}, "later", "later.c", 5);
	full_sample(profile, (thread_id){1}, CP_STOP_END, 5, 6, (location_id[]){{5}, {0}}, 2);
	assert_int_equal(pprof_writer_flush(writer, profile, &err), 0);
	pprof_writer_destroy(writer);
	profile_destroy(profile);
	size_t n;
	char *bytes = temp_dir_read(temp_dir_file(dir, "a"), &n);
	proto_raw(two, bytes, n);
	proto_raw(one, bytes, *first);
	free(bytes);
}

static void test_pprof_damage__cut_at_every_byte(void **state)
{
	struct proto_bytes one = {0}, two = {0};
	size_t first;
	make_files(*state, &one, &two, &first);
	assert_in_range(two.n, first + 30, 2000);
	struct profile *expected = full_profile();
	for (size_t n = 0; n < two.n; n++) {
		/* in memory of its own, so that a read beyond the end is seen */
		uint8_t *cut = malloc(n ? n : 1);
		assert_non_null(cut);
		memcpy(cut, two.bytes, n);
		struct cp_err err = {""};
		struct profile *profile = NULL;
		struct pprof_load_info info;
		int rc = pprof_load_bytes(cut, n, &profile, &info, &err);
		if (n < first) {
			assert_int_equal(rc, -EBADMSG);
			assert_true(strlen(err.message) > 0);
			assert_null(profile);
		} else {
			assert_int_equal(rc, 0);
			assert_int_equal(info.members, 1);
			assert_int_equal(info.torn_bytes, n - first);
			equal_profiles(expected, profile);
		}
		profile_destroy(profile);
		free(cut);
	}
	profile_destroy(expected);
	proto_free(&one);
	proto_free(&two);
}

static void test_pprof_damage__flipped_at_every_bit(void **state)
{
	struct proto_bytes one = {0}, two = {0};
	size_t first;
	make_files(*state, &one, &two, &first);
	struct profile *whole = NULL, *expected = full_profile();
	assert_int_equal(pprof_load_bytes(two.bytes, two.n, &whole, NULL, NULL), 0);
	for (size_t bit = 0; bit < 8 * two.n; bit++) {
		two.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		struct profile *profile = NULL;
		struct pprof_load_info info;
		int rc = pprof_load_bytes(two.bytes, two.n, &profile, &info, NULL);
		/* only bits of a gzip header that say nothing of the data may go unseen */
		if (rc)
			assert_true(bit / 8 < first && rc == -EBADMSG);
		else
			equal_profiles(info.members == 2 ? whole : expected, profile);
		if (!rc && info.members == 1)
			assert_int_equal(info.torn_bytes, two.n - first);
		profile_destroy(profile);
		two.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	profile_destroy(whole);
	profile_destroy(expected);
	proto_free(&one);
	proto_free(&two);
}

/* Without gzip nothing guards the data: anything may come out, but no crash. */
static void test_pprof_damage__uncompressed_flipped_and_cut(void **state)
{
	(void)state;
	struct proto_bytes p = {0};
	put_sound(&p);
	proto_text(&p, IN_STRING, "thread");
	struct proto_bytes sample = begin_sample((uint64_t[]){1, 1}, 2, 3);
	put_label(&sample, 6, 3, 0);
	proto_message(&p, IN_SAMPLE, &sample);
	size_t loaded = 0, refused = 0;
	for (size_t bit = 0; bit < 8 * p.n; bit++) {
		uint8_t *copy = malloc(p.n);
		assert_non_null(copy);
		memcpy(copy, p.bytes, p.n);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		for (size_t n = p.n; n > p.n - 3; n--) {
			struct profile *profile = NULL;
			struct cp_err err = {""};
			int rc = pprof_load_bytes(copy, n, &profile, NULL, &err);
			assert_true(rc == 0 || rc == -EBADMSG);
			assert_int_equal(rc != 0, err.message[0] != '\0');
			if (rc)
				refused++;
			else
				loaded++;
			profile_destroy(profile);
		}
		free(copy);
	}
	assert_true(loaded > 100);
	assert_true(refused > 1000);
	proto_free(&p);
}

static void test_pprof_damage__a_member_that_lies_is_no_torn_tail(void **state)
{
	struct proto_bytes one = {0}, two = {0}, part = {0};
	size_t first;
	make_files(*state, &one, &two, &first);
	/* sound gzip, unsound content: somebody's error, not an interrupted write */
	put_sample(&part, 1234, 1);
	proto_gzip(&one, part.bytes, part.n);
	refuse(&one, -EBADMSG, "a sample of 1 values, not 2");
	proto_free(&part);
	proto_free(&one);
	proto_free(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pprof_damage__what_is_no_profile_at_all),
		cmocka_unit_test(test_pprof_damage__strings_out_of_range),
		cmocka_unit_test(test_pprof_damage__ids_that_are_zero_twice_or_unknown),
		cmocka_unit_test(test_pprof_damage__values_that_do_not_match_their_types),
		cmocka_unit_test(test_pprof_damage__messages_that_cannot_be_decoded),
		cmocka_unit_test(test_pprof_damage__a_sample_of_more_than_the_limit),
		cmocka_unit_test(test_pprof_damage__inline_chains_of_more_than_the_limit),
		cmocka_unit_test(test_pprof_damage__one_long_string_as_many_comments),
		cmocka_unit_test(test_pprof_damage__too_many_comments),
		cmocka_unit_test(test_pprof_damage__many_locations_at_one_address),
		cmocka_unit_test_setup_teardown(test_pprof_damage__cut_at_every_byte,
						temp_dir_setup, temp_dir_teardown),
		cmocka_unit_test_setup_teardown(test_pprof_damage__flipped_at_every_bit,
						temp_dir_setup, temp_dir_teardown),
		cmocka_unit_test(test_pprof_damage__uncompressed_flipped_and_cut),
		cmocka_unit_test_setup_teardown(
			test_pprof_damage__a_member_that_lies_is_no_torn_tail, temp_dir_setup,
			temp_dir_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

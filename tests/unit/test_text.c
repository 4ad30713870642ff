#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"

static void test_text__parse_u64_takes_digits_only(void **state)
{
	(void)state;
	uint64_t out = 9;
	assert_true(cp_parse_u64("0", 0, 10, &out));
	assert_int_equal(out, 0);
	assert_true(cp_parse_u64("18446744073709551615", 0, UINT64_MAX, &out));
	assert_true(out == UINT64_MAX);
	out = 9;
	static const char *const bad[] = {
		"", " 1", "1 ", "+1", "-1", "0x10", "1e3", "1.0", "18446744073709551616", "a",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(cp_parse_u64(bad[i], 0, UINT64_MAX, &out));
	assert_int_equal(out, 9);
}

static void test_text__parse_u64_keeps_the_range(void **state)
{
	(void)state;
	uint64_t out = 9;
	assert_false(cp_parse_u64("4", 5, 7, &out));
	assert_false(cp_parse_u64("8", 5, 7, &out));
	assert_int_equal(out, 9);
	assert_true(cp_parse_u64("5", 5, 7, &out));
	assert_true(cp_parse_u64("7", 5, 7, &out));
	assert_int_equal(out, 7);
}

static void check_duration(const char *text, uint64_t ns)
{
	uint64_t out = 0;
	assert_true(cp_parse_duration(text, &out));
	assert_int_equal(out, ns);
}

static void test_text__parse_duration_knows_the_units(void **state)
{
	(void)state;
	check_duration("10", 10000000000);
	check_duration("500ms", 500000000);
	check_duration("2m", 120000000000);
	check_duration("1.5s", 1500000000);
	check_duration("250us", 250000);
	check_duration("7ns", 7);
	check_duration("0.5h", 1800000000000);
}

static void test_text__parse_duration_refuses_the_rest(void **state)
{
	(void)state;
	uint64_t out = 9;
	static const char *const bad[] = {
		"",
		"0",
		"0s",
		"-1s",
		"+1",
		"inf",
		"nan",
		"1e3",
		"0x1",
		"1.5.2",
		".5s",
		"5 s",
		"5x",
		"5S",
		"s",
		"ms",
		"1h2m",
		"0.1ns",
		"877000h" /* over a hundred years */,
		"99999999999999999999999999999999",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(cp_parse_duration(bad[i], &out));
	assert_int_equal(out, 9);
}

static void test_text__durations_are_written_for_people(void **state)
{
	(void)state;
	char buf[CP_TEXT_MAX];
	assert_string_equal(cp_format_duration(0, buf), "0 ns");
	assert_string_equal(cp_format_duration(999, buf), "999 ns");
	assert_string_equal(cp_format_duration(1500, buf), "1.5 us");
	assert_string_equal(cp_format_duration(120000000, buf), "120 ms");
	assert_string_equal(cp_format_duration(1500000000, buf), "1.5 s");
	assert_string_equal(cp_format_duration(200000000000, buf), "3 m 20 s");
	assert_string_equal(cp_format_duration(3600000000000, buf), "1 h 00 m");
	assert_string_equal(cp_format_duration(90061000000000, buf), "25 h 01 m");
}

static void test_text__durations_round_up_into_the_next_unit(void **state)
{
	(void)state;
	char buf[CP_TEXT_MAX];
	assert_string_equal(cp_format_duration(999499, buf), "999 us");
	assert_string_equal(cp_format_duration(999999, buf), "1 ms");
	assert_string_equal(cp_format_duration(999999999, buf), "1.0 s");
	assert_string_equal(cp_format_duration(59940000000, buf), "59.9 s");
	assert_string_equal(cp_format_duration(59990000000, buf), "1 m 00 s");
	assert_string_equal(cp_format_duration(3599900000000, buf), "1 h 00 m");
}

static void test_text__bytes_are_written_for_people(void **state)
{
	(void)state;
	char buf[CP_TEXT_MAX];
	assert_string_equal(cp_format_bytes(0, buf), "0 B");
	assert_string_equal(cp_format_bytes(1023, buf), "1023 B");
	assert_string_equal(cp_format_bytes(1536, buf), "1.5 KiB");
	assert_string_equal(cp_format_bytes(3355443, buf), "3.2 MiB");
	assert_string_equal(cp_format_bytes((uint64_t)5 << 30, buf), "5.0 GiB");
	assert_string_equal(cp_format_bytes(UINT64_MAX, buf), "16.0 EiB");
}

static void test_text__bytes_round_up_into_the_next_unit(void **state)
{
	(void)state;
	char buf[CP_TEXT_MAX];
	assert_string_equal(cp_format_bytes(1048524, buf), "1023.9 KiB");
	assert_string_equal(cp_format_bytes(1048575, buf), "1.0 MiB");
	assert_string_equal(cp_format_bytes(((uint64_t)1 << 40) - 1, buf), "1.0 TiB");
}

static void test_text__shares_are_never_rounded_to_all_or_nothing(void **state)
{
	(void)state;
	char buf[CP_TEXT_MAX];
	assert_string_equal(cp_format_pct(0, buf), "0.0 %");
	assert_string_equal(cp_format_pct(0.01, buf), "<0.1 %");
	assert_string_equal(cp_format_pct(0.05, buf), "0.1 %");
	assert_string_equal(cp_format_pct(60.14, buf), "60.1 %");
	assert_string_equal(cp_format_pct(99.99, buf), "99.9 %");
	assert_string_equal(cp_format_pct(100, buf), "100.0 %");
}

static void test_text__counts_are_grouped_by_thousands(void **state)
{
	(void)state;
	char buf[CP_TEXT_MAX];
	assert_string_equal(cp_format_count(0, buf), "0");
	assert_string_equal(cp_format_count(999, buf), "999");
	assert_string_equal(cp_format_count(1000, buf), "1,000");
	assert_string_equal(cp_format_count(1234567, buf), "1,234,567");
	assert_string_equal(cp_format_count(UINT64_MAX, buf), "18,446,744,073,709,551,615");
}

static void test_text__bytes_are_powers_of_1024(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0", 0},          {"512", 512},       {"512B", 512},
		    {"1K", 1024},      {"1k", 1024},       {"1KB", 1024},
		    {"1KiB", 1024},    {"1.5MB", 3 << 19}, {"2GiB", 2UL << 30},
		    {"1T", 1ULL << 40}};
	static const char *const bad[] = {"",     "K",   "-1",  "1X",   "1KBB", "1 K",
					  "0x1",  "1e3", "1Bi", "1..2", ".5",   "99999999999T",
					  "1K/h", "nan"};
	uint64_t bytes = 77;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(cp_parse_bytes(good[i].text, &bytes));
		assert_int_equal(bytes, good[i].bytes);
	}
	bytes = 77;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (cp_parse_bytes(bad[i], &bytes) || bytes != 77)
			fail_msg("\"%s\"", bad[i]);
}

static void test_text__rates_are_bytes_over_time(void **state)
{
	(void)state;
	double rate = 0;
	assert_true(cp_parse_bytes_rate("3600/h", &rate) && rate == 1);
	assert_true(cp_parse_bytes_rate("1K/s", &rate) && rate == 1024);
	assert_true(cp_parse_bytes_rate("60/m", &rate) && rate == 1);
	assert_true(cp_parse_bytes_rate("60/min", &rate) && rate == 1);
	assert_true(cp_parse_bytes_rate("86400B/d", &rate) && rate == 1);
	static const char *const bad[] = {"1K", "/h", "1K/", "1K/y", "1K/hh", "-1/h", ""};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(cp_parse_bytes_rate(bad[i], &rate));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text__bytes_are_powers_of_1024),
		cmocka_unit_test(test_text__rates_are_bytes_over_time),
		cmocka_unit_test(test_text__parse_u64_takes_digits_only),
		cmocka_unit_test(test_text__parse_u64_keeps_the_range),
		cmocka_unit_test(test_text__parse_duration_knows_the_units),
		cmocka_unit_test(test_text__parse_duration_refuses_the_rest),
		cmocka_unit_test(test_text__durations_are_written_for_people),
		cmocka_unit_test(test_text__durations_round_up_into_the_next_unit),
		cmocka_unit_test(test_text__bytes_are_written_for_people),
		cmocka_unit_test(test_text__bytes_round_up_into_the_next_unit),
		cmocka_unit_test(test_text__shares_are_never_rounded_to_all_or_nothing),
		cmocka_unit_test(test_text__counts_are_grouped_by_thousands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

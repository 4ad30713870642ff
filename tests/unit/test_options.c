#include "cli/cli.h"
#include "cli/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OPT_PID, OPT_RATE, OPT_NO_KERNEL, OPT_NO_INHERIT, OPT_QUIET, OPT_GATE };

static const struct cli_option table[] = {
	[OPT_PID] = {"pid", 'p', "PID", "Group", "help"},
	[OPT_RATE] = {"rate", 'F', "HZ", NULL, "help"},
	[OPT_NO_KERNEL] = {"no-kernel", 0, NULL, NULL, "help"},
	[OPT_NO_INHERIT] = {"no-inherit", 0, NULL, NULL, "help"},
	[OPT_QUIET] = {"quiet", 'q', NULL, NULL, "help"},
	[OPT_GATE] = {"gate", 0, "[=BYTES]", NULL, "help"},
	{0},
};
static const struct cli_command permuting = {.name = "test", .options = table};
static const struct cli_command strict = {
	.name = "test",
	.options = table,
	.operands_end_options = true,
};

enum { MAX_ARGS = 12 };

struct walk {
	char *argv[MAX_ARGS + 1];
	int argc;
	struct options *options;
	const char *value;
	struct cp_err err;
};

/* @line: arguments separated by single spaces; the command's name is put in front. */
static void start(struct walk *walk, const struct cli_command *command, char *line)
{
	walk->argc = 0;
	walk->argv[walk->argc++] = (char *)"test";
	for (char *word = strtok(line, " "); word && walk->argc < MAX_ARGS;
	     word = strtok(NULL, " "))
		walk->argv[walk->argc++] = word;
	walk->argv[walk->argc] = NULL;
	walk->err.message[0] = '\0';
	assert_int_equal(options_create(command, walk->argc, walk->argv, &walk->options), 0);
}

static int next(struct walk *walk)
{
	return options_next(walk->options, &walk->value, &walk->err);
}

static void test_options__arguments_in_brackets_may_be_left_out(void **state)
{
	(void)state;
	struct walk walk;
	char line[] = "--gate --gate=5 --gate 7";
	start(&walk, &permuting, line);
	assert_int_equal(next(&walk), OPT_GATE);
	assert_null(walk.value);
	assert_int_equal(next(&walk), OPT_GATE);
	assert_string_equal(walk.value, "5");
	assert_int_equal(next(&walk), OPT_GATE);
	assert_null(walk.value);
	assert_int_equal(next(&walk), OPTIONS_END);
	assert_string_equal(walk.argv[options_first_operand(walk.options)], "7");
	options_destroy(walk.options);
}

static void expect_error(const struct cli_command *command, const char *line, const char *message)
{
	char words[128];
	strcpy(words, line);
	struct walk walk;
	start(&walk, command, words);
	int got;
	do
		got = next(&walk);
	while (got >= 0);
	assert_int_equal(got, OPTIONS_ERROR);
	assert_string_equal(walk.err.message, message);
	options_destroy(walk.options);
}

static void test_options__short_long_and_joined_forms_give_the_same_option(void **state)
{
	(void)state;
	char line[] = "-p 12 -p34 --pid 56 --pid=78 -qF99";
	struct walk walk;
	start(&walk, &permuting, line);
	const char *const pids[] = {"12", "34", "56", "78"};
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(next(&walk), OPT_PID);
		assert_string_equal(walk.value, pids[i]);
	}
	assert_int_equal(next(&walk), OPT_QUIET);
	assert_null(walk.value);
	assert_int_equal(next(&walk), OPT_RATE);
	assert_string_equal(walk.value, "99");
	assert_int_equal(next(&walk), OPTIONS_END);
	assert_int_equal(options_first_operand(walk.options), walk.argc);
	options_destroy(walk.options);
}

static void test_options__operands_may_stand_before_options(void **state)
{
	(void)state;
	char line[] = "file.pb.gz --no-kernel -";
	struct walk walk;
	start(&walk, &permuting, line);
	assert_int_equal(next(&walk), OPT_NO_KERNEL);
	assert_int_equal(next(&walk), OPTIONS_END);
	int first = options_first_operand(walk.options);
	assert_int_equal(walk.argc - first, 2);
	assert_string_equal(walk.argv[first], "file.pb.gz");
	assert_string_equal(walk.argv[first + 1], "-");
	options_destroy(walk.options);
}

static void test_options__a_commands_own_options_are_left_to_it(void **state)
{
	(void)state;
	char line[] = "-q -- ls -p --rate";
	struct walk walk;
	start(&walk, &strict, line);
	assert_int_equal(next(&walk), OPT_QUIET);
	assert_int_equal(next(&walk), OPTIONS_END);
	int first = options_first_operand(walk.options);
	assert_int_equal(walk.argc - first, 3);
	assert_string_equal(walk.argv[first], "ls");
	assert_string_equal(walk.argv[first + 2], "--rate");
	options_destroy(walk.options);

	char bare[] = "-q ls -p";
	start(&walk, &strict, bare);
	assert_int_equal(next(&walk), OPT_QUIET);
	assert_int_equal(next(&walk), OPTIONS_END);
	assert_string_equal(walk.argv[options_first_operand(walk.options)], "ls");
	options_destroy(walk.options);
}

static void test_options__help_is_known_everywhere(void **state)
{
	(void)state;
	char line[] = "--help", letter[] = "-h";
	struct walk walk;
	start(&walk, &permuting, line);
	assert_int_equal(next(&walk), OPTIONS_HELP);
	options_destroy(walk.options);
	start(&walk, &strict, letter);
	assert_int_equal(next(&walk), OPTIONS_HELP);
	options_destroy(walk.options);
}

static void test_options__a_typing_error_names_the_option_meant(void **state)
{
	(void)state;
	expect_error(&permuting, "--no-kernal",
		     "unknown option --no-kernal; did you mean --no-kernel?");
	expect_error(&permuting, "--quite", "unknown option --quite; did you mean --quiet?");
	expect_error(&permuting, "--raet=99", "unknown option --raet; did you mean --rate?");
	expect_error(&permuting, "file --hlep", "unknown option --hlep; did you mean --help?");
	expect_error(&permuting, "--sideways", "unknown option --sideways");
	expect_error(&permuting, "-x", "unknown option -x");
	expect_error(&permuting, "-qx", "unknown option -x");
}

static void test_options__an_ambiguous_beginning_names_the_choices(void **state)
{
	(void)state;
	expect_error(&permuting, "--no", "option --no is ambiguous: --no-kernel or --no-inherit?");
}

static void test_options__missing_and_superfluous_arguments_are_told(void **state)
{
	(void)state;
	expect_error(&permuting, "--rate", "option --rate needs an argument: --rate HZ");
	expect_error(&permuting, "-q -p", "option -p needs an argument: -p PID");
	expect_error(&permuting, "--quiet=yes", "option --quiet takes no argument");
}

static void test_options__choice_matches_whole_words_only(void **state)
{
	(void)state;
	assert_int_equal(options_choice("text|json", "text"), 0);
	assert_int_equal(options_choice("text|json", "json"), 1);
	assert_int_equal(options_choice("text|json", "tex"), -1);
	assert_int_equal(options_choice("text|json", "text|json"), -1);
	assert_int_equal(options_choice("text|json", ""), -1);
}

static void test_options__percent_takes_decimal_numbers_up_to_100(void **state)
{
	(void)state;
	double pct = -1;
	assert_true(options_percent("0", &pct));
	assert_float_equal(pct, 0, 0);
	assert_true(options_percent("99.5", &pct));
	assert_float_equal(pct, 99.5, 1e-9);
	assert_true(options_percent("100", &pct));
	assert_true(options_percent("1%", &pct));
	assert_float_equal(pct, 1, 0);
	assert_true(options_percent("0.5%", &pct));
	assert_float_equal(pct, 0.5, 0);
	assert_true(options_percent("100%", &pct));
	static const char *const wrong[] = {"",     "-1",  "100.1", "1e1",   "nan",
					    "0x10", " 5",  "1.2.3", "9%%",   "9 %",
					    "%",    "9%0", "101%",  "1.2.3%"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		pct = 7;
		assert_false(options_percent(wrong[i], &pct));
		assert_float_equal(pct, 7, 0);
	}
}

static void test_options__pids_are_kept_once_each_in_order(void **state)
{
	(void)state;
	pid_t *pids = NULL;
	size_t n = 0, cap = 0;
	struct cp_err err;
	assert_int_equal(options_pids("30,10,30", &pids, &n, &cap, &err), 0);
	assert_int_equal(options_pids("20,10", &pids, &n, &cap, &err), 0);
	assert_int_equal(n, 3);
	assert_int_equal(pids[0], 30);
	assert_int_equal(pids[1], 10);
	assert_int_equal(pids[2], 20);
	free(pids);
}

static void test_options__what_is_no_pid_is_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"",   "0",   "-1",  "redis",      "1,",
		",1", "1 2", "1;2", "2147483648", "99999999999999999999999999999999"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		pid_t *pids = NULL;
		size_t n = 0, cap = 0;
		struct cp_err err = {""};
		assert_int_equal(options_pids(wrong[i], &pids, &n, &cap, &err), -EINVAL);
		assert_non_null(strstr(err.message, "is no process id"));
		free(pids);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options__arguments_in_brackets_may_be_left_out),
		cmocka_unit_test(test_options__short_long_and_joined_forms_give_the_same_option),
		cmocka_unit_test(test_options__operands_may_stand_before_options),
		cmocka_unit_test(test_options__a_commands_own_options_are_left_to_it),
		cmocka_unit_test(test_options__help_is_known_everywhere),
		cmocka_unit_test(test_options__a_typing_error_names_the_option_meant),
		cmocka_unit_test(test_options__an_ambiguous_beginning_names_the_choices),
		cmocka_unit_test(test_options__missing_and_superfluous_arguments_are_told),
		cmocka_unit_test(test_options__choice_matches_whole_words_only),
		cmocka_unit_test(test_options__percent_takes_decimal_numbers_up_to_100),
		cmocka_unit_test(test_options__pids_are_kept_once_each_in_order),
		cmocka_unit_test(test_options__what_is_no_pid_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

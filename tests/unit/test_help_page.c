#include "cli/cli.h"
#include "cli/help_page.h"
#include "cli/man_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int run_nothing(const struct cli_command *self, int argc, char **argv)
{
	(void)self;
	(void)argc;
	(void)argv;
	return CLI_OK;
}

static const struct cli_option table[] = {
	{"first", 'f', "ARG", "Heading", "one two three four five six"},
	{"second", 0, NULL, NULL, "short"},
	{0},
};
static const char *const synopses[] = {"-f ARG", "FILE", NULL};
static const struct cli_command command = {
	.name = "test",
	.summary = "summary",
	.synopses = synopses,
	.description = "aa bb cc dd ee ff gg hh ii jj kk ll mm nn oo pp\n\nSecond paragraph.",
	.options = table,
	.run = run_nothing,
};

static void test_help_page__is_wrapped_and_indented(void **state)
{
	(void)state;
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	help_page_command(&command, out, 46);
	fclose(out);
	assert_string_equal(text, "Usage: cprof test -f ARG\n"
				  "       cprof test FILE\n"
				  "\n"
				  "aa bb cc dd ee ff gg hh ii jj kk ll mm nn oo\n"
				  "pp\n"
				  "\n"
				  "Second paragraph.\n"
				  "\n"
				  "Heading:\n"
				  "  -f, --first ARG               one two three\n"
				  "                                four five six\n"
				  "      --second                  short\n"
				  "  -h, --help                    print this\n"
				  "                                help\n");
	free(text);
}

static char *man_page(void)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	man_page_write(out);
	fclose(out);
	return text;
}

static void test_man_page__has_every_command_and_option(void **state)
{
	(void)state;
	char *text = man_page();
	size_t n_options = 0;
	for (const struct cli_command *const *c = cli_commands; *c; c++) {
		char wanted[128];
		snprintf(wanted, sizeof(wanted), ".SS cprof %s\n", (*c)->name);
		assert_non_null(strstr(text, wanted));
		for (const struct cli_option *option = (*c)->options; option->name; option++) {
			char *at = wanted + snprintf(wanted, 16, "\\fB\\-\\-");
			for (const char *p = option->name; *p; p++)
				at += snprintf(at, 4, *p == '-' ? "\\-" : "%c", *p);
			strcpy(at, "\\fR");
			assert_non_null(strstr(text, wanted));
			n_options++;
		}
	}
	assert_true(n_options >= 20);
	free(text);
}

static void test_man_page__no_text_line_starts_with_a_control_character(void **state)
{
	(void)state;
	static const char *const macros[] = {".TH ",  ".nh\n", ".ad l\n", ".SH ", ".SS ",
					     ".PP\n", ".TP\n", ".B ",     ".BR ", ".br\n"};
	char *text = man_page();
	for (char *line = text; *line; line = strchr(line, '\n') + 1) {
		assert_true(*line != '\'');
		if (*line != '.')
			continue;
		bool known = false;
		for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++)
			known |= strncmp(line, macros[i], strlen(macros[i])) == 0;
		assert_true(known);
	}
	free(text);
}

static void test_cli__no_two_options_of_a_command_share_a_name(void **state)
{
	(void)state;
	for (const struct cli_command *const *c = cli_commands; *c; c++) {
		for (const struct cli_option *a = (*c)->options; a->name; a++) {
			assert_non_null(a->help);
			assert_true(a->letter != 'h' && strcmp(a->name, "help") != 0);
			for (const struct cli_option *b = a + 1; b->name; b++) {
				assert_string_not_equal(a->name, b->name);
				assert_true(!a->letter || a->letter != b->letter);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_help_page__is_wrapped_and_indented),
		cmocka_unit_test(test_man_page__has_every_command_and_option),
		cmocka_unit_test(test_man_page__no_text_line_starts_with_a_control_character),
		cmocka_unit_test(test_cli__no_two_options_of_a_command_share_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "options.h"

#include "base/array.h"
#include "base/text.h"
#include "cli.h"
#include "suggest.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What getopt_long returns for a long option is this + the index; above every character. */
enum { LONG_BASE = 0x1000, HELP_VALUE = 0xfff };

struct options {
	const struct cli_command *command;
	int argc;
	char **argv;
	struct option *longs; /* getopt_long's form of the table */
	char *shorts;
};

static size_t table_size(const struct cli_option *table)
{
	size_t n = 0;
	while (table[n].name)
		n++;
	return n;
}

int options_create(const struct cli_command *command, int argc, char **argv, struct options **out)
{
	size_t n = table_size(command->options);
	struct options *options = calloc(1, sizeof(*options));
	if (!options)
		return -ENOMEM;
	options->longs = calloc(n + 2, sizeof(*options->longs));
	options->shorts = malloc(2 * n + 4);
	if (!options->longs || !options->shorts) {
		options_destroy(options);
		return -ENOMEM;
	}
	options->command = command;
	options->argc = argc;
	options->argv = argv;
	char *shorts = options->shorts;
	if (command->operands_end_options)
		*shorts++ = '+';
	*shorts++ = ':'; /* a missing argument is told from an unknown option */
	for (size_t i = 0; i < n; i++) {
		const struct cli_option *option = &command->options[i];
		options->longs[i] = (struct option){
			.name = option->name,
			.has_arg = !option->arg            ? no_argument
				   : option->arg[0] == '[' ? optional_argument
							   : required_argument,
			.val = LONG_BASE + (int)i,
		};
		if (option->letter) {
			*shorts++ = option->letter;
			if (option->arg)
				*shorts++ = ':';
		}
	}
	options->longs[n] = (struct option){.name = "help", .val = HELP_VALUE};
	*shorts++ = 'h';
	*shorts = '\0';
	optind = 0; /* glibc: start anew, also with another optstring */
	opterr = 0;
	*out = options;
	return 0;
}

void options_destroy(struct options *options)
{
	if (!options)
		return;
	free(options->longs);
	free(options->shorts);
	free(options);
}

/* Another command of the same family ("heap run", "heap report") that has the option; or NULL. */
static const struct cli_command *relative_with(const struct cli_command *command, const char *name)
{
	const size_t n = strcspn(command->name, " ") + 1;
	for (size_t i = 0; cli_commands[i]; i++) {
		if (cli_commands[i] == command || strlen(command->name) < n ||
		    strncmp(cli_commands[i]->name, command->name, n) != 0)
			continue;
		for (const struct cli_option *option = cli_commands[i]->options; option->name;
		     option++)
			if (strcmp(option->name, name) == 0)
				return cli_commands[i];
	}
	return NULL;
}

/* The long option that getopt_long did not know, or found ambiguous, stands right before optind. */
static int refuse_long(const struct options *options, const char *typed, struct cp_err *err)
{
	size_t n = strcspn(typed, "=");
	char word[64];
	snprintf(word, sizeof(word), "%.*s", (int)(n < sizeof(word) ? n : sizeof(word) - 1), typed);
	const char *matches[2] = {NULL, NULL};
	const char *nearest = suggest_nearer(word, "help", NULL);
	for (const struct cli_option *option = options->command->options; option->name; option++) {
		if (strncmp(option->name, word, strlen(word)) == 0)
			matches[matches[0] ? 1 : 0] = option->name;
		nearest = suggest_nearer(word, option->name, nearest);
	}
	for (const struct cli_option *option = options->command->options; option->name; option++) {
		if (strcmp(option->name, word) == 0 && !option->arg)
			return cp_fail(err, OPTIONS_ERROR, "option --%s takes no argument", word);
	}
	const struct cli_command *relative = relative_with(options->command, word);
	if (relative)
		return cp_fail(err, OPTIONS_ERROR,
			       "option --%s is one of 'cprof %s', not of 'cprof %s'", word,
			       relative->name, options->command->name);
	if (matches[1])
		return cp_fail(err, OPTIONS_ERROR, "option --%s is ambiguous: --%s or --%s?", word,
			       matches[0], matches[1]);
	if (nearest)
		return cp_fail(err, OPTIONS_ERROR, "unknown option --%s; did you mean --%s?", word,
			       nearest);
	return cp_fail(err, OPTIONS_ERROR, "unknown option --%s", word);
}

static int refuse(const struct options *options, struct cp_err *err)
{
	if (optopt == 0 || optopt >= HELP_VALUE)
		return refuse_long(options, options->argv[optind - 1] + 2, err);
	if (isprint(optopt))
		return cp_fail(err, OPTIONS_ERROR, "unknown option -%c", optopt);
	return cp_fail(err, OPTIONS_ERROR, "unknown option -\\x%02x", (unsigned)optopt & 0xff);
}

static const struct cli_option *by_letter(const struct options *options, int letter)
{
	for (const struct cli_option *option = options->command->options; option->name; option++)
		if (option->letter == letter)
			return option;
	return NULL;
}

static int missing_argument(const struct options *options, struct cp_err *err)
{
	const struct cli_option *option = optopt >= LONG_BASE
						  ? &options->command->options[optopt - LONG_BASE]
						  : by_letter(options, optopt);
	if (!option)
		return cp_fail(err, OPTIONS_ERROR, "an option lacks its argument");
	if (optopt >= LONG_BASE)
		return cp_fail(err, OPTIONS_ERROR, "option --%s needs an argument: --%s %s",
			       option->name, option->name, option->arg);
	return cp_fail(err, OPTIONS_ERROR, "option -%c needs an argument: -%c %s", optopt, optopt,
		       option->arg);
}

int options_next(struct options *options, const char **value, struct cp_err *err)
{
	int got = getopt_long(options->argc, options->argv, options->shorts, options->longs, NULL);
	*value = optarg;
	if (got == -1)
		return OPTIONS_END;
	if (got == 'h' || got == HELP_VALUE)
		return OPTIONS_HELP;
	if (got == ':')
		return missing_argument(options, err);
	if (got == '?')
		return refuse(options, err);
	if (got >= LONG_BASE)
		return got - LONG_BASE;
	return (int)(by_letter(options, got) - options->command->options);
}

int options_first_operand(const struct options *options)
{
	return optind < options->argc ? optind : options->argc;
}

int options_choice(const char *choices, const char *text)
{
	size_t n = strlen(text);
	for (int i = 0;; i++) {
		size_t length = strcspn(choices, "|");
		if (length == n && memcmp(choices, text, n) == 0)
			return i;
		if (!choices[length])
			return -1;
		choices += length + 1;
	}
}

bool options_percent(const char *text, double *out)
{
	/* strtod alone would take "nan", "0x10", "1e1" and white space */
	const size_t n = strspn(text, "0123456789.");
	if (!isdigit((unsigned char)text[0]) || (text[n] && strcmp(text + n, "%") != 0))
		return false;
	char *end;
	double value = strtod(text, &end);
	if (end != text + n || value > 100)
		return false;
	*out = value;
	return true;
}

static bool holds(const pid_t *pids, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

int options_pids(const char *text, pid_t **pids, size_t *n, size_t *cap, struct cp_err *err)
{
	for (;;) {
		size_t length = strcspn(text, ",");
		char word[24];
		snprintf(word, sizeof(word), "%.*s", (int)(length < 23 ? length : 23), text);
		uint64_t pid;
		if (length > 22 || !cp_parse_u64(word, 1, INT_MAX, &pid))
			return cp_fail(err, -EINVAL,
				       "\"%s\" is no process id: give numbers, separated by commas"
				       " (pgrep -d, NAME prints them)",
				       word);
		if (!holds(*pids, *n, (pid_t)pid)) {
			pid_t *slot = CP_ARRAY_PUSH(*pids, *n, *cap);
			if (!slot)
				return cp_fail_nomem(err);
			*slot = (pid_t)pid;
		}
		if (!text[length])
			return 0;
		text += length + 1;
	}
}

#include "cli.h"

#include "help_page.h"
#include "suggest.h"
#include "terminal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct cli_command *const cli_commands[] = {
	&record_command,
	&report_command,
	&flamegraph_command,
	&export_command,
	&symbolize_command,
	&heap_run_command,
	&heap_report_command,
	&doctor_command,
	&help_command,
	&version_command,
	NULL,
};

const struct cli_command *cli_find_command(const char *name)
{
	for (const struct cli_command *const *command = cli_commands; *command; command++)
		if (strcmp((*command)->name, name) == 0)
			return *command;
	return strcmp(name, heap_command.name) == 0 ? &heap_command : NULL;
}

static void say(const char *before, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void say(const char *before, const char *fmt, va_list ap)
{
	terminal_progress_end();
	/* a message that follows a report must come after it when both go to one place */
	fflush(stdout);
	fputs(before, stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int cli_fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say("cprof: error: ", fmt, ap);
	va_end(ap);
	return CLI_FAILED;
}

int cli_usage(const struct cli_command *command, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say("cprof: ", fmt, ap);
	va_end(ap);
	fprintf(stderr, "Try 'cprof %s%s--help'.\n", command ? command->name : "",
		command ? " " : "");
	return CLI_USAGE;
}

void cli_note(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say("cprof: ", fmt, ap);
	va_end(ap);
}

void cli_warn(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say("cprof: warning: ", fmt, ap);
	va_end(ap);
}

int cli_parse(const struct cli_command *command, int argc, char **argv, cli_take_option *take,
	      void *arguments, int *status)
{
	struct options *options;
	if (options_create(command, argc, argv, &options)) {
		*status = cli_fail("out of memory");
		return -1;
	}
	struct cp_err err;
	const char *value;
	int got;
	*status = CLI_OK;
	while (*status == CLI_OK && (got = options_next(options, &value, &err)) != OPTIONS_END) {
		if (got >= 0) {
			*status = take(command, got, value, arguments);
			continue;
		}
		*status = got == OPTIONS_HELP ? cli_help(command)
					      : cli_usage(command, "%s", err.message);
		options_destroy(options);
		return -1;
	}
	int first = options_first_operand(options);
	options_destroy(options);
	return *status == CLI_OK ? first : -1;
}

int cli_bad_choice(const struct cli_command *command, int option, const char *value)
{
	const struct cli_option *entry = &command->options[option];
	return cli_usage(command, "--%s %s: use %s", entry->name, value, entry->arg);
}

int cli_output_status(int code, const struct cp_err *err)
{
	if (code == 0)
		return CLI_OK;
	cli_fail("%s", err->message[0] ? err->message : strerror(-code));
	if (code == -ENODATA)
		return CLI_NO_VERDICT;
	return code == -EINVAL ? CLI_USAGE : CLI_FAILED;
}

bool cli_one_file(const struct cli_command *command, int argc, char **argv, int first,
		  const char **out)
{
	if (argc - first > 1) {
		cli_usage(command, "one profile at a time: what is \"%s\"?", argv[first + 1]);
		return false;
	}
	*out = first < argc ? argv[first] : CLI_DEFAULT_PROFILE;
	return true;
}

int cli_help(const struct cli_command *command)
{
	unsigned width = terminal_width(STDOUT_FILENO);
	if (width == 0 || width > 100)
		width = width ? 100 : 80;
	if (command)
		help_page_command(command, stdout, width);
	else
		help_page_overview(stdout, width);
	return CLI_OK;
}

int cli_unknown_command(const char *name)
{
	const char *nearest = NULL;
	for (const struct cli_command *const *command = cli_commands; *command; command++)
		nearest = suggest_nearer(name, (*command)->name, nearest);
	if (nearest)
		return cli_usage(NULL, "unknown command \"%s\"; did you mean %s?", name, nearest);
	return cli_usage(NULL, "unknown command \"%s\"", name);
}

#include "cli.h"
#include "man_page.h"

#include <stdio.h>
#include <string.h>

enum { OPT_MAN };

static const struct cli_option help_options[] = {
	[OPT_MAN] = {"man", 0, NULL, NULL, "print the manual page cprof(1) in troff"},
	{0},
};

static int take_option(const struct cli_command *self, int option, const char *value,
		       void *arguments)
{
	(void)self;
	(void)option;
	(void)value;
	bool *man = arguments;
	*man = true;
	return CLI_OK;
}

static int help_run(const struct cli_command *self, int argc, char **argv)
{
	bool man = false;
	int status;
	int first = cli_parse(self, argc, argv, take_option, &man, &status);
	if (first < 0)
		return status;
	const bool two_words = first + 1 < argc && strcmp(argv[first], heap_command.name) == 0;
	if (argc - first > (man ? 0 : two_words ? 2 : 1))
		return cli_usage(self, "what is \"%s\"?", argv[argc - 1]);
	if (man) {
		man_page_write(stdout);
		return CLI_OK;
	}
	if (first == argc)
		return cli_help(NULL);
	char name[64];
	snprintf(name, sizeof(name), "%s%s%s", argv[first], two_words ? " " : "",
		 two_words ? argv[first + 1] : "");
	const struct cli_command *command = cli_find_command(name);
	return command ? cli_help(command) : cli_unknown_command(name);
}

static const char *const help_synopses[] = {"[COMMAND]", "--man", NULL};

const struct cli_command help_command = {
	.name = "help",
	.summary = "explain cprof or one of its commands",
	.synopses = help_synopses,
	.description = "Explains cprof, or the command named.",
	.options = help_options,
	.run = help_run,
};

#include "cli.h"

#include <stdio.h>
#include <string.h>

static const struct cli_option heap_options[] = {{0}};

static int take_option(const struct cli_command *self, int option, const char *value,
		       void *arguments)
{
	(void)self;
	(void)option;
	(void)value;
	(void)arguments;
	return CLI_OK;
}

/* "heap run" and "heap report" are commands of two words. */
static int heap_main(const struct cli_command *self, int argc, char **argv)
{
	char name[32];
	if (argc < 2 || argv[1][0] == '-') {
		int status;
		const int first = cli_parse(self, argc, argv, take_option, NULL, &status);
		if (first < 0)
			return status;
		return cli_usage(self, "heap run or heap report?");
	}
	snprintf(name, sizeof(name), "heap %s", argv[1]);
	const struct cli_command *command = cli_find_command(name);
	if (!command)
		return cli_unknown_command(name);
	return command->run(command, argc - 1, argv + 1);
}

static const char *const heap_synopses[] = {"run [OPTION...] -- CMD ARG...",
					    "report [FILE | -p PID] [OPTION...]", NULL};

const struct cli_command heap_command = {
	.name = "heap",
	.summary = "memory: who allocates it, and what is not freed",
	.synopses = heap_synopses,
	.description = "'cprof heap run' starts a command with libcprof_heap.so in it, which keeps "
		       "every live block with its stack in a heap file; 'cprof heap report' tells "
		       "what is in one, also while the command runs. 'cprof help heap run' and "
		       "'cprof help heap report' tell more.",
	.options = heap_options,
	.run = heap_main,
};

/*
 * main.c - hand over to the command named, and see that what it printed arrived.
 */
#include "cli.h"
#include "help_page.h"
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void on_failed_write(int signal_number)
{
	(void)signal_number;
}

/*
 * Writing to a closed pipe, or beyond the limit of a file's size, shall give an error, not end the
 * program: a recording goes on when `cprof ... 2>&1 | head` has seen enough, and what fitted into
 * the file stays a valid profile. Handlers, not SIG_IGN, as that would be inherited by the command
 * that `record` starts.
 */
static void turn_signals_into_errors(void)
{
	struct sigaction action = {.sa_handler = on_failed_write, .sa_flags = SA_RESTART};
	sigemptyset(&action.sa_mask);
	sigaction(SIGPIPE, &action, NULL);
	sigaction(SIGXFSZ, &action, NULL);
}

/* A full disk may show only when the last bytes leave the buffer. */
static int close_stdout(int status)
{
	bool failed = ferror(stdout) != 0;
	errno = 0;
	if (fflush(stdout) != 0)
		failed = true;
	if (!failed || errno == EPIPE)
		return status;
	return cli_fail("standard output: %s", errno ? strerror(errno) : "write error");
}

static int run(int argc, char **argv)
{
	if (argc < 2) {
		help_page_usage(stderr);
		return CLI_USAGE;
	}
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return cli_help(NULL);
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	if (name[0] == '-')
		return cli_usage(
			NULL, "unknown option %s: the command comes first, as in cprof record %s",
			name, name);
	const struct cli_command *command = cli_find_command(name);
	if (!command)
		return cli_unknown_command(name);
	return command->run(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	turn_signals_into_errors();
	int status = run(argc, argv);
	terminal_progress_end();
	return close_stdout(status);
}

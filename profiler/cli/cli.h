/*
 * cli.h - what the commands of cprof share: their table, exit statuses and the way they complain.
 *
 * A command is one file and one `struct cli_command`: the same table drives getopt_long, --help and
 * the man page, so an option cannot exist in one and not in the others. Data goes to standard
 * output, everything else to standard error.
 *
 * Depends on: base, options.h. Threads: the main one.
 */
#ifndef CPROF_CLI_CLI_H
#define CPROF_CLI_CLI_H

#include "base/err.h"
#include "options.h"

#define CLI_DEFAULT_PROFILE "cprof.pb.gz"

/* A contract with scripts: see "Exit status" in the man page. */
enum cli_status {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,      /* the command line is wrong */
	CLI_GATE = 3,       /* a gate such as --min-quality said no */
	CLI_NO_VERDICT = 4, /* nothing recorded: a gate could not judge */
};

struct cli_example {
	const char *command, *comment; /* both NULL ends a list */
};

struct cli_command {
	const char *name;
	const char *summary;                /* one line without a full stop */
	const char *const *synopses;        /* what follows "cprof NAME"; NULL-terminated */
	const char *description;            /* paragraphs with an empty line between them */
	const struct cli_option *options;   /* ended by an entry without a name */
	const struct cli_example *examples; /* or NULL */
	/* Stop at the first operand: what follows belongs to another program. */
	bool operands_end_options;
	/* @argv[0] is the command's name. Return: the exit status. */
	int (*run)(const struct cli_command *self, int argc, char **argv);
};

extern const struct cli_command record_command, report_command, flamegraph_command, export_command,
	symbolize_command, heap_run_command, heap_report_command, doctor_command, help_command,
	version_command;

/* Two words are one command: "heap" alone is not in the table. */
extern const struct cli_command heap_command;

/** All commands in the order of the help; NULL-terminated. */
extern const struct cli_command *const cli_commands[];

/** The command of a name, or NULL. */
const struct cli_command *cli_find_command(const char *name);

/**
 * What a command does with one of its options.
 *
 * @option: index in the command's table
 * Return: CLI_OK to go on, else the exit status (message printed).
 */
typedef int cli_take_option(const struct cli_command *self, int option, const char *value,
			    void *arguments);

/**
 * Hand all options to @take; help and wrong usage are dealt with here. A command without options
 * may give NULL.
 *
 * @status: set when the command is to end at once
 * Return: index of the first operand in @argv, or -1 to end with *@status.
 */
int cli_parse(const struct cli_command *command, int argc, char **argv, cli_take_option *take,
	      void *arguments, int *status);

/** Complain about a value that is none of the option's choices. Return: CLI_USAGE. */
int cli_bad_choice(const struct cli_command *command, int option, const char *value);

/**
 * The exit status for what a function of output/ returned, its message printed: no samples are
 * CLI_NO_VERDICT, a wrong regular expression is CLI_USAGE.
 */
int cli_output_status(int code, const struct cp_err *err);

/** Print the help of a command, or the overview with NULL. Return: CLI_OK. */
int cli_help(const struct cli_command *command);

/** Print that there is no such command, and the nearest one. Return: CLI_USAGE. */
int cli_unknown_command(const char *name);

/** Print "cprof: error: MESSAGE" on standard error. Return: CLI_FAILED. */
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Print the message and where the help is. Return: CLI_USAGE. */
int cli_usage(const struct cli_command *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** Print "cprof: MESSAGE" on standard error: something that people should know. */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Print "cprof: warning: MESSAGE" on standard error. */
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * The operand FILE of a command that takes at most one.
 *
 * @first: index of the first operand in @argv
 * @out:   CLI_DEFAULT_PROFILE when there is none; borrowed from @argv
 * Return: false when there are more (message printed).
 */
bool cli_one_file(const struct cli_command *command, int argc, char **argv, int first,
		  const char **out);

#endif

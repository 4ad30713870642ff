/*
 * options.h - the options of one command: a table, and getopt_long driven by it.
 *
 * Every command has -h and --help without listing them. A wrong option gives a message that names
 * the nearest right one. Nothing is printed here.
 *
 * Depends on: base. Threads: the main one (getopt_long keeps its state in globals).
 */
#ifndef CPROF_CLI_OPTIONS_H
#define CPROF_CLI_OPTIONS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct option;
struct cli_command;

struct cli_option {
	const char *name;  /* long name without dashes; NULL ends a table */
	char letter;       /* short name, or 0 */
	const char *arg;   /* name of its argument; "[=NAME]": may be left out; NULL: takes none */
	const char *group; /* heading that it stands under; NULL = that of the one before */
	const char *help;  /* without a full stop at the end */
};

enum {
	OPTIONS_END = -1,   /* all options seen; options_first_operand() is the next */
	OPTIONS_ERROR = -2, /* with a message */
	OPTIONS_HELP = -3,  /* --help */
};

struct options; /* one walk over an argument list */

/**
 * Start.
 *
 * @command: borrowed; gives the table
 * @argv:    argv[0] is not looked at; operands are moved behind the options, unless the command's
 *           operands_end_options is set
 * Return: 0 or -ENOMEM.
 */
int options_create(const struct cli_command *command, int argc, char **argv, struct options **out);
void options_destroy(struct options *options);

/**
 * The next option.
 *
 * @value: its argument, or NULL; borrowed from argv
 * Return: its index in the table, or one of the enum above.
 */
int options_next(struct options *options, const char **value, struct cp_err *err);

/** After OPTIONS_END: index of the first operand in argv; argc when there is none. */
int options_first_operand(const struct options *options);

/**
 * The index of @text among the words of @choices ("text|json"), or -1.
 */
int options_choice(const char *choices, const char *text);

/** A percentage from 0 to 100: "5", "0.5", "0.5%". Return: false on anything else. */
bool options_percent(const char *text, double *out);

/**
 * "PID[,PID]...": appended to a growing array; one that is there already is not added again.
 *
 * Return: 0; -EINVAL with a message; -ENOMEM. What was added before a bad one stays.
 */
int options_pids(const char *text, pid_t **pids, size_t *n, size_t *cap, struct cp_err *err);

#endif

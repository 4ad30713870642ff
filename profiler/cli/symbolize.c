#include "addresses.h"
#include "cli.h"
#include "load.h"
#include "out_file.h"

#include "base/text.h"
#include "symbolizer/symbolizer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	OPT_LOAD, /* and the rest of enum load_option */
	OPT_EXE = OPT_LOAD + LOAD_N_OPTIONS,
	OPT_ADDRESSES,
	OPT_FUNCTIONS,
	OPT_INLINES,
	OPT_PRETTY,
	OPT_BASENAMES,
	OPT_DEMANGLE,
};

static const struct cli_option symbolize_options[] = {
	LOAD_OPTIONS(OPT_LOAD, "What is looked up"),
	[OPT_EXE] = {"exe", 'e', "FILE", "Addresses of a file, as addr2line has them",
		     "no profile: tell what is at addresses of this program, library or object "
		     "file (the code "
		     "of a .o starts at 0), given as "
		     "hexadecimal numbers or, without any, a line each on standard input"},
	[OPT_ADDRESSES] = {"addresses", 'a', NULL, NULL, "show the address before its answer"},
	[OPT_FUNCTIONS] = {"functions", 'f', NULL, NULL, "show functions"},
	[OPT_INLINES] = {"inlines", 'i', NULL, NULL, "show the calls that were inlined"},
	[OPT_PRETTY] = {"pretty-print", 'p', NULL, NULL,
			"one line a frame. Without any of -a, -f, -i and -p all four hold"},
	[OPT_BASENAMES] = {"basenames", 's', NULL, NULL, "files without their directories"},
	[OPT_DEMANGLE] = {"demangle", 'C', NULL, NULL,
			  "names of C++ and Rust for people, not as in the file"},
	{0},
};

struct symbolize_arguments {
	struct load_symbols symbols;
	const char *exe;
	struct addresses_format format;
	bool has_format; /* any option that only goes with -e */
};

static int take_format(int option, struct symbolize_arguments *out)
{
	bool *const flags[] = {
		[OPT_ADDRESSES] = &out->format.address,   [OPT_FUNCTIONS] = &out->format.functions,
		[OPT_INLINES] = &out->format.inlines,     [OPT_PRETTY] = &out->format.pretty,
		[OPT_BASENAMES] = &out->format.basenames, [OPT_DEMANGLE] = &out->format.demangle,
	};
	*flags[option] = true;
	out->has_format = true;
	return CLI_OK;
}

static int take_option(const struct cli_command *self, int option, const char *value,
		       void *arguments)
{
	struct symbolize_arguments *out = arguments;
	int status;
	if (load_take_option(self, option - OPT_LOAD, value, &out->symbols, &status))
		return status;
	if (option != OPT_EXE)
		return take_format(option, out);
	if (out->exe)
		return cli_usage(self, "-e names one file at a time");
	out->exe = value;
	return CLI_OK;
}

static void tell_what_was_found(const struct profile *profile, const char *path)
{
	size_t named = 0, lined = 0;
	for (size_t i = 0; i < profile->n_locations; i++) {
		const struct profile_location *location = &profile->locations[i];
		named += location->n_lines != 0;
		lined += location->n_lines != 0 && profile->lines[location->first_line].line != 0;
	}
	char all_text[CP_TEXT_MAX], named_text[CP_TEXT_MAX], lined_text[CP_TEXT_MAX];
	cli_note("%s: of %s addresses %s have a function name, %s a source line", path,
		 cp_format_count(profile->n_locations, all_text),
		 cp_format_count(named, named_text), cp_format_count(lined, lined_text));
}

/* A server that was asked for and gave nothing: the same reason for all binaries, as a rule. */
static void tell_what_was_not_fetched(const struct profile *profile)
{
	const char *first = NULL, *why = NULL;
	size_t n = 0;
	for (size_t i = 0; i < profile->n_header; i++) {
		const struct profile_header_entry *entry = &profile->header[i];
		const size_t prefix = strlen(SYMBOLIZER_REASON_PREFIX);
		if (strncmp(entry->key, SYMBOLIZER_REASON_PREFIX, prefix) != 0 ||
		    !strstr(entry->value, "debuginfod: "))
			continue;
		if (n++ == 0) {
			first = entry->key + prefix;
			why = entry->value;
		}
	}
	if (n == 1)
		cli_warn("%s: %s", first, why);
	else if (n > 1)
		cli_warn("%s and %zu more: %s", first, n - 1, why);
}

static int symbolize_file(const char *path, const struct load_symbols *symbols)
{
	bool is_stdin = strcmp(path, "-") == 0;
	if (is_stdin && isatty(STDOUT_FILENO))
		return cli_fail("the profile would go to a terminal: redirect standard output");
	if (!is_stdin && out_file_is_special(path))
		return cli_fail("%s is no regular file", path);
	struct pprof_load_info info;
	struct profile *profile = load_profile(path, &info);
	if (!profile)
		return CLI_FAILED;
	struct cp_err err = {""};
	int status = CLI_FAILED;
	if (load_symbolize(profile, symbols) == 0) {
		int code = pprof_save(profile, path, &err);
		status = cli_output_status(code == -EPIPE ? 0 : code, &err);
	}
	if (status == CLI_OK) {
		tell_what_was_not_fetched(profile);
		tell_what_was_found(profile, is_stdin ? "standard input" : path);
	}
	profile_destroy(profile);
	return status;
}

static int tell_addresses(struct symbolize_arguments *arguments, char *const *operands, int n)
{
	struct addresses_format *format = &arguments->format;
	if (!format->address && !format->functions && !format->inlines && !format->pretty)
		format->address = format->functions = format->inlines = format->pretty = true;
	const struct addresses_request request = {
		.path = arguments->exe,
		.symbols = &arguments->symbols,
		.format = *format,
		.operands = operands,
		.n_operands = n,
	};
	return addresses_run(&request);
}

static int symbolize_run(const struct cli_command *self, int argc, char **argv)
{
	struct symbolize_arguments arguments = {.exe = NULL};
	int status;
	int first = cli_parse(self, argc, argv, take_option, &arguments, &status);
	const char *wrong = first >= 0 && arguments.exe
				    ? addresses_wrong_operand(argv + first, argc - first)
				    : NULL;
	if (wrong)
		status = cli_usage(self, "%s is no address: give hexadecimal numbers", wrong);
	else if (first >= 0 && arguments.exe)
		status = tell_addresses(&arguments, argv + first, argc - first);
	else if (first >= 0 && arguments.has_format)
		status = cli_usage(self, "-a, -f, -i, -p, -s and -C go with -e FILE");
	else if (first >= 0 && argc - first != 1)
		status = cli_usage(self, first == argc ? "name the profile to symbolize"
						       : "one profile at a time");
	else if (first >= 0)
		status = symbolize_file(argv[first], &arguments.symbols);
	load_symbols_deinit(&arguments.symbols);
	return status;
}

static const char *const symbolize_synopses[] = {"FILE [OPTION...]",
						 "-e FILE [OPTION...] [ADDR...]", NULL};

static const struct cli_example symbolize_examples[] = {
	{"cprof symbolize cprof.pb.gz",
	 "after a recording with --no-symbols or one that was killed"},
	{"cprof symbolize prod.pb.gz --debug-dir ./debug",
	 "a profile from another machine; debug files are found by build-id"},
	{"cprof symbolize -e /usr/lib/libfoo.so -C 0x1139 0x11a0",
	 "functions, lines and inlined calls at two addresses"},
	{"cprof symbolize -fi -e ./my-program < addresses.txt", "what addr2line -fi would print"},
	{NULL, NULL},
};

const struct cli_command symbolize_command = {
	.name = "symbolize",
	.summary = "put names and lines into a profile, or mend one whose end was cut off",
	.synopses = symbolize_synopses,
	.description =
		"Looks up functions, source lines and inlined calls for a profile that has none, "
		"or "
		"not all: after `record --no-symbols`, after a recorder that was killed, after "
		"installing debug packages. The file is replaced as a whole; \"-\" reads standard "
		"input and writes standard output. A debug file is used only when its build-id is "
		"that of the binary that was recorded."
		"\n\n"
		"With -e it answers for addresses of one file, in the lines and the order of "
		"addr2line, which it can stand in for: addresses are those of the file, the "
		"innermost inlined call comes first, what is not known is ?? and ??:0.",
	.options = symbolize_options,
	.examples = symbolize_examples,
	.run = symbolize_run,
};

#include "cli.h"
#include "symbolizer/debuginfod_query.h"

#include <elfutils/libdwfl.h>
#include <jansson.h>
#include <libunwind.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <zlib.h>

static const struct cli_option version_options[] = {{0}};

static int version_run(const struct cli_command *self, int argc, char **argv)
{
	int status;
	int first = cli_parse(self, argc, argv, NULL, NULL, &status);
	if (first < 0)
		return status;
	if (first < argc)
		return cli_usage(self, "what is \"%s\"?", argv[first]);

	printf("cprof %s (x86_64 Linux)\n", CPROF_VERSION);
	printf("engine:     perf_event (hardware cycles, else cpu-clock)\n");
	printf("unwinding:  libunwind %d.%d.%d\n", UNW_VERSION_MAJOR, UNW_VERSION_MINOR,
	       UNW_VERSION_EXTRA);
	printf("symbols:    elfutils %s (DWARF, ELF), libiberty (C++, Rust)\n", dwfl_version(NULL));
	printf("fetching:   debug files from debuginfod servers%s\n",
	       debuginfod_query_available() ? "" : ", once libdebuginfod1 is installed");
	printf("profiles:   pprof through protobuf-c %s and zlib %s\n", protobuf_c_version(),
	       zlibVersion());
	printf("reports:    text, JSON (jansson %s), Markdown, folded stacks, SVG\n",
	       jansson_version_str());
	return CLI_OK;
}

static const char *const version_synopses[] = {"", NULL};

const struct cli_command version_command = {
	.name = "version",
	.summary = "print the version, the libraries and what is built in",
	.synopses = version_synopses,
	.description = "Prints the version, the libraries used and what is built in.",
	.options = version_options,
	.run = version_run,
};

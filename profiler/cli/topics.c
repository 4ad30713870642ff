#include "topics.h"

#include <stddef.h>

const char topics_summary[] = "sampling CPU profiler and heap profiler for native Linux processes";

const char topics_description[] =
	"cprof attaches to running processes, or starts a command, and takes samples of what their "
	"threads execute, with complete call stacks. The target needs no preparation, and is not "
	"stopped where perf_event_open(2) is permitted. The profile names functions, source lines "
	"and inlined calls, says which "
	"samples were lost or incomplete, and is a pprof file that other tools read as it is."
	"\n\n"
	"Stacks are unwound with the binaries' unwind tables (.eh_frame), so frame pointers are "
	"not "
	"needed. Function names and lines come from DWARF, in the binary or in a separate debug "
	"file; else from the ELF symbol table.";

static const struct topic_entry exit_statuses[] = {
	{"0", "done"},
	{"1", "failed; the reason is on standard error"},
	{"2", "wrong usage"},
	{"3", "a gate said no (--min-quality, --fail-on-unfreed, --fail-on-growth)"},
	{"4", "nothing was recorded, so that there is nothing to report or to judge"},
	{NULL, NULL},
};

static const struct topic_entry files[] = {
	{"cprof.pb.gz", "the default profile; recording again keeps one as cprof.pb.gz.old"},
	{"/dev/shm/CMD.*.cprof-heap",
	 "heap files of running processes; moved to the working directory at their end"},
	{"/usr/lib/debug", "debug files of distributions, found by build-id"},
	{"/tmp/perf-PID.map", "names of code that a JIT compiler of the target has made"},
	{NULL, NULL},
};

static const struct topic_entry environment[] = {
	{"NO_COLOR", "no colours, also on a terminal"},
	{"COLUMNS", "width of reports on a terminal"},
	{"CPROF_HEAP_LIBRARY", "path of libcprof_heap.so for `heap run`"},
	{"CPROF_HEAP_MAX_BLOCKS",
	 "live blocks that a heap file can hold, 32 bytes each (default: 16 Mi)"},
	{"TMPDIR", "where `record -o -` keeps the profile until it is complete"},
	{NULL, NULL},
};

const struct topic topics[] = {
	{"Exit status",
	 "With `record -- CMD` and `heap run -- CMD`, a CMD that failed passes its own status on "
	 "(128 + "
	 "N when signal N ended it).",
	 exit_statuses, true},
	{"Files", NULL, files, false},
	{"Environment", NULL, environment, false},
	{NULL, NULL, NULL, false},
};

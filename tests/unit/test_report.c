#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/profile_builder.h"
#include "../support/report_made.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void set(struct profile *profile, const char *key, const char *value)
{
	assert_int_equal(profile_header_set(profile, key, value), 0);
}

/* 1,000 samples at 100 Hz: burn_a 600, burn_b 300 of which 100 inlined, sys 99, main 1. */
static struct profile *cpu_split(void)
{
	struct profile *profile = build_profile();
	profile->start_ns = 1767600000123456789; /* 2026-01-05 08:00:00 UTC */
	profile->duration_ns = 10000000000;
	set(profile, HEADER_COMMAND, "samples/cpu_split 10");
	set(profile, HEADER_PIDS, "4711");
	set(profile, HEADER_RATE_HZ, "100");
	set(profile, HEADER_EVENT, "cpu-clock");
	set(profile, HEADER_KERNEL, "visible");
	module_id app = build_module(profile, "/bin/cpu_split", true);
	module_id kernel = build_module(profile, PROFILE_PATH_KERNEL, true);
	thread_id first = build_thread(profile, 4711, 4711, "cpu_split", "cpu_split");
	thread_id second = build_thread(profile, 4711, 4712, "cpu_split", "worker");
	const struct build_line chain[] = {{"burn_b", "b.h", 7, 5}, {"main", "cpu_split.c", 12, 9}};
	const struct build_line in_main = {"main", "cpu_split.c", 10, 9};
	location_id main_ = build_chain(profile, app, &in_main, 1);
	location_id a = build_at(profile, app, "burn_a", "cpu_split.c", 42);
	location_id b = build_at(profile, app, "burn_b", "b.h", 7);
	location_id b_inlined = build_chain(profile, app, chain, 2);
	location_id sys = build_at(profile, kernel, "do_syscall_64", "", 0);
	BUILD_SAMPLES(profile, first, 600, a, main_);
	BUILD_SAMPLES(profile, first, 200, b, main_);
	BUILD_SAMPLES(profile, second, 100, b_inlined);
	BUILD_SAMPLES(profile, second, 99, sys, main_);
	BUILD_SAMPLES(profile, second, 1, main_);
	return profile;
}

static void test_report__text_from_end_to_end(void **state)
{
	(void)state;
	struct profile *profile = cpu_split();
	struct report_options options = {.limit = 4, .path = "cprof.pb.gz"};
	char *text = report_made(profile, &options);
	assert_string_equal(
		text,
		"cprof: samples/cpu_split 10 (pid 4711)\n"
		"2026-01-05 08:00:00 UTC, 10.0 s at 100 Hz, cpu-clock (no hardware counters here)\n"
		"1,000 samples, 10.00 s CPU on 2 threads of 1 process; kernel frames included\n"
		"\n"
		"  SELF %  SELF s  TOTAL %  FUNCTION          LOCATION\n"
		"  60.0 %    6.00   60.0 %  burn_a            cpu_split.c:42\n"
		"  30.0 %    3.00   30.0 %  burn_b (inlined)  b.h:7\n"
		"   9.9 %    0.99    9.9 %  do_syscall_64     [kernel]\n"
		"   0.1 %    0.01  100.0 %  main              cpu_split.c:10\n"
		"\n"
		"Quality: 100.0 % complete stacks, 100.0 % symbolized (90.1 % with lines), 0 lost\n"
		"  - cpu-clock is a timer interrupt: kernel code that runs with interrupts off "
		"shows up where they are enabled again\n");
	free(text);
	profile_destroy(profile);
}

static void test_report__limit_says_what_it_leaves_out(void **state)
{
	(void)state;
	struct profile *profile = cpu_split();
	struct report_options options = {.limit = 2};
	char *text = report_made(profile, &options);
	expect_part(text, "  10.0 % in 2 more functions (--limit 0 shows all)\n");
	expect_no_part(text, "do_syscall_64");
	free(text);
	options = (struct report_options){.limit = 4, .by = REPORT_BY_LINE};
	text = report_made(profile, &options);
	expect_part(text, "  0.0 % in 1 more line (--limit 0 shows all)\n");
	free(text);
	/* totals overlap, so their sum would mean nothing */
	options = (struct report_options){.limit = 1, .sort = REPORT_SORT_TOTAL};
	text = report_made(profile, &options);
	expect_part(text,
		    " 3 more functions, in the order of their totals (--limit 0 shows all)\n");
	expect_no_part(text, "% in 3 more");
	free(text);
	profile_destroy(profile);
}

static void test_report__other_kinds_of_rows(void **state)
{
	(void)state;
	struct profile *profile = cpu_split();
	struct report_options options = {.by = REPORT_BY_THREAD};
	char *text = report_made(profile, &options);
	expect_part(text, "  SELF %  SELF s  THREAD            ID\n"
			  "  80.0 %    8.00  cpu_split         pid 4711 tid 4711\n"
			  "  20.0 %    2.00  cpu_split/worker  pid 4711 tid 4712\n");
	free(text);
	options.by = REPORT_BY_FILE;
	text = report_made(profile, &options);
	expect_part(text, "  SELF %  SELF s  TOTAL %  FILE\n"
			  "  60.1 %    6.01  100.0 %  cpu_split.c\n"
			  "  30.0 %    3.00   30.0 %  b.h\n"
			  "   9.9 %    0.99    9.9 %  [kernel.kallsyms]\n");
	free(text);
	options.by = REPORT_BY_MODULE;
	text = report_made(profile, &options);
	expect_part(text, "  SELF %  SELF s  TOTAL %  MODULE\n"
			  "  90.1 %    9.01  100.0 %  /bin/cpu_split\n"
			  "   9.9 %    0.99    9.9 %  [kernel.kallsyms]\n");
	free(text);
	options.by = REPORT_BY_LINE;
	options.sort = REPORT_SORT_TOTAL;
	text = report_made(profile, &options);
	expect_part(text, "   0.1 %    0.01   90.0 %  main              cpu_split.c:10\n"
			  "  60.0 %    6.00   60.0 %  burn_a            cpu_split.c:42\n");
	expect_part(text, "   0.0 %    0.00   10.0 %  main              cpu_split.c:12\n");
	free(text);
	profile_destroy(profile);
}

static void test_report__focus_is_said_with_both_numbers(void **state)
{
	(void)state;
	struct profile *profile = cpu_split();
	struct report_options options = {.focus = "burn", .ignore = "_b"};
	char *text = report_made(profile, &options);
	expect_part(text, "\nfocus 'burn', ignore '_b': 600 of 1,000 samples (60.0 %); "
			  "percentages are of the whole profile\n");
	expect_part(text, "   0.0 %    0.00   60.0 %  main");
	free(text);
	options = (struct report_options){.focus = "nothing"};
	text = report_made(profile, &options);
	expect_part(text, "\nfocus 'nothing': no sample is left\n");
	expect_no_part(text, "SELF");
	free(text);
	profile_destroy(profile);
}

static void test_report__lines_fit_the_width(void **state)
{
	(void)state;
	struct profile *profile = cpu_split();
	module_id app = build_module(profile, "/bin/cpu_split", true);
	thread_id thread = build_thread(profile, 4711, 4711, "cpu_split", "cpu_split");
	BUILD_SAMPLES(profile, thread, 100,
		      build_at(profile, app,
			       "std::vector<std::pair<std::string, int>, "
			       "std::allocator<std::pair<std::string, int> > "
			       ">::emplace_back(std::pair<std::string, int>&&)",
			       "/usr/include/c++/12/bits/deeply/nested/directory/of/a/vector.tcc",
			       123));
	const struct build_line chain[] = {
		{"ns::Klass<int, int>::inlined_method_of_some_length(int, int)", "k.h", 7, 5},
		{"main", "cpu_split.c", 12, 9}};
	BUILD_SAMPLES(profile, thread, 50, build_chain(profile, app, chain, 2));
	static const unsigned widths[] = {60, 80, 100, 200};
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		struct report_options options = {.width = widths[i]};
		char *text = report_made(profile, &options);
		for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;)
			assert_in_range(strlen(line), 0, widths[i]);
		free(text);
	}
	struct report_options options = {.width = 80};
	char *text = report_made(profile, &options);
	/* arguments go first, then what is in the templates; of a path the tail stays */
	expect_part(text, " std::vector<...>::emplace_back");
	expect_part(text, ".../a/vector.tcc:123\n");
	expect_part(text, " (inlined)  k.h:7\n");
	free(text);
	options.width = 0;
	text = report_made(profile, &options);
	expect_part(text, "::emplace_back(std::pair<std::string, int>&&)  "
			  "/usr/include/c++/12/bits/deeply/nested/directory/of/a/vector.tcc:123\n");
	free(text);
	profile_destroy(profile);
}

static void test_report__names_cannot_reach_the_terminal(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	set(profile, HEADER_COMMAND, "app \x1b]0;title\a");
	thread_id thread = build_thread(profile, 7, 7, "\x1b[2J", "\n\n");
	BUILD_SAMPLES(profile, thread, 1,
		      build_at(profile, app, "evil\x1b[31m\nfake row", "a\rb.c", 1));
	static const enum report_by bys[] = {REPORT_BY_FUNCTION, REPORT_BY_LINE,
					     REPORT_BY_FILE,     REPORT_BY_MODULE,
					     REPORT_BY_THREAD,   REPORT_BY_PROCESS};
	for (size_t i = 0; i < 6; i++) {
		struct report_options options = {.by = bys[i], .width = 80, .focus = "\x1b|e"};
		char *text = report_made(profile, &options);
		for (const char *c = text; *c; c++)
			assert_true(*c == '\n' || (unsigned char)*c >= ' ');
		expect_no_part(text, "\nfake row");
		free(text);
		options.format = REPORT_MARKDOWN;
		text = report_made(profile, &options);
		for (const char *c = text; *c; c++)
			assert_true(*c == '\n' || (unsigned char)*c >= ' ');
		free(text);
	}
	profile_destroy(profile);
}

static void test_report__colour_only_when_asked(void **state)
{
	(void)state;
	struct profile *profile = cpu_split();
	struct report_options options = {.colour = true};
	char *text = report_made(profile, &options);
	expect_part(text, "\033[1;31m60.0 %\033[0m");
	expect_part(text, "\033[1;31mburn_a\033[0m            cpu_split.c:42\n");
	free(text);
	profile_destroy(profile);
}

static void test_report__losses_say_what_to_do(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	module_id jit = build_module(profile, "[jit:7]", false);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id work = build_at(profile, app, "work", "app.c", 10);
	BUILD_SAMPLES(profile, thread, 99899, work);
	build_stopped(profile, thread, CP_STOP_TRUNCATED, 1, &work, 1);
	BUILD_SAMPLES(profile, thread, 100, build_bare(profile, jit));
	set(profile, HEADER_LOST, "12345");
	set(profile, HEADER_THROTTLED, "1");
	set(profile, HEADER_UNTRACKED, "2");
	set(profile, HEADER_KERNEL, "hidden");
	set(profile, HEADER_STATE, "recording");
	set(profile, HEADER_DUMP_BYTES_MIN, "4096");
	set(profile, HEADER_DUMP_BYTES_MAX, "65528");
	set(profile, HEADER_DUMP_PRESSED, "2");
	set(profile, HEADER_TARGET_USER_NS, "1000500000000");
	set(profile, HEADER_TARGET_SYSTEM_NS, "500000000");
	struct report_options options = {.torn_bytes = 123};
	char *text = report_made(profile, &options);
	expect_part(text, "; kernel time not visible\n");
	/* not rounded up to 100.0 */
	expect_part(text, "Quality: 99.9 % complete stacks, 99.9 % symbolized");
	expect_part(text, "12,345 lost\n");
	expect_part(text, "- the file ends inside an append: its last 123 bytes were dropped");
	expect_part(text, "- the recording is still running or was killed");
	expect_part(text, "- kernel time is not visible here (perf_event_paranoid without "
			  "privileges): 1.00 s of 1001.00 s CPU were not sampled; run as root");
	expect_part(text, "- 12,345 samples were lost (11.0 %): the kernel's buffers were full");
	expect_part(text, "- the kernel paused sampling 1 time:");
	expect_part(text, "- 2 samples dropped by the recorder");
	expect_part(text, "- 1 incomplete stack (<0.1 %), truncated, most in ");
	expect_part(text, ": the stack is deeper than the part that was copied");
	expect_part(text, " (copied: 4 to 64 KB a sample; less after cprof came late, 2 times)");
	/* 0.1 % is too little for a line of its own */
	expect_part(text, "- 1 module without debug information (0.1 %)\n");
	free(text);
	profile_destroy(profile);
}

static char *report_of_truncated(const char *truncated, const char *left_copy)
{
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id work = build_at(profile, app, "work", "app.c", 10);
	build_stopped(profile, thread, CP_STOP_TRUNCATED, 20, &work, 1);
	set(profile, HEADER_DUMP_BYTES_MIN, "65528");
	set(profile, HEADER_DUMP_BYTES_MAX, "65528");
	set(profile, HEADER_STOP_PREFIX "truncated", truncated);
	set(profile, HEADER_LEFT_COPY, left_copy);
	char *text = report_made(profile, &(struct report_options){0});
	profile_destroy(profile);
	return text;
}

static void test_report__stacks_that_go_on_elsewhere_are_not_called_too_deep(void **state)
{
	(void)state;
	char *text = report_of_truncated("20", "20");
	expect_part(text, ": the stack goes on on another stack, which was not copied: below a "
			  "signal's handler (sigaltstack), or where Go's runtime");
	assert_null(strstr(text, "deeper than"));
	assert_null(strstr(text, "KB a sample"));
	free(text);
	text = report_of_truncated("20", "3");
	expect_part(text, ": the stack is deeper than the part that was copied");
	expect_part(text, " (copied: 64 KB a sample)");
	expect_part(text, "; in the whole recording 3 of these stacks go on on another stack, ");
	free(text);
	text = report_of_truncated("20", "0");
	expect_part(text, ": the stack is deeper than the part that was copied");
	assert_null(strstr(text, "another stack"));
	free(text);
}

/* 900 of 1,000 samples written, 10 of them too deep, 100 cut; 2,000 records lost. */
static char *report_of_losses(bool of_cpus, bool limited)
{
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", false);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	location_id work = build_at(profile, app, "work", "", 0);
	BUILD_SAMPLES(profile, thread, 690, work);
	build_stopped(profile, thread, CP_STOP_DEPTH, 10, &work, 1);
	build_joined(profile, thread, CP_JOINED_MEMORY, 100, &work, 1);
	build_stopped(profile, thread, CP_STOP_TRUNCATED, 100, &work, 1);
	set(profile, HEADER_LOST, "2000");
	set(profile, HEADER_LOST_SCOPE, of_cpus ? "cpus" : "target");
	set(profile, HEADER_RATE_HZ, "100");
	set(profile, HEADER_TARGET_USER_NS, "9990000000");
	if (limited)
		set(profile, HEADER_BUFFERS_LIMITED, "mlock");
	char *text = report_made(profile, &(struct report_options){0});
	profile_destroy(profile);
	return text;
}

static void test_report__losses_of_whole_cpus_are_not_called_the_targets(void **state)
{
	(void)state;
	char *text = report_of_losses(true, false);
	/* 9.99 s used and 9.00 s sampled, at 100 Hz: 99 samples of 999 */
	expect_part(text, "), up to 99 lost\n");
	expect_part(text,
		    "- up to 2,000 samples were lost, those of other programs on the same "
		    "CPUs included; CPU time of the target not covered: 0.99 s (at most 9.9 % "
		    "of its samples): the kernel's buffers were full; lower the rate (-F)\n");
	expect_no_part(text, "mlock");
	free(text);
	text = report_of_losses(false, true);
	expect_part(text, "), 2,000 lost\n");
	expect_part(text,
		    "- 2,000 samples were lost (69.0 %): the kernel's buffers were full; lower "
		    "the rate (-F), or raise kernel.perf_event_mlock_kb\n");
	free(text);
}

static void test_report__stacks_without_their_middle_are_complete_but_said(void **state)
{
	(void)state;
	char *text = report_of_losses(true, false);
	expect_part(text, "Quality: 88.9 % complete stacks (77.8 % without joined ones; 1.1 % too "
			  "deep to show whole: middle omitted)");
	expect_part(text, "- 10 stacks too deep to show whole (1.1 %), depth: more frames than");
	expect_part(text, "- 100 incomplete stacks (11.1 %), truncated");
	expect_part(text, "- totals of outer functions are too low by up to 11.1 %: ");
	expect_part(text, "; which of them could be joined is no random choice");
	free(text);
}

static void test_report__summary_is_short(void **state)
{
	(void)state;
	struct profile *profile = cpu_split();
	module_id app = build_module(profile, "/bin/cpu_split", true);
	thread_id thread = build_thread(profile, 4711, 4711, "cpu_split", "cpu_split");
	for (int i = 0; i < 12; i++) {
		char name[] = "leaf_a";
		name[5] = (char)('a' + i);
		BUILD_SAMPLES(profile, thread, 2, build_at(profile, app, name, "leaf.c", 1));
	}
	struct report_options options = {.summary = true};
	char *text = report_made(profile, &options);
	assert_memory_equal(text, "1,024 samples, ", 15);
	expect_part(text, "leaf_g");
	expect_no_part(text, "leaf_h"); /* burn_a, burn_b, do_syscall_64 and seven of these */
	expect_part(text, "  1.1 % in 6 more functions\n");
	expect_part(text, "\nQuality: 100.0 % complete stacks");
	expect_no_part(text, "cpu-clock");
	free(text);
	profile_destroy(profile);
}

static void test_report__foreign_heap_profile(void **state)
{
	(void)state;
	struct profile *profile;
	assert_int_equal(profile_create(&profile), 0);
	assert_int_equal(profile_add_value_type(profile, "inuse_objects", "count"), 0);
	assert_int_equal(profile_add_value_type(profile, "inuse_space", "bytes"), 0);
	module_id app = build_module(profile, "/bin/app", true);
	struct profile_sample_key key = {.thread = build_thread(profile, 0, 0, "", ""),
					 .time_ns = -1};
	location_id location = build_at(profile, app, "main.alloc", "app.go", 10);
	assert_int_equal(stack_store_intern(&profile->stacks, &location, 1, &key.stack), 0);
	int64_t values[PROFILE_MAX_VALUES] = {3, 1536};
	assert_int_equal(profile_add_sample(profile, &key, values), 0);
	struct report_options options = {.path = "heap.pb.gz"};
	char *text = report_made(profile, &options);
	expect_part(text, "cprof: heap.pb.gz\n1.5 KiB inuse_space\n\n");
	expect_part(text, "  SELF %  SELF inuse_space  TOTAL %  FUNCTION    LOCATION\n"
			  " 100.0 %           1.5 KiB  100.0 %  main.alloc  app.go:10\n");
	free(text);
	profile_destroy(profile);
}

static void test_report__threads_without_a_process(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	BUILD_SAMPLES(profile, build_thread(profile, 0, 5, "", "worker"), 2,
		      build_at(profile, app, "main", "m.c", 1));
	struct report_options options = {.limit = 0};
	char *text = report_made(profile, &options);
	expect_part(text, " on 1 thread\n");
	free(text);
	profile_destroy(profile);
}

static void test_report__markdown_table(void **state)
{
	(void)state;
	struct profile *profile = cpu_split();
	struct report_options options = {.format = REPORT_MARKDOWN, .limit = 3};
	char *text = report_made(profile, &options);
	expect_part(text, "### cprof: `samples/cpu_split 10 (pid 4711)`\n\n");
	expect_part(text, "| Self % | Self s | Total % | Function | Location |\n"
			  "|---:|---:|---:|---|---|\n"
			  "| 60.0 % | 6.00 | 60.0 % | `burn_a` | `cpu_split.c:42` |\n"
			  "| 30.0 % | 3.00 | 30.0 % | `burn_b` (inlined) | `b.h:7` |\n"
			  "| 9.9 % | 0.99 | 9.9 % | `do_syscall_64` | `[kernel.kallsyms]` |\n"
			  "\n0.1 % in 1 more function\n\n"
			  "**Quality:** 100.0 % complete stacks");
	free(text);
	options.by = REPORT_BY_THREAD;
	text = report_made(profile, &options);
	expect_part(text, "| Self % | Self s | Thread | pid | tid |\n"
			  "|---:|---:|---|---:|---:|\n"
			  "| 80.0 % | 8.00 | `cpu_split` | 4711 | 4711 |\n");
	free(text);
	profile_destroy(profile);
}

static void test_report__markdown_escapes_what_ends_a_cell(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 7, 7, "app", "app");
	BUILD_SAMPLES(profile, thread, 2, build_at(profile, app, "operator|(A, B)", "a|b.c", 1));
	BUILD_SAMPLES(profile, thread, 1, build_at(profile, app, "`tick``", "c.c", 2));
	struct report_options options = {.format = REPORT_MARKDOWN, .focus = "o|<b>"};
	char *text = report_made(profile, &options);
	expect_part(text, "| `operator\\|(A, B)` | `a\\|b.c:1` |\n");
	expect_part(text, "focus 'o\\|&lt;b>': 2 of 3 samples");
	free(text);
	options.focus = NULL;
	text = report_made(profile, &options);
	expect_part(text, "| ``` `tick`` ``` | `c.c:2` |\n");
	free(text);
	/* two backslashes are one that escapes nothing: the | after them would end the cell */
	BUILD_SAMPLES(profile, thread, 1, build_at(profile, app, "x\\|y", "d\\\\|.c", 3));
	text = report_made(profile, &options);
	expect_part(text, "| `x\\\\\\|y` | `d\\\\\\|.c:3` |\n");
	free(text);
	/* outside of a table it would be shown */
	set(profile, HEADER_COMMAND, "sh -c 'a | b'");
	text = report_made(profile, &options);
	expect_part(text, "### cprof: `sh -c 'a | b'`\n");
	free(text);
	profile_destroy(profile);
}

static void test_report__failures_have_messages(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	struct report_options options = {.limit = 0};
	struct cp_err err = {""};
	assert_int_equal(report_write(profile, &options, stdout, &err), -ENODATA);
	expect_part(err.message, "holds no samples");
	profile_destroy(profile);

	profile = cpu_split();
	options.focus = "[";
	assert_int_equal(report_write(profile, &options, stdout, &err), -EINVAL);
	expect_part(err.message, "--focus: '[' is not an extended regular expression");
	options.focus = NULL;
	static const enum report_format formats[] = {REPORT_TEXT, REPORT_JSON, REPORT_MARKDOWN};
	for (size_t i = 0; i < 3; i++) {
		FILE *full = fopen("/dev/full", "w");
		assert_non_null(full);
		options.format = formats[i];
		assert_int_equal(report_write(profile, &options, full, &err), -EIO);
		expect_part(err.message, "No space left on device");
		fclose(full);
	}
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report__text_from_end_to_end),
		cmocka_unit_test(test_report__limit_says_what_it_leaves_out),
		cmocka_unit_test(test_report__other_kinds_of_rows),
		cmocka_unit_test(test_report__focus_is_said_with_both_numbers),
		cmocka_unit_test(test_report__lines_fit_the_width),
		cmocka_unit_test(test_report__names_cannot_reach_the_terminal),
		cmocka_unit_test(test_report__colour_only_when_asked),
		cmocka_unit_test(test_report__losses_say_what_to_do),
		cmocka_unit_test(test_report__stacks_that_go_on_elsewhere_are_not_called_too_deep),
		cmocka_unit_test(test_report__losses_of_whole_cpus_are_not_called_the_targets),
		cmocka_unit_test(test_report__stacks_without_their_middle_are_complete_but_said),
		cmocka_unit_test(test_report__summary_is_short),
		cmocka_unit_test(test_report__foreign_heap_profile),
		cmocka_unit_test(test_report__threads_without_a_process),
		cmocka_unit_test(test_report__markdown_table),
		cmocka_unit_test(test_report__markdown_escapes_what_ends_a_cell),
		cmocka_unit_test(test_report__failures_have_messages),
	};
	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}

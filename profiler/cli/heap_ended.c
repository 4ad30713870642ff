#include "heap_ended.h"

#include "base/cleanup.h"
#include "cli.h"
#include "output/strbuf.h"
#include "terminal.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Others of which a gate's report is shown; others that are named. */
enum { TOLD_MAX = 3, NAMED_MAX = 3 };

bool heap_ended_is_pattern(const char *follow)
{
	return follow && strcmp(follow, "no") != 0 && strcmp(follow, "all") != 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

void heap_ended_select(const struct heap_ended *ended)
{
	regex_t regex;
	if (!heap_ended_is_pattern(ended->follow) ||
	    regcomp(&regex, ended->follow, REG_EXTENDED | REG_NOSUB) != 0)
		return;
	for (size_t i = 0; i < ended->files->n; i++)
		ended->files->made[i].matches =
			regexec(&regex, base_name(ended->files->made[i].exe), 0, NULL, 0) == 0;
	regfree(&regex);
}

static void say_where(const struct heap_made *made)
{
	if (made->state == HEAP_TARGET_RUNNING)
		cli_note("pid %u still runs: 'cprof heap report -p %u' tells about it", made->pid,
			 made->pid);
	else
		cli_note("'cprof heap report %s' tells more", made->path);
}

enum telling { TELL_ALWAYS, TELL_UNLESS_PASSED, TELL_FAILED, TELL_NEVER };

static bool is_told(enum telling telling, enum heap_gate_result gate)
{
	if (telling == TELL_ALWAYS || telling == TELL_NEVER)
		return telling == TELL_ALWAYS;
	return gate == HEAP_GATE_FAIL ||
	       (telling == TELL_UNLESS_PASSED && gate == HEAP_GATE_UNKNOWN);
}

/* Report on one file; the text goes to standard error, as the command's output is its own. */
static enum heap_gate_result judge(const struct heap_ended *ended, const struct heap_made *made,
				   enum telling telling)
{
	CP_CLEANUP(cp_free) char *text = NULL;
	size_t n = 0;
	struct heap_file file;
	struct cp_err err = {""};
	enum heap_gate_result gate = HEAP_GATE_NONE;
	struct heap_view view = *ended->view;
	view.report.summary = true;
	view.report.colour = terminal_colour(STDERR_FILENO);
	view.report.width = terminal_width(STDERR_FILENO);
	FILE *out = open_memstream(&text, &n);
	if (!out)
		return HEAP_GATE_UNKNOWN;
	int rc = heap_file_open(made->path, &file, &err);
	if (!rc)
		rc = heap_view_write(&file, &view, out, &gate, &err);
	fclose(out);
	terminal_progress_end();
	if (rc) {
		cli_fail("%s", err.message);
		return HEAP_GATE_UNKNOWN;
	}
	if (is_told(telling, gate) && text) {
		fprintf(stderr, "\n%s", text);
		say_where(made);
	}
	return gate;
}

static enum heap_gate_result worse(enum heap_gate_result a, enum heap_gate_result b)
{
	if (a == HEAP_GATE_FAIL || b == HEAP_GATE_FAIL)
		return HEAP_GATE_FAIL;
	return a > b ? a : b;
}

static bool counts(const struct heap_ended *ended, size_t i)
{
	const struct heap_made *made = ended->files->made;
	if (!made[i].matches)
		return false;
	/* a shell that became the program it was to run */
	for (size_t j = i + 1; j < ended->files->n; j++)
		if (made[j].pid == made[i].pid)
			return false;
	return true;
}

/* The command itself: its last program, where one was replaced by another. */
static bool is_root(const struct heap_ended *ended, size_t i)
{
	return ended->files->made[i].pid == (uint32_t)ended->root;
}

static enum heap_gate_result judge_root(const struct heap_ended *ended, bool *counts_root)
{
	enum heap_gate_result gate = HEAP_GATE_NONE;
	*counts_root = false;
	for (size_t i = 0; i < ended->files->n; i++) {
		if (!counts(ended, i) || !is_root(ended, i))
			continue;
		*counts_root = true;
		if (heap_view_has_gate(ended->view) || !ended->quiet)
			gate = judge(ended, &ended->files->made[i],
				     ended->quiet ? TELL_UNLESS_PASSED : TELL_ALWAYS);
	}
	return gate;
}

/* Of all others a line, unless a gate fails on them. */
static enum heap_gate_result judge_others(const struct heap_ended *ended, bool root_counts)
{
	enum heap_gate_result together = HEAP_GATE_NONE;
	size_t n_told = 0;
	for (size_t i = 0; i < ended->files->n; i++) {
		if (!counts(ended, i) || (root_counts && is_root(ended, i)))
			continue;
		if (!heap_view_has_gate(ended->view) && (root_counts || n_told))
			continue;
		const bool first = !root_counts && n_told == 0 && !ended->quiet;
		const enum telling telling = first               ? TELL_ALWAYS
					     : n_told == 0       ? TELL_UNLESS_PASSED
					     : n_told < TOLD_MAX ? TELL_FAILED
								 : TELL_NEVER;
		const enum heap_gate_result result = judge(ended, &ended->files->made[i], telling);
		together = worse(together, result);
		n_told += is_told(telling, result);
	}
	return together;
}

/* One line that names the first of them. Return: how many there are. */
static size_t say_others(const struct heap_ended *ended, bool root_counts)
{
	struct strbuf names = {0};
	size_t n = 0;
	for (size_t i = 0; i < ended->files->n; i++) {
		if (!counts(ended, i) || (root_counts && is_root(ended, i)))
			continue;
		if (n++ < NAMED_MAX) {
			strbuf_add(&names, n > 1 ? ", " : "");
			strbuf_add_printable(&names, ended->files->made[i].path);
		}
	}
	if (n > NAMED_MAX)
		strbuf_addf(&names, " and %zu more", n - NAMED_MAX);
	if (n && root_counts && !ended->quiet)
		cli_note("%zu other process%s recorded too: %s%s", n, n == 1 ? " was" : "es were",
			 strbuf_text(&names),
			 ended->follow ? "" : "; --follow no records the command alone");
	strbuf_deinit(&names);
	return n;
}

enum heap_gate_result heap_ended_report(const struct heap_ended *ended)
{
	bool root_counts;
	enum heap_gate_result together = judge_root(ended, &root_counts);
	together = worse(together, judge_others(ended, root_counts));
	const size_t n_others = say_others(ended, root_counts);
	return root_counts || n_others ? together : HEAP_GATE_UNKNOWN;
}

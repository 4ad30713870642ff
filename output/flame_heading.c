#include "flame_heading.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "hotspots.h"
#include "profile/header_keys.h"
#include "safe_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Parts of a line, with a dot between them. */
struct line {
	FILE *stream;
	char *text;
	size_t size;
	bool started, failed;
};

static bool line_open(struct line *line)
{
	*line = (struct line){0};
	line->stream = open_memstream(&line->text, &line->size);
	return line->stream != NULL;
}

__attribute__((format(printf, 2, 3))) static void line_add(struct line *line, const char *fmt, ...)
{
	va_list args;
	if (line->started)
		fputs(" \xc2\xb7 ", line->stream);
	line->started = true;
	va_start(args, fmt);
	vfprintf(line->stream, fmt, args);
	va_end(args);
}

/* Return: the line, made harmless and cut to the limit, or NULL. */
static char *line_close(struct line *line)
{
	CP_CLEANUP(cp_free) char *text = NULL;
	bool failed = line->failed || ferror(line->stream) != 0;
	if (fclose(line->stream))
		failed = true;
	text = line->text;
	char *safe = failed ? NULL : malloc(4 * FLAME_HEADING_CHARS + 1);
	if (safe)
		safe_text_copy(text, FLAME_HEADING_CHARS, safe);
	return safe;
}

/* "whole machine, 2 CPUs", and ", during " where a command follows. */
static void add_machine(struct line *line, const struct profile *profile, bool during)
{
	uint64_t cpus = profile_header_u64(profile, HEADER_CPUS, 0);
	char text[CP_TEXT_MAX];
	line_add(line, "whole machine");
	if (cpus)
		fprintf(line->stream, ", %s CPU%s", cp_format_count(cpus, text),
			cpus == 1 ? "" : "s");
	if (during)
		fputs(", during ", line->stream);
	line->started = !during; /* the command follows in the same part */
}

static char *make_title(const struct profile *profile, const char *title)
{
	struct line line;
	const char *command = profile_header_get(profile, HEADER_COMMAND);
	const char *pids = profile_header_get(profile, HEADER_PIDS);
	const bool whole_machine = profile_header_get(profile, HEADER_SYSTEM_WIDE) != NULL;
	const bool has_command = command && command[0];
	if (!line_open(&line))
		return NULL;
	if (pids && !pids[0])
		pids = NULL;
	if (title)
		line_add(&line, "%s", title);
	else if (whole_machine)
		add_machine(&line, profile, has_command);
	if (title || (whole_machine && !has_command))
		return line_close(&line);
	if (has_command && pids)
		line_add(&line, "%s (pid %s)", command, pids);
	else if (has_command)
		line_add(&line, "%s", command);
	else if (pids)
		line_add(&line, "pid %s", pids);
	else
		line_add(&line, "Flame graph");
	return line_close(&line);
}

/* What a value of a heap file is, in words; else its own name. */
static const char *word_of(const struct measure *measure)
{
	static const char *const words[][2] = {
		{"inuse_space", "live"},
		{"peak_space", "live at the peak"},
		{"alloc_space", "allocated in all"},
		{"alloc_objects", "allocations"},
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(measure->type, words[i][0]) == 0)
			return words[i][1];
	return measure->type;
}

static char *make_unit(const struct measure *measure)
{
	bool unnamed = measure->unit[0] == '\0' || strcmp(measure->unit, "count") == 0;
	struct line line;
	if (!line_open(&line))
		return NULL;
	line_add(&line, "%s", unnamed ? word_of(measure) : measure->unit);
	return line_close(&line);
}

static void add_time(struct line *line, const struct profile *profile)
{
	time_t seconds = (time_t)(profile->start_ns / 1000000000);
	struct tm utc;
	char date[64];
	if (profile->start_ns > 0 && gmtime_r(&seconds, &utc) &&
	    strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", &utc))
		line_add(line, "%s", date);
}

/* What a heap file's numbers are not. */
static void add_heap(struct line *line, const struct flame_tree *tree)
{
	const struct profile *profile = tree->profile;
	const char *mode = profile_header_get(profile, HEADER_MODE);
	const uint64_t suppressed = profile_header_u64(profile, HEADER_HEAP_SUPPRESSED, 0);
	char text[CP_TEXT_MAX];
	if (!mode || strcmp(mode, "heap") != 0)
		return;
	if (profile_header_get(profile, HEADER_HEAP_FROZEN))
		line_add(line, "at least: a table was full");
	if (profile->period > 1)
		line_add(line, "estimated: sampled every %s",
			 cp_format_bytes((uint64_t)profile->period, text));
	if (suppressed)
		line_add(line, "%s suppressed, not shown",
			 measure_is_bytes(&tree->measure) ? cp_format_bytes(suppressed, text)
							  : cp_format_count(suppressed, text));
}

static char *make_subtitle(const struct flame_tree *tree, const char *unit, const char *thread_re)
{
	const struct profile *profile = tree->profile;
	char text[CP_TEXT_MAX];
	struct line line;
	if (!line_open(&line))
		return NULL;
	const uint64_t total = (uint64_t)tree->nodes[FLAME_ROOT].total;
	if (tree->measure.time)
		line_add(&line, "%s %s", cp_format_duration(total, text), tree->measure.time);
	else if (measure_is_bytes(&tree->measure))
		line_add(&line, "%s %s", cp_format_bytes(total, text), word_of(&tree->measure));
	else
		line_add(&line, "%s %s", cp_format_count(total, text), unit);
	add_heap(&line, tree);
	if (thread_re)
		line_add(&line, "threads matching \"%s\"", thread_re);
	if (profile->duration_ns > 0)
		line_add(&line, "%s", cp_format_duration((uint64_t)profile->duration_ns, text));
	uint64_t rate_hz = profile_header_u64(profile, HEADER_RATE_HZ, 0);
	if (rate_hz)
		line_add(&line, "%s Hz", cp_format_count(rate_hz, text));
	const char *event = profile_header_get(profile, HEADER_EVENT);
	if (event)
		line_add(&line, "%s", event);
	size_t threads = 0, processes = 0;
	if (!thread_re && hotspots_count_threads(profile, &threads, &processes))
		line.failed = true;
	if (threads)
		line_add(&line, "%s thread%s", cp_format_count(threads, text),
			 threads == 1 ? "" : "s");
	add_time(&line, profile);
	return line_close(&line);
}

int flame_heading_init(struct flame_heading *heading, const struct flame_tree *tree,
		       const char *title, const char *thread_re)
{
	*heading = (struct flame_heading){0};
	heading->title = make_title(tree->profile, title);
	heading->unit = make_unit(&tree->measure);
	if (heading->unit)
		heading->subtitle = make_subtitle(tree, heading->unit, thread_re);
	if (heading->title && heading->subtitle)
		return 0;
	flame_heading_deinit(heading);
	return -ENOMEM;
}

void flame_heading_deinit(struct flame_heading *heading)
{
	free(heading->title);
	free(heading->subtitle);
	free(heading->unit);
	*heading = (struct flame_heading){0};
}

static void add_lost(struct line *line, const struct profile *profile)
{
	const char *scope = profile_header_get(profile, HEADER_LOST_SCOPE);
	uint64_t lost = profile_header_u64(profile, HEADER_LOST, 0);
	char text[CP_TEXT_MAX];
	bool shared = lost && scope && strcmp(scope, HEADER_LOST_SCOPE_CPUS) == 0;
	line_add(line, shared ? "up to %s lost, other programs' included" : "%s lost",
		 cp_format_count(lost, text));
}

char *flame_heading_quality(const struct flame_tree *tree, const struct flame_cells *cells)
{
	int64_t total = tree->nodes[FLAME_ROOT].total, incomplete = 0, deep = 0, symbolized = 0;
	char text[CP_TEXT_MAX];
	struct line line;
	for (size_t i = 0; i < tree->n; i++) {
		const struct flame_node *node = &tree->nodes[i];
		if (node->kind == FLAME_KIND_STOP && cp_stop_has_root(node->stop))
			deep += node->total;
		else if (node->kind == FLAME_KIND_STOP)
			incomplete += node->total;
		else if (node->kind == FLAME_KIND_FRAME &&
			 frames_get(tree->frames, node->frame)->symbolized)
			symbolized += node->self;
	}
	if (!line_open(&line))
		return NULL;
	line_add(&line, "%s of stacks complete",
		 cp_format_pct(amount_pct(total - incomplete, total), text));
	if (deep)
		line_add(&line, "%s without their middle ([depth])",
			 cp_format_pct(amount_pct(deep, total), text));
	line_add(&line, "%s symbolized", cp_format_pct(amount_pct(symbolized, total), text));
	if (profile_header_get(tree->profile, HEADER_LOST))
		add_lost(&line, tree->profile);
	if (tree->negative_left_out)
		line_add(&line, "%s negative values left out",
			 cp_format_count(tree->negative_left_out, text));
	if (cells->merged_frames)
		line_add(&line, "%s frame%s narrower than %.1f px merged (%.2f %% of %s)",
			 cp_format_count(cells->merged_frames, text),
			 cells->merged_frames == 1 ? "" : "s", cells->merged_px,
			 amount_pct(cells->merged_samples, total),
			 tree->measure.time                 ? tree->measure.time
			 : measure_is_bytes(&tree->measure) ? "bytes"
							    : "samples");
	return line_close(&line);
}

char *flame_heading_marks(const struct flame_tree *tree)
{
	bool joined = false, other = false, stops[CP_STOP_COUNT] = {false};
	bool inferred[CP_INFERRED_COUNT] = {false};
	struct line line;
	for (size_t i = 0; i < tree->n; i++) {
		const struct flame_node *node = &tree->nodes[i];
		joined = joined || node->kind == FLAME_KIND_JOINED;
		if (node->kind == FLAME_KIND_INFERRED)
			inferred[node->inferred] = true;
		if (node->kind != FLAME_KIND_STOP)
			continue;
		stops[node->stop] = true;
		other = other || (node->stop != CP_STOP_DEPTH && node->stop != CP_STOP_UNSEEN &&
				  node->stop != CP_STOP_TRUNCATED);
	}
	if (!line_open(&line))
		return NULL;
	if (stops[CP_STOP_TRUNCATED])
		line_add(&line, "[truncated]: outer functions missing");
	if (joined)
		line_add(&line, "[joined]: outer functions from beyond the copied stack");
	if (inferred[CP_INFERRED_FRAMES])
		line_add(&line, "[inferred]: callers searched for, not seen");
	if (inferred[CP_INFERRED_WAIT])
		line_add(&line, "[estimated]: short waits, with another stack of the thread");
	if (stops[CP_STOP_UNSEEN])
		line_add(&line, "[unseen]: no stack was taken");
	if (stops[CP_STOP_DEPTH])
		line_add(&line, "[depth]: middle left out, at [frames omitted]");
	if (other)
		line_add(&line, "other [marks]: why outer functions are missing");
	return line_close(&line);
}

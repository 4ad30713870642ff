#include "flame_heading.h"

#include "base/cleanup.h"
#include "base/text.h"
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
	bool started;
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
	bool failed = ferror(line->stream) != 0;
	if (fclose(line->stream))
		failed = true;
	text = line->text;
	char *safe = failed ? NULL : malloc(4 * FLAME_HEADING_CHARS + 1);
	if (safe)
		safe_text_copy(text, FLAME_HEADING_CHARS, safe);
	return safe;
}

static char *make_title(const struct profile *profile, const char *title)
{
	struct line line;
	const char *command = profile_header_get(profile, HEADER_COMMAND);
	const char *pids = profile_header_get(profile, HEADER_PIDS);
	if (!line_open(&line))
		return NULL;
	if (pids && !pids[0])
		pids = NULL;
	if (title)
		line_add(&line, "%s", title);
	else if (command && command[0] && pids)
		line_add(&line, "%s (pid %s)", command, pids);
	else if (command && command[0])
		line_add(&line, "%s", command);
	else if (pids)
		line_add(&line, "pid %s", pids);
	else
		line_add(&line, "Flame graph");
	return line_close(&line);
}

static char *make_unit(const struct measure *measure)
{
	bool unnamed = measure->unit[0] == '\0' || strcmp(measure->unit, "count") == 0;
	struct line line;
	if (!line_open(&line))
		return NULL;
	line_add(&line, "%s", unnamed ? measure->type : measure->unit);
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

static char *make_subtitle(const struct flame_tree *tree, const char *unit, const char *thread_re)
{
	const struct profile *profile = tree->profile;
	char text[CP_TEXT_MAX];
	struct line line;
	if (!line_open(&line))
		return NULL;
	line_add(&line, "%s %s", cp_format_count((uint64_t)tree->nodes[FLAME_ROOT].total, text),
		 unit);
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
	uint64_t threads = profile_header_u64(profile, HEADER_THREADS, 0);
	if (threads && !thread_re)
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

char *flame_heading_quality(const struct flame_tree *tree, const struct flame_cells *cells)
{
	int64_t total = tree->nodes[FLAME_ROOT].total, incomplete = 0, symbolized = 0;
	char text[CP_TEXT_MAX];
	struct line line;
	for (size_t i = 0; i < tree->n; i++) {
		const struct flame_node *node = &tree->nodes[i];
		if (node->kind == FLAME_KIND_STOP)
			incomplete += node->total;
		else if (node->kind == FLAME_KIND_FRAME &&
			 frames_get(tree->frames, node->frame)->symbolized)
			symbolized += node->self;
	}
	if (!line_open(&line))
		return NULL;
	line_add(&line, "%s of stacks complete",
		 cp_format_pct(amount_pct(total - incomplete, total), text));
	line_add(&line, "%s symbolized", cp_format_pct(amount_pct(symbolized, total), text));
	if (profile_header_get(tree->profile, HEADER_LOST))
		line_add(&line, "%s lost",
			 cp_format_count(profile_header_u64(tree->profile, HEADER_LOST, 0), text));
	if (tree->negative_left_out)
		line_add(&line, "%s negative values left out",
			 cp_format_count(tree->negative_left_out, text));
	if (cells->merged_frames)
		line_add(&line, "%s frame%s narrower than %.1f px merged (%.2f %% of samples)",
			 cp_format_count(cells->merged_frames, text),
			 cells->merged_frames == 1 ? "" : "s", cells->merged_px,
			 amount_pct(cells->merged_samples, total));
	return line_close(&line);
}

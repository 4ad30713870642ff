#include "folded.h"

#include "base/array.h"
#include "frames.h"
#include "measure.h"
#include "strbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Samples that give the same line: same process name, stack and end of the walk. */
struct group {
	string_id comm;
	stack_id stack;
	enum cp_stop stop;
	bool joined;
	enum cp_inferred inferred;
	int64_t count;
};

struct line {
	char *text; /* at first without the count */
	int64_t count;
};

struct folder {
	const struct profile *profile;
	const struct folded_options *options;
	struct frames *frames;
	struct measure measure;
	struct group *groups;
	size_t n_groups, cap_groups;
	struct cp_index index; /* over @groups */
	struct line *lines;
	size_t n_lines;
	frame_id *stack; /* of the line being made, leaf first */
	size_t cap_stack;
};

static bool group_equal(const void *key, const void *owner, uint32_t id)
{
	const struct group *a = key, *b = &((const struct folder *)owner)->groups[id];
	return a->comm.v == b->comm.v && a->stack.v == b->stack.v && a->stop == b->stop &&
	       a->joined == b->joined && a->inferred == b->inferred;
}

static int add_to_group(struct folder *folder, size_t sample)
{
	const struct profile *profile = folder->profile;
	const struct profile_sample_key *key = &profile->samples[sample];
	struct group group = {
		.comm = profile->threads[key->thread.v].comm,
		.stack = key->stack,
		.stop = key->stop,
		.joined = key->joined != CP_JOINED_NO,
		.inferred = key->inferred,
		.count = measure_of_sample(&folder->measure, profile, sample).value,
	};
	uint64_t hash = cp_hash_mix((uint64_t)group.comm.v << 32 | group.stack.v,
				    ((uint64_t)group.stop << 1 | group.joined) * CP_INFERRED_COUNT +
					    group.inferred);
	uint32_t known = cp_index_find(&folder->index, hash, group_equal, &group, folder);
	if (known != CP_INDEX_NONE) {
		folder->groups[known].count = amount_sum(folder->groups[known].count, group.count);
		return 0;
	}
	struct group *added = CP_ARRAY_PUSH(folder->groups, folder->n_groups, folder->cap_groups);
	if (!added)
		return -ENOMEM;
	*added = group;
	return cp_index_add(&folder->index, hash, (uint32_t)(folder->n_groups - 1));
}

/* Append what was added to @to since @start with the format's separators replaced. */
static void replace(struct strbuf *to, size_t start, bool spaces)
{
	for (size_t i = start; i < to->n; i++) {
		if (to->bytes[i] == ';')
			to->bytes[i] = ':';
		else if (spaces && to->bytes[i] == ' ')
			to->bytes[i] = '_';
	}
}

static void add_frame(const struct folder *folder, const struct frame *frame, struct strbuf *to)
{
	size_t start = to->n;
	strbuf_add_printable(to, frames_text(folder->frames, frame->name));
	const char *file = frames_text(folder->frames, frame->file);
	if (folder->options->lines && frame->line && file[0]) {
		strbuf_add(to, " (");
		strbuf_add_printable(to, file);
		strbuf_addf(to, ":%u)", frame->line);
	}
	replace(to, start, false);
	if (frame->kernel)
		strbuf_add(to, "_[k]");
	else if (frame->jit)
		strbuf_add(to, "_[j]");
	else if (frame->inlined)
		strbuf_add(to, "_[i]");
}

static int make_line(struct folder *folder, const struct group *group, struct line *line)
{
	struct strbuf text = {0};
	const char *comm = profile_text(folder->profile, group->comm);
	long n = frames_of_stack(folder->frames, group->stack, &folder->stack, &folder->cap_stack);
	if (n < 0)
		return -ENOMEM;
	strbuf_add_printable(&text, comm[0] ? comm : PROFILE_PATH_UNKNOWN);
	replace(&text, 0, true);
	if (group->joined)
		strbuf_add(&text, ";[joined]");
	if (group->inferred != CP_INFERRED_NO)
		strbuf_addf(&text, ";%s", frames_inferred_mark(group->inferred));
	if (!cp_stop_is_complete(group->stop))
		strbuf_addf(&text, ";[%s]", cp_stop_name(group->stop));
	else if (n == 0)
		strbuf_add(&text, ";" PROFILE_PATH_UNKNOWN);
	for (long i = n; i-- > 0;) {
		strbuf_add(&text, ";");
		add_frame(folder, frames_get(folder->frames, folder->stack[i]), &text);
	}
	if (strbuf_failed(&text)) {
		strbuf_deinit(&text);
		return -ENOMEM;
	}
	line->text = text.bytes;
	line->count = group->count;
	return 0;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

/* Make neighbours with equal texts one line, and put the counts behind the texts. */
static int merge_lines(struct folder *folder)
{
	size_t kept = 0;
	for (size_t i = 0; i < folder->n_lines; i++) {
		struct line *last = kept ? &folder->lines[kept - 1] : NULL;
		if (last && strcmp(last->text, folder->lines[i].text) == 0) {
			last->count = amount_sum(last->count, folder->lines[i].count);
			free(folder->lines[i].text);
		} else {
			folder->lines[kept++] = folder->lines[i];
		}
	}
	folder->n_lines = kept;
	for (size_t i = 0; i < kept; i++) {
		struct line *line = &folder->lines[i];
		size_t n = strlen(line->text);
		char *longer = realloc(line->text, n + 24);
		if (!longer)
			return -ENOMEM;
		line->text = longer;
		snprintf(longer + n, 24, " %lld", (long long)line->count);
	}
	return 0;
}

static int make_lines(struct folder *folder)
{
	for (size_t i = 0; i < folder->profile->n_samples; i++) {
		if (add_to_group(folder, i))
			return -ENOMEM;
	}
	folder->lines = calloc(folder->n_groups + 1, sizeof(*folder->lines));
	if (!folder->lines)
		return -ENOMEM;
	for (; folder->n_lines < folder->n_groups; folder->n_lines++) {
		if (make_line(folder, &folder->groups[folder->n_lines],
			      &folder->lines[folder->n_lines]))
			return -ENOMEM;
	}
	qsort(folder->lines, folder->n_lines, sizeof(*folder->lines), compare_lines);
	if (merge_lines(folder))
		return -ENOMEM;
	/* the counts are part of what is sorted: "a 5" goes before "a b 3" but after "a !b 3" */
	qsort(folder->lines, folder->n_lines, sizeof(*folder->lines), compare_lines);
	return 0;
}

static void print_lines(const struct folder *folder, FILE *out)
{
	for (size_t i = 0; i < folder->n_lines; i++) {
		if (folder->lines[i].count) {
			fputs(folder->lines[i].text, out);
			fputc('\n', out);
		}
	}
}

static void folder_deinit(struct folder *folder)
{
	for (size_t i = 0; i < folder->n_lines; i++)
		free(folder->lines[i].text);
	free(folder->lines);
	free(folder->groups);
	free(folder->stack);
	cp_index_deinit(&folder->index);
	frames_destroy(folder->frames);
}

int folded_write(const struct profile *profile, const struct folded_options *options, FILE *out,
		 struct cp_err *err)
{
	struct folder folder = {.profile = profile, .options = options};
	int rc = measure_choose(profile, &folder.measure, err);
	if (rc)
		return rc;
	if (frames_create(profile, &folder.frames))
		return cp_fail_nomem(err);
	rc = make_lines(&folder);
	errno = 0;
	if (!rc)
		print_lines(&folder, out);
	folder_deinit(&folder);
	if (rc)
		return cp_fail_nomem(err);
	if (fflush(out) || ferror(out))
		return cp_fail(err, -EIO, "cannot write folded stacks: %s",
			       errno ? strerror(errno) : "write error");
	return 0;
}

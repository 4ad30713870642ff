#include "heap_list.h"

#include "base/text.h"
#include "heap/heap_target.h"
#include "output/strbuf.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FOLDER "/dev/shm"

static void print_head(FILE *out)
{
	fprintf(out, "%-9s %8s %10s %10s %10s  %s\n", "state", "pid", "live", "age", "file size",
		"file");
}

static const char *age_of(const struct heap_header *header, char text[CP_TEXT_MAX])
{
	struct timespec now = {0};
	clock_gettime(CLOCK_REALTIME, &now);
	const uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return now_ns > header->start_realtime_ns
		       ? cp_format_duration(now_ns - header->start_realtime_ns, text)
		       : "-";
}

static void print_file(FILE *out, const struct heap_file *file, const struct heap_header *header,
		       const struct heap_target *target)
{
	char live[CP_TEXT_MAX], age[CP_TEXT_MAX], size[CP_TEXT_MAX];
	struct strbuf path = {0};
	struct stat st = {0};
	fstat(file->fd, &st);
	strbuf_add_printable(&path, file->path);
	cp_format_bytes((int64_t)header->live_bytes > 0 ? header->live_bytes : 0, live);
	cp_format_bytes((uint64_t)st.st_blocks * 512, size);
	fprintf(out, "%-9s %8u %10s %10s %10s  %s\n", heap_target_state_name(target->state),
		header->pid, live, age_of(header, age), size, strbuf_text(&path));
	strbuf_deinit(&path);
}

/* What nobody writes to any more keeps its memory until somebody removes it. */
static void note_left(struct heap_list *list, const char *path, const struct heap_file *file,
		      enum heap_target_state state)
{
	struct stat st;
	if (state == HEAP_TARGET_RUNNING || state == HEAP_TARGET_COPY ||
	    strncmp(path, FOLDER "/", sizeof(FOLDER)) != 0)
		return;
	list->n_left++;
	if (fstat(file->fd, &st) == 0)
		list->left_bytes += (uint64_t)st.st_blocks * 512;
}

static void list_one(FILE *out, const char *path, struct heap_list *list)
{
	struct heap_file file;
	struct heap_header header;
	struct heap_target target;
	struct cp_err err;
	if (heap_file_open(path, &file, &err))
		return;
	if (heap_file_peek(&file, &header, &target, &err) == 0) {
		if (list->n++ == 0)
			print_head(out);
		print_file(out, &file, &header, &target);
		note_left(list, path, &file, target.state);
	}
	heap_file_close(&file);
}

int heap_list(FILE *out, struct heap_list *list)
{
	glob_t found = {0};
	*list = (struct heap_list){0};
	int rc = glob(FOLDER "/*" HEAP_FILE_SUFFIX "*", 0, NULL, &found);
	if (rc == 0 || rc == GLOB_NOMATCH)
		rc = glob("*" HEAP_FILE_SUFFIX "*", rc == 0 ? GLOB_APPEND : 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc && rc != GLOB_NOSPACE; i++)
		list_one(out, found.gl_pathv[i], list);
	globfree(&found);
	return rc == GLOB_NOSPACE ? -ENOMEM : 0;
}

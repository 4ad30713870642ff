/*
 * heap_basic: the functions that allocate, each at lines of its own.
 *
 *	plain      malloc from four places, some of it freed
 *	realloc    chains that grow, shrink, fail, and end in realloc(p, 0)
 *	aligned    memalign, aligned_alloc, posix_memalign, valloc, pvalloc
 *	zeroed     calloc and reallocarray, with products that overflow
 *	strings    what libc allocates for its caller: strdup, getline, asprintf, open_memstream,
 *... mapped     blocks so large that each is a mapping usable     blocks used up to
 *malloc_usable_size() wrappers   two layers of wrappers that never return NULL empty      blocks of
 *no bytes nothing    all is freed
 */
#include "heap_truth.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static HEAP_NOINLINE void plain_one(void)
{
	void *p = HEAP_AT(malloc(1000), 1000);
	(void)p;
}

static HEAP_NOINLINE void plain_many(void)
{
	for (int i = 0; i < 100; i++)
		HEAP_AT(malloc((size_t)i + 1), (size_t)i + 1);
}

static HEAP_NOINLINE void plain_half(void)
{
	void *blocks[64];
	for (int i = 0; i < 64; i++)
		blocks[i] = HEAP_AT(malloc(48), 48);
	for (int i = 0; i < 64; i += 2)
		heap_free(blocks[i]);
}

static HEAP_NOINLINE void plain_two_lines(void)
{
	void *a = HEAP_AT(malloc(17), 17);
	void *b = HEAP_AT(malloc(18), 18);
	heap_free(a);
	(void)b;
}

static int run_plain(int argc, char **argv)
{
	(void)argc, (void)argv;
	plain_one();
	plain_many();
	plain_half();
	plain_two_lines();
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void *realloc_chain(void)
{
	void *p = HEAP_AT(malloc(10), 10);
	for (size_t size = 20; size <= 100000; size *= 2)
		p = HEAP_MOVED(p, realloc(p, size), size);
	return p;
}

static HEAP_NOINLINE void *realloc_shrink(void)
{
	void *p = HEAP_AT(malloc(5000), 5000);
	return HEAP_MOVED(p, realloc(p, 50), 50);
}

/* The block stays where and what it was, credited to who made it. */
static HEAP_NOINLINE void *realloc_fails(void)
{
	volatile size_t too_much = PTRDIFF_MAX;
	void *p = HEAP_AT(malloc(333), 333);
	void *q = realloc(p, too_much);
	return q ? NULL : p;
}

static HEAP_NOINLINE void realloc_frees(void)
{
	volatile size_t nothing = 0;
	void *p = HEAP_AT(malloc(77), 77);
	heap_truth_gone(p);
	p = realloc(p, nothing); /* glibc: free */
	if (p)
		heap_truth_say("realloc(p, 0) is not free here\n");
}

static HEAP_NOINLINE void *realloc_of_null(void)
{
	return HEAP_AT(realloc(NULL, 44), 44);
}

static int run_realloc(int argc, char **argv)
{
	(void)argc, (void)argv;
	if (!realloc_chain() || !realloc_shrink() || !realloc_fails() || !realloc_of_null())
		return 1;
	realloc_frees();
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void aligned_family(void)
{
	void *out = NULL;
	HEAP_AT(memalign(256, 100), 100);
	HEAP_AT(aligned_alloc(64, 640), 640);
	HEAP_AT(posix_memalign(&out, 4096, 5000) ? NULL : out, 5000);
	HEAP_AT(valloc(300), 300);
	HEAP_AT(pvalloc(301), 301); /* counts as requested, though it rounds up */
	if (posix_memalign(&out, 3, 100) != EINVAL)
		heap_truth_say("posix_memalign(3) works here\n");
	for (size_t align = 16; align <= 65536; align *= 2)
		heap_free(HEAP_AT(memalign(align, align), align));
}

static int run_aligned(int argc, char **argv)
{
	(void)argc, (void)argv;
	aligned_family();
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void zeroed(void)
{
	volatile size_t huge = SIZE_MAX / 2;
	HEAP_AT(calloc(10, 30), 300);
	void *p = HEAP_AT(reallocarray(NULL, 5, 8), 40);
	p = HEAP_MOVED(p, reallocarray(p, 50, 8), 400);
	if (calloc(huge, 4) || errno != ENOMEM || reallocarray(p, huge, 4))
		heap_truth_say("an overflow was not noticed\n");
}

static int run_zeroed(int argc, char **argv)
{
	(void)argc, (void)argv;
	zeroed();
	heap_truth_end();
	return 0;
}

/* A stream is libc's own. */
static HEAP_NOINLINE FILE *open_line(void)
{
	char file[] = "/tmp/heap_basic.XXXXXX";
	int fd = mkstemp(file);
	if (fd < 0 || write(fd, "short\n", 6) != 6 || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	unlink(file);
	FILE *stream = fdopen(fd, "r");
	if (!stream)
		abort();
	setvbuf(stream, NULL, _IONBF, 0);
	return stream;
}

/* glibc's getline() begins with 120 bytes, its asprintf() with 100, and ends with what fits. */
static HEAP_NOINLINE void string_getline(void)
{
	FILE *stream = open_line();
	char *line = NULL;
	size_t size = 0;
	HEAP_AT(getline(&line, &size, stream) > 0 ? line : NULL, 120);
	fclose(stream);
}

static HEAP_NOINLINE void string_dups(void)
{
	HEAP_AT(strdup("twelve chars"), 13);
	HEAP_AT(strndup("twelve chars", 6), 7);
}

static HEAP_NOINLINE void string_printf(void)
{
	char *text = NULL;
	int n;
	HEAP_NOTE(n = asprintf(&text, "%d bottles of %s", 99, "beer"), 1, 19, 2, 100 + 19);
	if (n != 18)
		heap_truth_say("asprintf failed\n");
}

/* First as large as a path can be, then cut to what is needed. */
static HEAP_NOINLINE void string_getcwd(void)
{
	char *text;
	HEAP_NOTE(text = getcwd(NULL, 0), 1, sizeof("/usr/bin"), 2, 4096 + sizeof("/usr/bin"));
	if (!text)
		heap_truth_say("getcwd failed\n");
}

static int run_strings(int argc, char **argv)
{
	(void)argc, (void)argv;
	string_dups();
	string_getline();
	string_printf();
	if (chdir("/usr/bin") == 0)
		string_getcwd();
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void mapped_blocks(void)
{
	void *blocks[8];
	for (size_t i = 0; i < 8; i++)
		blocks[i] = HEAP_AT(malloc((i + 1) << 20), (i + 1) << 20);
	for (size_t i = 0; i < 8; i += 2)
		heap_free(blocks[i]);
	for (int i = 0; i < 200; i++)
		heap_free(HEAP_AT(malloc(3 << 20), 3 << 20));
	blocks[1] = HEAP_MOVED(blocks[1], realloc(blocks[1], 64 << 20), 64 << 20); /* mremap */
}

static int run_mapped(int argc, char **argv)
{
	(void)argc, (void)argv;
	mapped_blocks();
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void usable_blocks(void)
{
	for (size_t size = 1; size < 300; size += 13) {
		char *p = HEAP_AT(malloc(size), size);
		memset(p, 1, malloc_usable_size(p));
	}
}

static int run_usable(int argc, char **argv)
{
	(void)argc, (void)argv;
	usable_blocks();
	heap_truth_end();
	return 0;
}

/* The user's line is not in these, but in who calls them. */
static HEAP_NOINLINE void *xmalloc(size_t size)
{
	void *p = malloc(size);
	if (!p)
		abort();
	return p;
}

static HEAP_NOINLINE void *xzalloc(size_t size)
{
	void *p = xmalloc(size);
	return memset(p, 0, size);
}

static HEAP_NOINLINE void wrapped_user(void)
{
	HEAP_AT(xmalloc(120), 120);
	HEAP_AT(xzalloc(240), 240);
}

static int run_wrappers(int argc, char **argv)
{
	(void)argc, (void)argv;
	wrapped_user();
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void empty_blocks(void)
{
	for (int i = 0; i < 5; i++)
		HEAP_AT(malloc(0), 0);
	HEAP_AT(calloc(0, 8), 0);
	free(NULL);
}

static int run_empty(int argc, char **argv)
{
	(void)argc, (void)argv;
	empty_blocks();
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE void nothing_left(void)
{
	void *blocks[100];
	for (size_t i = 0; i < 100; i++)
		blocks[i] = HEAP_AT(malloc(100 + i), 100 + i);
	for (size_t i = 0; i < 100; i++)
		heap_free(blocks[i]);
}

static int run_nothing(int argc, char **argv)
{
	(void)argc, (void)argv;
	nothing_left();
	heap_truth_end();
	return 0;
}

int main(int argc, char **argv)
{
	static const struct heap_mode modes[] = {
		{"plain", run_plain},     {"realloc", run_realloc},   {"aligned", run_aligned},
		{"zeroed", run_zeroed},   {"strings", run_strings},   {"mapped", run_mapped},
		{"usable", run_usable},   {"wrappers", run_wrappers}, {"empty", run_empty},
		{"nothing", run_nothing},
	};
	return heap_truth_main(modes, sizeof(modes) / sizeof(modes[0]), argc, argv);
}

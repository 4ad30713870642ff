/*
 * fuzz_output.c - any profile that can be read, written in every format.
 *
 * Nothing may crash, hang or leak, and what was written twice is the same twice. The input is a
 * pprof file, uncompressed: the loader takes either.
 */
#include "output/flamegraph.h"
#include "output/folded.h"
#include "output/remedy.h"
#include "output/report.h"
#include "profile/pprof_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* In the place of dpkg-query, which takes 0.1 s: every other path is in a package. */
static bool find_packages(void *ctx, const char *const *paths, size_t n, char **packages)
{
	(void)ctx;
	for (size_t i = 0; i < n; i++)
		packages[i] = strlen(paths[i]) % 2 ? strdup("package") : NULL;
	return n % 2;
}

static bool file_exists(void *ctx, const char *path)
{
	(void)ctx;
	return strlen(path) % 3;
}

/* Taken by the linker before the library's own. */
const struct remedy_source *remedy_system(void)
{
	static const struct remedy_source source = {.find_packages = find_packages,
						    .file_exists = file_exists,
						    .os_id = "debian",
						    .os_codename = "bookworm"};
	return &source;
}

struct text {
	char *bytes;
	size_t n;
	int code;
};

typedef int writer(const struct profile *profile, unsigned variant, FILE *out, struct cp_err *err);

static int write_report(const struct profile *profile, unsigned variant, FILE *out,
			struct cp_err *err)
{
	const struct report_options options = {
		.format = (enum report_format)(variant % 3),
		.by = (enum report_by)(variant / 3 % 8),
		.sort = (enum report_sort)(variant / 24 % 2),
		.limit = variant % 2 ? 3 : 0,
		.focus = variant % 7 == 6 ? "a" : NULL,
		.ignore = variant % 11 == 10 ? "b" : NULL,
		.path = "input",
		.colour = variant % 5 == 4,
		.summary = variant % 4 == 3,
		.width = variant % 8 == 7 ? 40 : 0,
	};
	return report_write(profile, &options, out, err);
}

static int write_folded(const struct profile *profile, unsigned variant, FILE *out,
			struct cp_err *err)
{
	const struct folded_options options = {.lines = variant};
	return folded_write(profile, &options, out, err);
}

static int write_flamegraph(const struct profile *profile, unsigned variant, FILE *out,
			    struct cp_err *err)
{
	const struct flamegraph_options options = {.icicle = variant % 2,
						   .thread_re = variant == 2 ? "a" : NULL};
	return flamegraph_write(profile, &options, out, err);
}

static struct text write_once(const struct profile *profile, writer *write, unsigned variant)
{
	struct text text = {0};
	struct cp_err err = {""};
	FILE *out = open_memstream(&text.bytes, &text.n);
	CHECK(out);
	text.code = write(profile, variant, out, &err);
	CHECK(fclose(out) == 0);
	/* a failure has its message */
	CHECK(text.code == 0 || err.message[0]);
	return text;
}

static void write_twice(const struct profile *profile, writer *write, unsigned variant)
{
	struct text a = write_once(profile, write, variant);
	struct text b = write_once(profile, write, variant);
	CHECK(a.code == b.code && a.n == b.n && memcmp(a.bytes, b.bytes, a.n) == 0);
	free(a.bytes);
	free(b.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct profile *profile = NULL;
	struct pprof_load_info info;
	struct cp_err err = {""};
	if (pprof_load_bytes(data, size, &profile, &info, &err))
		return 0;
	/* the variant of the report by the input, so that each stays fast */
	const unsigned variant = size ? data[size / 2] : 0;
	for (unsigned format = 0; format < 3; format++)
		write_twice(profile, write_report, variant - variant % 3 + format);
	write_twice(profile, write_folded, variant % 2);
	write_twice(profile, write_flamegraph, variant % 3);
	profile_destroy(profile);
	return 0;
}

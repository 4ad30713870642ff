/*
 * fuzz_pprof.c - any bytes as a profile file.
 *
 * Nothing may crash, and what is read must say the same when it is read from two gzip members
 * that are cut somewhere in the middle, and when it is written and read again.
 */
#include "profile/pprof_encode.h"
#include "profile/pprof_file.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

struct bytes {
	uint8_t *bytes;
	size_t n;
};

static int append(void *ctx, const void *bytes, size_t n)
{
	struct bytes *to = ctx;
	to->bytes = realloc(to->bytes, to->n + n + 1);
	CHECK(to->bytes);
	if (n)
		memcpy(to->bytes + to->n, bytes, n);
	to->n += n;
	return 0;
}

static void append_le(struct bytes *to, uint32_t value, size_t n)
{
	for (; n; n--, value >>= 8)
		append(to, &(uint8_t){(uint8_t)value}, 1);
}

/* A gzip member of stored blocks (RFC 1951, 3.2.4): no time is lost on compression. */
static void append_member(struct bytes *to, const uint8_t *data, size_t size)
{
	append(to, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
	size_t at = 0;
	do {
		size_t n = size - at < 65535 ? size - at : 65535;
		append_le(to, at + n == size, 1);
		append_le(to, (uint32_t)n, 2);
		append_le(to, ~(uint32_t)n & 0xffff, 2);
		append(to, data + at, n);
		at += n;
	} while (at < size);
	append_le(to, (uint32_t)crc32(crc32(0, NULL, 0), data, (uInt)size), 4);
	append_le(to, (uint32_t)size, 4);
}

static void same_text(const struct profile *a, string_id x, const struct profile *b, string_id y)
{
	CHECK(strcmp(profile_text(a, x), profile_text(b, y)) == 0);
}

static void same_tables(const struct profile *a, const struct profile *b)
{
	CHECK(a->n_modules == b->n_modules && a->n_functions == b->n_functions);
	CHECK(a->n_locations == b->n_locations && a->n_threads == b->n_threads);
	for (size_t i = 0; i < a->n_modules; i++) {
		const struct profile_module *x = &a->modules[i], *y = &b->modules[i];
		same_text(a, x->path, b, y->path);
		same_text(a, x->build_id, b, y->build_id);
		CHECK(x->svma_start == y->svma_start && x->svma_end == y->svma_end);
		CHECK(x->file_off == y->file_off && x->has_lines == y->has_lines);
	}
	for (size_t i = 0; i < a->n_functions; i++) {
		const struct profile_function *x = &a->functions[i], *y = &b->functions[i];
		same_text(a, x->name, b, y->name);
		same_text(a, x->system_name, b, y->system_name);
		same_text(a, x->file, b, y->file);
		CHECK(x->start_line == y->start_line);
	}
	for (size_t i = 0; i < a->n_locations; i++) {
		const struct profile_location *x = &a->locations[i], *y = &b->locations[i];
		CHECK(x->module.v == y->module.v && x->svma == y->svma);
		CHECK(x->n_lines == y->n_lines);
		if (x->n_lines)
			CHECK(!memcmp(&a->lines[x->first_line], &b->lines[y->first_line],
				      x->n_lines * sizeof(*a->lines)));
	}
	for (size_t i = 0; i < a->n_threads; i++) {
		const struct profile_thread *x = &a->threads[i], *y = &b->threads[i];
		same_text(a, x->comm, b, y->comm);
		same_text(a, x->name, b, y->name);
		CHECK(x->pid == y->pid && x->tid == y->tid);
	}
}

static void same(const struct profile *a, const struct profile *b)
{
	same_tables(a, b);
	CHECK(a->n_value_types == b->n_value_types && a->n_samples == b->n_samples);
	CHECK(a->period == b->period && a->start_ns == b->start_ns);
	CHECK(a->duration_ns == b->duration_ns);
	CHECK(a->n_header == b->n_header);
	for (size_t i = 0; i < a->n_header; i++) {
		const char *value = profile_header_get(b, a->header[i].key);
		CHECK(value && strcmp(value, a->header[i].value) == 0);
	}
	CHECK(a->stacks.n == b->stacks.n);
	CHECK(!memcmp(a->stacks.nodes, b->stacks.nodes, a->stacks.n * sizeof(*a->stacks.nodes)));
	for (size_t i = 0; i < a->n_samples; i++) {
		const struct profile_sample_key *x = &a->samples[i], *y = &b->samples[i];
		CHECK(x->stack.v == y->stack.v && x->thread.v == y->thread.v);
		CHECK(x->time_ns == y->time_ns && x->stop == y->stop);
		CHECK(x->state == y->state && x->inferred == y->inferred);
		same_text(a, x->waits_for, b, y->waits_for);
	}
	if (a->n_samples)
		CHECK(!memcmp(a->values, b->values,
			      a->n_samples * a->n_value_types * sizeof(*a->values)));
}

static void read_again(const struct profile *profile, const struct bytes *file)
{
	struct profile *again = NULL;
	struct pprof_load_info info;
	CHECK(pprof_load_bytes(file->bytes, file->n, &again, &info, NULL) == 0);
	CHECK(info.torn_bytes == 0);
	same(profile, again);
	profile_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cp_err err = {""};
	struct profile *profile = NULL;
	struct pprof_load_info info;
	if (pprof_load_bytes(data, size, &profile, &info, &err)) {
		CHECK(err.message[0] && !profile);
		return 0;
	}
	CHECK(info.members > 0 && info.torn_bytes < size);
	struct bytes file = {0};
	if (data[0] != 0x1f) {
		size_t cut = data[size / 2] % (size + 1);
		append_member(&file, data, cut);
		append_member(&file, data + cut, size - cut);
		read_again(profile, &file);
		file.n = 0;
	}
	CHECK(pprof_encode_all(profile, append, &file) == 0);
	read_again(profile, &file);
	free(file.bytes);
	profile_destroy(profile);
	return 0;
}

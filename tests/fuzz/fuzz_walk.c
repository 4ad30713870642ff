/*
 * fuzz_walk.c - walks through any binary, over any stack, with any registers, among mappings that
 * change between the walks.
 *
 * Every walk ends inside its bounds with a reason, the same one each time; and an unwinder that has
 * seen the mappings change finds what one finds that has not seen the old ones.
 *
 * Input: a byte with the number of 4-byte words of script, the script, a binary.
 */
#include "../support/mapping_file.h"
#include "unwind/unwind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

enum { PAGE = 4096, STACK_WORDS_MAX = 512, CAP_MAX = 64, STEPS_MAX = 16 };

static const uint64_t code_avma = 0x555500000000, stack_avma = 0x7ff000000000;

struct script {
	const uint8_t *at, *end;
};

static uint64_t take(struct script *script, unsigned n)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < n && script->at < script->end; i++)
		value |= (uint64_t)*script->at++ << 8 * i;
	return value;
}

/* The binary in a file, as mappings have them; the file is one for the whole run. */
static struct mapping_file binary_file(const uint8_t *bytes, size_t n)
{
	static char path[64];
	static int fd = -1;
	struct stat st;
	if (fd < 0) {
		fd = memfd_create("binary", MFD_CLOEXEC);
		CHECK(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, n, 0) == (ssize_t)n);
	CHECK(fstat(fd, &st) == 0);
	return mapping_file_of(path, &st);
}

/* A word that means something to a walk, or any other. */
static uint64_t word(struct script *script)
{
	const uint8_t kind = (uint8_t)take(script, 1);
	switch (kind & 7) {
	case 0:
	case 1:
		return code_avma + take(script, 2);
	case 2:
	case 3:
		return stack_avma + (kind & 8 ? take(script, 2) : 8 * take(script, 1));
	case 4:
		return take(script, 1);
	case 5:
		return 0 - take(script, 2);
	case 6:
		return take(script, 8);
	default:
		return 0;
	}
}

static void change_mappings(struct script *script, struct address_space *space,
			    const struct mapping_file *binary)
{
	struct mapping_file deleted = *binary;
	deleted.deleted = true;
	for (unsigned n = (unsigned)take(script, 1) % 8; n; n--) {
		const uint8_t kind = (uint8_t)take(script, 1);
		uint64_t start = code_avma + PAGE * (take(script, 1) % 32);
		const uint64_t end = start + PAGE * (take(script, 1) % 32);
		const uint64_t file_off = PAGE * (take(script, 1) % 8);
		const struct mapping_file files[] = {
			*binary,
			*binary,
			deleted,
			{.path = "/", .inode = 1},
			{.path = "//anon"},
			{.path = "[vdso]"},
			{.path = ""},
		};
		if (kind % 8 == 7 && kind & 64)
			address_space_clear(space);
		else if (kind & 128) /* where a wrapping sum would show */
			CHECK(address_space_add(space, 0 - PAGE * (end - start), UINT64_MAX,
						file_off, &files[kind % 7]) == 0);
		else
			CHECK(address_space_add(space, start, end, file_off, &files[kind % 7]) ==
			      0);
	}
}

struct sample {
	struct unwind_regs regs;
	struct unwind_stack stack;
	uint64_t words[STACK_WORDS_MAX];
	size_t cap;
};

static void take_sample(struct script *script, struct sample *sample)
{
	memset(sample, 0, sizeof(*sample));
	const uint8_t flags = (uint8_t)take(script, 1);
	for (unsigned i = 0; i < UNWIND_REGS_MAX; i++)
		sample->regs.r[i] = stack_avma + 8 * i;
	unwind_regs_set_pc(&sample->regs, word(script));
	unwind_regs_set_fp(&sample->regs, word(script));
	const uint64_t sp = flags & 1 ? word(script) : stack_avma + 8 * (flags >> 4);
	unwind_regs_set_sp(&sample->regs, sp);
	const size_t n = take(script, 2) % STACK_WORDS_MAX;
	for (size_t i = 0; i < n; i++)
		sample->words[i] = word(script);
	sample->stack = (struct unwind_stack){
		.sp = sp,
		.bytes = (const uint8_t *)sample->words,
		.n_bytes = n * 8 - (n ? flags >> 2 & 1 : 0),
		.maybe_more = flags & 2,
	};
	sample->cap = 1 + (flags & 8 ? CAP_MAX - 1 : flags >> 4);
}

struct outcome {
	uint64_t pcs[CAP_MAX], sps[CAP_MAX];
	struct unwind_result result;
};

static void walk(struct unwinder *unwinder, const struct sample *sample, struct outcome *out)
{
	memset(out, 0, sizeof(*out));
	out->result = (struct unwind_result){.pcs = out->pcs, .sps = out->sps, .cap = sample->cap};
	unwinder_walk(unwinder, &sample->regs, &sample->stack, &out->result);
	CHECK(out->result.n >= 1 && out->result.n <= sample->cap);
	CHECK((unsigned)out->result.stop < CP_STOP_COUNT);
	const size_t n = out->result.n + out->result.n_omitted;
	CHECK(out->result.n_omitted == 0 || out->result.n == out->result.cap);
	CHECK(n <= sample->stack.n_bytes / sizeof(uint64_t) + UNWIND_MAX_FRAMES + 1);
	CHECK(out->result.n_fp_frames < n);
	CHECK(out->pcs[0] == unwind_regs_pc(&sample->regs));
	CHECK(out->sps[0] == unwind_regs_sp(&sample->regs));
}

static void same(const struct outcome *a, const struct outcome *b)
{
	CHECK(a->result.n == b->result.n && a->result.stop == b->result.stop);
	CHECK(a->result.n_fp_frames == b->result.n_fp_frames);
	CHECK(a->result.by_libunwind == b->result.by_libunwind);
	CHECK(a->result.n_omitted == b->result.n_omitted);
	CHECK(memcmp(a->pcs, b->pcs, sizeof(a->pcs)) == 0);
	CHECK(memcmp(a->sps, b->sps, sizeof(a->sps)) == 0);
}

static void walk_all_ways(struct unwinder *const lasting[2], struct address_space *space,
			  const struct sample *sample)
{
	static struct outcome first, again, fresh;
	for (int i = 0; i < 2; i++) {
		struct unwinder *unwinder = NULL;
		struct address_space *copy = NULL;
		walk(lasting[i], sample, &first);
		walk(lasting[i], sample, &again);
		same(&first, &again);
		CHECK(address_space_fork(space, getpid(), &copy) == 0);
		CHECK(unwinder_create(copy, &unwinder) == 0);
		unwinder_set_engine(unwinder, i ? UNWIND_LIBUNWIND : UNWIND_AUTO);
		walk(unwinder, sample, &fresh);
		same(&first, &fresh);
		unwinder_destroy(unwinder);
		address_space_destroy(copy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sample sample;
	if (size < 1)
		return 0;
	const size_t n_script = data[0] * 4U < size - 1 ? data[0] * 4U : size - 1;
	struct script script = {data + 1, data + 1 + n_script};
	struct image_store *store = NULL;
	struct address_space *space = NULL;
	struct unwinder *unwinders[2] = {NULL, NULL};
	const struct mapping_file binary = binary_file(script.end, size - 1 - n_script);
	CHECK(image_store_create(&store) == 0);
	CHECK(address_space_create(store, getpid(), &space) == 0);
	for (int i = 0; i < 2; i++) {
		CHECK(unwinder_create(space, &unwinders[i]) == 0);
		unwinder_set_engine(unwinders[i], i ? UNWIND_LIBUNWIND : UNWIND_AUTO);
	}
	for (int i = 0; i < STEPS_MAX && script.at < script.end; i++) {
		change_mappings(&script, space, &binary);
		take_sample(&script, &sample);
		walk_all_ways(unwinders, space, &sample);
	}
	unwinder_destroy(unwinders[0]);
	unwinder_destroy(unwinders[1]);
	address_space_destroy(space);
	image_store_destroy(store);
	return 0;
}

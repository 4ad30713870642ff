/*
 * Stacks, registers and unwind tables with random damage: every walk ends, with a reason, inside
 * its bounds. What it finds may be wrong then; that nothing is read outside is for the sanitizers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/mapping_file.h"
#include "../support/random.h"
#include "../support/stack_capture.h"
#include "../support/temp_dir.h"
#include "unwind_fixtures/frames.h"

#include <elf.h>
#include <sys/stat.h>

void frames_record(const void *return_address)
{
	(void)return_address;
}

static struct stack_capture capture;

static void take(void)
{
	stack_capture_take(&capture);
	__asm__ volatile("" ::: "memory");
}

static void assert_sane(const struct unwind_result *result, uint64_t pc)
{
	assert_in_range(result->n, 1, result->cap);
	assert_int_equal(result->pcs[0], pc);
	assert_in_range(result->stop, 0, CP_STOP_COUNT - 1);
	assert_true(result->n_fp_frames < result->n + result->n_omitted);
}

static void walk_damaged(enum unwind_engine engine)
{
	enum { BYTES = 4096, ROUNDS = 100000, CAP = 200 };
	static uint8_t bytes[BYTES];
	uint64_t pcs[CAP], seed = 0x9e3779b97f4a7c15, n_by_stop[CP_STOP_COUNT] = {0};
	struct image_store *store = NULL;
	struct address_space *space = NULL;
	struct unwinder *unwinder = NULL;
	assert_int_equal(image_store_create(&store), 0);
	assert_int_equal(address_space_create(store, getpid(), &space), 0);
	assert_int_equal(address_space_read_proc(space, NULL), 0);
	assert_int_equal(unwinder_create(space, &unwinder), 0);
	unwinder_set_engine(unwinder, engine);
	chain_O0(9, take);
	assert_true(capture.stack.n_bytes >= BYTES);
	for (int round = 0; round < ROUNDS; round++) {
		struct unwind_regs regs = capture.regs;
		memcpy(bytes, capture.bytes, BYTES);
		for (uint64_t n = 1 + random_below(&seed, 8); n > 0; n--) {
			if (random_below(&seed, 4) == 0)
				regs.r[random_below(&seed, UNWIND_REGS_MAX)] ^=
					1ULL << random_below(&seed, 64);
			else
				bytes[random_below(&seed, BYTES)] = (uint8_t)random_next(&seed);
		}
		/* words of the stack in wrong places: pointers that look right */
		const uint64_t from = random_below(&seed, BYTES / 8) * 8;
		const uint64_t to = random_below(&seed, BYTES / 8) * 8;
		memcpy(bytes + to, capture.bytes + from, 8);
		const struct unwind_stack stack = {capture.stack.sp, bytes, BYTES,
						   random_below(&seed, 2)};
		struct unwind_result result = {.pcs = pcs, .cap = CAP};
		unwinder_walk(unwinder, &regs, &stack, &result);
		assert_sane(&result, unwind_regs_pc(&regs));
		n_by_stop[result.stop]++;
	}
	/* the damage reached what it was made for */
	assert_true(n_by_stop[CP_STOP_TRUNCATED] > ROUNDS / 100);
	assert_true(n_by_stop[CP_STOP_SP_BACKWARDS] > ROUNDS / 100);
	assert_true(n_by_stop[CP_STOP_NO_MAP] + n_by_stop[CP_STOP_BAD_RA] > ROUNDS / 100);
	stack_capture_free(&capture);
	unwinder_destroy(unwinder);
	address_space_destroy(space);
	image_store_destroy(store);
}

static void test_unwinder_hostile__damaged_stacks_and_registers(void **state)
{
	(void)state;
	walk_damaged(UNWIND_AUTO);
	walk_damaged(UNWIND_LIBUNWIND);
}

struct program {
	uint8_t *bytes;
	size_t n;
	Elf64_Phdr code, tables; /* tables: from .eh_frame_hdr to the end of its segment */
};

static struct program load_program(const char *path)
{
	struct program program = {0};
	program.bytes = (uint8_t *)temp_dir_read(path, &program.n);
	const Elf64_Ehdr *ehdr = (const Elf64_Ehdr *)program.bytes;
	const Elf64_Phdr *phdrs = (const Elf64_Phdr *)(program.bytes + ehdr->e_phoff);
	for (int i = 0; i < ehdr->e_phnum; i++) {
		if (phdrs[i].p_type == PT_LOAD && phdrs[i].p_flags & PF_X)
			program.code = phdrs[i];
		if (phdrs[i].p_type == PT_GNU_EH_FRAME)
			program.tables = phdrs[i];
	}
	for (int i = 0; i < ehdr->e_phnum; i++) {
		const uint64_t end = phdrs[i].p_offset + phdrs[i].p_filesz;
		if (phdrs[i].p_type == PT_LOAD && phdrs[i].p_offset <= program.tables.p_offset &&
		    end > program.tables.p_offset)
			program.tables.p_filesz = end - program.tables.p_offset;
	}
	assert_true(program.code.p_filesz > 0 && program.tables.p_filesz > 100);
	return program;
}

/* Walk made-up stacks full of addresses in the program's code. */
static void walk_through(struct unwinder *unwinder, const struct program *program,
			 uint64_t code_avma, uint64_t *seed, uint64_t *n_by_stop)
{
	enum { WORDS = 256, CAP = 64, WALKS = 20 };
	uint64_t words[WORDS], pcs[CAP];
	const uint64_t sp = 0x7ff000000000;
	for (int i = 0; i < WALKS; i++) {
		struct unwind_regs regs;
		for (int r = 0; r < UNWIND_REGS_MAX; r++)
			regs.r[r] = sp + random_below(seed, WORDS) * 8;
		for (int w = 0; w < WORDS; w++)
			words[w] = random_below(seed, 8) == 0
					   ? sp + random_below(seed, WORDS) * 8
					   : code_avma + random_below(seed, program->code.p_filesz);
		const uint64_t pc = code_avma + random_below(seed, program->code.p_filesz);
		unwind_regs_set_pc(&regs, pc);
		unwind_regs_set_sp(&regs, sp);
		const struct unwind_stack stack = {sp, (const uint8_t *)words, sizeof(words), true};
		struct unwind_result result = {.pcs = pcs, .cap = CAP};
		unwinder_walk(unwinder, &regs, &stack, &result);
		assert_sane(&result, pc);
		n_by_stop[result.stop]++;
	}
}

static void walk_file(const char *path, const struct program *program, uint64_t *seed,
		      uint64_t *n_by_stop)
{
	struct image_store *store = NULL;
	struct address_space *space = NULL;
	struct unwinder *unwinder = NULL;
	struct stat st;
	const uint64_t base = 0x555500000000, off = program->code.p_offset & ~0xfffULL;
	const uint64_t size = (program->code.p_filesz + 0x1fff) & ~0xfffULL;
	assert_int_equal(stat(path, &st), 0);
	const struct mapping_file file = mapping_file_of(path, &st);
	assert_int_equal(image_store_create(&store), 0);
	assert_int_equal(address_space_create(store, getpid(), &space), 0);
	assert_int_equal(address_space_add(space, base, base + size, off, &file), 0);
	assert_int_equal(unwinder_create(space, &unwinder), 0);
	walk_through(unwinder, program, base + (program->code.p_offset - off), seed, n_by_stop);
	unwinder_set_engine(unwinder, UNWIND_LIBUNWIND);
	walk_through(unwinder, program, base + (program->code.p_offset - off), seed, n_by_stop);
	unwinder_destroy(unwinder);
	address_space_destroy(space);
	image_store_destroy(store);
}

static void test_unwinder_hostile__damaged_unwind_tables(void **state)
{
	struct temp_dir *dir = *state;
	enum { ROUNDS = 1500 };
	uint64_t seed = 0x2545f4914f6cdd1d, n_by_stop[CP_STOP_COUNT] = {0};
	struct program program = load_program(FIXTURE_DIR "/stepped_O2");
	const char *path = temp_dir_file(dir, "damaged");
	uint8_t *bytes = malloc(program.n);
	assert_non_null(bytes);
	for (int round = 0; round < ROUNDS; round++) {
		memcpy(bytes, program.bytes, program.n);
		for (uint64_t n = 1 + random_below(&seed, 30); n > 0; n--)
			bytes[program.tables.p_offset +
			      random_below(&seed, program.tables.p_filesz)] =
				(uint8_t)random_next(&seed);
		FILE *file = fopen(path, "we");
		assert_non_null(file);
		assert_int_equal(fwrite(bytes, 1, program.n, file), program.n);
		assert_int_equal(fclose(file), 0);
		walk_file(path, &program, &seed, n_by_stop);
	}
	assert_true(n_by_stop[CP_STOP_UNSUPPORTED] > ROUNDS);
	free(bytes);
	free(program.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unwinder_hostile__damaged_stacks_and_registers),
		cmocka_unit_test_setup_teardown(test_unwinder_hostile__damaged_unwind_tables,
						temp_dir_setup, temp_dir_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* CFI compiled to rows: sections assembled here by hand, byte by byte, from the DWARF standard. */
#include "rows/cfi_rows.h"
#include "rows/cfi_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SECTION_SVMA = 0x5000 };

struct section {
	uint8_t bytes[4096];
	size_t n;
	size_t cie_at;
};

static void *resize(void *ctx, void *block, size_t old_bytes, size_t new_bytes)
{
	(void)ctx;
	(void)old_bytes;
	if (new_bytes)
		return realloc(block, new_bytes);
	free(block);
	return NULL;
}

static void put(struct section *s, const void *bytes, size_t n)
{
	assert_true(s->n + n <= sizeof(s->bytes));
	memcpy(s->bytes + s->n, bytes, n);
	s->n += n;
}

static void put32(struct section *s, uint32_t value)
{
	put(s, &value, 4);
}

static void patch_length(struct section *s, size_t at)
{
	while (s->n % 4)
		put(s, "", 1); /* DW_CFA_nop */
	uint32_t length = (uint32_t)(s->n - at - 4);
	memcpy(s->bytes + at, &length, 4);
}

/* "zR" (or "zRS"), pcrel sdata4, code 1, data -8, ra 16; CFA = rsp + 8, ra at CFA - 8. */
static void put_cie(struct section *s, bool signal)
{
	s->cie_at = s->n;
	put32(s, 0);
	put32(s, 0);
	if (signal)
		put(s, "\1zRS\0\1\x78\x10\1\x1b", 10);
	else
		put(s, "\1zR\0\1\x78\x10\1\x1b", 9);
	put(s, "\x0c\x07\x08\x90\x01", 5); /* def_cfa rsp 8; offset ra 1 */
	patch_length(s, s->cie_at);
}

static void put_fde(struct section *s, uint64_t start, uint32_t size, const char *program, size_t n)
{
	size_t at = s->n;
	put32(s, 0);
	put32(s, (uint32_t)(s->n - s->cie_at));
	put32(s, (uint32_t)(start - (SECTION_SVMA + s->n)));
	put32(s, size);
	put(s, "\0", 1); /* no augmentation data */
	put(s, program, n);
	patch_length(s, at);
}

#define PROGRAM(text) text, sizeof(text) - 1

/* push rbp (1); mov rbp, rsp (4); ... leave at 20 */
#define FRAME_POINTER_PROGRAM                                                                      \
	PROGRAM("\x41\x0e\x10\x86\x02" /* +1: def_cfa_offset 16; offset rbp 2 */                   \
		"\x43\x0d\x06"         /* +3: def_cfa_register rbp */                              \
		"\x50\x0c\x07\x08\xc6" /* +16: def_cfa rsp 8; restore rbp */)

struct compiled {
	struct cfi_build build;
	struct cfi_table table;
	size_t bytes;
};

static void compile(struct compiled *c, const struct section *s)
{
	*c = (struct compiled){.build = {.resize = resize}};
	const struct cfi_section section = {.bytes = s->bytes, .n = s->n, .svma = SECTION_SVMA};
	assert_int_equal(cfi_build_section(&c->build, &section), CFI_OK);
	assert_int_equal(cfi_build_finish(&c->build, 0x1000, &c->table, &c->bytes), CFI_OK);
}

static void release(struct compiled *c)
{
	cfi_build_release(&c->build);
	free((void *)c->table.rows);
}

static void assert_rule(const struct compiled *c, uint64_t svma, enum cfi_kind kind, int64_t offset,
			unsigned rbp)
{
	cfi_rule rule = cfi_table_find(&c->table, svma);
	assert_int_equal(cfi_rule_kind(rule), kind);
	assert_int_equal(cfi_rule_offset(rule), offset);
	assert_int_equal(cfi_rule_rbp(rule), rbp);
}

static void test_cfi_rows__a_frame_pointer_function_has_four_rules(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	put_fde(&s, 0x1100, 32, FRAME_POINTER_PROGRAM);
	struct compiled c;
	compile(&c, &s);
	assert_int_equal(c.build.counts.fdes, 1);
	assert_int_equal(c.build.counts.bad, 0);
	assert_rule(&c, 0x10ff, CFI_NONE, 0, 0);
	assert_rule(&c, 0x1100, CFI_RSP, 8, 0);
	assert_rule(&c, 0x1101, CFI_RSP, 16, 2);
	assert_rule(&c, 0x1103, CFI_RSP, 16, 2);
	assert_rule(&c, 0x1104, CFI_RBP, 16, 2);
	assert_rule(&c, 0x1113, CFI_RBP, 16, 2);
	assert_rule(&c, 0x1114, CFI_RSP, 8, 0);
	assert_rule(&c, 0x111f, CFI_RSP, 8, 0);
	assert_rule(&c, 0x1120, CFI_NONE, 0, 0);
	assert_int_equal(c.table.n, 5);
	release(&c);
}

static void test_cfi_rows__entries_out_of_order_are_sorted_and_gaps_have_no_rule(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	put_fde(&s, 0x3000, 16, PROGRAM("\x0e\x20"));
	put_fde(&s, 0x1200, 16, PROGRAM("\x0e\x30"));
	put_fde(&s, 0x2000, 16, PROGRAM("\x0e\x40"));
	struct compiled c;
	compile(&c, &s);
	assert_rule(&c, 0x1200, CFI_RSP, 0x30, 0);
	assert_rule(&c, 0x1210, CFI_NONE, 0, 0);
	assert_rule(&c, 0x200f, CFI_RSP, 0x40, 0);
	assert_rule(&c, 0x2010, CFI_NONE, 0, 0);
	assert_rule(&c, 0x3008, CFI_RSP, 0x20, 0);
	assert_int_equal(c.table.n, 6);
	release(&c);
}

static void test_cfi_rows__an_entry_that_overlaps_the_next_is_cut(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	put_fde(&s, 0x2000, 0x100, PROGRAM("\x0e\x20"));
	put_fde(&s, 0x2080, 0x10, PROGRAM("\x0e\x30"));
	struct compiled c;
	compile(&c, &s);
	assert_rule(&c, 0x207f, CFI_RSP, 0x20, 0);
	assert_rule(&c, 0x2080, CFI_RSP, 0x30, 0);
	assert_rule(&c, 0x2090, CFI_NONE, 0, 0);
	release(&c);
}

static void test_cfi_rows__remembered_state_comes_back(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	/* +1 off 32; +1 remember, off 8; +1 restore_state */
	put_fde(&s, 0x2000, 16, PROGRAM("\x41\x0e\x20\x41\x0a\x0e\x08\x41\x0b"));
	struct compiled c;
	compile(&c, &s);
	assert_rule(&c, 0x2001, CFI_RSP, 32, 0);
	assert_rule(&c, 0x2002, CFI_RSP, 8, 0);
	assert_rule(&c, 0x2003, CFI_RSP, 32, 0);
	release(&c);
}

static void test_cfi_rows__expressions_of_plt_and_realigned_stacks(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	put_fde(&s, 0x2000, 16, PROGRAM("\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22"));
	/* CFA = *(rbp - 8), rbp at *(rbp + 0) */
	put_fde(&s, 0x2010, 16, PROGRAM("\x0f\x03\x76\x78\x06\x10\x06\x02\x76\x00"));
	/* CFA = *(rsp + 128) + 8, rbp at CFA - 16 */
	put_fde(&s, 0x2020, 16, PROGRAM("\x0f\x06\x77\x80\x01\x06\x23\x08\x86\x02"));
	/* something else: DW_OP_breg0 0 */
	put_fde(&s, 0x2030, 16, PROGRAM("\x0f\x02\x70\x00"));
	struct compiled c;
	compile(&c, &s);
	assert_rule(&c, 0x2000, CFI_PLT, 11, 0);
	cfi_rule rule = cfi_table_find(&c.table, 0x2010);
	assert_int_equal(cfi_rule_kind(rule), CFI_DEREF_RBP);
	assert_int_equal(cfi_rule_deref_offset(rule), -8);
	assert_int_equal(cfi_rule_deref_add(rule), 0);
	assert_int_equal(cfi_rule_rbp(rule), CFI_RBP_AT_RBP);
	rule = cfi_table_find(&c.table, 0x2020);
	assert_int_equal(cfi_rule_kind(rule), CFI_DEREF_RSP);
	assert_int_equal(cfi_rule_deref_offset(rule), 128);
	assert_int_equal(cfi_rule_deref_add(rule), 8);
	assert_int_equal(cfi_rule_rbp(rule), 2);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2030)), CFI_UNSUPPORTED);
	assert_int_equal(c.build.counts.unsupported, 1);
	release(&c);
}

static void test_cfi_rows__a_register_after_an_expression_takes_the_offset_before_it(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	/* libgcrypt's AVX code: def_cfa_offset 56; CFA = *(rsp + 128) + 8; def_cfa_register rsp */
	put_fde(&s, 0x2000, 16,
		PROGRAM("\x0e\x38\x41\x0f\x06\x77\x80\x01\x06\x23\x08\x41\x0d\x07"));
	/* the offset is not kept of what was restored */
	put_fde(&s, 0x2010, 16,
		PROGRAM("\x0a\x0e\x38\x0f\x02\x70\x00\x41\x0b\x0f\x02\x70\x00\x0d\x07"));
	struct compiled c;
	compile(&c, &s);
	assert_rule(&c, 0x2000, CFI_RSP, 56, 0);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2001)), CFI_DEREF_RSP);
	assert_rule(&c, 0x2002, CFI_RSP, 56, 0);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2010)), CFI_UNSUPPORTED);
	assert_rule(&c, 0x2011, CFI_RSP, 8, 0);
	assert_int_equal(c.build.counts.bad, 0);
	release(&c);
}

static void test_cfi_rows__roots_signals_and_large_frames(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	put_fde(&s, 0x2000, 16, PROGRAM("\x07\x10"));             /* undefined ra */
	put_fde(&s, 0x2010, 16, PROGRAM("\x0e\x80\xb5\x18"));     /* 400,000 */
	put_fde(&s, 0x2020, 16, PROGRAM("\x0e\x80\x80\x80\x04")); /* 8 MiB: does not fit */
	put_fde(&s, 0x2030, 16, PROGRAM("\x0c\x0a\x00"));         /* CFA = r10 */
	put_cie(&s, true);
	put_fde(&s, 0x2040, 16, PROGRAM("\x0f\x04\x77\xa0\x01\x06")); /* CFA = *(rsp + 160) */
	put_fde(&s, 0x2050, 16, PROGRAM("\x0f\x04\x77\xa8\x01\x06")); /* not the kernel's */
	put_fde(&s, 0x2060, 16, PROGRAM(""));
	struct compiled c;
	compile(&c, &s);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2000)), CFI_END);
	assert_rule(&c, 0x2010, CFI_RSP, 400000, 0);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2020)), CFI_UNSUPPORTED);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2030)), CFI_UNSUPPORTED);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2040)), CFI_SIGNAL);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2050)), CFI_UNSUPPORTED);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2060)), CFI_UNSUPPORTED);
	release(&c);
}

static void test_cfi_rows__a_broken_program_is_unsupported_from_there_and_counted(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	put_fde(&s, 0x2000, 16, PROGRAM("\x44\x0e\x20\x44\x0b")); /* restores nothing remembered */
	put_fde(&s, 0x2010, 16, PROGRAM("\x7f\x0e\x20"));         /* advances past its end */
	put_fde(&s, 0x2020, 16, PROGRAM("\x3f"));                 /* no such opcode */
	struct compiled c;
	compile(&c, &s);
	assert_rule(&c, 0x2000, CFI_RSP, 8, 0);
	assert_rule(&c, 0x2004, CFI_RSP, 32, 0);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2008)), CFI_UNSUPPORTED);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2010)), CFI_UNSUPPORTED);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2020)), CFI_UNSUPPORTED);
	assert_int_equal(c.build.counts.bad, 3);
	release(&c);
}

static void test_cfi_rows__a_search_table_gives_the_same_rows_as_the_section(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	size_t first = s.n;
	put_fde(&s, 0x1100, 32, FRAME_POINTER_PROGRAM);
	size_t second = s.n;
	put_fde(&s, 0x2000, 16, PROGRAM("\x0e\x40"));
	struct compiled whole;
	compile(&whole, &s);

	put(&s, "\x11\x22\x33\x44\x55\x66\x77\x88", 8); /* what follows .eh_frame is none of it */
	const uint64_t hdr = 0x4ff0;
	int32_t table[] = {(int32_t)(0x1100 - hdr),
			   (int32_t)(SECTION_SVMA + first - hdr),
			   (int32_t)(0x2000 - hdr),
			   (int32_t)(SECTION_SVMA + second - hdr),
			   0,
			   (int32_t)(SECTION_SVMA + s.n + 4096 - hdr)};
	struct compiled c = {.build = {.resize = resize}};
	const struct cfi_section section = {.bytes = s.bytes, .n = s.n, .svma = SECTION_SVMA};
	assert_int_equal(cfi_build_search_table(&c.build, &section, (const uint8_t *)table, 3, hdr),
			 CFI_OK);
	assert_int_equal(cfi_build_finish(&c.build, 0x1000, &c.table, &c.bytes), CFI_OK);
	assert_int_equal(c.build.counts.bad, 1);
	assert_int_equal(c.table.n, whole.table.n);
	assert_memory_equal(c.table.rows, whole.table.rows, c.table.n * sizeof(struct cfi_row));
	release(&c);
	release(&whole);
}

static void test_cfi_rows__a_section_cut_anywhere_keeps_the_entries_before_the_cut(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	put_fde(&s, 0x1100, 32, FRAME_POINTER_PROGRAM);
	size_t first_end = s.n;
	put_fde(&s, 0x2000, 16, PROGRAM("\x0e\x40"));
	for (size_t n = 0; n < s.n; n++) {
		/* exactly n bytes on the heap, so that a read past the end is seen */
		uint8_t *copy = malloc(n ? n : 1);
		assert_non_null(copy);
		memcpy(copy, s.bytes, n);
		struct compiled c = {.build = {.resize = resize}};
		const struct cfi_section section = {.bytes = copy, .n = n, .svma = SECTION_SVMA};
		assert_int_equal(cfi_build_section(&c.build, &section), CFI_OK);
		assert_int_equal(cfi_build_finish(&c.build, 0x1000, &c.table, &c.bytes), CFI_OK);
		assert_int_equal(c.build.counts.fdes, n >= first_end);
		release(&c);
		free(copy);
	}
}

static void test_cfi_rows__offsets_beyond_all_bounds_are_unsupported(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	/* 2^60 times the data alignment of -8 is INT64_MIN, which has no negative */
	put_fde(&s, 0x2000, 16, PROGRAM("\x86\x80\x80\x80\x80\x80\x80\x80\x80\x10"));
	put_fde(&s, 0x2010, 16, PROGRAM("\x2f\x06\x80\x80\x80\x80\x80\x80\x80\x80\x10"));
	struct compiled c;
	compile(&c, &s);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2000)), CFI_UNSUPPORTED);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2010)), CFI_UNSUPPORTED);
	release(&c);
}

static void test_cfi_rows__a_stack_pointer_that_is_not_the_cfa_is_unsupported(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	put_fde(&s, 0x2000, 16, PROGRAM("\x87\x03\x44\xc7"));     /* at CFA - 24; restored */
	put_fde(&s, 0x2010, 16, PROGRAM("\x16\x07\x02\x76\x10")); /* rbp + 16 */
	put_fde(&s, 0x2020, 16, PROGRAM("\x14\x07\x00\x44\x14\x07\x01")); /* CFA; CFA - 8 */
	struct compiled c;
	compile(&c, &s);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2000)), CFI_UNSUPPORTED);
	assert_rule(&c, 0x2004, CFI_RSP, 8, 0);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2010)), CFI_UNSUPPORTED);
	assert_rule(&c, 0x2020, CFI_RSP, 8, 0);
	assert_int_equal(cfi_rule_kind(cfi_table_find(&c.table, 0x2024)), CFI_UNSUPPORTED);
	release(&c);
}

static void test_cfi_rows__programs_named_over_and_over_cost_no_more_than_the_section(void **state)
{
	(void)state;
	enum { ENTRIES = 4096, ADVANCES = 1000 };
	char program[3 * ADVANCES];
	for (size_t i = 0; i < ADVANCES; i++)
		memcpy(program + 3 * i, i % 2 ? "\x41\x0e\x10" : "\x41\x0e\x20", 3);
	struct section s = {0};
	put_cie(&s, false);
	const size_t fde = s.n;
	put_fde(&s, 0x2000, 2 * ADVANCES, program, sizeof(program));
	const uint64_t hdr = 0x4ff0;
	static int32_t table[2 * ENTRIES];
	for (size_t i = 0; i < ENTRIES; i++) {
		table[2 * i] = (int32_t)(0x2000 - hdr);
		table[2 * i + 1] = (int32_t)(SECTION_SVMA + fde - hdr);
	}
	struct compiled c = {.build = {.resize = resize}};
	const struct cfi_section section = {.bytes = s.bytes, .n = s.n, .svma = SECTION_SVMA};
	assert_int_equal(
		cfi_build_search_table(&c.build, &section, (const uint8_t *)table, ENTRIES, hdr),
		CFI_OK);
	assert_true(c.build.counts.fdes >= 1);
	assert_true(c.build.n_rows <= 8 * s.n);
	assert_int_equal(c.build.counts.fdes + c.build.counts.bad, ENTRIES);
	assert_int_equal(cfi_build_finish(&c.build, 0x1000, &c.table, &c.bytes), CFI_OK);
	assert_rule(&c, 0x2001, CFI_RSP, 0x20, 0);
	release(&c);
}

static void test_cfi_rows__steps_move_outward_or_say_why_not(void **state)
{
	(void)state;
	struct section s = {0};
	put_cie(&s, false);
	put_fde(&s, 0x1100, 32, FRAME_POINTER_PROGRAM);
	struct compiled c;
	compile(&c, &s);
	/* at 0x7000: [0] saved rbp, [1] return address */
	uint64_t words[] = {0xaaaa, 0x4242};
	struct cfi_stack stack = {0x7000, (const uint8_t *)words, sizeof(words)};
	struct cfi_regs regs = {.rip = 0x1101, .rsp = 0x7000, .rbp = 0xbbbb};
	uint64_t missing = 0;
	assert_int_equal(cfi_step(cfi_table_find(&c.table, 0x1101), &stack, &regs, &missing),
			 CFI_STEP_OK);
	assert_int_equal(regs.rip, 0x4242);
	assert_int_equal(regs.rsp, 0x7010);
	assert_int_equal(regs.rbp, 0xaaaa);

	/* the next frame's words lie beyond the copy */
	assert_int_equal(cfi_step(cfi_table_find(&c.table, 0x1100), &stack, &regs, &missing),
			 CFI_STEP_NO_MEM);
	assert_int_equal(missing, 0x7010);
	assert_int_equal(regs.rsp, 0x7010);

	/* an rbp below rsp cannot hold the CFA */
	regs = (struct cfi_regs){.rip = 0x1108, .rsp = 0x7000, .rbp = 0x6000};
	assert_int_equal(cfi_step(cfi_table_find(&c.table, 0x1108), &stack, &regs, &missing),
			 CFI_STEP_BACKWARDS);
	assert_int_equal(cfi_step(CFI_NONE, &stack, &regs, &missing), CFI_STEP_NO_CFI);
	assert_int_equal(cfi_step(CFI_END, &stack, &regs, &missing), CFI_STEP_END);
	assert_int_equal(cfi_step(CFI_UNSUPPORTED, &stack, &regs, &missing), CFI_STEP_UNSUPPORTED);
	release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cfi_rows__a_frame_pointer_function_has_four_rules),
		cmocka_unit_test(
			test_cfi_rows__entries_out_of_order_are_sorted_and_gaps_have_no_rule),
		cmocka_unit_test(test_cfi_rows__an_entry_that_overlaps_the_next_is_cut),
		cmocka_unit_test(test_cfi_rows__remembered_state_comes_back),
		cmocka_unit_test(test_cfi_rows__expressions_of_plt_and_realigned_stacks),
		cmocka_unit_test(
			test_cfi_rows__a_register_after_an_expression_takes_the_offset_before_it),
		cmocka_unit_test(test_cfi_rows__roots_signals_and_large_frames),
		cmocka_unit_test(
			test_cfi_rows__a_broken_program_is_unsupported_from_there_and_counted),
		cmocka_unit_test(test_cfi_rows__a_search_table_gives_the_same_rows_as_the_section),
		cmocka_unit_test(
			test_cfi_rows__a_section_cut_anywhere_keeps_the_entries_before_the_cut),
		cmocka_unit_test(test_cfi_rows__offsets_beyond_all_bounds_are_unsupported),
		cmocka_unit_test(test_cfi_rows__a_stack_pointer_that_is_not_the_cfa_is_unsupported),
		cmocka_unit_test(
			test_cfi_rows__programs_named_over_and_over_cost_no_more_than_the_section),
		cmocka_unit_test(test_cfi_rows__steps_move_outward_or_say_why_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

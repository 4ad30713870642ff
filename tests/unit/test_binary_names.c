/*
 * Which name a function gets when its debug information and several symbols have one each, in files
 * written for it.
 */
#include "symbolizer/binary.h"

#include "../support/dwarf_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { HERE = DWARF_WRITER_CODE + 0x800, SIZE = DWARF_WRITER_FUNCTION };

static const unsigned int local = ELF64_ST_INFO(STB_LOCAL, STT_FUNC);
static const unsigned int global = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);

/* @linkage: NULL = no debug information of a function there */
static struct elf_writer begin(const char *name, const char *linkage)
{
	struct elf_writer elf;
	struct dwarf_unit_writer unit = dwarf_writer_sound(&elf, NULL);
	if (linkage) {
		put_uleb(unit.info, CODE_LINKED);
		put_text(unit.info, name);
		put_text(unit.info, linkage);
		put_place(unit.info, HERE, SIZE);
		put_u8(unit.info, CODE_END);
	}
	dwarf_writer_close(&elf, &unit);
	return elf;
}

static void expect(struct elf_writer *elf, uint64_t svma, const char *name, const char *system_name)
{
	struct bytes file = elf_writer_finish(elf);
	const struct symbol_frame *frames;
	struct binary *binary;
	size_t n;
	assert_int_equal(binary_open_memory(file.data, file.n, "", &binary, NULL), 0);
	assert_int_equal(binary_find(binary, svma, &frames, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(frames[0].name, name);
	assert_string_equal(frames[0].system_name, system_name);
	binary_close(binary);
	free(file.data);
	elf_writer_deinit(elf);
}

/* Equal parts of many functions are one after linking: only the DWARF says whose this one was. */
static void test_binary_names__a_folded_part_is_that_of_its_debug_information(void **state)
{
	(void)state;
	struct elf_writer elf = begin("obj_get", "obj_get.part.0.lto_priv.0");
	elf_writer_add_symbol(&elf, "ndim_get.part.0", HERE, SIZE, local);
	elf_writer_add_symbol(&elf, "obj_get.part.0.lto_priv.0", HERE, SIZE, local);
	expect(&elf, HERE + 1, "obj_get", "obj_get");
}

static void test_binary_names__parts_in_linkage_names_of_cxx(void **state)
{
	(void)state;
	struct elf_writer elf = begin("f", "_ZN2ns1fEi.part.0.cold");
	expect(&elf, HERE + 1, "ns::f(int)", "_ZN2ns1fEi");
}

static void test_binary_names__an_alias_is_called_by_its_symbol(void **state)
{
	(void)state;
	struct elf_writer elf = begin("__libc_malloc", "__GI___libc_malloc");
	elf_writer_add_symbol(&elf, "__libc_malloc", HERE, SIZE, global);
	elf_writer_add_symbol(&elf, "malloc", HERE, SIZE, global);
	elf_writer_add_symbol(&elf, "__GI___libc_malloc", HERE, SIZE, local);
	expect(&elf, HERE, "malloc", "malloc");
}

static void test_binary_names__global_before_local_and_a_size_before_none(void **state)
{
	(void)state;
	struct elf_writer elf = begin(NULL, NULL);
	elf_writer_add_symbol(&elf, "label", HERE + 0x10, 0, ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE));
	elf_writer_add_symbol(&elf, "a_local", HERE, SIZE, local);
	elf_writer_add_symbol(&elf, "the_global", HERE, SIZE, global);
	elf_writer_add_symbol(&elf, "b_local", HERE, SIZE, local);
	expect(&elf, HERE + 0x18, "the_global", "the_global");
}

static void test_binary_names__a_cold_part_alone_has_its_functions_name(void **state)
{
	(void)state;
	struct elf_writer elf = begin(NULL, NULL);
	elf_writer_add_symbol(&elf, "_ZN2ns1fEi.cold", HERE, SIZE, local);
	expect(&elf, HERE, "ns::f(int)", "_ZN2ns1fEi.cold");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_binary_names__a_folded_part_is_that_of_its_debug_information),
		cmocka_unit_test(test_binary_names__parts_in_linkage_names_of_cxx),
		cmocka_unit_test(test_binary_names__an_alias_is_called_by_its_symbol),
		cmocka_unit_test(test_binary_names__global_before_local_and_a_size_before_none),
		cmocka_unit_test(test_binary_names__a_cold_part_alone_has_its_functions_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

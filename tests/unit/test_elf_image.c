#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/tiny_elf.h"
#include "elf/elf_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

static int open_elf(const void *bytes, size_t n, struct elf_image **out)
{
	/* of the exact size, so that reading beyond the end is an error to the sanitizer */
	void *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, n);
	struct cp_err err = {""};
	const int ret = elf_image_open_bytes(copy, n, "tiny", out, &err);
	if (ret) {
		assert_non_null(strstr(err.message, "tiny"));
	}
	free(copy);
	return ret;
}

static struct elf_image *open_tiny(const struct tiny_elf *elf)
{
	struct elf_image *image = NULL;
	assert_int_equal(open_elf(elf, sizeof(*elf), &image), 0);
	return image;
}

static int open_result(const struct tiny_elf *elf)
{
	struct elf_image *image = NULL;
	const int ret = open_elf(elf, sizeof(*elf), &image);
	elf_image_destroy(image);
	return ret;
}

static void test_elf_image__tells_segments_and_identity(void **state)
{
	(void)state;
	const struct tiny_elf elf = tiny_elf_make();
	struct elf_image *image = open_tiny(&elf);
	size_t n;
	const struct elf_segment *segments = elf_image_segments(image, &n);
	assert_int_equal(n, 2);
	assert_int_equal(segments[0].svma, 0);
	assert_int_equal(segments[0].file_size, offsetof(struct tiny_elf, code));
	assert_false(segments[0].exec);
	assert_int_equal(segments[1].svma, offsetof(struct tiny_elf, code) + 0x1000);
	assert_int_equal(segments[1].file_off, offsetof(struct tiny_elf, code));
	assert_int_equal(segments[1].file_size, 32);
	assert_true(segments[1].exec);
	assert_true(elf_image_is_pie(image));
	assert_int_equal(elf_image_entry(image), segments[1].svma);
	char hex[2 * ELF_BUILD_ID_MAX + 1];
	assert_string_equal(elf_build_id_hex(elf_image_build_id(image), hex),
			    "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3");
	elf_image_destroy(image);
	elf_image_destroy(NULL);
}

static void test_elf_image__non_pie_is_told(void **state)
{
	(void)state;
	struct tiny_elf elf = tiny_elf_make();
	elf.ehdr.e_type = ET_EXEC;
	struct elf_image *image = open_tiny(&elf);
	assert_false(elf_image_is_pie(image));
	elf_image_destroy(image);
}

static void test_elf_image__tables_are_at_hand_and_nothing_else(void **state)
{
	(void)state;
	const struct tiny_elf elf = tiny_elf_make();
	struct elf_image *image = open_tiny(&elf);
	struct elf_eh_frame_hdr hdr;
	assert_true(elf_image_eh_frame_hdr(image, &hdr));
	assert_int_equal(hdr.svma, TINY_OFF(hdr));
	assert_int_equal(hdr.table_svma, TINY_OFF(hdr.entries));
	assert_int_equal(hdr.n_entries, 2);
	assert_memory_equal(elf_image_bytes(image, TINY_OFF(hdr), 28), &elf.hdr, 28);
	assert_memory_equal(elf_image_bytes(image, TINY_OFF(cie), 24), &elf.cie, 24);
	assert_memory_equal(elf_image_bytes(image, TINY_FDE_OFF(1), 32), &elf.fdes[1], 32);
	assert_null(elf_image_bytes(image, TINY_OFF(note), 4));
	assert_null(elf_image_bytes(image, TINY_CODE_SVMA, 1));
	assert_null(elf_image_bytes(image, TINY_FDE_OFF(1), 33));
	assert_null(elf_image_bytes(image, TINY_FDE_OFF(1), UINT64_MAX));
	assert_null(elf_image_bytes(image, UINT64_MAX, 1));
	assert_true(elf_image_size_bytes(image) >= 28 + 24 + 2 * 32);
	elf_image_destroy(image);
}

static void test_elf_image__cut_at_every_byte_is_refused(void **state)
{
	(void)state;
	const struct tiny_elf elf = tiny_elf_make();
	for (size_t n = 0; n < sizeof(elf); n++) {
		struct elf_image *image = NULL;
		assert_int_equal(open_elf(&elf, n, &image), n < 4 ? -ENOEXEC : -EBADMSG);
		assert_null(image);
	}
}

static void test_elf_image__any_flipped_bit_is_survived(void **state)
{
	(void)state;
	const struct tiny_elf good = tiny_elf_make();
	size_t n_opened = 0;
	for (size_t bit = 0; bit < sizeof(good) * 8; bit++) {
		struct tiny_elf elf = good;
		((uint8_t *)&elf)[bit / 8] ^= (uint8_t)(1U << bit % 8);
		struct elf_image *image = NULL;
		const int ret = open_elf(&elf, sizeof(elf), &image);
		assert_true(ret == 0 || ret == -EBADMSG || ret == -ENOEXEC);
		if (ret)
			continue;
		n_opened++;
		struct elf_eh_frame_hdr hdr;
		if (elf_image_eh_frame_hdr(image, &hdr)) {
			assert_non_null(elf_image_bytes(image, hdr.table_svma, hdr.n_entries * 8));
		}
		elf_image_segment_at(image, TINY_OFF(code), 0x1000);
		elf_image_destroy(image);
	}
	assert_true(n_opened > sizeof(good) * 4); /* most bits are no header's */
}

static void test_elf_image__other_files_are_not_executable(void **state)
{
	(void)state;
	struct tiny_elf elf = tiny_elf_make();
	elf.ehdr.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(open_result(&elf), -ENOEXEC);
	elf = tiny_elf_make();
	elf.ehdr.e_ident[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(open_result(&elf), -ENOEXEC);
	elf = tiny_elf_make();
	elf.ehdr.e_machine = EM_AARCH64;
	assert_int_equal(open_result(&elf), -ENOEXEC);
	elf = tiny_elf_make();
	elf.ehdr.e_type = ET_REL;
	assert_int_equal(open_result(&elf), -ENOEXEC);
	elf = tiny_elf_make();
	elf.ehdr.e_ident[1] = 'e';
	assert_int_equal(open_result(&elf), -ENOEXEC);
	struct elf_image *image = NULL;
	const int dir = open("/", O_RDONLY | O_DIRECTORY);
	assert_int_equal(elf_image_open_fd(dir, "/", &image, NULL), -ENOEXEC);
	close(dir);
}

static void test_elf_image__impossible_segments_are_refused(void **state)
{
	(void)state;
	struct tiny_elf elf = tiny_elf_make();
	elf.code_segment.p_memsz = elf.code_segment.p_filesz - 1;
	assert_int_equal(open_result(&elf), -EBADMSG);
	elf = tiny_elf_make();
	elf.code_segment.p_offset = UINT64_MAX - 8; /* the sum wraps */
	assert_int_equal(open_result(&elf), -EBADMSG);
	elf = tiny_elf_make();
	elf.code_segment.p_vaddr = UINT64_MAX - 8;
	assert_int_equal(open_result(&elf), -EBADMSG);
	elf = tiny_elf_make();
	elf.ehdr.e_phentsize = 32;
	assert_int_equal(open_result(&elf), -EBADMSG);
	elf = tiny_elf_make();
	elf.ehdr.e_phnum = 0;
	assert_int_equal(open_result(&elf), -EBADMSG);
	elf = tiny_elf_make();
	elf.note_segment.p_filesz = UINT64_MAX;
	assert_int_equal(open_result(&elf), -EBADMSG);
}

static bool has_table(const struct tiny_elf *elf)
{
	struct elf_image *image = open_tiny(elf);
	struct elf_eh_frame_hdr hdr;
	const bool has = elf_image_eh_frame_hdr(image, &hdr);
	elf_image_destroy(image);
	return has;
}

static void test_elf_image__unusable_tables_leave_it_without(void **state)
{
	(void)state;
	struct tiny_elf elf = tiny_elf_make();
	elf.eh_segment.p_type = PT_NULL;
	assert_false(has_table(&elf));
	elf = tiny_elf_make();
	elf.hdr.version = 2;
	assert_false(has_table(&elf));
	elf = tiny_elf_make();
	elf.hdr.table_enc = 0x1b;
	assert_false(has_table(&elf));
	elf = tiny_elf_make();
	elf.hdr.count = 3; /* than the section has room for */
	assert_false(has_table(&elf));
	elf = tiny_elf_make();
	elf.hdr.count = 0;
	assert_false(has_table(&elf));
	elf = tiny_elf_make(); /* not sorted */
	elf.hdr.entries[1].function = elf.hdr.entries[0].function - 1;
	assert_false(has_table(&elf));
	elf = tiny_elf_make(); /* an FDE outside the segment */
	elf.hdr.entries[1].fde = 0x7fffffff;
	assert_false(has_table(&elf));
	elf = tiny_elf_make(); /* the last FDE longer than the segment */
	elf.fdes[1].length = 0x10000;
	assert_false(has_table(&elf));
	elf = tiny_elf_make();
	elf.eh_segment.p_vaddr = 0x100000;
	assert_false(has_table(&elf));
}

static void test_elf_image__tables_in_front_of_their_index_are_found(void **state)
{
	(void)state;
	/* the header's pointer to .eh_frame wrong, but the entries below it: start at the first */
	struct tiny_elf elf = tiny_elf_make();
	elf.hdr.eh_frame += 40;
	struct elf_image *image = open_tiny(&elf);
	assert_null(elf_image_bytes(image, TINY_OFF(cie), 4));
	assert_non_null(elf_image_bytes(image, TINY_FDE_OFF(0), 64));
	elf_image_destroy(image);
}

static void test_elf_image__build_id_after_other_notes(void **state)
{
	(void)state;
	struct tiny_elf elf = tiny_elf_make();
	struct __attribute__((packed)) {
		Elf64_Nhdr property;
		char property_name[4];
		uint8_t property_desc[8];
		Elf64_Nhdr id;
		char id_name[4];
		uint8_t id_bytes[4];
	} notes = {{4, 8, NT_GNU_PROPERTY_TYPE_0}, "GNU", {1},
		   {4, 4, NT_GNU_BUILD_ID},        "GNU", {0xde, 0xad, 0xbe, 0xef}};
	_Static_assert(sizeof(notes) == 44, "fits into the tables");
	memcpy(&elf.hdr, &notes, sizeof(notes));
	elf.eh_segment.p_type = PT_NULL;
	elf.note_segment.p_offset = TINY_OFF(hdr);
	elf.note_segment.p_filesz = sizeof(notes);
	elf.note_segment.p_align = 8;
	struct elf_image *image = open_tiny(&elf);
	char hex[2 * ELF_BUILD_ID_MAX + 1];
	assert_string_equal(elf_build_id_hex(elf_image_build_id(image), hex), "deadbeef");
	elf_image_destroy(image);
}

static void test_elf_image__notes_that_overrun_give_no_build_id(void **state)
{
	(void)state;
	struct tiny_elf elf = tiny_elf_make();
	elf.note.nhdr.n_descsz = 21;
	struct elf_image *image = open_tiny(&elf);
	char hex[2 * ELF_BUILD_ID_MAX + 1];
	assert_string_equal(elf_build_id_hex(elf_image_build_id(image), hex), "");
	elf_image_destroy(image);
	elf = tiny_elf_make();
	elf.note.nhdr.n_namesz = 0xfffffff0;
	image = open_tiny(&elf);
	assert_int_equal(elf_image_build_id(image)->n, 0);
	elf_image_destroy(image);
}

/* A file with the given program headers and 64 KB behind them. */
static struct elf_image *open_layout(const Elf64_Phdr *phdrs, size_t n)
{
	static uint8_t bytes[0x10000];
	const struct tiny_elf tiny = tiny_elf_make();
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, &tiny.ehdr, sizeof(tiny.ehdr));
	((Elf64_Ehdr *)bytes)->e_phnum = (Elf64_Half)n;
	memcpy(bytes + sizeof(tiny.ehdr), phdrs, n * sizeof(*phdrs));
	struct elf_image *image = NULL;
	assert_int_equal(elf_image_open_bytes(bytes, sizeof(bytes), "layout", &image, NULL), 0);
	return image;
}

#define LOAD(flags, off, vaddr, size)                                                              \
	{                                                                                          \
		.p_type = PT_LOAD, .p_flags = (flags), .p_offset = (off), .p_vaddr = (vaddr),      \
		.p_filesz = (size), .p_memsz = (size)                                              \
	}

static void test_elf_image__segment_of_a_mapping(void **state)
{
	(void)state;
	/* lld: each segment a page further up in memory than in the file; pages shared */
	static const Elf64_Phdr lld[] = {
		LOAD(PF_R, 0, 0, 0x1234),
		LOAD(PF_R | PF_X, 0x1240, 0x2240, 0x2000),
		LOAD(PF_R | PF_X, 0x3240, 0x5240, 0x800),
		LOAD(PF_R | PF_W, 0x3a40, 0x6a40, 0x100),
	};
	struct elf_image *image = open_layout(lld, 4);
	assert_int_equal(elf_image_segment_at(image, 0x1000, 0x3000)->svma, 0x2240);
	assert_int_equal(elf_image_segment_at(image, 0x3000, 0x1000)->svma, 0x5240);
	/* parts of the first, as mprotect or huge pages leave them */
	assert_int_equal(elf_image_segment_at(image, 0x1000, 0x1000)->svma, 0x2240);
	assert_int_equal(elf_image_segment_at(image, 0x2000, 0x1000)->svma, 0x2240);
	/* an executable mapping of the whole file: code wins, the larger part of it */
	assert_int_equal(elf_image_segment_at(image, 0, 0x4000)->svma, 0x2240);
	assert_null(elf_image_segment_at(image, 0x5000, 0x1000));
	assert_null(elf_image_segment_at(image, UINT64_MAX - 0xfff, 0x2000));
	elf_image_destroy(image);
	/* only data there: code may have been made of it */
	static const Elf64_Phdr data[] = {LOAD(PF_R, 0, 0x400000, 0x3000)};
	image = open_layout(data, 1);
	assert_int_equal(elf_image_segment_at(image, 0, 0x3000)->svma, 0x400000);
	elf_image_destroy(image);
}

static void test_elf_image__vdso_has_tables(void **state)
{
	(void)state;
	struct elf_image *image = NULL;
	const uint8_t *vdso = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	assert_non_null(vdso);
	const Elf64_Phdr *load = (const Elf64_Phdr *)(vdso + ((const Elf64_Ehdr *)vdso)->e_phoff);
	assert_int_equal(load->p_type, PT_LOAD); /* its only one */
	assert_int_equal(elf_image_open_bytes(vdso, load->p_filesz, "[vdso]", &image, NULL), 0);
	struct elf_eh_frame_hdr hdr;
	assert_true(elf_image_eh_frame_hdr(image, &hdr));
	assert_true(elf_image_build_id(image)->n >= 16);
	elf_image_destroy(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elf_image__tells_segments_and_identity),
		cmocka_unit_test(test_elf_image__non_pie_is_told),
		cmocka_unit_test(test_elf_image__tables_are_at_hand_and_nothing_else),
		cmocka_unit_test(test_elf_image__cut_at_every_byte_is_refused),
		cmocka_unit_test(test_elf_image__any_flipped_bit_is_survived),
		cmocka_unit_test(test_elf_image__other_files_are_not_executable),
		cmocka_unit_test(test_elf_image__impossible_segments_are_refused),
		cmocka_unit_test(test_elf_image__unusable_tables_leave_it_without),
		cmocka_unit_test(test_elf_image__tables_in_front_of_their_index_are_found),
		cmocka_unit_test(test_elf_image__build_id_after_other_notes),
		cmocka_unit_test(test_elf_image__notes_that_overrun_give_no_build_id),
		cmocka_unit_test(test_elf_image__segment_of_a_mapping),
		cmocka_unit_test(test_elf_image__vdso_has_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

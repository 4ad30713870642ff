#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/modules.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

struct fixture {
	struct profile *profile;
	struct processes *processes;
	struct process *self; /* this process, by /proc */
	struct modules modules;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	if (!f || profile_create(&f->profile) < 0 || processes_create(&f->processes) < 0 ||
	    processes_scan(f->processes, getpid(), NULL) < 0)
		return -1;
	f->self = processes_find(f->processes, getpid());
	modules_init(&f->modules, f->profile);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	profile_destroy(f->profile);
	processes_destroy(f->processes);
	free(f);
	return 0;
}

static const struct profile_module *module_at(const struct fixture *f, module_id id)
{
	return &f->profile->modules[id.v];
}

/* The bias of this program by the loader, and the segment an address lies in. */
struct own_segment {
	uint64_t avma, bias, svma, mem_size, file_off;
};

static int find_own_segment(struct dl_phdr_info *info, size_t size, void *ctx)
{
	(void)size;
	struct own_segment *own = ctx;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + header->p_vaddr;
		if (header->p_type != PT_LOAD || own->avma < start ||
		    own->avma >= start + header->p_memsz)
			continue;
		own->bias = info->dlpi_addr;
		own->svma = header->p_vaddr;
		own->mem_size = header->p_memsz;
		own->file_off = header->p_offset;
		return 1;
	}
	return 0;
}

static void test_modules__own_code_lies_in_the_segment_of_this_file(void **state)
{
	struct fixture *f = *state;
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	assert_true(n > 0);
	exe[n] = 0;
	struct own_segment own = {
		.avma = (uint64_t)(uintptr_t)&test_modules__own_code_lies_in_the_segment_of_this_file};
	assert_int_equal(dl_iterate_phdr(find_own_segment, &own), 1);
	module_id id, again;
	uint64_t svma;
	assert_int_equal(modules_locate(&f->modules, f->self, own.avma, &id, &svma), 0);
	assert_int_equal(svma, own.avma - own.bias);
	const struct profile_module *module = module_at(f, id);
	assert_string_equal(profile_text(f->profile, module->path), exe);
	assert_int_equal(module->svma_start, own.svma & ~4095ULL);
	assert_int_equal(module->svma_end, (own.svma + own.mem_size + 4095) & ~4095ULL);
	assert_int_equal(module->file_off, own.file_off & ~4095ULL);
	assert_int_equal(modules_locate(&f->modules, f->self, own.avma + 1, &again, &svma), 0);
	assert_int_equal(again.v, id.v);
	assert_int_equal(f->profile->n_modules, 1);
}

static void test_modules__main_executable_is_found(void **state)
{
	struct fixture *f = *state;
	modules_add_main(&f->modules, f->processes, getpid());
	assert_int_equal(f->profile->n_modules, 1);
	const char *path = profile_text(f->profile, f->profile->modules[0].path);
	assert_non_null(strstr(path, "/test_modules"));
}

static void test_modules__vdso_is_a_module_of_its_own(void **state)
{
	struct fixture *f = *state;
	module_id id;
	uint64_t svma, avma = getauxval(AT_SYSINFO_EHDR) + 64;
	assert_int_equal(modules_locate(&f->modules, f->self, avma, &id, &svma), 0);
	assert_string_equal(profile_text(f->profile, module_at(f, id)->path), PROFILE_PATH_VDSO);
	assert_int_equal(svma, 64);
}

static void test_modules__anonymous_code_belongs_to_its_process(void **state)
{
	struct fixture *f = *state;
	const struct mapping_file anonymous = {.path = "//anon"};
	assert_int_equal(address_space_add(f->self->space, 0x10000, 0x20000, 0x10000, &anonymous),
			 0);
	module_id id;
	uint64_t svma;
	char expected[32];
	snprintf(expected, sizeof(expected), "[jit:%d]", getpid());
	assert_int_equal(modules_locate(&f->modules, f->self, 0x10040, &id, &svma), 0);
	assert_string_equal(profile_text(f->profile, module_at(f, id)->path), expected);
	assert_int_equal(svma, 0x10040);
	/* a child's code is another's, although it has a copy of the mappings */
	assert_int_equal(processes_fork(f->processes, getpid(), getpid(), 10000000, 10000000), 0);
	assert_int_equal(modules_locate(&f->modules, processes_find(f->processes, 10000000),
					0x10040, &id, &svma),
			 0);
	assert_string_equal(profile_text(f->profile, module_at(f, id)->path), "[jit:10000000]");
}

static void test_modules__file_that_cannot_be_read_is_addressed_by_offset(void **state)
{
	struct fixture *f = *state;
	const struct mapping_file missing = {.path = "/nonexistent/lib.so", .inode = 99};
	assert_int_equal(address_space_add(f->self->space, 0x10000, 0x20000, 0x3000, &missing), 0);
	module_id id;
	uint64_t svma;
	assert_int_equal(modules_locate(&f->modules, f->self, 0x10040, &id, &svma), 0);
	assert_int_equal(svma, 0x3040);
	assert_string_equal(profile_text(f->profile, module_at(f, id)->path),
			    "/nonexistent/lib.so");
	assert_int_equal(module_at(f, id)->svma_start, 0x3000);
	assert_int_equal(module_at(f, id)->svma_end, 0x13000);
}

static void test_modules__address_in_no_mapping_is_unknown(void **state)
{
	struct fixture *f = *state;
	module_id id;
	uint64_t svma;
	assert_int_equal(modules_locate(&f->modules, f->self, 0x77, &id, &svma), 0);
	assert_string_equal(profile_text(f->profile, module_at(f, id)->path), PROFILE_PATH_UNKNOWN);
	assert_int_equal(svma, 0x77);
}

static void test_modules__interpreters_are_noticed(void **state)
{
	struct fixture *f = *state;
	static const char *const PATHS[] = {"/usr/bin/pythonish",
					    "/usr/lib/jvm/lib/server/libjvm.so",
					    "/usr/bin/python3.11", "/usr/bin/nodelike"};
	char text[64];
	for (uint64_t i = 0; i < 4; i++) {
		const struct mapping_file file = {.path = PATHS[i], .inode = 1 + i};
		uint64_t avma = 0x10000 + i * 0x10000, svma;
		module_id id;
		assert_int_equal(address_space_add(f->self->space, avma, avma + 0x1000, 0, &file),
				 0);
		assert_int_equal(modules_locate(&f->modules, f->self, avma, &id, &svma), 0);
	}
	assert_string_equal(modules_runtimes(&f->modules, text, sizeof(text)), "python,java");
}

static void test_modules__build_id_among_notes(void **state)
{
	(void)state;
	static const uint8_t NOTES[] = {
		/* another note of the owner "Linux": 6 bytes padded to 8, 4 bytes of content */
		6, 0, 0, 0, 4, 0, 0, 0, 1, 1, 0, 0, 'L', 'i', 'n', 'u', 'x', 0, 0, 0, 1, 2, 3, 4,
		/* the build-id: NT_GNU_BUILD_ID = 3, 5 bytes padded to 8 */
		4, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0, 0xde, 0xad, 0xbe, 0xef, 0x01,
		0, 0, 0};
	char hex[2 * ELF_BUILD_ID_MAX + 1];
	modules_notes_build_id(NOTES, sizeof(NOTES), hex);
	assert_string_equal(hex, "deadbeef01");
	for (size_t n = 0; n < sizeof(NOTES); n++) {
		modules_notes_build_id(NOTES, n, hex);
		assert_string_equal(hex, "");
	}
	uint8_t hostile[sizeof(NOTES)];
	memcpy(hostile, NOTES, sizeof(NOTES));
	memset(hostile + 4, 0xff, 4); /* the first note's size */
	modules_notes_build_id(hostile, sizeof(hostile), hex);
	assert_string_equal(hex, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_modules__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(own_code_lies_in_the_segment_of_this_file),
		TEST(main_executable_is_found),
		TEST(vdso_is_a_module_of_its_own),
		TEST(anonymous_code_belongs_to_its_process),
		TEST(file_that_cannot_be_read_is_addressed_by_offset),
		TEST(address_in_no_mapping_is_unknown),
		TEST(interpreters_are_noticed),
		TEST(build_id_among_notes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

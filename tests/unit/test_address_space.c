#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unwind/address_space.h"

#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	struct image_store *store;
	struct address_space *space;
};

static int setup(void **state)
{
	static struct fixture f;
	if (image_store_create(&f.store) || address_space_create(f.store, getpid(), &f.space))
		return -1;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	address_space_destroy(f->space);
	image_store_destroy(f->store);
	address_space_destroy(NULL);
	image_store_destroy(NULL);
	return 0;
}

static void add(struct address_space *space, uint64_t start, uint64_t end, uint64_t off,
		uint64_t inode)
{
	char path[32];
	snprintf(path, sizeof(path), "/no/such/file%d", (int)inode);
	const struct mapping_file file = {.path = inode ? path : "//anon", .inode = inode};
	assert_int_equal(address_space_add(space, start, end, off, &file), 0);
}

/* "inode@start-end+off" of every mapping in [0, 0x100000), by look-ups at each page */
static const char *describe(struct address_space *space)
{
	static char text[1024];
	size_t n = 0;
	uint64_t last = UINT64_MAX;
	text[0] = '\0';
	for (uint64_t avma = 0; avma < 0x100000; avma += 0x1000) {
		const struct mapping *m = address_space_find(space, avma);
		if (!m || m->avma_start == last)
			continue;
		assert_ptr_equal(address_space_find(space, m->avma_end - 1), m);
		n += (size_t)snprintf(
			text + n, sizeof(text) - n, "%s%llu@%llx-%llx+%llx", n ? " " : "",
			(unsigned long long)m->inode, (unsigned long long)m->avma_start,
			(unsigned long long)m->avma_end, (unsigned long long)m->file_off);
		last = m->avma_start;
	}
	return text;
}

static void test_address_space__finds_by_half_open_ranges(void **state)
{
	struct fixture *f = *state;
	assert_null(address_space_find(f->space, 0));
	add(f->space, 0x5000, 0x7000, 0, 5);
	add(f->space, 0x1000, 0x2000, 0, 1);
	add(f->space, 0x2000, 0x3000, 0, 2);
	assert_null(address_space_find(f->space, 0xfff));
	assert_int_equal(address_space_find(f->space, 0x1000)->inode, 1);
	assert_int_equal(address_space_find(f->space, 0x1fff)->inode, 1);
	assert_int_equal(address_space_find(f->space, 0x2000)->inode, 2);
	assert_null(address_space_find(f->space, 0x3000));
	assert_int_equal(address_space_find(f->space, 0x6fff)->inode, 5);
	assert_null(address_space_find(f->space, 0x7000));
	assert_null(address_space_find(f->space, UINT64_MAX));
	assert_int_equal(address_space_count(f->space), 3);
	assert_string_equal(address_space_find(f->space, 0x1000)->path, "/no/such/file1");
}

static void test_address_space__new_mappings_cut_old_ones(void **state)
{
	struct fixture *f = *state;
	add(f->space, 0x10000, 0x20000, 0x3000, 1);
	add(f->space, 0x14000, 0x15000, 0, 2); /* inside */
	assert_string_equal(describe(f->space),
			    "1@10000-14000+3000 2@14000-15000+0 1@15000-20000+8000");
	add(f->space, 0x13000, 0x16000, 0, 3); /* over one and the edges of two */
	assert_string_equal(describe(f->space),
			    "1@10000-13000+3000 3@13000-16000+0 1@16000-20000+9000");
	add(f->space, 0xf000, 0x11000, 0, 4);  /* the front */
	add(f->space, 0x1f000, 0x21000, 0, 5); /* the back */
	assert_string_equal(describe(f->space), "4@f000-11000+0 1@11000-13000+4000 3@13000-16000+0 "
						"1@16000-1f000+9000 5@1f000-21000+0");
	add(f->space, 0x11000, 0x13000, 0, 6); /* exactly in place of another */
	add(f->space, 0x16000, 0x40000, 0, 7); /* over all to the right */
	assert_string_equal(describe(f->space), "4@f000-11000+0 6@11000-13000+0 "
						"3@13000-16000+0 7@16000-40000+0");
	add(f->space, 0, 0x100000, 0, 8);
	assert_string_equal(describe(f->space), "8@0-100000+0");
	assert_int_equal(address_space_count(f->space), 1);
}

/* Every sequence of additions gives what a page table filled in the same order would. */
static void test_address_space__random_additions_equal_a_page_table(void **state)
{
	struct fixture *f = *state;
	enum { PAGES = 64 };
	static uint64_t inode_of[PAGES];
	uint64_t seed = 88172645463325252ULL;
	memset(inode_of, 0, sizeof(inode_of));
	for (uint64_t round = 1; round <= 5000; round++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		const uint64_t first = seed % PAGES, n = 1 + (seed >> 8) % (PAGES - first);
		add(f->space, first * 0x1000, (first + n) * 0x1000, first * 0x1000, round);
		for (uint64_t page = first; page < first + n; page++)
			inode_of[page] = round;
		for (uint64_t page = 0; page < PAGES; page++) {
			const struct mapping *m =
				address_space_find(f->space, page * 0x1000 + 0xfff);
			assert_int_equal(m ? m->inode : 0, inode_of[page]);
			/* each file is mapped at its own offset, so cuts show */
			assert_true(!m || m->file_off == m->avma_start);
		}
	}
}

static void test_address_space__parts_of_a_known_mapping_are_no_news(void **state)
{
	struct fixture *f = *state;
	add(f->space, 0x10000, 0x20000, 0x3000, 1);
	add(f->space, 0x30000, 0x40000, 0, 0);
	address_space_find(f->space, 0x10000)->user_id = 77;
	const uint64_t generation = address_space_generation(f->space);
	add(f->space, 0x10000, 0x20000, 0x3000, 1);
	add(f->space, 0x14000, 0x15000, 0x7000, 1);
	add(f->space, 0x34000, 0x35000, 0x34000, 0); /* perf's offset of anonymous memory */
	assert_int_equal(address_space_count(f->space), 2);
	assert_int_equal(address_space_find(f->space, 0x14800)->user_id, 77);
	assert_int_equal(address_space_generation(f->space), generation);
}

static void test_address_space__generation_tells_of_replacements_only(void **state)
{
	struct fixture *f = *state;
	add(f->space, 0x10000, 0x20000, 0, 1);
	const uint64_t first = address_space_generation(f->space);
	add(f->space, 0x20000, 0x30000, 0, 0); /* where nothing was */
	add(f->space, 0x28000, 0x38000, 0, 0); /* anonymous over anonymous */
	assert_int_equal(address_space_generation(f->space), first);
	add(f->space, 0x14000, 0x15000, 0, 1); /* the same file, shifted */
	const uint64_t second = address_space_generation(f->space);
	assert_true(second != first);
	add(f->space, 0x22000, 0x23000, 0, 9); /* a file over anonymous memory */
	const uint64_t third = address_space_generation(f->space);
	assert_true(third != second);
	address_space_clear(f->space);
	assert_true(address_space_generation(f->space) != third);
	assert_int_equal(address_space_count(f->space), 0);
	assert_null(address_space_find(f->space, 0x10000));
}

static void test_address_space__impossible_ranges_are_ignored(void **state)
{
	struct fixture *f = *state;
	add(f->space, 0x2000, 0x1000, 0, 1);
	add(f->space, 0x1000, 0x1000, 0, 1);
	assert_int_equal(address_space_count(f->space), 0);
}

static void test_address_space__anonymous_memory_keeps_its_addresses(void **state)
{
	struct fixture *f = *state;
	add(f->space, 0x10000, 0x20000, 0x10000, 0);
	const struct mapping *m = address_space_find(f->space, 0x12345);
	assert_int_equal(m->kind, MAPPING_ANON);
	assert_int_equal(m->bias, 0);
	assert_null(m->image);
	assert_true(m->resolved);
}

static void test_address_space__a_file_that_cannot_be_opened(void **state)
{
	struct fixture *f = *state;
	add(f->space, 0x10000, 0x20000, 0x3000, 1);
	const struct mapping *m = address_space_find(f->space, 0x12345);
	assert_int_equal(m->kind, MAPPING_FILE);
	assert_null(m->image);
	assert_null(m->segment);
	assert_int_equal(m->bias, 0xd000); /* file offset = avma - bias */
}

static void test_address_space__a_fork_has_its_own_copy(void **state)
{
	struct fixture *f = *state;
	add(f->space, 0x10000, 0x20000, 0, 1);
	address_space_find(f->space, 0x10000)->user_id = 5;
	struct address_space *child = NULL;
	assert_int_equal(address_space_fork(f->space, 4711, &child), 0);
	add(child, 0x30000, 0x40000, 0, 2);
	add(f->space, 0x10000, 0x11000, 0, 3);
	assert_string_equal(describe(child), "1@10000-20000+0 2@30000-40000+0");
	assert_string_equal(describe(f->space), "3@10000-11000+0 1@11000-20000+1000");
	assert_int_equal(address_space_find(child, 0x10000)->user_id, 5);
	address_space_destroy(child);
}

static int compare_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
	struct fixture *f = ctx;
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		if (phdr->p_type != PT_LOAD || !(phdr->p_flags & PF_X))
			continue;
		const struct mapping *m =
			address_space_find(f->space, info->dlpi_addr + phdr->p_vaddr);
		assert_non_null(m);
		assert_non_null(m->image);
		assert_int_equal(m->bias, info->dlpi_addr);
		assert_int_equal(m->segment->svma, phdr->p_vaddr);
	}
	return 0;
}

static void test_address_space__own_process_as_the_loader_sees_it(void **state)
{
	struct fixture *f = *state;
	struct cp_err err;
	assert_int_equal(address_space_read_proc(f->space, &err), 0);
	assert_int_equal(dl_iterate_phdr(compare_object, f), 0);
	char exe[4096];
	const ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	assert_true(n > 0);
	exe[n] = '\0';
	const struct mapping *m = address_space_find(f->space, (uint64_t)(uintptr_t)setup);
	assert_string_equal(m->path, exe);
	assert_int_equal(m->kind, MAPPING_FILE);
}

static void test_address_space__reading_again_keeps_what_is_known(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(address_space_read_proc(f->space, NULL), 0);
	const uint64_t own = (uint64_t)(uintptr_t)setup;
	address_space_find(f->space, own)->user_id = 42;
	const uint64_t generation = address_space_generation(f->space);
	const size_t n = address_space_count(f->space);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(page != MAP_FAILED);
	assert_int_equal(address_space_read_proc(f->space, NULL), 0);
	assert_int_equal(address_space_find(f->space, own)->user_id, 42);
	assert_true(address_space_find(f->space, own)->resolved);
	assert_int_equal(address_space_count(f->space), n + 1);
	assert_int_equal(address_space_generation(f->space), generation);
	assert_int_equal(address_space_find(f->space, (uint64_t)(uintptr_t)page)->kind,
			 MAPPING_ANON);
	munmap(page, 4096);
	assert_int_equal(address_space_read_proc(f->space, NULL), 0);
	assert_null(address_space_find(f->space, (uint64_t)(uintptr_t)page));
	assert_true(address_space_generation(f->space) != generation);
}

static void test_address_space__a_process_that_is_gone(void **state)
{
	struct fixture *f = *state;
	const pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	struct address_space *space = NULL;
	struct cp_err err = {""};
	assert_int_equal(address_space_create(f->store, pid, &space), 0);
	add(space, 0x1000, 0x2000, 0, 1);
	assert_int_equal(address_space_read_proc(space, &err), -ESRCH);
	assert_non_null(strstr(err.message, "is gone"));
	assert_int_equal(address_space_count(space), 1); /* what was known stays */
	address_space_destroy(space);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_address_space__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finds_by_half_open_ranges),
		TEST(new_mappings_cut_old_ones),
		TEST(random_additions_equal_a_page_table),
		TEST(parts_of_a_known_mapping_are_no_news),
		TEST(generation_tells_of_replacements_only),
		TEST(impossible_ranges_are_ignored),
		TEST(anonymous_memory_keeps_its_addresses),
		TEST(a_file_that_cannot_be_opened),
		TEST(a_fork_has_its_own_copy),
		TEST(own_process_as_the_loader_sees_it),
		TEST(reading_again_keeps_what_is_known),
		TEST(a_process_that_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

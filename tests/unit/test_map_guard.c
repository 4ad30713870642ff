#include "elf/map_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGE_BYTES = 4096, FILE_BYTES = 4 * PAGE_BYTES, TAIL_BYTES = 100 };

/* A mapped file of four pages of 'x'. */
struct mapped {
	int fd;
	volatile uint8_t *bytes;
};

static struct mapped map_file(void)
{
	char page[PAGE_BYTES];
	for (size_t i = 0; i < sizeof(page); i++)
		page[i] = 'x';
	struct mapped file = {.fd = memfd_create("map_guard", MFD_CLOEXEC)};
	assert_true(file.fd >= 0);
	for (size_t i = 0; i < FILE_BYTES / PAGE_BYTES; i++)
		assert_int_equal(write(file.fd, page, sizeof(page)), sizeof(page));
	file.bytes = mmap(NULL, FILE_BYTES, PROT_READ, MAP_PRIVATE, file.fd, 0);
	assert_ptr_not_equal(file.bytes, MAP_FAILED);
	return file;
}

static void unmap(struct mapped *file)
{
	munmap((void *)file->bytes, FILE_BYTES);
	close(file->fd);
}

static void test_map_guard__what_is_gone_reads_as_zeros_and_is_noted(void **state)
{
	(void)state;
	struct mapped file = map_file();
	int guard = map_guard_add((const void *)file.bytes, FILE_BYTES - TAIL_BYTES);
	assert_true(guard >= 0);
	assert_int_equal(file.bytes[FILE_BYTES - 1], 'x');
	assert_false(map_guard_hit(guard));
	assert_int_equal(ftruncate(file.fd, PAGE_BYTES + 1), 0);
	assert_int_equal(file.bytes[0], 'x');
	assert_int_equal(file.bytes[PAGE_BYTES], 'x');
	assert_false(map_guard_hit(guard)); /* a page of the file still */
	for (size_t i = PAGE_BYTES + 1; i < FILE_BYTES; i++)
		assert_int_equal(file.bytes[i], 0);
	assert_true(map_guard_hit(guard));
	map_guard_remove(guard);
	unmap(&file);
}

static void test_map_guard__numbers_are_used_again_without_their_past(void **state)
{
	(void)state;
	struct mapped file = map_file();
	int first = map_guard_add((const void *)file.bytes, FILE_BYTES);
	assert_int_equal(ftruncate(file.fd, 0), 0);
	assert_int_equal(file.bytes[0], 0);
	assert_true(map_guard_hit(first));
	map_guard_remove(first);
	assert_int_equal(map_guard_add((const void *)file.bytes, FILE_BYTES), first);
	assert_false(map_guard_hit(first));
	map_guard_remove(first);
	map_guard_remove(MAP_GUARD_NONE);
	assert_false(map_guard_hit(MAP_GUARD_NONE));
	assert_int_equal(map_guard_add(NULL, 0), MAP_GUARD_NONE);
	unmap(&file);
}

static void test_map_guard__while_opening_the_address_need_not_be_known(void **state)
{
	(void)state;
	struct mapped file = map_file();
	map_guard_open_begin();
	assert_false(map_guard_open_end());
	assert_int_equal(ftruncate(file.fd, 0), 0);
	map_guard_open_begin();
	assert_int_equal(file.bytes[2 * PAGE_BYTES], 0);
	assert_true(map_guard_open_end());
	unmap(&file);
}

/* In a child, without a core: how it ended. */
static int end_of(void (*run)(void))
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = {0};
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGBUS, SIG_DFL); /* a sanitizer's is not the one to come back to */
		run();
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void look_outside(void)
{
	struct mapped guarded = map_file(), other = map_file();
	map_guard_add((const void *)guarded.bytes, FILE_BYTES);
	if (ftruncate(other.fd, 0) == 0)
		_exit(other.bytes[0]);
}

static void be_sent_one(void)
{
	struct mapped guarded = map_file();
	map_guard_add((const void *)guarded.bytes, FILE_BYTES);
	raise(SIGBUS);
}

static void test_map_guard__other_signals_have_the_effect_they_had(void **state)
{
	(void)state;
	int status = end_of(look_outside);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	status = end_of(be_sent_one);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_guard__other_signals_have_the_effect_they_had),
		cmocka_unit_test(test_map_guard__what_is_gone_reads_as_zeros_and_is_noted),
		cmocka_unit_test(test_map_guard__numbers_are_used_again_without_their_past),
		cmocka_unit_test(test_map_guard__while_opening_the_address_need_not_be_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

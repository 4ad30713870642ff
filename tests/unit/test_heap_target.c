#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/heap_builder.h"
#include "../support/temp_dir.h"
#include "heap/heap_move.h"
#include "heap/heap_program.h"
#include "heap/heap_target.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static uint64_t own_start_ticks(void)
{
	char text[1024];
	FILE *file = fopen("/proc/self/stat", "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	char *at = strrchr(text, ')');
	for (int field = 2; field < 22; field++)
		at = strchr(at + 1, ' ');
	return strtoull(at, NULL, 10);
}

/* A file of this very process. */
static struct heap_build own_file(const char *path)
{
	struct heap_build build = build_heap(0);
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	build.header->state = HEAP_STATE_ACTIVE;
	build.header->end_monotonic_ns = 0;
	build.header->pid = (uint32_t)getpid();
	build.header->start_boot_ticks = own_start_ticks();
	build.header->start_monotonic_ns = (uint64_t)now.tv_sec * 1000000000 - 60000000000;
	const ssize_t n = readlink("/proc/self/exe", build.header->exe, HEAP_PATH_BYTES - 1);
	assert_true(n > 0);
	build.header->exe[n] = '\0';
	temp_dir_write(path, build.bytes, build.n);
	return build;
}

static struct heap_target look(const char *path)
{
	struct heap_file file;
	struct heap_header header;
	struct heap_target target;
	assert_int_equal(heap_file_open(path, &file, NULL), 0);
	assert_int_equal(heap_file_peek(&file, &header, &target, NULL), 0);
	heap_file_close(&file);
	return target;
}

static void test_heap_target__who_maps_it_is_running(void **state)
{
	const char *path = temp_dir_file(*state, "x.cprof-heap");
	struct heap_build build = own_file(path);
	assert_int_equal(look(path).state, HEAP_TARGET_COPY);
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	void *mapped = mmap(NULL, build.n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(mapped, MAP_FAILED);
	close(fd);
	struct heap_target target = look(path);
	assert_int_equal(target.state, HEAP_TARGET_RUNNING);
	assert_int_equal(target.pid, getpid());
	assert_in_range(target.now_ns, 59000000000, 200000000000);
	assert_false(target.now_is_guess);

	/* found again by the pid, also when its name is gone */
	struct heap_file file;
	assert_int_equal(heap_file_find(getpid(), &file, NULL), 0);
	assert_string_equal(file.path, path);
	heap_file_close(&file);
	assert_int_equal(unlink(path), 0);
	struct heap_snapshot *snapshot;
	assert_int_equal(heap_file_find(getpid(), &file, NULL), 0);
	assert_int_equal(heap_file_read(&file, &snapshot, &target, NULL), 0);
	assert_int_equal(target.state, HEAP_TARGET_RUNNING);
	heap_snapshot_destroy(snapshot);
	heap_file_close(&file);
	munmap(mapped, build.n);
	struct cp_err err;
	assert_int_equal(heap_file_find(getpid(), &file, &err), -ENOENT);
	assert_non_null(strstr(err.message, "not recorded"));
	build_heap_free(&build);
}

static void test_heap_target__a_forked_child_is_not_its_parent(void **state)
{
	const char *path = temp_dir_file(*state, "x.cprof-heap");
	struct heap_build build = own_file(path);
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	void *mapped = mmap(NULL, build.n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(mapped, MAP_FAILED);
	close(fd);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		pause();
		_exit(0);
	}
	struct heap_file file;
	struct cp_err err;
	const int rc = heap_file_find(child, &file, &err);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(rc, -ENOENT);
	char wanted[64];
	snprintf(wanted, sizeof(wanted), "%ld was forked by %ld and", (long)child, (long)getpid());
	assert_non_null(strstr(err.message, wanted));
	assert_int_equal(heap_file_find(getpid(), &file, NULL), 0);
	heap_file_close(&file);
	munmap(mapped, build.n);
	build_heap_free(&build);
}

static void test_heap_target__states_of_the_dead(void **state)
{
	const char *path = temp_dir_file(*state, "x.cprof-heap");
	struct heap_build build = own_file(path);
	build.header->start_boot_ticks++; /* another process had our pid */
	build_heap_site(&build, 0);
	build_heap_alloc(&build, 1, 8, 700, 1);
	temp_dir_write(path, build.bytes, build.n);
	struct heap_file file;
	struct heap_snapshot *snapshot;
	struct heap_target target;
	assert_int_equal(heap_file_open(path, &file, NULL), 0);
	assert_int_equal(heap_file_read(&file, &snapshot, &target, NULL), 0);
	assert_int_equal(target.state, HEAP_TARGET_KILLED);
	assert_int_equal(target.now_ns, 7000000000);
	assert_true(target.now_is_guess);
	heap_snapshot_destroy(snapshot);
	heap_file_close(&file);

	build.header->state = HEAP_STATE_EXITED;
	build.header->end_monotonic_ns = build.header->start_monotonic_ns + 9000000000;
	temp_dir_write(path, build.bytes, build.n);
	target = look(path);
	assert_int_equal(target.state, HEAP_TARGET_EXITED);
	assert_int_equal(target.now_ns, 9000000000);

	build.header->state = HEAP_STATE_ACTIVE;
	build.header->end_monotonic_ns = 0;
	build.header->start_boot_ticks--;
	strcpy(build.header->exe, "/usr/bin/another");
	temp_dir_write(path, build.bytes, build.n);
	assert_int_equal(look(path).state, HEAP_TARGET_REPLACED);
	build_heap_free(&build);
}

static struct heap_snapshot *read_file(const char *path)
{
	struct heap_snapshot *snapshot;
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(heap_snapshot_read_fd(fd, path, false, &snapshot, NULL), 0);
	close(fd);
	return snapshot;
}

static int by_address(const void *left, const void *right)
{
	const struct heap_live *a = left, *b = right;
	return a->address < b->address ? -1 : a->address > b->address;
}

/* All but where things lie, how many sets of counters there are, and the room for blocks. */
static void assert_same(struct heap_snapshot *a, struct heap_snapshot *b)
{
	const struct heap_header *was = &a->header, *is = &b->header;
	assert_int_equal(is->limit_blocks, was->max_blocks);
	assert_int_equal(is->n_nodes, was->n_nodes);
	assert_int_equal(is->n_sites, was->n_sites);
	assert_int_equal(is->max_sites, was->max_sites);
	assert_int_equal(is->peak_bytes, was->peak_bytes);
	assert_int_equal(is->end_monotonic_ns, was->end_monotonic_ns);
	assert_memory_equal(is->losses, was->losses, sizeof(is->losses));
	assert_memory_equal(is->command, was->command, sizeof(is->command));
	assert_memory_equal(b->modules, a->modules, is->n_modules * sizeof(*a->modules));
	assert_memory_equal(b->nodes, a->nodes, is->n_nodes * sizeof(*a->nodes));
	assert_memory_equal(b->sites, a->sites, is->n_sites * sizeof(*a->sites));
	assert_int_equal(b->n_blocks, a->n_blocks);
	qsort(a->blocks, a->n_blocks, sizeof(*a->blocks), by_address);
	qsort(b->blocks, b->n_blocks, sizeof(*b->blocks), by_address);
	for (size_t i = 0; i < a->n_blocks; i++) {
		assert_int_equal(b->blocks[i].address, a->blocks[i].address);
		assert_int_equal(b->blocks[i].size_bytes, a->blocks[i].size_bytes);
		assert_int_equal(b->blocks[i].born_ticks, a->blocks[i].born_ticks);
		assert_int_equal(b->blocks[i].site, a->blocks[i].site);
		assert_int_equal(b->blocks[i].tid, a->blocks[i].tid);
	}
	assert_int_equal(b->reallocs, a->reallocs);
	assert_memory_equal(b->size_allocs, a->size_allocs, sizeof(a->size_allocs));
	assert_memory_equal(b->size_bytes, a->size_bytes, sizeof(a->size_bytes));
}

static struct heap_build build_full(uint64_t sample_bytes)
{
	struct heap_build build = build_heap(sample_bytes);
	const uint16_t exe = build_heap_module(&build, "/usr/bin/built", 0x400000);
	for (uint32_t i = 1; i <= 5; i++) {
		build_heap_site(&build, build_heap_node(&build, i - 1, 0x401000 + i, exe, 0));
		for (uint32_t n = 0; n < 9 * i; n++)
			build_heap_block(&build, i, 10 * i + n, n, 70 + i);
		for (uint32_t replica = 0; replica < 2; replica++)
			*build_heap_counter(&build, replica, i) = (struct heap_counter){
				.allocs = 1000 + i,
				.alloc_bytes = 77 * i,
				.frees = 500,
				.free_bytes = 33 * i,
				.peak_blocks = 600,
				.peak_bytes = 60 * i,
				.epoch = replica,
				.temporary = 3,
			};
	}
	build_heap_replica(&build, 1)->reallocs = 8;
	build_heap_replica(&build, 1)->size_allocs[5] = 2570;
	build_heap_replica(&build, 1)->size_bytes[5] = 99;
	build.header->peak_bytes = 4711;
	build.header->losses[HEAP_LOSS_MISSED_FREE] = 2;
	return build;
}

/* Of the same kind and size as before, but as long as it is big. */
static void test_heap_target__moving_packs_and_keeps_all(void **state)
{
	struct temp_dir *dir = *state;
	for (uint64_t sample_bytes = 0; sample_bytes <= 4096; sample_bytes += 4096) {
		char from[PATH_MAX], to[PATH_MAX];
		struct stat before, after;
		struct heap_build build = build_full(sample_bytes);
		snprintf(from, sizeof(from), "%s", temp_dir_file(dir, "live"));
		snprintf(to, sizeof(to), "%s", temp_dir_file(dir, "moved"));
		temp_dir_write(from, build.bytes, build.n);
		assert_int_equal(truncate(from, 1 << 30), 0);
		assert_int_equal(stat(from, &before), 0);
		struct heap_snapshot *was = read_file(from);
		assert_int_equal(heap_move(from, to, NULL), 0);
		assert_int_equal(access(from, F_OK), -1);
		struct heap_snapshot *is = read_file(to);
		assert_same(was, is);
		assert_int_equal(stat(to, &after), 0);
		assert_int_equal(after.st_size, is->header.file_bytes);
		assert_true(after.st_size < 10 * 4096);
		assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
		heap_snapshot_destroy(was);
		heap_snapshot_destroy(is);
		build_heap_free(&build);
	}
	struct cp_err err;
	char nowhere[PATH_MAX];
	snprintf(nowhere, sizeof(nowhere), "%s", temp_dir_file(dir, "nowhere"));
	assert_int_equal(heap_move(nowhere, temp_dir_file(dir, "to"), &err), -ENOENT);
}

/* What cannot be packed is at least there. */
static void test_heap_target__moving_what_is_damaged_renames(void **state)
{
	struct temp_dir *dir = *state;
	char from[PATH_MAX], to[PATH_MAX];
	snprintf(from, sizeof(from), "%s", temp_dir_file(dir, "damaged"));
	snprintf(to, sizeof(to), "%s", temp_dir_file(dir, "moved"));
	temp_dir_write(from, "no heap file", 12);
	assert_int_equal(heap_move(from, to, NULL), 0);
	assert_int_equal(access(from, F_OK), -1);
	assert_int_equal(access(to, F_OK), 0);
	assert_int_equal(temp_dir_each(dir, NULL), 1);
}

static void test_heap_target__programs_that_cannot_be_recorded(void **state)
{
	struct temp_dir *dir = *state;
	struct heap_program program;
	char reason[PATH_MAX + 512];
	const char *path = temp_dir_file(dir, "script");
	temp_dir_write(path, "#! /usr/bin/env sh\n", 19);
	assert_int_equal(chmod(path, 0755), 0);
	heap_program_check(path, &program);
	assert_int_equal(program.state, HEAP_PROGRAM_FINE);
	assert_non_null(strstr(program.path, "/sh"));
	assert_string_equal(heap_program_reason(&program, reason, sizeof(reason)), "");
	path = temp_dir_file(dir, "nonsense");
	temp_dir_write(path, "MZ is no ELF file", 17);
	assert_int_equal(chmod(path, 0755), 0);
	heap_program_check(path, &program);
	assert_int_equal(program.state, HEAP_PROGRAM_FOREIGN);
	assert_non_null(strstr(heap_program_reason(&program, reason, sizeof(reason)), "64-bit"));
	heap_program_check("/nonexistent/program", &program);
	assert_int_equal(program.state, HEAP_PROGRAM_UNKNOWN);
	heap_program_check("sh", &program);
	assert_int_equal(program.state, HEAP_PROGRAM_FINE);
}

int main(void)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, temp_dir_teardown)
	const struct CMUnitTest tests[] = {
		IN_DIR(test_heap_target__who_maps_it_is_running),
		IN_DIR(test_heap_target__a_forked_child_is_not_its_parent),
		IN_DIR(test_heap_target__states_of_the_dead),
		IN_DIR(test_heap_target__moving_packs_and_keeps_all),
		IN_DIR(test_heap_target__moving_what_is_damaged_renames),
		IN_DIR(test_heap_target__programs_that_cannot_be_recorded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

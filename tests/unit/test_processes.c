#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/processes.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Numbers no process of this machine has: above the largest possible pid. */
enum { PID = 10000000, OTHER = 20000000 };

static int setup(void **state)
{
	struct processes *processes;
	if (processes_create(&processes) < 0)
		return -1;
	*state = processes;
	return 0;
}

static int teardown(void **state)
{
	processes_destroy(*state);
	return 0;
}

static struct process *make(struct processes *processes, pid_t pid, const char *name)
{
	assert_int_equal(processes_comm(processes, pid, pid, name), 0);
	return processes_find(processes, pid);
}

static void map(struct process *process, uint64_t avma, const char *path)
{
	const struct mapping_file file = {.path = path, .inode = 1};
	assert_int_equal(address_space_add(process->space, avma, avma + 0x1000, 0, &file), 0);
}

static void test_processes__thread_has_its_creators_name_until_it_gets_one(void **state)
{
	struct processes *processes = *state;
	make(processes, PID, "server");
	assert_int_equal(processes_fork(processes, PID, PID, PID, PID + 1), 0);
	const struct thread *thread = processes_find_thread(processes, PID + 1);
	assert_string_equal(thread->name, "server");
	assert_int_equal(processes_comm(processes, PID, PID + 1, "io"), 0);
	assert_string_equal(thread->name, "io");
	assert_string_equal(thread->process->comm, "server");
	assert_int_equal(thread->process->n_live, 2);
}

static void test_processes__name_of_the_first_thread_is_the_process_name(void **state)
{
	struct processes *processes = *state;
	struct process *process = make(processes, PID, "old");
	uint32_t version = process->comm_version;
	assert_int_equal(processes_comm(processes, PID, PID, "new"), 0);
	assert_string_equal(process->comm, "new");
	assert_true(process->comm_version != version);
}

static void test_processes__long_names_are_cut_as_the_kernel_does(void **state)
{
	struct processes *processes = *state;
	const struct process *process = make(processes, PID, "0123456789abcdefghij");
	assert_string_equal(process->comm, "0123456789abcde");
}

static void test_processes__child_has_a_copy_of_the_mappings(void **state)
{
	struct processes *processes = *state;
	struct process *parent = make(processes, PID, "parent");
	map(parent, 0x1000, "/a");
	assert_int_equal(processes_fork(processes, PID, PID, OTHER, OTHER), 0);
	struct process *child = processes_find(processes, OTHER);
	assert_string_equal(child->comm, "parent");
	assert_int_equal(address_space_count(child->space), 1);
	map(parent, 0x5000, "/parent-only");
	map(child, 0x9000, "/child-only");
	assert_null(address_space_find(child->space, 0x5000));
	assert_null(address_space_find(parent->space, 0x9000));
	assert_string_equal(address_space_find(child->space, 0x1000)->path, "/a");
	assert_string_equal(address_space_find(child->space, 0x9000)->path, "/child-only");
}

static void test_processes__child_of_a_thread_has_that_threads_name(void **state)
{
	struct processes *processes = *state;
	make(processes, PID, "server");
	processes_fork(processes, PID, PID, PID, PID + 1);
	processes_comm(processes, PID, PID + 1, "spawner");
	processes_fork(processes, PID, PID + 1, OTHER, OTHER);
	assert_string_equal(processes_find(processes, OTHER)->comm, "spawner");
}

static void test_processes__exec_forgets_mappings_and_other_threads(void **state)
{
	struct processes *processes = *state;
	struct process *process = make(processes, PID, "old");
	map(process, 0x1000, "/old");
	processes_fork(processes, PID, PID, PID, PID + 1);
	process->maps_read_ns = 77;
	assert_int_equal(processes_exec(processes, PID, "new", 33), 0);
	assert_string_equal(process->comm, "new");
	assert_int_equal(address_space_count(process->space), 0);
	assert_int_equal(process->maps_read_ns, 0);
	assert_int_equal(process->n_live, 1);
	map(process, 0x1000, "/new");
	processes_sweep(processes, false);
	assert_null(processes_find_thread(processes, PID + 1));
	/* whoever called exec is the first thread now, and brought its events along */
	assert_int_equal(processes_find_thread(processes, PID)->source, 33);
	assert_string_equal(address_space_find(process->space, 0x1000)->path, "/new");
}

static void test_processes__exited_ones_stay_until_the_sweep(void **state)
{
	struct processes *processes = *state;
	make(processes, PID, "p");
	processes_fork(processes, PID, PID, PID, PID + 1);
	processes_exit(processes, PID);
	processes_exit(processes, PID); /* told twice */
	assert_int_equal(processes_find(processes, PID)->n_live, 1);
	processes_sweep(processes, false);
	assert_non_null(processes_find(processes, PID)); /* its second thread runs */
	assert_null(processes_find_thread(processes, PID));
	processes_exit(processes, PID + 1);
	assert_non_null(processes_find(processes, PID));
	assert_non_null(processes_find_thread(processes, PID + 1));
	processes_sweep(processes, false);
	assert_null(processes_find(processes, PID));
	assert_null(processes_find_thread(processes, PID + 1));
	assert_int_equal(processes->n_processes, 0);
	processes_exit(processes, PID + 1); /* unknown */
}

static void test_processes__number_used_again_is_another_process(void **state)
{
	struct processes *processes = *state;
	struct process *parent = make(processes, PID, "parent");
	map(parent, 0x1000, "/parent");
	struct process *process = make(processes, OTHER, "first");
	map(process, 0x2000, "/first");
	processes_fork(processes, OTHER, OTHER, OTHER, OTHER + 1);
	/* its exit was lost */
	assert_int_equal(processes_fork(processes, PID, PID, OTHER, OTHER), 0);
	process = processes_find(processes, OTHER);
	assert_string_equal(process->comm, "parent");
	assert_null(address_space_find(process->space, 0x2000));
	assert_non_null(address_space_find(process->space, 0x1000));
	assert_int_equal(process->n_live, 1);
	assert_true(processes_find_thread(processes, OTHER + 1)->exited);
}

static void test_processes__thread_number_used_again_is_another_thread(void **state)
{
	struct processes *processes = *state;
	make(processes, PID, "a");
	struct process *b = make(processes, OTHER, "b");
	processes_fork(processes, PID, PID, PID, PID + 1);
	processes_find_thread(processes, PID + 1)->source = 5;
	processes_fork(processes, OTHER, OTHER, OTHER, PID + 1);
	const struct thread *thread = processes_find_thread(processes, PID + 1);
	assert_ptr_equal(thread->process, b);
	assert_int_equal(thread->source, PERF_OWNER_NONE);
	assert_int_equal(processes_find(processes, PID)->n_live, 1);
	assert_int_equal(b->n_live, 2);
}

static void test_processes__thread_found_in_proc_and_then_told_is_one(void **state)
{
	struct processes *processes = *state;
	struct process *process = make(processes, PID, "a");
	processes_add_thread(processes, process, PID + 1, "worker");
	assert_int_equal(processes_fork(processes, PID, PID, PID, PID + 1), 0);
	assert_int_equal(process->n_live, 2);
	assert_string_equal(processes_find_thread(processes, PID + 1)->name, "worker");
}

static void test_processes__many_threads_come_and_go(void **state)
{
	enum { N = 20000 };
	struct processes *processes = *state;
	struct process *process = make(processes, PID, "a");
	for (pid_t i = 1; i <= N; i++)
		assert_int_equal(processes_fork(processes, PID, PID, PID, PID + i), 0);
	assert_int_equal(process->n_live, N + 1);
	for (pid_t i = 1; i <= N; i++)
		processes_exit(processes, PID + i);
	processes_sweep(processes, false);
	assert_int_equal(process->n_live, 1);
	assert_ptr_equal(process->threads, processes_find_thread(processes, PID));
	assert_null(process->threads->sibling);
}

static void test_processes__scan_takes_names_and_mappings_from_proc(void **state)
{
	struct processes *processes = *state;
	char comm[PROCFS_COMM_MAX];
	assert_true(procfs_comm(getpid(), getpid(), comm));
	assert_int_equal(processes_scan(processes, getpid(), NULL), 0);
	struct process *process = processes_find(processes, getpid());
	assert_string_equal(process->comm, comm);
	assert_true(process->maps_read_ns > 0);
	const struct mapping *mapping = address_space_find(
		process->space, (uint64_t)(uintptr_t)&test_processes__many_threads_come_and_go);
	assert_non_null(mapping);
	assert_non_null(strstr(mapping->path, "test_processes"));
}

static pid_t make_zombie(void)
{
	siginfo_t info;
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_true(pid > 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	return pid;
}

static void test_processes__maps_of_an_ended_process_are_not_taken(void **state)
{
	struct processes *processes = *state;
	pid_t pid = make_zombie();
	struct process *process = make(processes, pid, "zombie");
	map(process, 0x1000, "/kept");
	assert_false(processes_read_maps(processes, process));
	assert_non_null(address_space_find(process->space, 0x1000));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_processes__sweep_finds_those_whose_exit_was_lost(void **state)
{
	struct processes *processes = *state;
	pid_t zombie = make_zombie();
	make(processes, getpid(), "alive");
	make(processes, zombie, "zombie");
	make(processes, PID, "gone");
	processes_sweep(processes, false);
	assert_int_equal(processes->n_processes, 3);
	processes_sweep(processes, true);
	assert_int_equal(processes->n_processes, 1);
	assert_non_null(processes_find(processes, getpid()));
	assert_int_equal(waitpid(zombie, NULL, 0), zombie);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_processes__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(thread_has_its_creators_name_until_it_gets_one),
		TEST(name_of_the_first_thread_is_the_process_name),
		TEST(long_names_are_cut_as_the_kernel_does),
		TEST(child_has_a_copy_of_the_mappings),
		TEST(child_of_a_thread_has_that_threads_name),
		TEST(exec_forgets_mappings_and_other_threads),
		TEST(exited_ones_stay_until_the_sweep),
		TEST(number_used_again_is_another_process),
		TEST(thread_number_used_again_is_another_thread),
		TEST(thread_found_in_proc_and_then_told_is_one),
		TEST(many_threads_come_and_go),
		TEST(scan_takes_names_and_mappings_from_proc),
		TEST(maps_of_an_ended_process_are_not_taken),
		TEST(sweep_finds_those_whose_exit_was_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/processes.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
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

/* What has exited by now is freed by the second sweep from here. */
static void sweep_away(struct processes *processes)
{
	processes_sweep(processes, false);
	processes_sweep(processes, false);
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
	sweep_away(processes);
	assert_null(processes_find_thread(processes, PID + 1));
	/* whoever called exec is the first thread now, and brought its events along */
	assert_int_equal(processes_find_thread(processes, PID)->source, 33);
	assert_string_equal(address_space_find(process->space, 0x1000)->path, "/new");
}

static void test_processes__exited_ones_stay_until_the_second_sweep(void **state)
{
	struct processes *processes = *state;
	make(processes, PID, "p");
	processes_fork(processes, PID, PID, PID, PID + 1);
	processes_exit(processes, PID, 1);
	processes_exit(processes, PID, 1); /* told twice */
	assert_int_equal(processes_find(processes, PID)->n_live, 1);
	processes_sweep(processes, false);
	assert_non_null(processes_find_thread(processes, PID));
	processes_sweep(processes, false);
	assert_non_null(processes_find(processes, PID)); /* its second thread runs */
	assert_null(processes_find_thread(processes, PID));
	processes_exit(processes, PID + 1, 1);
	assert_non_null(processes_find(processes, PID));
	assert_non_null(processes_find_thread(processes, PID + 1));
	sweep_away(processes);
	assert_null(processes_find(processes, PID));
	assert_null(processes_find_thread(processes, PID + 1));
	assert_int_equal(processes->n_processes, 0);
	processes_exit(processes, PID + 1, 1); /* unknown */
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

static void test_processes__number_used_again_keeps_nothing_of_the_first(void **state)
{
	struct processes *processes = *state;
	struct process *process = make(processes, OTHER, "first");
	process->is_target = process->held = process->in_exec = process->has_samples = true;
	process->maps_doubtful = true;
	process->maps_read_ns = process->maps_retry_ns = 7;
	process->jit_module = 3;
	uint32_t version = process->comm_version;
	make(processes, PID, "parent");
	processes_exit(processes, OTHER, 1);
	assert_int_equal(processes_fork(processes, PID, PID, OTHER, OTHER), 0);
	assert_ptr_equal(processes_find(processes, OTHER), process);
	assert_false(process->is_target || process->held || process->in_exec ||
		     process->has_samples || process->maps_doubtful);
	assert_int_equal(process->maps_read_ns, 0);
	assert_int_equal(process->maps_retry_ns, 0);
	assert_int_equal(process->jit_module, 0);
	assert_true(process->comm_version != version);
	assert_int_equal(process->n_live, 1);
	sweep_away(processes);
	assert_ptr_equal(processes_find(processes, OTHER), process);
}

static void test_processes__number_used_again_by_a_child_of_nobody_has_no_mappings(void **state)
{
	struct processes *processes = *state;
	map(make(processes, OTHER, "first"), 0x1000, "/first");
	assert_int_equal(processes_fork(processes, PID, PID, OTHER, OTHER), 0);
	const struct process *process = processes_find(processes, OTHER);
	assert_int_equal(address_space_count(process->space), 0);
	assert_true(process->maps_doubtful);
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
		processes_exit(processes, PID + i, 1);
	sweep_away(processes);
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
	sweep_away(processes);
	assert_int_equal(processes->n_processes, 3);
	processes_sweep(processes, true);
	processes_sweep(processes, false);
	assert_int_equal(processes->n_processes, 1);
	assert_non_null(processes_find(processes, getpid()));
	assert_int_equal(waitpid(zombie, NULL, 0), zombie);
}

static void test_processes__sweep_asks_for_those_that_were_not_announced(void **state)
{
	struct processes *processes = *state;
	pid_t zombie = make_zombie();
	/* a last sample after its EXIT, which had been swept: it is met again, and there is no
	 * second EXIT */
	assert_non_null(processes_meet(processes, zombie));
	assert_non_null(processes_find_thread(processes, zombie));
	assert_string_equal(processes_find(processes, zombie)->comm, "test_processes");
	assert_int_equal(waitpid(zombie, NULL, 0), zombie);
	assert_non_null(processes_meet(processes, getpid()));
	sweep_away(processes);
	assert_null(processes_find(processes, zombie));
	assert_null(processes_find_thread(processes, zombie));
	assert_non_null(processes_find(processes, getpid()));
}

static void test_processes__met_one_that_is_gone_has_no_name_and_goes(void **state)
{
	struct processes *processes = *state;
	const struct process *process = processes_meet(processes, PID);
	assert_non_null(process);
	assert_string_equal(process->comm, "");
	processes_sweep(processes, false);
	assert_int_equal(processes->n_processes, 0);
}

static pid_t make_sleeper(void)
{
	pid_t pid = fork();
	struct procfs_stat stat = {.state = 'R'};
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "sleeper");
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	while (stat.state != 'S')
		assert_int_equal(procfs_stat(pid, &stat), 0);
	return pid;
}

static void test_processes__number_that_another_process_has_now_is_dropped(void **state)
{
	struct processes *processes = *state;
	pid_t sleeper = make_sleeper();
	struct procfs_stat stat;
	assert_int_equal(procfs_stat(sleeper, &stat), 0);
	struct process *old = make(processes, sleeper, "old");
	assert_int_equal(processes_comm(processes, sleeper, PID, "its thread"), 0);
	old->born_ns = stat.started_ns + 5000000; /* the tick is 10 ms */
	processes_sweep(processes, true);
	assert_non_null(processes_find(processes, sleeper));
	/* as if its EXIT and the FORK of the next one with the number had been lost */
	old->born_ns = stat.started_ns - 1000000000;
	processes_sweep(processes, false);
	assert_non_null(processes_find(processes, sleeper));
	processes_sweep(processes, true);
	assert_null(processes_find(processes, sleeper));
	assert_null(processes_find_thread(processes, sleeper));
	assert_null(processes_find_thread(processes, PID));
	assert_int_equal(processes->n_processes, 0);
	kill(sleeper, SIGKILL);
	assert_int_equal(waitpid(sleeper, NULL, 0), sleeper);
}

static void test_processes__children_whose_fork_was_lost_are_found(void **state)
{
	struct processes *processes = *state;
	pid_t zombie = make_zombie(), sleeper = make_sleeper();
	struct procfs_stat stat;
	assert_int_equal(procfs_stat(sleeper, &stat), 0);
	processes_find_children(processes, 0);
	assert_int_equal(processes->n_processes, 0);
	struct process *parent = make(processes, getpid(), "parent");
	parent->held = true;
	processes_find_children(processes, 0);
	assert_int_equal(processes->n_processes, 1);
	parent->held = false;
	processes_find_children(processes, stat.started_ns + 1000000000); /* born before */
	assert_int_equal(processes->n_processes, 1);
	processes_find_children(processes, stat.started_ns - 1000000000);
	assert_int_equal(processes->n_processes, 2);
	const struct process *child = processes_find(processes, sleeper);
	assert_non_null(child);
	assert_string_equal(child->comm, "sleeper");
	assert_true(child->maps_doubtful);
	assert_non_null(processes_find_thread(processes, sleeper));
	kill(sleeper, SIGKILL);
	assert_int_equal(waitpid(sleeper, NULL, 0), sleeper);
	assert_int_equal(waitpid(zombie, NULL, 0), zombie);
}

static void test_processes__scan_of_all_reads_mappings_of_those_that_run(void **state)
{
	struct processes *processes = *state;
	pid_t sleeper = make_sleeper();
	struct cp_err err = {""};
	assert_int_equal(processes_scan_all(processes, &err), 0);
	const struct process *self = processes_find(processes, getpid());
	assert_non_null(self);
	assert_string_equal(self->comm, "test_processes");
	assert_true(address_space_count(self->space) > 0);
	const struct process *asleep = processes_find(processes, sleeper);
	assert_non_null(asleep);
	assert_string_equal(asleep->comm, "sleeper");
	assert_int_equal(asleep->n_live, 1);
	assert_int_equal(address_space_count(asleep->space), 0);
	assert_true(asleep->maps_doubtful);
	/* pid 1 is there in any case, and its threads are announced: no sweep asks for them */
	assert_non_null(processes_find(processes, 1));
	assert_true(processes_find_thread(processes, 1)->announced);
	assert_int_equal(kill(sleeper, SIGKILL), 0);
	assert_int_equal(waitpid(sleeper, NULL, 0), sleeper);
}

static void test_processes__birth_reads_the_mappings_of_the_parent(void **state)
{
	struct processes *processes = *state;
	pid_t sleeper = make_sleeper();
	struct process *parent = processes_meet(processes, sleeper);
	assert_non_null(parent);
	assert_int_equal(address_space_count(parent->space), 0);
	assert_int_equal(processes_fork(processes, sleeper, sleeper, PID, PID), 0);
	const struct process *child = processes_find(processes, PID);
	assert_true(address_space_count(parent->space) > 0);
	assert_int_equal(address_space_count(child->space), address_space_count(parent->space));
	assert_false(child->maps_doubtful);
	assert_int_equal(kill(sleeper, SIGKILL), 0);
	assert_int_equal(waitpid(sleeper, NULL, 0), sleeper);
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
		TEST(exited_ones_stay_until_the_second_sweep),
		TEST(number_used_again_is_another_process),
		TEST(thread_number_used_again_is_another_thread),
		TEST(thread_found_in_proc_and_then_told_is_one),
		TEST(many_threads_come_and_go),
		TEST(scan_takes_names_and_mappings_from_proc),
		TEST(maps_of_an_ended_process_are_not_taken),
		TEST(sweep_finds_those_whose_exit_was_lost),
		TEST(number_used_again_keeps_nothing_of_the_first),
		TEST(number_used_again_by_a_child_of_nobody_has_no_mappings),
		TEST(sweep_asks_for_those_that_were_not_announced),
		TEST(number_that_another_process_has_now_is_dropped),
		TEST(children_whose_fork_was_lost_are_found),
		TEST(met_one_that_is_gone_has_no_name_and_goes),
		TEST(scan_of_all_reads_mappings_of_those_that_run),
		TEST(birth_reads_the_mappings_of_the_parent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/perf_records.h"
#include "capture/dispatch.h"

#include <malloc.h>
#include <stdlib.h>

/* Numbers no process of this machine has. */
enum { PID = 10000000, CHILD = 20000000 };

/* Ids of the events that were opened for the threads 1 and 2 of the process. */
enum { ID_OF_FIRST = 71, ID_OF_SECOND = 72 };

static const uint64_t CHAIN[] = {(uint64_t)PERF_CONTEXT_KERNEL, 0xffffffff81000100,
				 0xffffffff81000205, (uint64_t)PERF_CONTEXT_USER, 0x400000};

struct fixture {
	struct perf_events events;
	struct processes *processes;
	struct profile *profile;
	struct sample_sink sink;
	struct dispatch dispatch;
	struct record_bytes bytes;
};

static void add_event(struct perf_events *events, uint64_t id, perf_owner owner)
{
	events->handles[events->n_handles] =
		(struct perf_event_handle){.fd = -1, .owner = owner, .id = id};
	cp_index_add(&events->by_id, cp_hash_mix(id, 0), (uint32_t)events->n_handles++);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	if (!f)
		return -1;
	*state = f;
	f->events.handles = calloc(4, sizeof(*f->events.handles));
	if (!f->events.handles || processes_create(&f->processes) < 0 ||
	    profile_create(&f->profile) < 0)
		return -1;
	add_event(&f->events, ID_OF_FIRST, PID);
	add_event(&f->events, ID_OF_SECOND, PID + 1);
	profile_add_value_type(f->profile, "samples", "count");
	profile_add_value_type(f->profile, "cpu", "nanoseconds");
	f->sink = (struct sample_sink){
		.profile = f->profile,
		.processes = f->processes,
		.start_ns = 1000,
		.quantum_ns = 10000000,
		.kernel_frames = true,
		.n_regs = RECORD_REGS,
	};
	f->dispatch = (struct dispatch){
		.events = &f->events,
		.processes = f->processes,
		.sink = &f->sink,
		.layout = {.n_regs = RECORD_REGS},
	};
	return sample_sink_init(&f->sink);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	perf_events_close(&f->events);
	sample_sink_deinit(&f->sink);
	profile_destroy(f->profile);
	processes_destroy(f->processes);
	free(f);
	return 0;
}

static struct record_origin origin(uint32_t pid, uint32_t tid, uint64_t id, uint64_t time_ns)
{
	return (struct record_origin){.pid = pid, .tid = tid, .id = id, .time_ns = time_ns};
}

static void name(struct fixture *f, uint32_t pid, uint32_t tid, const char *comm)
{
	dispatch_record(&f->dispatch,
			record_comm(&f->bytes, 0, origin(pid, tid, ID_OF_FIRST, 0), comm));
}

/* A sample in the kernel, without user part. */
static void sample(struct fixture *f, struct record_origin from)
{
	dispatch_record(&f->dispatch, record_sample(&f->bytes, PERF_RECORD_MISC_KERNEL, from,
						    CHAIN[1], CHAIN, 5, PERF_SAMPLE_REGS_ABI_NONE));
}

static void test_dispatch__sample_becomes_a_stack_with_names_and_time(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "server");
	name(f, PID, PID + 1, "io");
	sample(f, origin(PID, PID + 1, ID_OF_SECOND, 1000 + 34567890));
	assert_int_equal(f->profile->n_samples, 1);
	const struct profile_sample_key *key = &f->profile->samples[0];
	assert_int_equal(key->stop, CP_STOP_NO_USER);
	assert_int_equal(key->time_ns, 30000000);
	assert_int_equal(f->profile->values[0], 1);
	assert_int_equal(f->profile->values[1], 1001001); /* the record's period */
	const struct profile_thread *thread = &f->profile->threads[key->thread.v];
	assert_int_equal(thread->pid, PID);
	assert_int_equal(thread->tid, PID + 1);
	assert_string_equal(profile_text(f->profile, thread->comm), "server");
	assert_string_equal(profile_text(f->profile, thread->name), "io");
	/* the kernel's part only: the leaf as it is, the caller inside its call instruction */
	const struct stack_store *stacks = &f->profile->stacks;
	assert_int_equal(stack_store_depth(stacks, key->stack), 2);
	const struct profile_location *leaf =
		&f->profile->locations[stack_store_leaf(stacks, key->stack).v];
	const struct profile_location *caller =
		&f->profile->locations
			 [stack_store_leaf(stacks, stack_store_parent(stacks, key->stack)).v];
	assert_true(leaf->svma == 0xffffffff81000100);
	assert_true(caller->svma == 0xffffffff81000204);
	assert_true(profile_module_is_kernel(f->profile, leaf->module));
}

static void test_dispatch__samples_carry_the_name_of_their_time(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "before");
	sample(f, origin(PID, PID, ID_OF_FIRST, 2000));
	name(f, PID, PID, "after");
	sample(f, origin(PID, PID, ID_OF_FIRST, 3000));
	assert_int_equal(f->profile->n_threads, 2);
	assert_string_equal(profile_text(f->profile, f->profile->threads[0].comm), "before");
	assert_string_equal(profile_text(f->profile, f->profile->threads[1].comm), "after");
	assert_int_equal(f->sink.counts.threads, 1);
	assert_int_equal(f->sink.counts.processes, 1);
}

static void test_dispatch__thread_with_two_sets_of_events_counts_once(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	name(f, PID, PID + 1, "a");
	for (uint64_t i = 0; i < 10; i++) {
		sample(f, origin(PID, PID + 1, ID_OF_SECOND, 2000 + i * 100));
		sample(f, origin(PID, PID + 1, ID_OF_FIRST, 2050 + i * 100)); /* inherited */
		sample(f, origin(PID, PID, ID_OF_FIRST, 2060 + i * 100));
	}
	assert_int_equal(f->sink.counts.samples, 20);
	assert_int_equal(f->dispatch.counts.duplicates, 10);
	assert_int_equal(f->dispatch.counts.untracked, 0);
	assert_int_equal(f->dispatch.counts.lost, 0);
}

static void test_dispatch__samples_of_a_stopped_event_are_those_of_the_next(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	sample(f, origin(PID, PID, ID_OF_FIRST, 2000));
	f->events.handles[0].until_ns = 3000; /* from there, one of another dump size counts */
	sample(f, origin(PID, PID, ID_OF_FIRST, 2999));
	sample(f, origin(PID, PID, ID_OF_FIRST, 3000));
	assert_int_equal(f->sink.counts.samples, 2);
	assert_int_equal(f->dispatch.counts.overlaps, 1);
	assert_int_equal(f->dispatch.counts.duplicates, 0);
	assert_int_equal(f->dispatch.counts.untracked, 0);
	f->events.handles[0].until_ns = 0; /* it counts again */
	sample(f, origin(PID, PID, ID_OF_FIRST, 4000));
	assert_int_equal(f->sink.counts.samples, 3);
}

static void test_dispatch__child_told_of_twice_is_born_once(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	name(f, PID, PID + 1, "a");
	/* the creator has two sets of events, and each writes the record */
	dispatch_record(&f->dispatch,
			record_task(&f->bytes, PERF_RECORD_FORK,
				    origin(PID, PID + 1, ID_OF_SECOND, 2000), CHILD, CHILD));
	name(f, CHILD, CHILD, "renamed");
	dispatch_record(&f->dispatch,
			record_task(&f->bytes, PERF_RECORD_FORK,
				    origin(PID, PID + 1, ID_OF_FIRST, 2001), CHILD, CHILD));
	assert_string_equal(processes_find(f->processes, CHILD)->comm, "renamed");
}

static void test_dispatch__exec_by_another_thread_keeps_its_events(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	sample(f, origin(PID, PID, ID_OF_FIRST, 2000));
	/* the second thread calls exec: it is the first from now on, with its own events */
	dispatch_record(&f->dispatch, record_comm(&f->bytes, PERF_RECORD_MISC_COMM_EXEC,
						  origin(PID, PID, ID_OF_SECOND, 3000), "b"));
	sample(f, origin(PID, PID, ID_OF_SECOND, 4000));
	assert_int_equal(f->sink.counts.samples, 2);
	assert_int_equal(f->dispatch.counts.duplicates, 0);
	assert_string_equal(processes_find(f->processes, PID)->comm, "b");
}

static void map(struct fixture *f, uint64_t time_ns, uint64_t avma, const char *path)
{
	dispatch_record(&f->dispatch, record_mmap(&f->bytes, origin(PID, PID, ID_OF_FIRST, time_ns),
						  avma, 0x1000, 0, path));
}

static void test_dispatch__mappings_older_than_the_scan_are_in_it(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	struct process *process = processes_find(f->processes, PID);
	process->maps_read_ns = 5000;
	map(f, 4999, 0x1000, "/old");
	map(f, 5000, 0x2000, "/new");
	assert_null(address_space_find(process->space, 0x1000));
	assert_non_null(address_space_find(process->space, 0x2000));
}

static void test_dispatch__deleted_files_are_marked(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	map(f, 1, 0x1000, "/tmp/plugin.so (deleted)");
	const struct mapping *mapping =
		address_space_find(processes_find(f->processes, PID)->space, 0x1000);
	assert_string_equal(mapping->path, "/tmp/plugin.so");
	assert_true(mapping->deleted);
}

static void test_dispatch__losses_are_counted_and_put_maps_in_doubt(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	dispatch_record(&f->dispatch, record_lost(&f->bytes, origin(PID, PID, ID_OF_FIRST, 1), 17));
	dispatch_record(&f->dispatch, record_lost(&f->bytes, origin(PID, PID, ID_OF_FIRST, 2), 3));
	assert_int_equal(f->dispatch.counts.lost, 20);
	assert_true(f->dispatch.lost_since_sweep);
	assert_true(processes_find(f->processes, PID)->maps_doubtful);
}

static void test_dispatch__throttling_is_counted(void **state)
{
	struct fixture *f = *state;
	record_begin(&f->bytes, PERF_RECORD_THROTTLE, 0);
	for (int i = 0; i < 3; i++)
		record_u64(&f->bytes, 1);
	dispatch_record(&f->dispatch, record_end_with(&f->bytes, origin(PID, PID, ID_OF_FIRST, 1)));
	assert_int_equal(f->dispatch.counts.throttled, 1);
}

static void test_dispatch__damaged_records_are_counted(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	struct perf_event_header *header =
		record_sample(&f->bytes, 0, origin(PID, PID, ID_OF_FIRST, 1), 0, CHAIN, 5,
			      PERF_SAMPLE_REGS_ABI_NONE);
	header->size -= 16;
	dispatch_record(&f->dispatch, header);
	assert_int_equal(f->dispatch.counts.untracked, 1);
	assert_int_equal(f->sink.counts.samples, 0);
}

static void test_dispatch__missed_births_are_made_up_for(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	sample(f, origin(PID, PID + 5, ID_OF_FIRST, 2000));
	sample(f, origin(CHILD, CHILD, ID_OF_FIRST, 3000));
	assert_int_equal(f->sink.counts.samples, 2);
	assert_int_equal(f->sink.counts.processes, 2);
	assert_int_equal(f->dispatch.counts.untracked, 0);
	assert_string_equal(processes_find_thread(f->processes, PID + 5)->name, "a");
}

static void test_dispatch__events_of_all_tasks_record_the_known_ones_only(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	f->dispatch.known_only = true;
	f->dispatch.follow_children = true;
	sample(f, origin(CHILD, CHILD, ID_OF_FIRST, 2000));
	name(f, CHILD, CHILD, "stranger");
	assert_int_equal(f->sink.counts.samples, 0);
	assert_null(processes_find(f->processes, CHILD));
	dispatch_record(&f->dispatch,
			record_task(&f->bytes, PERF_RECORD_FORK,
				    origin(PID, PID, ID_OF_FIRST, 3000), CHILD, CHILD));
	sample(f, origin(CHILD, CHILD, ID_OF_FIRST, 4000));
	assert_int_equal(f->sink.counts.samples, 1);
	assert_int_equal(f->dispatch.counts.untracked, 0);
	/* without children, threads still are followed */
	f->dispatch.follow_children = false;
	dispatch_record(&f->dispatch,
			record_task(&f->bytes, PERF_RECORD_FORK,
				    origin(PID, PID, ID_OF_FIRST, 5000), CHILD + 1, CHILD + 1));
	dispatch_record(&f->dispatch,
			record_task(&f->bytes, PERF_RECORD_FORK,
				    origin(PID, PID, ID_OF_FIRST, 5000), PID, PID + 9));
	assert_null(processes_find(f->processes, CHILD + 1));
	assert_non_null(processes_find_thread(f->processes, PID + 9));
}

static void fork_of(struct fixture *f, uint32_t parent, uint32_t pid, uint64_t time_ns)
{
	dispatch_record(&f->dispatch,
			record_task(&f->bytes, PERF_RECORD_FORK,
				    origin(parent, parent, ID_OF_FIRST, time_ns), pid, pid));
}

static void test_dispatch__a_strangers_process_with_a_number_of_ours_is_a_strangers(void **state)
{
	enum { STRANGER = 30000000 };
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	f->dispatch.known_only = true;
	f->dispatch.follow_children = true;
	fork_of(f, PID, CHILD, 2000);
	sample(f, origin(CHILD, CHILD, ID_OF_FIRST, 2500));
	/* its end may be among the lost records, or it waits for the sweep: it is not told of */
	fork_of(f, STRANGER, CHILD, 3000);
	name(f, CHILD, CHILD, "stranger");
	sample(f, origin(CHILD, CHILD, ID_OF_FIRST, 3500));
	/* nor are the stranger's children ours */
	fork_of(f, CHILD, CHILD + 1, 4000);
	sample(f, origin(CHILD + 1, CHILD + 1, ID_OF_FIRST, 4500));
	assert_int_equal(f->sink.counts.samples, 1);
	assert_int_equal(f->processes->n_processes, 1);
	/* and the number can be of one of ours again */
	fork_of(f, PID, CHILD, 5000);
	sample(f, origin(CHILD, CHILD, ID_OF_FIRST, 5500));
	assert_int_equal(f->sink.counts.samples, 2);
	assert_string_equal(processes_find(f->processes, CHILD)->comm, "a");
	assert_true(processes_find(f->processes, CHILD)->born_ns == 5000);
}

/* With the events that see every task. */
static void sample_of_system(struct fixture *f, uint32_t pid, uint32_t tid)
{
	enum { ID_OF_SYSTEM = 73 };
	if (f->events.n_handles == 2)
		add_event(&f->events, ID_OF_SYSTEM, PERF_OWNER_SYSTEM);
	sample(f, origin(pid, tid, ID_OF_SYSTEM, 2000));
}

static const struct profile_thread *thread_of_sample(const struct fixture *f, size_t i)
{
	return &f->profile->threads[f->profile->samples[i].thread.v];
}

static void test_dispatch__tasks_without_a_number_are_kept_where_all_are_recorded(void **state)
{
	struct fixture *f = *state;
	sample_of_system(f, 0, 0); /* in another PID namespace */
	sample_of_system(f, UINT32_MAX, UINT32_MAX);
	assert_int_equal(f->profile->n_samples, 2);
	assert_int_equal(f->dispatch.counts.untracked, 0);
	assert_string_equal(profile_text(f->profile, thread_of_sample(f, 0)->comm), "[outside]");
	assert_string_equal(profile_text(f->profile, thread_of_sample(f, 1)->comm), "[exited]");
	assert_int_equal(thread_of_sample(f, 0)->pid, 0);
	assert_int_equal(thread_of_sample(f, 1)->pid, 0);
	assert_int_equal(thread_of_sample(f, 1)->tid, 0);
	/* not where processes were chosen */
	f->dispatch.known_only = true;
	sample_of_system(f, 0, 0);
	assert_int_equal(f->sink.counts.samples, 2);
}

static void test_dispatch__what_tasks_without_a_number_do_is_of_no_process(void **state)
{
	struct fixture *f = *state;
	name(f, 0, 0, "host");
	dispatch_record(&f->dispatch, record_task(&f->bytes, PERF_RECORD_FORK,
						  origin(0, 0, ID_OF_FIRST, 3000), 0, 0));
	dispatch_record(&f->dispatch, record_task(&f->bytes, PERF_RECORD_EXIT,
						  origin(0, 0, ID_OF_FIRST, 3000), 0, 0));
	assert_int_equal(f->processes->n_processes, 0);
	assert_int_equal(f->dispatch.counts.untracked, 0);
}

static void test_dispatch__a_sample_after_the_exit_is_of_the_thread_that_was(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "short");
	dispatch_record(&f->dispatch, record_task(&f->bytes, PERF_RECORD_EXIT,
						  origin(PID, PID, ID_OF_FIRST, 3000), PID, PID));
	processes_sweep(f->processes, false);
	sample(f, origin(PID, PID, ID_OF_FIRST, 3500)); /* it gives its memory back */
	assert_string_equal(profile_text(f->profile, thread_of_sample(f, 0)->comm), "short");
	processes_sweep(f->processes, false);
	assert_int_equal(f->processes->n_processes, 0);
	/* later still: nothing is known of it, and nothing of it stays */
	sample(f, origin(PID, PID, ID_OF_FIRST, 3600));
	assert_int_equal(f->sink.counts.samples, 2);
	processes_sweep(f->processes, false);
	processes_sweep(f->processes, false);
	assert_int_equal(f->processes->n_processes, 0);
}

/* A process from its birth to its end, with a sample in the kernel and one of its own code. */
static void live(struct fixture *f, uint32_t pid, uint64_t time_ns)
{
	struct dispatch *d = &f->dispatch;
	dispatch_record(d, record_task(&f->bytes, PERF_RECORD_FORK,
				       origin(PID, PID, ID_OF_FIRST, time_ns), pid, pid));
	dispatch_record(d, record_comm(&f->bytes, PERF_RECORD_MISC_COMM_EXEC,
				       origin(pid, pid, ID_OF_FIRST, time_ns), "short"));
	dispatch_record(d, record_mmap(&f->bytes, origin(pid, pid, ID_OF_FIRST, time_ns), 0x400000,
				       0x10000, 0, "/usr/bin/short"));
	sample(f, origin(pid, pid, ID_OF_FIRST, time_ns));
	dispatch_record(d, record_sample(&f->bytes, PERF_RECORD_MISC_USER,
					 origin(pid, pid, ID_OF_FIRST, time_ns), 0x1000, NULL, 0,
					 PERF_SAMPLE_REGS_ABI_64));
	dispatch_record(d, record_task(&f->bytes, PERF_RECORD_EXIT,
				       origin(pid, pid, ID_OF_FIRST, time_ns), pid, pid));
}

static void test_dispatch__memory_follows_what_runs_and_not_what_has_run(void **state)
{
	enum { ALL = 20000, EARLY = 5000, A_SECOND = 500 };
	struct fixture *f = *state;
	size_t early_bytes = 0, most_processes = 0;
	name(f, PID, PID, "shell");
	for (uint32_t i = 1; i <= ALL; i++) {
		live(f, CHILD + i, 2000 + i);
		if (i % A_SECOND == 0) { /* as the recorder does after each flush */
			if (f->processes->n_processes > most_processes)
				most_processes = f->processes->n_processes;
			profile_clear_samples(f->profile);
			profile_clear_threads(f->profile);
			processes_forget_labels(f->processes);
			processes_sweep(f->processes, false);
		}
		if (i == EARLY)
			early_bytes = mallinfo2().uordblks;
	}
	size_t late_bytes = mallinfo2().uordblks; /* with a sanitizer's malloc both are 0 */
	print_message("%zu bytes after %d processes, %zu after %d, %zu processes at most\n",
		      early_bytes, EARLY, late_bytes, ALL, most_processes);
	assert_int_equal(f->sink.counts.samples, 2 * ALL);
	assert_int_equal(f->sink.counts.processes, ALL);
	assert_int_equal(f->dispatch.counts.untracked, 0);
	assert_true(late_bytes <= early_bytes + 65536);
	/* two seconds' worth and the shell */
	assert_true(most_processes <= 2 * A_SECOND + 1);
	/* who lives on is known by the same name again */
	sample(f, origin(PID, PID, ID_OF_FIRST, 100000));
	assert_string_equal(profile_text(f->profile, thread_of_sample(f, 0)->comm), "shell");
	assert_int_equal(f->profile->n_threads, 1);
}

static void test_dispatch__kernel_samples_without_frames_show_where_they_are(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	dispatch_record(&f->dispatch,
			record_sample(&f->bytes, PERF_RECORD_MISC_KERNEL,
				      origin(PID, PID, ID_OF_FIRST, 1), 0xffffffff81000100, NULL, 0,
				      PERF_SAMPLE_REGS_ABI_NONE));
	assert_int_equal(f->profile->n_locations, 1);
	assert_true(f->profile->locations[0].svma == 0xffffffff81000100);
	/* where kernel frames are not to be shown, the time is not dropped */
	f->sink.kernel_frames = false;
	dispatch_record(&f->dispatch,
			record_sample(&f->bytes, PERF_RECORD_MISC_KERNEL,
				      origin(PID, PID, ID_OF_FIRST, 2), 0xffffffff81000100, NULL, 0,
				      PERF_SAMPLE_REGS_ABI_NONE));
	assert_int_equal(f->sink.counts.samples, 2);
	assert_string_equal(
		profile_text(f->profile,
			     f->profile->modules[f->profile->locations[1].module.v].path),
		PROFILE_PATH_UNKNOWN);
}

/* A sample in the kernel with user registers. */
static void sample_user(struct fixture *f, uint64_t time_ns, uint16_t misc)
{
	dispatch_record(&f->dispatch,
			record_sample(&f->bytes, misc, origin(PID, PID, ID_OF_FIRST, time_ns),
				      CHAIN[1], CHAIN, 5, PERF_SAMPLE_REGS_ABI_64));
}

static void test_dispatch__inside_an_exec_there_is_no_user_part(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "a");
	dispatch_record(&f->dispatch, record_comm(&f->bytes, PERF_RECORD_MISC_COMM_EXEC,
						  origin(PID, PID, ID_OF_FIRST, 1000), "b"));
	/* the registers are those of the old program, whose code is not mapped any more */
	sample_user(f, 2000, PERF_RECORD_MISC_KERNEL);
	assert_int_equal(f->sink.counts.stops[CP_STOP_NO_USER], 1);
	const struct profile_sample_key *key = &f->profile->samples[0];
	assert_int_equal(stack_store_depth(&f->profile->stacks, key->stack), 2);
	/* once the new program ran, code in no mapping is what it looks like */
	sample_user(f, 3000, PERF_RECORD_MISC_USER);
	sample_user(f, 4000, PERF_RECORD_MISC_KERNEL);
	assert_int_equal(f->sink.counts.stops[CP_STOP_NO_USER], 1);
	assert_int_equal(f->sink.counts.samples, 3);
	assert_int_equal(f->sink.counts.user_frames, 2);
}

static void test_dispatch__command_is_recorded_from_its_exec_on(void **state)
{
	struct fixture *f = *state;
	name(f, PID, PID, "cprof");
	processes_find(f->processes, PID)->held = true;
	sample(f, origin(PID, PID, ID_OF_FIRST, 1000));
	assert_int_equal(f->sink.counts.samples, 0);
	dispatch_record(&f->dispatch, record_comm(&f->bytes, PERF_RECORD_MISC_COMM_EXEC,
						  origin(PID, PID, ID_OF_FIRST, 2000), "command"));
	sample(f, origin(PID, PID, ID_OF_FIRST, 3000));
	assert_int_equal(f->sink.counts.samples, 1);
	assert_string_equal(profile_text(f->profile, f->profile->threads[0].comm), "command");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_dispatch__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sample_becomes_a_stack_with_names_and_time),
		TEST(samples_carry_the_name_of_their_time),
		TEST(thread_with_two_sets_of_events_counts_once),
		TEST(samples_of_a_stopped_event_are_those_of_the_next),
		TEST(child_told_of_twice_is_born_once),
		TEST(exec_by_another_thread_keeps_its_events),
		TEST(mappings_older_than_the_scan_are_in_it),
		TEST(deleted_files_are_marked),
		TEST(losses_are_counted_and_put_maps_in_doubt),
		TEST(throttling_is_counted),
		TEST(damaged_records_are_counted),
		TEST(missed_births_are_made_up_for),
		TEST(events_of_all_tasks_record_the_known_ones_only),
		TEST(a_strangers_process_with_a_number_of_ours_is_a_strangers),
		TEST(tasks_without_a_number_are_kept_where_all_are_recorded),
		TEST(what_tasks_without_a_number_do_is_of_no_process),
		TEST(a_sample_after_the_exit_is_of_the_thread_that_was),
		TEST(memory_follows_what_runs_and_not_what_has_run),
		TEST(inside_an_exec_there_is_no_user_part),
		TEST(command_is_recorded_from_its_exec_on),
		TEST(kernel_samples_without_frames_show_where_they_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

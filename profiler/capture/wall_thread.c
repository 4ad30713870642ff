#include "wall_thread.h"

#include <stdlib.h>

struct wall_thread *wall_thread_create(pid_t pid, pid_t tid, uint64_t since_ns,
				       const struct thread_sched *at_start)
{
	struct wall_thread *thread = calloc(1, sizeof(*thread));
	if (!thread)
		return NULL;
	thread->since_ns = thread->seen_ns = since_ns;
	thread->at_start = *at_start;
	thread->target = thread_look_target_of(pid, tid);
	return thread;
}

void wall_thread_destroy(struct wall_thread *thread)
{
	if (!thread)
		return;
	thread_look_close(&thread->target);
	sample_sink_forget(&thread->waiting);
	sample_sink_forget(&thread->running);
	free(thread);
}

#include "perf_attr.h"

#include "unwind/regs.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void fill_common(const struct perf_setup *setup, struct perf_event_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->size = sizeof(*attr);
	attr->disabled = 1;
	attr->exclude_guest = 1;
	attr->exclude_hv = 1;
	attr->use_clockid = 1;
	attr->clockid = CLOCK_MONOTONIC;
	attr->watermark = 1;
	attr->wakeup_watermark = setup->wakeup_bytes;
}

static void fill_samples(const struct perf_setup *setup, struct perf_event_attr *out)
{
	if (setup->hardware) {
		out->type = PERF_TYPE_HARDWARE;
		out->config = PERF_COUNT_HW_CPU_CYCLES;
	} else {
		out->type = PERF_TYPE_SOFTWARE;
		out->config = PERF_COUNT_SW_CPU_CLOCK;
	}
	out->freq = 1;
	out->sample_freq = setup->rate_hz;
	out->sample_type = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID |
			   PERF_SAMPLE_TIME | PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD |
			   PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER;
	/* with both, the chain is a word that says 0: one layout for all */
	out->exclude_callchain_kernel = !setup->kernel_frames;
	out->exclude_callchain_user = !setup->user_chain;
	out->sample_regs_user = unwind_regs_perf_mask();
	out->sample_stack_user = setup->dump_bytes;
	out->exclude_kernel = setup->exclude_kernel;
	out->exclude_idle = 1;
}

/* Counts nothing; without privileges too, as it says nothing of the kernel. */
static void fill_switches(struct perf_event_attr *out)
{
	out->type = PERF_TYPE_SOFTWARE;
	out->config = PERF_COUNT_SW_DUMMY;
	out->sample_type =
		PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU;
	out->exclude_kernel = 1;
	out->exclude_callchain_user = 1;
	out->context_switch = 1;
}

void perf_attr_fill(const struct perf_setup *setup, struct perf_event_attr *out)
{
	fill_common(setup, out);
	if (setup->switches)
		fill_switches(out);
	else
		fill_samples(setup, out);
	out->mmap = 1;
	out->mmap2 = 1;
	out->comm = 1;
	out->comm_exec = 1;
	out->task = 1;
	out->sample_id_all = 1;
	out->inherit = setup->follow != PERF_FOLLOW_NONE;
	out->inherit_thread = setup->follow == PERF_FOLLOW_THREADS;
	out->enable_on_exec = setup->enable_on_exec;
	out->read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
	if (setup->read_lost)
		out->read_format |= PERF_FORMAT_LOST;
}

void perf_attr_fill_ring_owner(const struct perf_setup *setup, struct perf_event_attr *out)
{
	fill_common(setup, out);
	out->type = PERF_TYPE_SOFTWARE;
	out->config = PERF_COUNT_SW_DUMMY;
	out->exclude_kernel = 1;
	out->sample_type =
		PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU;
	out->sample_id_all = 1;
}

struct perf_layout perf_attr_layout(void)
{
	return (struct perf_layout){
		.n_regs = (unsigned)__builtin_popcountll(unwind_regs_perf_mask()),
	};
}

int perf_attr_open(const struct perf_event_attr *attr, pid_t pid, int cpu)
{
	struct perf_event_attr copy = *attr; /* the kernel writes its size there on E2BIG */
	long fd = syscall(SYS_perf_event_open, &copy, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : (int)fd;
}

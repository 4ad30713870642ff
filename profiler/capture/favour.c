#include "favour.h"

#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct sched_attr, sched_setattr(2); its header does not go with <sched.h> */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

enum { RESET_ON_FORK = 1 /* SCHED_FLAG_RESET_ON_FORK */, NICE_FIRST = -20 };

static bool set(struct attr attr)
{
	attr.size = sizeof(attr);
	attr.flags = RESET_ON_FORK;
	return syscall(SYS_sched_setattr, 0, &attr, 0) == 0;
}

static void ask(void)
{
	struct attr attr = {.policy = SCHED_OTHER, .nice = NICE_FIRST, .runtime_ns = 100000};
	if (set(attr))
		return;
	attr.nice = getpriority(PRIO_PROCESS, 0);
	set(attr);
}

void favour_ask(struct favour *favour)
{
	ask();
	favour->asked = true;
}

void favour_go_first(struct favour *favour, bool first)
{
	if (!favour->asked || favour->refused || favour->first == first)
		return;
	if (!first)
		ask();
	else if (!set((struct attr){.policy = SCHED_FIFO, .priority = 1}))
		favour->refused = true;
	favour->first = first && !favour->refused;
}

/*
 * syscall_heavy: 40 own computing, 40 in pread of /dev/zero, 20 in a system call that does
 * nothing. The split of user and system time comes from getrusage; the shares by function hold
 * when time in the kernel is credited to the function that entered it.
 */
#include "common/truth.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static int zero_fd;

static TRUTH_NOINLINE void burn_user(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_user", TRUTH_MIX(x));
	truth_sink = x;
}

static TRUTH_NOINLINE void read_zeros(uint64_t n)
{
	static char buffer[65536];

	for (uint64_t i = 0; i < n; i += 256)
		if (pread(zero_fd, buffer, sizeof(buffer), 0) != (ssize_t)sizeof(buffer))
			return;
	TRUTH_NO_TAIL_CALL();
}

static TRUTH_NOINLINE void ask_parent(uint64_t n)
{
	for (uint64_t i = 0; i < n; i += 8)
		truth_sink = (uint64_t)syscall(SYS_getppid);
}

int main(int argc, char **argv)
{
	struct truth_work works[] = {
		{.function = "burn_user", .mark = "burn_user", .run = burn_user, .weight = 40},
		{.function = "read_zeros", .run = read_zeros, .weight = 40},
		{.function = "ask_parent", .run = ask_parent, .weight = 20},
	};
	struct truth_plan plan = {.works = works, .n = 3, .block_ns = 150000000};

	zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (zero_fd < 0) {
		perror("/dev/zero");
		return 1;
	}
	truth_start(argc, argv);
	truth_calibrate(&plan);
	truth_ready();
	while (truth_more())
		truth_block(&plan);
	truth_works(works, 3);
	return truth_end();
}

#include "wall_header.h"

#include "clock.h"
#include "profile/header_keys.h"

#include <inttypes.h>

/* Looks per second at each of the threads there were in a round, in thousandths. */
static double achieved_mhz(const struct wall *wall, uint64_t duration_ns)
{
	const struct thread_rounds *rounds = &wall->rounds;
	const uint64_t wanted = rounds->n_looks + rounds->n_passed_over;
	if (wanted == 0 || duration_ns == 0)
		return 0;
	const double rounds_hz =
		(double)rounds->n_rounds * (double)CLOCK_NS_PER_S / (double)duration_ns;
	return 1000 * rounds_hz * (double)rounds->n_looks / (double)wanted;
}

int wall_header_set(struct profile *profile, const struct wall *wall, uint64_t duration_ns)
{
	const uint64_t *looks = wall->stacks.look.counts;
	const struct wait_stack_counts *stacks = &wall->stacks.counts;
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{HEADER_WALL_LOOKS, wall->rounds.n_looks},
		{HEADER_WALL_TAKEN, wall->counts.stacks_taken},
		{HEADER_WALL_DISCARDED, looks[THREAD_LOOK_MOVED]},
		{HEADER_WALL_REFUSED, looks[THREAD_LOOK_REFUSED]},
		{HEADER_WALL_FP_REMEMBERED, stacks->fp_remembered},
		{HEADER_WALL_FP_SEARCHED, stacks->fp_searched},
		{HEADER_WALL_FP_STOPPED, stacks->fp_stopped},
		{HEADER_WALL_FP_UNKNOWN, stacks->fp_unknown},
		{HEADER_WALL_UNSEEN_NS, wall->counts.unseen_ns},
		{HEADER_WALL_DROPPED, wall->counts.dropped},
	};
	int code = profile_header_setf(profile, HEADER_WALL_RATE_MHZ, "%.0f",
				       achieved_mhz(wall, duration_ns));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && code == 0; i++)
		code = profile_header_setf(profile, numbers[i].key, "%" PRIu64, numbers[i].value);
	return code;
}

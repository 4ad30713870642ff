#include "dump_size.h"

#include "clock.h"
#include "perf_attr.h"

#include <string.h>

/* A window is judged when it has so many samples, and after a while also with few. */
enum {
	RECENT_SAMPLES = 1000,
	RECENT_SAMPLES_CLEAR = 100, /* when there is no doubt */
	RECENT_SAMPLES_FEW = 20,
	LASTING_SAMPLES = 250,
	QUIET_NEEDED = 3,
	QUIET_NEEDED_MAX = 64,
};

#define RECENT_NS (4 * CLOCK_NS_PER_S)
#define LASTING_NS CLOCK_NS_PER_S
#define REGROWN_NS (60 * CLOCK_NS_PER_S)
#define PRESS_HOLD_NS (10 * CLOCK_NS_PER_S)
#define PRESS_HOLD_MAX_NS (300 * CLOCK_NS_PER_S)
#define FUTILE_HOLD_NS (60 * CLOCK_NS_PER_S)
#define FUTILE_HOLD_MAX_NS (3600 * CLOCK_NS_PER_S)

/* Shares of stacks: cut ones that are worth more bytes, and large ones that are not worth them. */
static const double cut_share_max = 0.005;
static const double cut_share_clear = 0.05;
static const double large_share_max = 0.001;
/* A way up has bought nothing when this much of the cut stacks is left at its end. */
static const double futile_share = 0.9;

uint32_t dump_rung_bytes(unsigned rung)
{
	uint32_t bytes = 1024U << rung;
	return bytes > PERF_DUMP_MAX ? PERF_DUMP_MAX : bytes;
}

unsigned dump_rung_of(uint64_t bytes)
{
	unsigned rung = 0;
	while (rung < DUMP_RUNGS && dump_rung_bytes(rung) < bytes)
		rung++;
	return rung;
}

struct dump_limits dump_limits_for(unsigned rate_hz, size_t ring_bytes)
{
	/* dumps a ring must hold: to begin with, and at the most */
	enum { DUMPS_AT_START = 60, DUMPS_AT_LEAST = 30 };
	/* what is rarely copied may be large; a typical stack of 23 frames takes 2 to 5 KB */
	unsigned start_bytes = rate_hz <= 250 ? 32768 : rate_hz <= 2000 ? 8192 : 4096;
	struct dump_limits limits = {
		.start = dump_rung_of(start_bytes),
		.least = dump_rung_of(rate_hz <= 250    ? 16384
				      : rate_hz <= 2000 ? 4096
							: 2048),
		.most = DUMP_RUNGS - 1,
	};
	while (limits.start > 0 && dump_rung_bytes(limits.start) > ring_bytes / DUMPS_AT_START)
		limits.start--;
	while (limits.most > limits.start &&
	       dump_rung_bytes(limits.most) > ring_bytes / DUMPS_AT_LEAST)
		limits.most--;
	if (limits.least > limits.start)
		limits.least = limits.start;
	return limits;
}

void dump_size_init(struct dump_size *size, struct dump_limits limits)
{
	*size = (struct dump_size){
		.rung = limits.start,
		.smallest = limits.start,
		.largest = limits.start,
		.limits = limits,
		.press_hold_ns = PRESS_HOLD_NS,
		.futile_hold_ns = FUTILE_HOLD_NS,
		.quiet_needed = QUIET_NEEDED,
	};
}

static void use_add(struct dump_use *sum, const struct dump_use *later,
		    const struct dump_use *earlier)
{
	sum->samples += later->samples - earlier->samples;
	sum->cut += later->cut - earlier->cut;
	for (size_t i = 0; i < DUMP_RUNGS; i++)
		sum->fitted[i] += later->fitted[i] - earlier->fitted[i];
}

static double cut_share(const struct dump_use *use)
{
	return use->samples ? (double)use->cut / (double)use->samples : 0;
}

/* The share that would not fit a rung. */
static double larger_share(const struct dump_use *use, unsigned rung)
{
	uint64_t n = use->cut;
	for (unsigned i = rung + 1; i < DUMP_RUNGS; i++)
		n += use->fitted[i];
	return use->samples ? (double)n / (double)use->samples : 0;
}

static void begin_recent(struct dump_size *size, uint64_t now_ns)
{
	size->recent = (struct dump_use){0};
	size->recent_since_ns = now_ns;
}

static void begin_lasting(struct dump_size *size, uint64_t now_ns)
{
	size->lasting = (struct dump_use){0};
	size->lasting_since_ns = now_ns;
}

static bool move_to(struct dump_size *size, unsigned rung, uint64_t now_ns)
{
	if (rung == size->rung || size->refused[rung])
		return false;
	size->rung = rung;
	size->by_pressure = false;
	size->n_changes++;
	if (rung < size->smallest)
		size->smallest = rung;
	if (rung > size->largest)
		size->largest = rung;
	size->settling = true;
	size->quiet = 0;
	begin_recent(size, now_ns);
	begin_lasting(size, now_ns);
	return true;
}

static uint64_t doubled(uint64_t ns, uint64_t max_ns)
{
	return ns > max_ns / 2 ? max_ns : 2 * ns;
}

/* The next size below that can be had, from @down rungs on; where there is none, one in between. */
static unsigned lower_rung(const struct dump_size *size, unsigned down)
{
	const unsigned wanted = size->rung > down ? size->rung - down : 0;
	for (unsigned rung = wanted + 1; rung-- > 0;) {
		if (!size->refused[rung])
			return rung;
	}
	for (unsigned rung = wanted + 1; rung < size->rung; rung++) {
		if (!size->refused[rung])
			return rung;
	}
	return size->rung;
}

/* The reader is late: smaller dumps make the rings last longer. */
static bool press(struct dump_size *size, const struct dump_look *look)
{
	unsigned down = look->lost ? 2 : 1;
	/* it went well for long: what was is no guide any more */
	if (look->now_ns > size->grow_after_ns + PRESS_HOLD_MAX_NS)
		size->press_hold_ns = PRESS_HOLD_NS;
	if (look->now_ns >= size->grow_after_ns) {
		size->grow_after_ns = look->now_ns + size->press_hold_ns;
		size->press_hold_ns = doubled(size->press_hold_ns, PRESS_HOLD_MAX_NS);
	}
	size->climbing = false;
	if (!move_to(size, lower_rung(size, down), look->now_ns))
		return false;
	size->by_pressure = true;
	size->n_pressed++;
	return true;
}

static bool grow(struct dump_size *size, double share, uint64_t now_ns)
{
	if (!size->climbing) {
		size->climbing = true;
		size->climb_from = size->rung;
		size->climb_share = share;
	}
	if (size->shrunk_ns && now_ns - size->shrunk_ns < REGROWN_NS &&
	    size->quiet_needed < QUIET_NEEDED_MAX)
		size->quiet_needed *= 2;
	size->shrunk_ns = 0;
	return move_to(size, size->rung + 1, now_ns);
}

/* At the top: did the stacks need that, or are they deeper than any dump? */
static bool give_up(struct dump_size *size, double share, uint64_t now_ns)
{
	if (!size->climbing)
		return false;
	size->climbing = false;
	if (share < size->climb_share * futile_share)
		return false;
	size->grow_after_ns = now_ns + size->futile_hold_ns;
	size->futile_hold_ns = doubled(size->futile_hold_ns, FUTILE_HOLD_MAX_NS);
	return move_to(size, size->climb_from, now_ns);
}

static bool judge_recent(struct dump_size *size, const struct dump_look *look)
{
	const struct dump_use *recent = &size->recent;
	double share = cut_share(recent);
	bool waited = look->now_ns - size->recent_since_ns >= RECENT_NS;
	if (recent->samples < (waited                    ? RECENT_SAMPLES_FEW
			       : share > cut_share_clear ? RECENT_SAMPLES_CLEAR
							 : RECENT_SAMPLES))
		return false;
	begin_recent(size, look->now_ns);
	if (share <= cut_share_max) {
		size->climbing = false;
		return false;
	}
	if (size->rung >= size->limits.most)
		return give_up(size, share, look->now_ns);
	/* twice the size doubles what came in beyond the quarter at which the reader is woken */
	bool has_room = look->fill_bytes <= look->ring_bytes / 8 * 3;
	if (!has_room || look->now_ns < size->grow_after_ns)
		return false;
	return grow(size, share, look->now_ns);
}

static bool judge_lasting(struct dump_size *size, uint64_t now_ns)
{
	const struct dump_use *lasting = &size->lasting;
	if (lasting->samples < LASTING_SAMPLES || now_ns - size->lasting_since_ns < LASTING_NS)
		return false;
	bool idle = size->rung > size->limits.least &&
		    larger_share(lasting, size->rung - 1) <= large_share_max;
	begin_lasting(size, now_ns);
	size->quiet = idle ? size->quiet + 1 : 0;
	if (size->quiet < size->quiet_needed)
		return false;
	size->shrunk_ns = now_ns;
	return move_to(size, size->rung - 1, now_ns);
}

/* What was taken on top is given back early, what most stacks need only when it is high time. */
static size_t fill_limit(const struct dump_size *size, const struct dump_look *look)
{
	return size->rung > size->limits.start ? look->ring_bytes / 2 : look->ring_bytes / 4 * 3;
}

bool dump_size_look(struct dump_size *size, const struct dump_look *look)
{
	struct dump_use before = size->seen;
	size->seen = *look->use;
	if (size->recent_since_ns == 0) {
		begin_recent(size, look->now_ns);
		begin_lasting(size, look->now_ns);
	}
	/* what the first look after a change sees is of the size before */
	bool settled = !size->settling;
	size->settling = false;
	if (look->lost || (settled && look->fill_bytes > fill_limit(size, look)))
		return press(size, look);
	if (!settled)
		return false;
	use_add(&size->recent, look->use, &before);
	use_add(&size->lasting, look->use, &before);
	return judge_recent(size, look) || judge_lasting(size, look->now_ns);
}

void dump_size_refuse(struct dump_size *size, unsigned rung)
{
	const unsigned refused = size->rung;
	size->refused[refused] = true;
	if (rung < refused)
		size->limits.most = rung;
	if (size->largest == refused)
		size->largest = rung;
	if (size->smallest == refused)
		size->smallest = rung;
	size->rung = rung;
	size->n_changes--;
	size->n_pressed -= size->by_pressure;
	size->by_pressure = false;
	size->climbing = false;
	size->settling = false;
}

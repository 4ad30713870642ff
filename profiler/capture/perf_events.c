#include "perf_events.h"

#include "base/array.h"
#include "clock.h"
#include "dump_size.h"
#include "procfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	RING_MAX_BYTES = 4 << 20,
	RING_MIN_BYTES = 64 << 10,
	RINGS_TOTAL_MAX_BYTES = 128 << 20,
	CPUS_MAX = 4096,
	/* files open besides the events: standard streams, profile, binaries, pidfds */
	FDS_RESERVED = 64,
	/* a new thread inherits an event for each size and CPU: with many, that makes it slow */
	CPUS_MAX_WITH_SIZES = 8,
};

static void close_rings(struct perf_events *events)
{
	for (size_t i = 0; i < events->n_rings; i++)
		perf_ring_close(&events->rings[i]);
	events->n_rings = 0;
}

static int open_rings(struct perf_events *events, const int *cpus, size_t n_cpus, size_t ring_bytes)
{
	for (size_t i = 0; i < n_cpus; i++) {
		int code = perf_ring_open(&events->rings[events->n_rings], &events->setup, cpus[i],
					  ring_bytes);
		if (code == -ENODEV)
			continue; /* went offline */
		if (code < 0) {
			close_rings(events);
			return code;
		}
		events->n_rings++;
	}
	return events->n_rings > 0 ? 0 : -ENODEV;
}

static int rings_failed(int code, struct cp_err *err)
{
	if (code == -EPERM || code == -ENOMEM)
		return cp_fail(
			err, code,
			"no room for event buffers, not even %d KB a CPU: the limit on locked "
			"memory is used up; raise kernel.perf_event_mlock_kb (now %ld) or "
			"`ulimit -l`",
			RING_MIN_BYTES >> 10,
			procfs_number("/proc/sys/kernel/perf_event_mlock_kb", -1));
	if (code == -EMFILE || code == -ENFILE)
		return cp_fail(err, code,
			       "cannot open event buffers: out of file descriptors; "
			       "raise `ulimit -n`");
	return cp_fail(err, code, "cannot open event buffers: %s", strerror(-code));
}

/* PERF_FORMAT_LOST came with Linux 6.0; older kernels refuse the bit. */
static bool can_read_lost(void)
{
	struct perf_event_attr attr;
	struct perf_setup setup = {.wakeup_bytes = 1};
	perf_attr_fill_ring_owner(&setup, &attr);
	attr.read_format = PERF_FORMAT_LOST;
	int fd = perf_attr_open(&attr, 0, -1);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The sizes that threads get events for: to begin with, under pressure, and the largest. */
static void choose_sizes(struct perf_events *events)
{
	events->n_sizes = 1;
	if (events->setup.dump_bytes == 0 && !events->setup.switches) {
		struct dump_limits limits =
			dump_limits_for(events->setup.rate_hz, events->ring_bytes);
		events->setup.dump_bytes = dump_rung_bytes(limits.start);
		if (events->n_rings <= CPUS_MAX_WITH_SIZES && limits.start >= 2)
			events->sizes[events->n_sizes++] = dump_rung_bytes(limits.start - 2);
		if (events->n_rings <= CPUS_MAX_WITH_SIZES && limits.most > limits.start)
			events->sizes[events->n_sizes++] = dump_rung_bytes(limits.most);
	}
	events->sizes[0] = events->setup.dump_bytes;
}

int perf_events_open(const struct perf_setup *setup, struct perf_events *out, struct cp_err *err)
{
	struct perf_events events = {.setup = *setup};
	int *cpus = calloc(CPUS_MAX, sizeof(*cpus));
	size_t n_cpus = cpus ? procfs_online_cpus(cpus, CPUS_MAX) : 0;
	events.rings = cpus ? calloc(n_cpus, sizeof(*events.rings)) : NULL;
	if (!events.rings) {
		free(cpus);
		return cp_fail_nomem(err);
	}
	size_t ring_bytes = RING_MAX_BYTES;
	while (ring_bytes > RING_MIN_BYTES * 4 && ring_bytes * n_cpus > RINGS_TOTAL_MAX_BYTES)
		ring_bytes /= 2;
	int code;
	for (;;) {
		events.setup.wakeup_bytes = (uint32_t)(ring_bytes / 4);
		code = open_rings(&events, cpus, n_cpus, ring_bytes);
		if ((code != -EPERM && code != -ENOMEM) || ring_bytes <= RING_MIN_BYTES)
			break;
		events.mlock_limited = events.mlock_limited || code == -EPERM;
		ring_bytes /= 2;
	}
	free(cpus);
	if (code < 0) {
		free(events.rings);
		return rings_failed(code, err);
	}
	events.ring_bytes = ring_bytes;
	events.setup.read_lost = can_read_lost();
	choose_sizes(&events);
	*out = events;
	return 0;
}

void perf_events_detach(struct perf_events *events)
{
	for (size_t i = 0; i < events->n_handles; i++)
		close(events->handles[i].fd);
	events->n_handles = 0;
	cp_index_clear(&events->by_id);
}

void perf_events_close(struct perf_events *events)
{
	perf_events_detach(events);
	close_rings(events);
	free(events->rings);
	free(events->handles);
	cp_index_deinit(&events->by_id);
	memset(events, 0, sizeof(*events));
}

/* The limit on open files after it was raised as far as @need, if it can be. */
static size_t raise_limit(size_t need)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	if (limit.rlim_cur < need && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
			limit.rlim_cur = 0;
	}
	return (size_t)limit.rlim_cur;
}

bool perf_events_fit(struct perf_events *events, size_t n_threads, size_t *out_limit)
{
	size_t n_pairs = n_threads * events->n_rings;
	size_t rest = events->n_rings + FDS_RESERVED;
	*out_limit = raise_limit(n_pairs * events->n_sizes + rest);
	if (n_pairs * events->n_sizes + rest > *out_limit)
		events->n_sizes = 1;
	return n_pairs * events->n_sizes + rest <= *out_limit;
}

static bool id_equal(const void *key, const void *owner, uint32_t index)
{
	const struct perf_events *events = owner;
	return events->handles[index].id == *(const uint64_t *)key;
}

/* Open one event into its CPU's ring and remember whose it is. */
static int open_event(struct perf_events *events, const struct perf_event_attr *attr,
		      const struct perf_ring *ring, pid_t tid, perf_owner owner)
{
	int fd = perf_attr_open(attr, tid, ring->cpu);
	if (fd < 0)
		return fd;
	uint64_t id;
	if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring->fd) < 0 ||
	    ioctl(fd, PERF_EVENT_IOC_ID, &id) < 0) {
		int code = -errno;
		close(fd);
		return code;
	}
	struct perf_event_handle *handle =
		CP_ARRAY_PUSH(events->handles, events->n_handles, events->cap_handles);
	if (!handle) {
		close(fd);
		return -ENOMEM;
	}
	*handle = (struct perf_event_handle){.fd = fd,
					     .cpu = ring->cpu,
					     .dump_bytes = attr->sample_stack_user,
					     .user_chain = !attr->exclude_callchain_user,
					     .owner = owner,
					     .id = id};
	if (cp_index_add(&events->by_id, cp_hash_mix(id, 0), (uint32_t)(events->n_handles - 1)) <
	    0) {
		close(fd);
		events->n_handles--;
		return -ENOMEM;
	}
	return 0;
}

/*
 * Take back the last events that were opened. Their ids stay in the index, for another handle's
 * place: they are never asked for, as the kernel does not use a number twice, and where one is
 * looked at, the handle says whose id it is.
 */
static void close_from(struct perf_events *events, size_t first)
{
	for (size_t i = first; i < events->n_handles; i++)
		close(events->handles[i].fd);
	events->n_handles = first;
}

/* Events of one size on each CPU. */
static int open_on_all_cpus(struct perf_events *events, uint32_t dump_bytes, pid_t tid,
			    perf_owner owner)
{
	struct perf_setup setup = events->setup;
	struct perf_event_attr attr;
	setup.dump_bytes = dump_bytes;
	setup.enable_on_exec = setup.enable_on_exec && dump_bytes == events->setup.dump_bytes;
	perf_attr_fill(&setup, &attr);
	size_t n_before = events->n_handles;
	for (size_t i = 0; i < events->n_rings; i++) {
		int code = open_event(events, &attr, &events->rings[i], tid, owner);
		if (code == -ENODEV && events->n_handles > 0)
			continue; /* the CPU went offline */
		if (code < 0) {
			close_from(events, n_before);
			return code;
		}
	}
	return 0;
}

int perf_events_attach(struct perf_events *events, pid_t tid)
{
	size_t n_before = events->n_handles;
	for (size_t i = 0; i < events->n_sizes; i++) {
		int code = open_on_all_cpus(events, events->sizes[i], tid, (perf_owner)tid);
		if (code < 0) {
			close_from(events, n_before);
			return code;
		}
	}
	return 0;
}

int perf_events_attach_system(struct perf_events *events)
{
	return open_on_all_cpus(events, events->setup.dump_bytes, -1, PERF_OWNER_SYSTEM);
}

/* What is copied with a sample: events of one kind count at a time. */
struct kind {
	uint32_t dump_bytes;
	bool user_chain;
};

static struct kind kind_now(const struct perf_events *events)
{
	return (struct kind){events->setup.dump_bytes, events->setup.user_chain};
}

static bool is_of(const struct perf_event_handle *handle, struct kind kind)
{
	return handle->dump_bytes == kind.dump_bytes && handle->user_chain == kind.user_chain;
}

static bool has_kind(const struct perf_events *events, struct kind kind)
{
	for (size_t i = 0; i < events->n_handles; i++) {
		if (is_of(&events->handles[i], kind))
			return true;
	}
	return false;
}

/* The size that threads have events for: the largest of at most @bytes, or the smallest. */
static uint32_t thread_size(const struct perf_events *events, uint32_t bytes)
{
	uint32_t best = 0, least = UINT32_MAX;
	for (size_t i = 0; i < events->n_sizes; i++) {
		if (events->sizes[i] <= bytes && events->sizes[i] > best)
			best = events->sizes[i];
		if (events->sizes[i] < least)
			least = events->sizes[i];
	}
	return best ? best : least;
}

/* Stop the event that did for a thread and CPU what @started does since @start_ns. */
static void stop_other(struct perf_events *events, size_t started, uint64_t start_ns,
		       struct kind stop)
{
	/* the events of an owner are neighbours */
	struct perf_event_handle *handles = events->handles;
	size_t near = events->n_rings * DUMP_RUNGS * 2;
	size_t from = started > near ? started - near : 0;
	for (size_t i = from; i < events->n_handles && i <= started + near; i++) {
		if (handles[i].cpu == handles[started].cpu &&
		    handles[i].owner == handles[started].owner && is_of(&handles[i], stop)) {
			handles[i].until_ns = start_ns;
			ioctl(handles[i].fd, PERF_EVENT_IOC_DISABLE, 0);
		}
	}
}

/*
 * Started, then stopped: the other way round, what a process maps and whom it gives birth to in
 * between would be told by neither. Told twice it does no harm, and of two samples the reader drops
 * one: where we lose the CPU in between, they are many.
 */
static void change_kind(struct perf_events *events, struct kind from, struct kind to)
{
	for (size_t i = 0; i < events->n_handles; i++) {
		struct perf_event_handle *handle = &events->handles[i];
		uint64_t start_ns = clock_now_ns();
		if (!is_of(handle, to) || ioctl(handle->fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
			continue;
		handle->until_ns = 0;
		stop_other(events, i, start_ns, from);
	}
	/* a thread being born may have copied events that were not started yet and others that
	 * had been stopped already */
	perf_events_enable(events);
}

static int set_kind(struct perf_events *events, struct kind kind)
{
	const struct kind before = kind_now(events);
	events->setup.dump_bytes = kind.dump_bytes;
	events->setup.user_chain = kind.user_chain;
	if (events->setup.follow == PERF_FOLLOW_NONE && !has_kind(events, kind)) {
		int code = open_on_all_cpus(events, kind.dump_bytes, -1, PERF_OWNER_SYSTEM);
		if (code < 0) {
			events->setup.dump_bytes = before.dump_bytes;
			events->setup.user_chain = before.user_chain;
			return code;
		}
	}
	change_kind(events, before, kind);
	return 0;
}

int perf_events_set_dump(struct perf_events *events, uint32_t bytes)
{
	if (events->setup.follow != PERF_FOLLOW_NONE)
		bytes = thread_size(events, bytes);
	if (bytes == events->setup.dump_bytes)
		return 0;
	return set_kind(events, (struct kind){bytes, events->setup.user_chain});
}

int perf_events_add_user_chain(struct perf_events *events)
{
	if (events->setup.follow != PERF_FOLLOW_NONE || events->setup.user_chain)
		return 0;
	return set_kind(events, (struct kind){events->setup.dump_bytes, true});
}

void perf_events_enable(struct perf_events *events)
{
	for (size_t i = 0; i < events->n_handles; i++) {
		if (is_of(&events->handles[i], kind_now(events)))
			ioctl(events->handles[i].fd, PERF_EVENT_IOC_ENABLE, 0);
	}
}

void perf_events_disable(struct perf_events *events)
{
	for (size_t i = 0; i < events->n_handles; i++)
		ioctl(events->handles[i].fd, PERF_EVENT_IOC_DISABLE, 0);
}

static const struct perf_event_handle *find(const struct perf_events *events, uint64_t id)
{
	uint32_t index = cp_index_find(&events->by_id, cp_hash_mix(id, 0), id_equal, &id, events);
	return index == CP_INDEX_NONE ? NULL : &events->handles[index];
}

perf_owner perf_events_owner(const struct perf_events *events, uint64_t id)
{
	const struct perf_event_handle *handle = find(events, id);
	return handle ? handle->owner : PERF_OWNER_NONE;
}

bool perf_events_is_double(const struct perf_events *events, uint64_t id, uint64_t time_ns)
{
	const struct perf_event_handle *handle = find(events, id);
	return handle && handle->until_ns && time_ns >= handle->until_ns;
}

void perf_events_count(const struct perf_events *events, struct perf_count *out)
{
	struct perf_count sum = {0};
	for (size_t i = 0; i < events->n_handles; i++) {
		struct perf_count one = {0};
		if (read(events->handles[i].fd, &one, sizeof(one)) <
		    (ssize_t)(3 * sizeof(uint64_t)))
			continue;
		sum.value += one.value;
		sum.enabled_ns += one.enabled_ns;
		sum.running_ns += one.running_ns;
		sum.lost += one.lost;
	}
	*out = sum;
}

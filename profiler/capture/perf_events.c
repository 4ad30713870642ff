#include "perf_events.h"

#include "base/array.h"
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
		ring_bytes /= 2;
	}
	free(cpus);
	if (code < 0) {
		free(events.rings);
		return rings_failed(code, err);
	}
	events.ring_bytes = ring_bytes;
	events.setup.read_lost = can_read_lost();
	if (events.setup.dump_bytes == 0)
		events.setup.dump_bytes = perf_attr_dump_bytes(setup->rate_hz, ring_bytes);
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

bool perf_events_fit(const struct perf_events *events, size_t n_threads, size_t *out_limit)
{
	size_t need = n_threads * events->n_rings + events->n_rings + FDS_RESERVED;
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		*out_limit = 0;
		return false;
	}
	if (limit.rlim_cur < need && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
			limit.rlim_cur = 0;
	}
	*out_limit = (size_t)limit.rlim_cur;
	return need <= limit.rlim_cur;
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
	*handle = (struct perf_event_handle){.fd = fd, .owner = owner, .id = id};
	if (cp_index_add(&events->by_id, cp_hash_mix(id, 0), (uint32_t)(events->n_handles - 1)) <
	    0) {
		close(fd);
		events->n_handles--;
		return -ENOMEM;
	}
	return 0;
}

static int open_on_all_cpus(struct perf_events *events, pid_t tid, perf_owner owner)
{
	struct perf_event_attr attr;
	perf_attr_fill(&events->setup, &attr);
	size_t n_before = events->n_handles;
	for (size_t i = 0; i < events->n_rings; i++) {
		int code = open_event(events, &attr, &events->rings[i], tid, owner);
		if (code == -ENODEV && events->n_handles > 0)
			continue; /* the CPU went offline */
		if (code < 0) {
			/* ids of closed events stay in the index and are never asked for: the
			 * kernel does not use a number twice */
			for (size_t k = n_before; k < events->n_handles; k++) {
				close(events->handles[k].fd);
				events->handles[k].fd = -1;
			}
			return code;
		}
	}
	return 0;
}

int perf_events_attach(struct perf_events *events, pid_t tid)
{
	return open_on_all_cpus(events, tid, (perf_owner)tid);
}

int perf_events_attach_system(struct perf_events *events)
{
	return open_on_all_cpus(events, -1, PERF_OWNER_SYSTEM);
}

void perf_events_enable(struct perf_events *events)
{
	for (size_t i = 0; i < events->n_handles; i++)
		ioctl(events->handles[i].fd, PERF_EVENT_IOC_ENABLE, 0);
}

void perf_events_disable(struct perf_events *events)
{
	for (size_t i = 0; i < events->n_handles; i++)
		ioctl(events->handles[i].fd, PERF_EVENT_IOC_DISABLE, 0);
}

perf_owner perf_events_owner(const struct perf_events *events, uint64_t id)
{
	uint32_t index = cp_index_find(&events->by_id, cp_hash_mix(id, 0), id_equal, &id, events);
	return index == CP_INDEX_NONE ? PERF_OWNER_NONE : events->handles[index].owner;
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

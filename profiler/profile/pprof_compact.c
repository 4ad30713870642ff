#include "pprof_compact.h"

#include "byte_source.h"
#include "pprof_decode.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child says at its end, followed by its encoder's state. At most PIPE_BUF in all. */
struct result {
	int code;
	uint64_t samples;
	struct cp_err err;
};

/* The file was ours when it was opened; is it still? */
static bool is_ours(const struct profile *old, const uint64_t *location_ids,
		    const struct profile *profile)
{
	if (old->n_value_types != profile->n_value_types)
		return false;
	for (size_t i = 0; i < old->n_locations; i++) {
		if (location_ids[i] > profile->n_locations)
			return false;
	}
	return true;
}

static int load(const char *path, struct profile **old, uint64_t **location_ids, struct cp_err *err)
{
	struct byte_source source;
	int rc = byte_source_open(&source, path, err);
	if (!rc) {
		rc = pprof_decode(&source, old, NULL, location_ids, err);
		byte_source_close(&source);
	}
	return rc ? cp_fail_prefix(err, rc, "cannot compact %s", path) : 0;
}

/* The samples of the file, after the tables that were put before. */
static int put_samples(struct pprof_encoder *encoder, const struct profile *old,
		       const uint64_t *location_ids)
{
	struct pprof_string_map strings = {0};
	pprof_encoder_samples_of(encoder, old, &strings, location_ids);
	pprof_string_map_deinit(&strings);
	return pprof_encoder_end(encoder);
}

static int compact(struct pprof_compaction *compaction, const char *path,
		   const struct profile *profile, int64_t quantum_ns, struct result *result)
{
	struct profile *old = NULL;
	uint64_t *location_ids = NULL;
	struct cp_err *err = &result->err;
	int rc = load(path, &old, &location_ids, err);
	if (!old)
		return rc;
	if (!is_ours(old, location_ids, profile))
		rc = cp_fail(err, -EBADMSG, "%s was replaced while it was recorded", path);
	else if (profile_coarsen(old, quantum_ns))
		rc = cp_fail_nomem(err);
	else
		rc = put_samples(compaction->encoder, old, location_ids);
	if (rc && !*err->message)
		cp_fail(err, rc, "cannot compact %s: %s; it stays as it was", path, strerror(-rc));
	if (!rc && fsync(compaction->file.fd))
		rc = cp_fail(err, -errno, "cannot write %s: %s", compaction->file.temporary,
			     strerror(errno));
	result->samples = old->n_samples;
	free(location_ids);
	profile_destroy(old);
	return rc;
}

/*
 * Only what is needed: events that the child holds would outlive a parent that is killed. Standard
 * streams stay; where the recorder was started without, what is kept may have their numbers.
 */
static void close_others(int keep_a, int keep_b)
{
	const unsigned keep[] = {(unsigned)(keep_a < keep_b ? keep_a : keep_b),
				 (unsigned)(keep_a < keep_b ? keep_b : keep_a)};
	unsigned from = STDERR_FILENO + 1;
	for (size_t i = 0; i < 2; i++) {
		if (keep[i] > from)
			close_range(from, keep[i] - 1, 0);
		if (keep[i] >= from)
			from = keep[i] + 1;
	}
	close_range(from, UINT_MAX, 0);
}

static _Noreturn void run_child(struct pprof_compaction *compaction, int fd, pid_t parent,
				const char *path, const struct profile *profile, int64_t quantum_ns)
{
	uint8_t message[PIPE_BUF] = {0};
	struct result result = {0};
	size_t n_state;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	close_others(fd, compaction->file.fd);
	/* the target comes first */
	setpriority(PRIO_PROCESS, 0, 10);
	result.code = compact(compaction, path, profile, quantum_ns, &result);
	const void *state = pprof_encoder_state(compaction->encoder, &n_state);
	_Static_assert(sizeof(result) < PIPE_BUF / 2, "written at once");
	memcpy(message, &result, sizeof(result));
	memcpy(message + sizeof(result), state, n_state);
	ssize_t n = write(fd, message, sizeof(result) + n_state);
	_exit(n == (ssize_t)(sizeof(result) + n_state) ? 0 : 1);
}

static int sink_file(void *ctx, const void *bytes, size_t n)
{
	return safe_file_write(((struct safe_file *)ctx)->fd, bytes, n, NULL);
}

static int start_child(struct pprof_compaction *compaction, const char *path,
		       const struct profile *profile, int64_t quantum_ns, struct cp_err *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC))
		return cp_fail(err, -errno, "cannot compact %s: pipe: %s", path, strerror(errno));
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0)
		run_child(compaction, fds[1], parent, path, profile, quantum_ns);
	int saved = errno;
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return cp_fail(err, -saved, "cannot compact %s: fork: %s", path, strerror(saved));
	}
	compaction->pid = pid;
	compaction->result_fd = fds[0];
	return 0;
}

int pprof_compaction_begin(struct pprof_compaction *compaction, const char *path,
			   const struct profile *profile, int64_t quantum_ns, struct cp_err *err)
{
	*compaction = (struct pprof_compaction){.file.fd = -1};
	int rc = safe_file_begin(&compaction->file, path, err);
	if (rc)
		return rc;
	if (pprof_encoder_create(&compaction->encoder)) {
		rc = cp_fail_nomem(err);
	} else {
		/* here and not in the child, as the parent's encoder has to know them too */
		pprof_encoder_begin(compaction->encoder, sink_file, &compaction->file);
		pprof_encoder_tables(compaction->encoder, profile);
		rc = start_child(compaction, path, profile, quantum_ns, err);
	}
	if (rc)
		pprof_compaction_end(compaction);
	return rc;
}

/* Reap the child, and count what it took. Return: false when it still runs. */
static bool reap(struct pprof_compaction *compaction, bool wait)
{
	struct rusage usage;
	pid_t pid;
	do
		pid = wait4(compaction->pid, NULL, wait ? 0 : WNOHANG, &usage);
	while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return false;
	if (pid > 0) {
		compaction->cpu_ns =
			(uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
			(uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
		compaction->peak_rss_bytes = (uint64_t)usage.ru_maxrss << 10;
	}
	compaction->pid = 0;
	return true;
}

int pprof_compaction_poll(struct pprof_compaction *compaction, bool wait, struct cp_err *err)
{
	uint8_t message[PIPE_BUF];
	struct result result;
	size_t n_state;
	if (!reap(compaction, wait))
		return 0;
	pprof_encoder_state(compaction->encoder, &n_state);
	ssize_t n = read(compaction->result_fd, message, sizeof(message));
	int rc = 1;
	if (n != (ssize_t)(sizeof(result) + n_state)) {
		rc = cp_fail(err, -ECHILD, "cannot compact %s: the process that did it was killed",
			     compaction->file.path);
	} else {
		memcpy(&result, message, sizeof(result));
		if (result.code < 0)
			rc = cp_fail(err, result.code, "%s", result.err.message);
		compaction->samples = result.samples;
		pprof_encoder_set_state(compaction->encoder, message + sizeof(result));
	}
	if (rc == 1)
		pprof_encoder_commit(compaction->encoder);
	return rc;
}

void pprof_compaction_end(struct pprof_compaction *compaction)
{
	if (compaction->pid > 0) {
		kill(compaction->pid, SIGKILL);
		reap(compaction, true);
	}
	if (compaction->result_fd > 0)
		close(compaction->result_fd);
	if (compaction->file.path)
		safe_file_deinit(&compaction->file);
	pprof_encoder_destroy(compaction->encoder);
	uint64_t cpu_ns = compaction->cpu_ns, peak_rss_bytes = compaction->peak_rss_bytes;
	*compaction = (struct pprof_compaction){.file.fd = -1};
	compaction->cpu_ns = cpu_ns;
	compaction->peak_rss_bytes = peak_rss_bytes;
}

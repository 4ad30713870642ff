#include "base/array.h"
#include "base/cleanup.h"
#include "pprof_compact.h"
#include "pprof_encode.h"
#include "pprof_file.h"
#include "safe_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pprof_writer {
	char *path;
	int fd;
	bool special;        /* a device, a pipe: cannot be cut back, nor compacted */
	bool tail;           /* bytes beyond size_bytes that belong to no whole member */
	uint64_t size_bytes; /* whole members */
	uint64_t samples;
	struct pprof_encoder *encoder;
	/* the member being made */
	uint8_t *member;
	size_t n_member, cap_member;
	struct pprof_compaction compaction; /* under way, when it has a child */
	uint64_t helper_cpu_ns, helper_peak_rss_bytes;
};

static int sink_member(void *ctx, const void *bytes, size_t n)
{
	struct pprof_writer *writer = ctx;
	uint8_t *grown =
		cp_array_reserve(writer->member, &writer->cap_member, writer->n_member + n, 1);
	if (!grown)
		return -ENOMEM;
	writer->member = grown;
	memcpy(grown + writer->n_member, bytes, n);
	writer->n_member += n;
	return 0;
}

/* A new file; a regular one of the same name is kept as PATH.old. */
static int open_regular(struct pprof_writer *writer, bool exists, struct cp_err *err)
{
	CP_CLEANUP(cp_free) char *old = NULL;
	if (asprintf(&old, "%s.old", writer->path) < 0) {
		old = NULL;
		return cp_fail_nomem(err);
	}
	if (exists && rename(writer->path, old))
		return cp_fail(err, -errno, "cannot rename the existing %s to %s: %s", writer->path,
			       old, strerror(errno));
	writer->fd = open(writer->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (writer->fd >= 0)
		return 0;
	int saved = errno;
	if (exists)
		rename(old, writer->path);
	return cp_fail(err, -saved, "cannot create %s: %s", writer->path, strerror(saved));
}

static int open_file(struct pprof_writer *writer, struct cp_err *err)
{
	if (strcmp(writer->path, "-") == 0) {
		writer->special = true;
		writer->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
		if (writer->fd < 0)
			return cp_fail(err, -errno, "cannot write to standard output: %s",
				       strerror(errno));
		return 0;
	}
	bool exists;
	int rc = safe_file_is_special(writer->path, &writer->special, &exists, err);
	if (rc)
		return rc;
	if (!writer->special)
		return open_regular(writer, exists, err);
	writer->fd = open(writer->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (writer->fd < 0)
		return cp_fail(err, -errno, "cannot open %s: %s", writer->path, strerror(errno));
	return 0;
}

int pprof_writer_create(const char *path, struct pprof_writer **out, struct cp_err *err)
{
	struct pprof_writer *writer = calloc(1, sizeof(*writer));
	if (!writer)
		return cp_fail_nomem(err);
	writer->fd = -1;
	writer->compaction.file.fd = -1;
	writer->path = strdup(path);
	int rc = writer->path ? pprof_encoder_create(&writer->encoder) : -ENOMEM;
	if (rc)
		cp_fail_nomem(err);
	else
		rc = open_file(writer, err);
	if (rc) {
		pprof_writer_destroy(writer);
		return rc;
	}
	*out = writer;
	return 0;
}

void pprof_writer_destroy(struct pprof_writer *writer)
{
	if (!writer)
		return;
	pprof_writer_compact_stop(writer);
	if (writer->fd >= 0)
		close(writer->fd);
	pprof_encoder_destroy(writer->encoder);
	free(writer->member);
	free(writer->path);
	free(writer);
}

/* Cut the file back to its last whole member. */
static int cut_back(struct pprof_writer *writer)
{
	if (writer->special)
		return -EIO;
	if (ftruncate(writer->fd, (off_t)writer->size_bytes) ||
	    lseek(writer->fd, (off_t)writer->size_bytes, SEEK_SET) < 0)
		return -errno;
	writer->tail = false;
	return 0;
}

/*
 * The member goes out with one write, so that the file is torn for as short a time as can be. A
 * short one is continued once: then it was a signal or a quota boundary, or the next write says
 * why.
 */
static int write_member(struct pprof_writer *writer, size_t *done)
{
	*done = 0;
	for (int short_writes = 0; *done < writer->n_member;) {
		ssize_t n = write(writer->fd, writer->member + *done, writer->n_member - *done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		*done += (size_t)n;
		if (*done < writer->n_member && !writer->special && ++short_writes > 1)
			return -ENOSPC;
		if (n == 0)
			return -ENOSPC;
	}
	return 0;
}

static int append_member(struct pprof_writer *writer, struct cp_err *err)
{
	int rc = 0;
	size_t done = 0;
	if (writer->tail)
		rc = cut_back(writer);
	if (!rc)
		rc = write_member(writer, &done);
	if (!rc) {
		writer->size_bytes += writer->n_member;
		return 0;
	}
	if (done)
		writer->tail = true;
	if (writer->tail && cut_back(writer))
		return cp_fail(err, rc,
			       "cannot write to %s: %s; its end could not be restored: what was "
			       "recorded before is in its first %" PRIu64 " bytes",
			       writer->path, strerror(-rc), writer->size_bytes);
	return cp_fail(err, rc, "cannot write to %s: %s; %s", writer->path, strerror(-rc),
		       writer->size_bytes ? "what was recorded before is kept"
					  : "nothing had been written before");
}

int pprof_writer_flush(struct pprof_writer *writer, const struct profile *profile,
		       struct cp_err *err)
{
	assert(!pprof_writer_is_compacting(writer));
	writer->n_member = 0;
	pprof_encoder_begin(writer->encoder, sink_member, writer);
	pprof_encoder_tables(writer->encoder, profile);
	pprof_encoder_samples(writer->encoder, profile);
	int rc = pprof_encoder_end(writer->encoder);
	if (rc)
		cp_fail(err, rc, "cannot encode a part of %s: %s", writer->path, strerror(-rc));
	else
		rc = append_member(writer, err);
	if (rc) {
		pprof_encoder_rollback(writer->encoder);
		return rc;
	}
	pprof_encoder_commit(writer->encoder);
	writer->samples += profile->n_samples;
	return 0;
}

uint64_t pprof_writer_size_bytes(const struct pprof_writer *writer)
{
	return writer->size_bytes;
}

uint64_t pprof_writer_samples(const struct pprof_writer *writer)
{
	return writer->samples;
}

/* The new file becomes the one that is appended to. */
static int adopt(struct pprof_writer *writer, struct cp_err *err)
{
	struct pprof_compaction *compaction = &writer->compaction;
	struct safe_file *file = &compaction->file;
	off_t size = lseek(file->fd, 0, SEEK_END);
	if (size < 0)
		return cp_fail(err, -errno, "cannot seek in %s: %s", file->temporary,
			       strerror(errno));
	int rc = safe_file_commit(file, err);
	if (file->temporary)
		return rc;
	/* in place; where the directory could not be synced, a crash may bring the old file back */
	int fd = writer->fd;
	writer->fd = file->fd;
	file->fd = fd;
	struct pprof_encoder *before = writer->encoder;
	writer->encoder = compaction->encoder;
	compaction->encoder = before;
	writer->size_bytes = (uint64_t)size;
	writer->samples = compaction->samples;
	writer->tail = false;
	return 0;
}

int pprof_writer_compact_begin(struct pprof_writer *writer, const struct profile *profile,
			       int64_t quantum_ns, struct cp_err *err)
{
	if (writer->special)
		return cp_fail(err, -EOPNOTSUPP, "%s is no regular file: it cannot be compacted",
			       writer->path);
	assert(!pprof_writer_is_compacting(writer));
	return pprof_compaction_begin(&writer->compaction, writer->path, profile, quantum_ns, err);
}

bool pprof_writer_is_compacting(const struct pprof_writer *writer)
{
	return writer->compaction.pid > 0;
}

int pprof_writer_compact_poll(struct pprof_writer *writer, bool wait, struct cp_err *err)
{
	assert(pprof_writer_is_compacting(writer));
	int rc = pprof_compaction_poll(&writer->compaction, wait, err);
	if (rc == 0)
		return 0;
	if (rc > 0) {
		int code = adopt(writer, err);
		rc = code ? code : 1;
	}
	pprof_writer_compact_stop(writer);
	return rc;
}

void pprof_writer_compact_stop(struct pprof_writer *writer)
{
	pprof_compaction_end(&writer->compaction);
	writer->helper_cpu_ns += writer->compaction.cpu_ns;
	if (writer->compaction.peak_rss_bytes > writer->helper_peak_rss_bytes)
		writer->helper_peak_rss_bytes = writer->compaction.peak_rss_bytes;
	writer->compaction = (struct pprof_compaction){.file.fd = -1};
}

uint64_t pprof_writer_helper_cpu_ns(const struct pprof_writer *writer)
{
	return writer->helper_cpu_ns;
}

uint64_t pprof_writer_helper_peak_rss_bytes(const struct pprof_writer *writer)
{
	return writer->helper_peak_rss_bytes;
}

int pprof_writer_compact(struct pprof_writer *writer, const struct profile *profile,
			 int64_t quantum_ns, struct cp_err *err)
{
	if (!writer->size_bytes && !writer->special)
		return 0;
	int rc = pprof_writer_compact_begin(writer, profile, quantum_ns, err);
	if (!rc)
		rc = pprof_writer_compact_poll(writer, true, err);
	return rc > 0 ? 0 : rc;
}

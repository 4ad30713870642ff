/*
 * session.h - everything one recording owns, from attaching to the moment before the first sample.
 *
 * Depends on: the rest of this folder. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_SESSION_H
#define CPROF_CAPTURE_SESSION_H

#include "base/err.h"
#include "command.h"
#include "dispatch.h"
#include "live_recorder.h"
#include "perf_events.h"
#include "perf_probe.h"
#include "processes.h"
#include "recorder.h"
#include "recording_file.h"
#include "sample_sink.h"
#include "targets.h"
#include "wall.h"

#include <stdbool.h>
#include <stdint.h>

/* What an epoll event is about: one of these, or the index of a target. */
enum { SESSION_WAIT_RING = -1, SESSION_WAIT_STOP = -2, SESSION_WAIT_LIVE = -3 };

struct session {
	const struct recorder_options *options; /* borrowed */
	struct perf_probe probe;
	struct targets targets;
	struct command command;
	bool has_command;    /* it was started */
	bool by_ptrace;      /* live takes the samples; events is empty then */
	bool samples_wall;   /* threads that wait are looked at in rounds */
	bool tells_switches; /* the events tell when threads are off the CPU, and sample nothing */
	struct perf_events events;
	struct live_recorder live;
	struct processes *processes;
	struct sample_sink sink;
	struct dispatch dispatch;
	struct wall wall;       /* with samples_wall */
	struct off_cpu off_cpu; /* with tells_switches */
	struct recording_file file;
	void *scratch; /* PERF_RING_RECORD_MAX bytes for perf_rings_drain() */
	int epoll_fd;
};

/**
 * Check the options, attach (the command waits before its exec), and create the file. No event
 * counts yet.
 *
 * Return: 0; -errno with a message: no file was made then. In both cases session_close() follows.
 */
int session_open(struct session *s, const struct recorder_options *options, struct cp_err *err);

/** Release everything; a command that was not released does not run. */
void session_close(struct session *s);

#endif

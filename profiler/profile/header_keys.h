/*
 * header_keys.h - the recording's header: what was measured, how, and what got lost.
 *
 * Stored in the profile as comments "key=value" (pprof field 13), of which the last wins. Numbers
 * are decimal without a unit sign; the unit is the key's suffix. A key that does not apply is
 * absent. The list is a contract with readers of the files: keys are added, never reused.
 *
 * Depends on: nothing.
 */
#ifndef CPROF_PROFILE_HEADER_KEYS_H
#define CPROF_PROFILE_HEADER_KEYS_H

#define HEADER_CPROF_VERSION "cprof_version"
#define HEADER_STATE "state"             /* "recording" until a normal end, then "complete" */
#define HEADER_COMMAND "command"         /* command line of the target, shell-quoted */
#define HEADER_PIDS "pids"               /* processes asked for, separated by commas */
#define HEADER_SYSTEM_WIDE "system_wide" /* "yes": the whole machine; absent = these processes */
#define HEADER_ENGINE "engine"           /* "perf" or "ptrace" (threads were stopped) */
#define HEADER_EVENT "event"             /* of perf: "cycles" (hardware) or "cpu-clock" (timer) */
#define HEADER_MODE "mode"               /* "cpu", "wall", "offcpu" */
#define HEADER_RATE_HZ "rate_hz"         /* asked for, per running thread */
#define HEADER_UNWIND "unwind"           /* "auto": compiled rows, else libunwind; or "libunwind" */
#define HEADER_KERNEL_RELEASE "kernel_release"
#define HEADER_CPUS "cpus" /* online */

/*
 * How time in the kernel was treated: "visible" (kernel frames recorded), "credited" (sampled,
 * shown as the user stack that entered the kernel), "hidden" (not permitted: such time was not
 * sampled at all; see target_cpu_ns against the samples).
 */
#define HEADER_KERNEL "kernel"

#define HEADER_SAMPLES "samples"     /* written, all stops included */
#define HEADER_PROCESSES "processes" /* seen with samples */
#define HEADER_THREADS "threads"     /* seen with samples */

/* CPU time the recorded processes used while recorded, from /proc or rusage; of the whole machine
 * with interrupts, from /proc/stat; absent = unknown */
#define HEADER_TARGET_USER_NS "target_user_ns"
#define HEADER_TARGET_SYSTEM_NS "target_system_ns"

/* Losses. All written from the first flush on, also when 0. */
#define HEADER_LOST "lost" /* samples the kernel could not store (LOST, LOST_SAMPLES) */
/*
 * Whose records the lost ones were: "cpus" (of any program on the CPUs recorded, as there is one
 * event for each), "target" (of the recorded processes alone, or of the machine as a whole).
 */
#define HEADER_LOST_SCOPE "lost_scope"
#define HEADER_LOST_SCOPE_CPUS "cpus"
#define HEADER_LOST_SCOPE_TARGET "target"
#define HEADER_BUFFERS_LIMITED "buffers_limited" /* "mlock": smaller than wanted, by that limit */
#define HEADER_THROTTLED "throttled"             /* times the kernel paused sampling */
#define HEADER_UNTRACKED "untracked" /* samples dropped by us: out of memory or bad record */
#define HEADER_STOP_PREFIX "stop."   /* + cp_stop_name(): samples that ended so */
/*
 * Stacks that were longer than their copy: samples whose outer part is from memory read later, from
 * an earlier stack of the thread, and those that stayed cut by the reason: "changed" (memory, since
 * the sample), "gone" (the process), "refused" (reading it), "no_root" (found there), "unsettled"
 * (the outer part changes, or was not seen often enough), "not_present" (a page of the stack),
 * "too_deep" (for what is read: 1 MB), "too_costly" (for what looks may take of a CPU).
 */
#define HEADER_JOINED_MEMORY "joined_memory"
#define HEADER_JOINED_CALLCHAIN "joined_callchain"
#define HEADER_JOINED_FRAME_POINTERS "joined_frame_pointers"
#define HEADER_JOIN_FAILED_PREFIX "join_failed."
#define HEADER_LEFT_COPY "left_copy" /* truncated samples whose stack goes on on another one */
#define HEADER_OMITTED_FRAMES "omitted_frames"     /* of user stacks with more than can be kept */
#define HEADER_LIBUNWIND_STACKS "libunwind_stacks" /* samples whose stack libunwind walked */
#define HEADER_FP_FRAMES "fp_frames" /* frames stepped over by frame pointer for want of CFI */
#define HEADER_FRAMES "frames"       /* user frames unwound in all */

/* Bytes of user stack copied per sample: at the end, the least and the most; how often that was
 * changed, and how often of these because the reader came late. */
#define HEADER_DUMP_BYTES "dump_bytes"
#define HEADER_DUMP_BYTES_MIN "dump_bytes_min"
#define HEADER_DUMP_BYTES_MAX "dump_bytes_max"
#define HEADER_DUMP_CHANGES "dump_changes"
#define HEADER_DUMP_PRESSED "dump_pressed"

/*
 * Time off the CPU. How durations are known: "exact" (the kernel tells every switch) or "sampled"
 * (looks at waiting threads, and the scheduler's statistics).
 */
#define HEADER_OFF_CPU_DURATIONS "off_cpu_durations"
#define HEADER_OFF_CPU_EXACT "exact"
#define HEADER_OFF_CPU_SAMPLED "sampled"
/* Of exact ones: waits and their time; for a CPU; with a stack of their own; with that of another
 * wait of the thread; of unknown length as a record was lost; dropped by us. */
#define HEADER_OFF_CPU_WAITS "off_cpu_waits"
#define HEADER_OFF_CPU_WAIT_NS "off_cpu_wait_ns"
#define HEADER_OFF_CPU_RUN_QUEUE_WAITS "off_cpu_run_queue_waits"
#define HEADER_OFF_CPU_RUN_QUEUE_NS "off_cpu_run_queue_ns"
#define HEADER_OFF_CPU_SEEN_NS "off_cpu_seen_ns"
#define HEADER_OFF_CPU_ESTIMATED_NS "off_cpu_estimated_ns"
#define HEADER_OFF_CPU_BROKEN "off_cpu_broken"
#define HEADER_OFF_CPU_DROPPED "off_cpu_dropped"
/* Looks at waiting threads: stacks taken, given up as the thread went on, not permitted; taken ones
 * whose rbp had to be searched for, and was not found. */
#define HEADER_OFF_CPU_TAKEN "off_cpu_taken"
#define HEADER_OFF_CPU_DISCARDED "off_cpu_discarded"
#define HEADER_OFF_CPU_REFUSED "off_cpu_refused"
#define HEADER_OFF_CPU_FP_SEARCHED "off_cpu_fp_searched"
#define HEADER_OFF_CPU_FP_UNKNOWN "off_cpu_fp_unknown"

/* + OLD of a --source-prefix OLD=NEW that the source paths were put under. The value is NEW. */
#define HEADER_SOURCE_PREFIX_PREFIX "source_prefix."

#define HEADER_TIME_QUANTUM_NS "time_quantum_ns" /* of the timeline; absent = none */
/* Of the timeline on CLOCK_MONOTONIC, which counts from the boot: what runtimes note of the code
 * they make has times of that clock. */
#define HEADER_TIME_START_NS "time_start_ns"

/*
 * Of a recording on the wall clock: looks at waiting threads, as often each second at every thread
 * as was afforded (the rest were passed over at random); stacks that were read, where the others
 * had not changed; looks thrown away because the thread had gone on, and those that were refused.
 * Stacks whose frame pointer was needed: known from a full sample, searched for (these are marked),
 * asked of the thread by a stop, not found (truncated). Time of threads that no sample stands for,
 * and samples that found no room.
 */
#define HEADER_WALL_LOOKS "wall_looks"
#define HEADER_WALL_RATE_MHZ "wall_rate_mhz" /* thousandths of a hertz */
#define HEADER_WALL_TAKEN "wall_taken"
#define HEADER_WALL_DISCARDED "wall_discarded"
#define HEADER_WALL_REFUSED "wall_refused"
#define HEADER_WALL_FP_REMEMBERED "wall_fp_remembered"
#define HEADER_WALL_FP_SEARCHED "wall_fp_searched"
#define HEADER_WALL_FP_STOPPED "wall_fp_stopped"
#define HEADER_WALL_FP_UNKNOWN "wall_fp_unknown"
#define HEADER_WALL_UNSEEN_NS "wall_unseen_ns"
#define HEADER_WALL_DROPPED "wall_dropped"

/* What recording cost. */
#define HEADER_RECORDER_CPU_NS "recorder_cpu_ns"
#define HEADER_RECORDER_PEAK_RSS_BYTES "recorder_peak_rss_bytes"
#define HEADER_UNWIND_TABLES_BYTES "unwind_tables_bytes" /* of all binaries, and rows; now */
#define HEADER_UNWIND_TABLES_SKIPPED                                                               \
	"unwind_tables_skipped" /* binaries beyond the limit on them: not unwound by tables */

/*
 * What stopping threads has cost; absent where the engine stops none. Asked for: the share of the
 * CPUs' and of the threads' time, and how long one stop may be. Realised: stops, how long a thread
 * stood still at most (percentiles are up to 1/16 above the true ones), in all, how many stops were
 * longer than asked for; samples per second of CPU time that they stand for.
 */
#define HEADER_MAX_OVERHEAD_PPM "max_overhead_ppm"
#define HEADER_MAX_PAUSE_NS "max_pause_ns"
#define HEADER_PAUSES "pauses"
#define HEADER_PAUSE_P50_NS "pause_p50_ns"
#define HEADER_PAUSE_P99_NS "pause_p99_ns"
#define HEADER_PAUSE_LONGEST_NS "pause_longest_ns"
#define HEADER_PAUSE_TOTAL_NS "pause_total_ns"
#define HEADER_PAUSES_BEYOND "pauses_beyond"
#define HEADER_RATE_ACHIEVED_HZ "rate_achieved_hz"
/*
 * What happened to threads in stops: system calls that would have returned EINTR and were entered
 * once more, those that did return it, writes that may have been cut short, signals that arrived
 * and were passed on. Threads that gave no sample: not stopped within 20 ms (let go when they did),
 * not permitted or traced by another, stopped by job control, of 32 bits or without a readable
 * stack; not asked to stop, as one of their process had not stopped yet, or as a round had taken
 * long. Threads that had not stopped when the recording ended: let go by the kernel, and a system
 * call that they were in may have returned EINTR.
 */
#define HEADER_EINTR_REWOUND "eintr_rewound"
#define HEADER_EINTR_LEFT "eintr_left"
#define HEADER_SHORT_WRITES "short_writes"
#define HEADER_SIGNALS_PASSED "signals_passed"
#define HEADER_STOPS_LATE "stops_late"
#define HEADER_STOPS_REFUSED "stops_refused"
#define HEADER_STOPS_HELD "stops_held"
#define HEADER_STOPS_OTHER "stops_other"
#define HEADER_STOPS_LEFT_OUT "stops_left_out"
#define HEADER_STOPS_UNFINISHED "stops_unfinished"
/*
 * How often it was looked whether a thread runs, and how often not, for want of time in a round.
 * CPU time of the recorded processes that no sample stands for: of threads that ended before they
 * were met running, and after the last sample of others.
 */
#define HEADER_RUN_LOOKS "run_looks"
#define HEADER_RUN_LOOKS_LEFT_OUT "run_looks_left_out"
#define HEADER_CPU_UNSAMPLED_NS "cpu_unsampled_ns"

/* "yes" once every location was looked up; absent = not, or only in part. */
#define HEADER_SYMBOLIZED "symbolized"

/* Interpreters found: "python", "node", "java"; separated by commas. */
#define HEADER_RUNTIMES "runtimes"

/* Of a heap file: amount of the only value that suppressed allocations have, and are left out. */
#define HEADER_HEAP_SUPPRESSED "heap_suppressed"
#define HEADER_HEAP_FROZEN "heap_frozen" /* "yes": a table was full, so values are "at least" */

#endif

#include "heap_gates.h"

/* Without a single sampled block there are, with 95 %, fewer bytes than 3 times the distance. */
static const double nothing_seen = 3.0;

static const char *why_unknown(const struct heap_analysis *analysis)
{
	const struct heap_header *header = &analysis->input->snapshot->header;
	if (analysis->allocs <= 0)
		return "no allocation was recorded";
	if (header->frozen)
		return "a table of the recorder was full, so that blocks are missing";
	if (header->losses[HEAP_LOSS_LOCK] || header->losses[HEAP_LOSS_REENTERED])
		return "events were lost";
	return NULL;
}

/* How much more there may be than the samples say, with 95 %; 0 in exact mode. */
static double unseen(const struct heap_analysis *analysis)
{
	return analysis->kept.raw
		       ? heap_half_width(analysis->kept.bytes_variance)
		       : nothing_seen * (double)analysis->input->snapshot->header.sample_bytes;
}

static struct heap_gate unfreed(const struct heap_analysis *analysis)
{
	struct heap_gate gate = {
		.name = "unfreed",
		.option = "--fail-on-unfreed",
		.result = HEAP_GATE_PASS,
		.limit = (double)analysis->options->unfreed_bytes,
		.value = analysis->kept.bytes,
		.reason = why_unknown(analysis),
	};
	if (gate.value > gate.limit || (gate.limit <= 0 && analysis->kept.raw > 0)) {
		gate.result = HEAP_GATE_FAIL;
		gate.reason = NULL;
	} else if (!gate.reason && analysis->too_young.raw && heap_end_unknown(analysis)) {
		gate.reason = "when the process ended is not known, so neither is the age of what "
			      "--min-age left out";
	} else if (!gate.reason && analysis->input->snapshot->header.sample_bytes &&
		   analysis->kept.bytes + unseen(analysis) > gate.limit) {
		gate.most = analysis->kept.bytes + unseen(analysis);
		gate.reason = "with this sampling that little cannot be told from nothing";
	}
	if (gate.reason)
		gate.result = HEAP_GATE_UNKNOWN;
	return gate;
}

/* Of all, of one place, or of the steady ones together. */
double heap_gates_growth(const struct heap_analysis *analysis)
{
	double rate = analysis->growing_rate;
	for (size_t i = 0; i < analysis->n_places; i++)
		if (analysis->places[i].rise > rate)
			rate = analysis->places[i].rise;
	const bool told =
		analysis->growth_by_since || analysis->growth.verdict == HEAP_GROWTH_GROWING;
	return told && analysis->growth.rate > rate ? analysis->growth.rate : rate;
}

/* What it can be at most. Between two copies a difference is what it is. */
static double growth_most(const struct heap_analysis *analysis, double seen)
{
	const struct heap_input *input = analysis->input;
	const uint64_t from_ns = input->since ? input->since_target->now_ns : 0;
	const uint64_t min_age_ns = analysis->options->min_age_ns;
	const double time_s = (double)(input->target->now_ns - min_age_ns - from_ns) / 1e9;
	double most = seen;
	if (!analysis->growth_by_since && analysis->most_rate > most)
		most = analysis->most_rate;
	for (size_t i = 0; analysis->growth_by_since && i < analysis->n_places; i++)
		if (analysis->places[i].growth.high > most)
			most = analysis->places[i].growth.high;
	const double beyond = unseen(analysis) / time_s;
	return analysis->growth_by_since && analysis->kept.raw ? most : most + beyond;
}

/* What a process frees at its end is not seen to have grown: that much there was more of. */
static double freed_most(const struct heap_analysis *analysis)
{
	const struct heap_input *input = analysis->input;
	const uint64_t from_ns = input->since ? input->since_target->now_ns : 0;
	const double peak = (double)input->snapshot->header.peak_bytes;
	if (input->target->state != HEAP_TARGET_EXITED || input->target->now_ns <= from_ns ||
	    peak <= analysis->all.bytes)
		return 0;
	return (peak - analysis->all.bytes) / ((double)(input->target->now_ns - from_ns) / 1e9);
}

static struct heap_gate growth(const struct heap_analysis *analysis)
{
	const double seen = heap_gates_growth(analysis);
	struct heap_gate gate = {
		.name = "growth",
		.option = "--fail-on-growth",
		.result = HEAP_GATE_PASS,
		.limit = analysis->options->growth_per_hour,
		.value = seen * 3600,
		.reason = why_unknown(analysis),
	};
	if (heap_end_unknown(analysis)) {
		gate.reason = "when the process ended is not known, so that what it allocated at "
			      "its start may look like growth";
	} else if (analysis->growth.verdict == HEAP_GROWTH_UNKNOWN) {
		if (!gate.reason)
			gate.reason = "the time is too short to see a trend: 2 s at least";
	} else if (gate.value > gate.limit) {
		gate.result = HEAP_GATE_FAIL;
		gate.reason = NULL;
	} else if (!gate.reason && growth_most(analysis, seen) * 3600 > gate.limit) {
		gate.most = growth_most(analysis, seen) * 3600;
		gate.reason =
			analysis->growth_by_since
				? "with this sampling that little cannot be told from nothing"
				: "a single file tells steady growth alone, and more than the "
				  "limit was allocated after the first quarter of the run and is "
				  "live: compare two copies by --since, or leave out what is in "
				  "use by --min-age";
	} else if (!gate.reason && freed_most(analysis) * 3600 > gate.limit) {
		gate.most = freed_most(analysis) * 3600;
		gate.reason = "it has exited, and what grew until it was freed at the end is no "
			      "longer seen: judge it while it runs, by -p PID";
	}
	if (gate.reason)
		gate.result = HEAP_GATE_UNKNOWN;
	return gate;
}

size_t heap_gates_decide(const struct heap_analysis *analysis,
			 struct heap_gate gates[HEAP_GATES_MAX])
{
	size_t n = 0;
	if (analysis->options->fail_on_unfreed)
		gates[n++] = unfreed(analysis);
	if (analysis->options->fail_on_growth)
		gates[n++] = growth(analysis);
	return n;
}

enum heap_gate_result heap_gates_together(const struct heap_gate *gates, size_t n)
{
	enum heap_gate_result result = HEAP_GATE_NONE;
	for (size_t i = 0; i < n; i++) {
		if (gates[i].result == HEAP_GATE_FAIL)
			return HEAP_GATE_FAIL;
		if (gates[i].result > result)
			result = gates[i].result;
	}
	return result;
}

const char *heap_gate_result_name(enum heap_gate_result result)
{
	static const char *const names[] = {"none", "pass", "fail", "unknown"};
	return names[result];
}

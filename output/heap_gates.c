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
	if (header->losses[HEAP_LOSS_LOCK])
		return "events were lost";
	return NULL;
}

/* The most that is not freed, with 95 %. */
static double upper(const struct heap_analysis *analysis)
{
	const double seen =
		analysis->kept.raw
			? heap_half_width(analysis->kept.bytes_variance)
			: nothing_seen * (double)analysis->input->snapshot->header.sample_bytes;
	return analysis->kept.bytes + seen;
}

static struct heap_gate unfreed(const struct heap_analysis *analysis)
{
	struct heap_gate gate = {
		.name = "unfreed",
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
		   upper(analysis) > gate.limit) {
		gate.reason = "with this sampling that little cannot be told from nothing";
	}
	if (gate.reason)
		gate.result = HEAP_GATE_UNKNOWN;
	return gate;
}

static struct heap_gate growth(const struct heap_analysis *analysis)
{
	const struct heap_growth *all = &analysis->growth;
	double rate = analysis->growing_rate;
	if (all->verdict == HEAP_GROWTH_GROWING && all->rate > rate)
		rate = all->rate;
	struct heap_gate gate = {
		.name = "growth",
		.result = HEAP_GATE_PASS,
		.limit = analysis->options->growth_per_hour,
		.value = rate * 3600,
		.reason = why_unknown(analysis),
	};
	if (heap_end_unknown(analysis)) {
		gate.reason = "when the process ended is not known, so that what it allocated at "
			      "its start may look like growth";
	} else if (gate.value > gate.limit) {
		gate.result = HEAP_GATE_FAIL;
		gate.reason = NULL;
	} else if (!gate.reason && all->verdict == HEAP_GROWTH_UNKNOWN) {
		gate.reason = "the time is too short to see a trend: 2 s at least";
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

#include "heap_parts.h"

#include "base/text.h"
#include "short_name.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHAIN_FRAMES = 5, CHAIN_NAME = 40 };

/* Mean and median of a steady leak differ by less than this part. */
static const double uneven = 0.25;

enum heap_verdict heap_verdict_of(const struct heap_analysis *analysis)
{
	if (analysis->allocs <= 0)
		return HEAP_VERDICT_UNKNOWN;
	if (analysis->n_growing > 0 || analysis->growth.verdict == HEAP_GROWTH_GROWING)
		return HEAP_VERDICT_GROWING;
	const enum heap_target_state state = analysis->input->target->state;
	if (state == HEAP_TARGET_RUNNING || state == HEAP_TARGET_COPY)
		return HEAP_VERDICT_LIVE;
	return analysis->kept.raw ? HEAP_VERDICT_UNFREED : HEAP_VERDICT_CLEAN;
}

const char *heap_verdict_name(enum heap_verdict verdict)
{
	static const char *const names[] = {"clean", "unfreed", "growing", "live", "unknown"};
	return names[verdict];
}

void heap_add_error(struct strbuf *to, double value, double variance)
{
	if (variance <= 0 || value <= 0)
		return;
	const double pct = 100 * heap_half_width(variance) / value;
	if (pct < 0.5)
		strbuf_add(to, " +-<1 %");
	else
		strbuf_addf(to, " +-%.0f %%", pct);
}

void heap_add_bytes(struct strbuf *to, double bytes, double variance)
{
	char text[CP_TEXT_MAX];
	strbuf_add(to, cp_format_bytes((uint64_t)llround(bytes > 0 ? bytes : 0), text));
	heap_add_error(to, bytes, variance);
}

void heap_add_sampled(struct strbuf *to, const struct heap_row *row, bool calls)
{
	char text[CP_TEXT_MAX];
	strbuf_addf(to, "%s sampled", cp_format_count(row->live.raw, text));
	if (row->live.blocks_variance > 0) {
		strbuf_add(to, ", blocks");
		heap_add_error(to, row->live.blocks, row->live.blocks_variance);
	}
	if (calls && row->allocs_variance > 0) {
		strbuf_add(to, ", calls");
		heap_add_error(to, row->allocs, row->allocs_variance);
	}
}

void heap_add_count(struct strbuf *to, double count)
{
	char text[CP_TEXT_MAX];
	strbuf_add(to, cp_format_count((uint64_t)llround(count > 0 ? count : 0), text));
}

/* Of a short run a rate per hour is what nobody has seen. */
static bool is_short(const struct heap_growth *growth)
{
	return growth->window_ns < UINT64_C(600000000000) / HEAP_GROWTH_WINDOWS;
}

/* Without the unit of time. */
static void add_amount_per(struct strbuf *to, double per_second, bool seconds)
{
	char text[CP_TEXT_MAX];
	const double amount = fabs(per_second) * (seconds ? 1 : 3600);
	cp_format_bytes(amount < 9e18 ? (uint64_t)amount : UINT64_MAX / 2, text);
	strbuf_addf(to, "%s%s", per_second < 0 ? "-" : "", text);
}

/* The rate is a median: of a leak that comes in unequal lots it says less than all that piled up.
 */
static void add_mean(struct strbuf *to, double rate, double mean, bool seconds)
{
	if (fabs(mean - rate) <= uneven * fabs(rate))
		return;
	strbuf_add(to, mean >= 0 ? ", mean +" : ", mean ");
	add_amount_per(to, mean, seconds);
	strbuf_add(to, seconds ? "/s" : "/h");
}

void heap_add_rate(struct strbuf *to, const struct heap_growth *growth)
{
	const bool seconds = is_short(growth);
	if (growth->rate >= 0)
		strbuf_add(to, "+");
	add_amount_per(to, growth->rate, seconds);
	strbuf_add(to, seconds ? "/s" : "/h");
	if (growth->low < growth->high) {
		strbuf_add(to, " [");
		add_amount_per(to, growth->low, seconds);
		strbuf_add(to, ", ");
		add_amount_per(to, growth->high, seconds);
		strbuf_add(to, "]");
	}
	add_mean(to, growth->rate, growth->mean, seconds);
}

static const char *plural(double n)
{
	return llround(n) == 1 ? "" : "s";
}

/* "1.2 MiB in 1,024 blocks from 3 places" */
static void add_amount(const struct heap_analysis *analysis, struct strbuf *to)
{
	const struct heap_sum *kept = &analysis->kept;
	heap_add_bytes(to, kept->bytes, kept->bytes_variance);
	strbuf_add(to, " in ");
	heap_add_count(to, kept->blocks);
	strbuf_addf(to, " block%s from %zu place%s", plural(kept->blocks), analysis->n_places,
		    plural((double)analysis->n_places));
}

static void add_growth(const struct heap_analysis *analysis, struct strbuf *to)
{
	const struct heap_growth *all = &analysis->growth;
	if (analysis->n_growing) {
		strbuf_addf(to, "%zu place%s pile%s up memory steadily: +", analysis->n_growing,
			    plural((double)analysis->n_growing),
			    analysis->n_growing == 1 ? "s" : "");
		add_amount_per(to, analysis->growing_rate, is_short(all));
		strbuf_add(to, is_short(all) ? "/s" : "/h");
		add_mean(to, analysis->growing_rate, analysis->growing_mean, is_short(all));
	} else {
		strbuf_add(to, "memory piles up steadily over many places: ");
		heap_add_rate(to, all);
	}
	if (analysis->growth_by_since)
		strbuf_add(to, " since the earlier copy");
	strbuf_add(to, ". ");
}

static bool has_ended(const struct heap_analysis *analysis)
{
	const enum heap_target_state state = analysis->input->target->state;
	return state != HEAP_TARGET_RUNNING && state != HEAP_TARGET_COPY;
}

/* Which live blocks are meant, where not all are. */
static void add_selection(const struct heap_analysis *analysis, struct strbuf *to)
{
	char age[CP_TEXT_MAX];
	if (analysis->growth_by_since)
		strbuf_add(to, ", allocated since the earlier copy");
	if (analysis->options->min_age_ns)
		strbuf_addf(to, ", %s old or older",
			    cp_format_duration(analysis->options->min_age_ns, age));
}

static void add_left(const struct heap_analysis *analysis, struct strbuf *to, bool begins)
{
	const bool at_least = analysis->input->snapshot->header.frozen;
	const uint64_t sample_bytes = analysis->input->snapshot->header.sample_bytes;
	char most[CP_TEXT_MAX];
	if (analysis->kept.raw == 0 && sample_bytes) {
		/* rule of three: with 95 % none of n is seen where fewer than 3 of n are expected
		 */
		strbuf_addf(to, "no sampled block is live%s: less than about %s (95 %%)",
			    analysis->suppressed.raw ? " but suppressed ones" : "",
			    cp_format_bytes(3 * sample_bytes, most));
	} else if (analysis->kept.raw == 0) {
		strbuf_add(to, has_ended(analysis) ? "nothing is left that was not freed"
						   : "nothing is live");
	} else {
		strbuf_add(to, has_ended(analysis) ? begins ? "Not freed: " : "not freed: "
			       : begins            ? "Live: "
						   : "live: ");
		if (at_least)
			strbuf_add(to, "at least ");
		add_amount(analysis, to);
	}
	add_selection(analysis, to);
	strbuf_add(to, ".");
	if (has_ended(analysis) && !heap_end_unknown(analysis) &&
	    analysis->input->target->now_ns < HEAP_GROWTH_LEAST_NS)
		strbuf_addf(to, " It ran for %s: what grows can be told from 2 s on.",
			    heap_format_age(analysis->input->target->now_ns, most));
	if (heap_end_unknown(analysis))
		strbuf_addf(to,
			    " When the %s is not known: growth is not judged, and ages are \"at "
			    "least\".",
			    has_ended(analysis) ? "process ended" : "copy was made");
}

void heap_add_verdict(const struct heap_analysis *analysis, struct strbuf *to)
{
	switch (heap_verdict_of(analysis)) {
	case HEAP_VERDICT_UNKNOWN:
		strbuf_add(to,
			   "no allocation was recorded: the program called no malloc that could "
			   "be seen.");
		return;
	case HEAP_VERDICT_GROWING:
		strbuf_add(to, "growing: ");
		add_growth(analysis, to);
		add_left(analysis, to, true);
		return;
	case HEAP_VERDICT_LIVE:
		if (analysis->growth.verdict == HEAP_GROWTH_UNKNOWN)
			strbuf_add(to, "too early to see whether anything grows; ");
		else
			strbuf_add(to, "nothing grows steadily; ");
		break;
	case HEAP_VERDICT_CLEAN:
	case HEAP_VERDICT_UNFREED:
		break;
	}
	add_left(analysis, to, false);
}

const char *heap_verdict_caution(const struct heap_analysis *analysis)
{
	if (analysis->kept.raw == 0)
		return "";
	return has_ended(analysis) ? "\"Not freed\" is not yet \"leaked\": memory that is still "
				     "pointed to at the "
				     "end may be meant to live that long."
				   : "What is live is not yet \"leaked\": the process may still "
				     "use and free it.";
}

const char *heap_format_age(uint64_t ns, char text[CP_TEXT_MAX])
{
	if (ns >= HEAP_TICK_NS)
		return cp_format_duration(ns, text);
	snprintf(text, CP_TEXT_MAX, "<%d ms", HEAP_TICK_NS / 1000000);
	return text;
}

void heap_add_target(const struct heap_report *report, struct strbuf *to)
{
	const struct heap_header *header = &report->input->snapshot->header;
	const size_t n = sizeof(header->command);
	const size_t start = to->n;
	for (size_t at = 0; at < n && header->command[at] && to->n - start < 100;
	     at += strnlen(header->command + at, n - at) + 1) {
		if (at)
			strbuf_add(to, " ");
		strbuf_add_printable(to, header->command + at);
	}
	if (to->n == start)
		strbuf_add_printable(to, header->exe);
	strbuf_addf(to, " (pid %u)", header->pid);
}

void heap_add_method(const struct heap_report *report, struct strbuf *to)
{
	char text[CP_TEXT_MAX];
	const struct heap_header *header = &report->input->snapshot->header;
	const struct heap_target *target = report->input->target;
	static const char *const states[HEAP_TARGET_STATES] = {
		[HEAP_TARGET_RUNNING] = "running for",
		[HEAP_TARGET_COPY] = "copied after",
		[HEAP_TARGET_EXITED] = "exited after",
		[HEAP_TARGET_REPLACED] = "replaced by exec after",
		[HEAP_TARGET_KILLED] =
			"ended without exit handlers (killed, crashed or _exit) after",
	};
	if (header->sample_bytes)
		strbuf_addf(to, "sampled every %s, 95 %% intervals",
			    cp_format_bytes(header->sample_bytes, text));
	else
		strbuf_add(to, "every block");
	if (target->now_is_guess && target->now_ns < HEAP_TICK_NS)
		strbuf_addf(to, ", %s an unknown time", states[target->state]);
	else
		strbuf_addf(to, ", %s %s%s", states[target->state],
			    target->now_is_guess ? "at least " : "",
			    heap_format_age(target->now_ns, text));
}

void heap_add_place(const struct heap_row *row, struct strbuf *to)
{
	if (row->file[0]) {
		strbuf_add_printable(to, row->file);
		if (row->line)
			strbuf_addf(to, ":%u", row->line);
	} else if (row->module[0] && row->name[0] != '[') {
		const char *slash = strrchr(row->module, '/');
		strbuf_add(to, "[");
		strbuf_add_printable(to, slash ? slash + 1 : row->module);
		strbuf_add(to, "]");
	}
}

/* The name of a frame of the stack that was asked for last. */
static void add_name(struct heap_analysis *analysis, size_t i, struct strbuf *to)
{
	struct strbuf clean = {0};
	strbuf_add_printable(&clean, heap_analysis_name(analysis, i));
	short_name_add(to, strbuf_text(&clean), CHAIN_NAME);
	strbuf_deinit(&clean);
}

int heap_add_chain(struct heap_analysis *analysis, const struct heap_row *row, struct strbuf *to)
{
	const frame_id *stack;
	const long n = heap_analysis_stack(analysis, row->site, &stack);
	if (n < 0)
		return (int)n;
	size_t shown = 0;
	const char *last = row->name;
	const size_t depth = (size_t)n;
	/* of the way down only the outermost: which function of the library was called */
	if (row->in_charge > 0) {
		strbuf_add(to, "; by ");
		add_name(analysis, row->in_charge - 1, to);
	}
	for (size_t i = row->in_charge + 1; i < depth && shown < CHAIN_FRAMES; i++) {
		if (heap_blame_passes_over(&analysis->blame, stack[i]))
			continue;
		const char *name = heap_analysis_name(analysis, i);
		/* of recursion, and of code without names, one frame says as much as ten */
		if (strcmp(name, "_start") == 0 || strcmp(name, last) == 0)
			continue;
		last = name;
		strbuf_add(to, shown ? " < " : "; called by ");
		add_name(analysis, i, to);
		/* two calls in one function are two stacks */
		const uint32_t line = frames_get(analysis->frames, stack[i])->line;
		if (line)
			strbuf_addf(to, ":%u", line);
		shown++;
	}
	return 0;
}

static void count_end(unsigned flags, struct heap_coverage *coverage)
{
	if (flags & HEAP_STACK_TRUNCATED)
		coverage->truncated++;
	else if (flags & HEAP_STACK_NO_CFI)
		coverage->no_cfi++;
	else if (flags & HEAP_STACK_UNSUPPORTED)
		coverage->unsupported++;
	else if (flags & HEAP_STACK_BAD)
		coverage->bad++;
	else
		coverage->complete++;
}

static bool has_fp(const struct heap_snapshot *snapshot, uint32_t node)
{
	for (; node; node = snapshot->nodes[node].parent)
		if (snapshot->nodes[node].flags & HEAP_STACK_BY_FP)
			return true;
	return false;
}

/* Each address once, however many stacks it is in. */
static void count_frames(const struct heap_analysis *analysis, struct heap_coverage *coverage)
{
	const struct profile *profile = analysis->input->profile;
	for (size_t i = 0; i < profile->n_locations; i++) {
		size_t n;
		const frame_id *of =
			frames_of_location(analysis->frames, (location_id){(uint32_t)i}, &n);
		const struct frame *frame = frames_get(analysis->frames, of[0]);
		coverage->frames++;
		coverage->symbolized += frame->symbolized;
		coverage->with_lines += frame->line > 0;
	}
}

int heap_coverage_count(struct heap_analysis *analysis, struct heap_coverage *out)
{
	const struct heap_snapshot *snapshot = analysis->input->snapshot;
	struct heap_coverage coverage = {0};
	for (uint32_t i = 0; i < analysis->n_sites; i++) {
		if (analysis->sites[i].allocs <= 0 || snapshot->sites[i].node == 0)
			continue;
		coverage.sites++;
		coverage.by_fp += has_fp(snapshot, snapshot->sites[i].node);
		count_end(heap_stack_end(snapshot, snapshot->sites[i].node), &coverage);
	}
	count_frames(analysis, &coverage);
	*out = coverage;
	return 0;
}

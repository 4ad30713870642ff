/*
 * heap_remarks.c - what stands under the numbers of a heap report: what was taken out of them, how
 * far the stacks and names go, and everything that was lost.
 */
#include "base/text.h"
#include "heap/heap_settings.h"
#include "heap_parts.h"

#include <inttypes.h>
#include <string.h>

enum { SUMMARY_MISSING = 2 };

struct remarks {
	const struct heap_report *report;
	struct strbuf *to;
	void (*remark)(void *ctx, const char *text);
	void *ctx;
};

static void say(const struct remarks *remarks)
{
	remarks->remark(remarks->ctx, strbuf_text(remarks->to));
	strbuf_clear(remarks->to);
}

static void add_sum(struct strbuf *to, const struct heap_sum *sum)
{
	heap_add_bytes(to, sum->bytes, sum->bytes_variance);
	strbuf_add(to, " in ");
	heap_add_count(to, sum->blocks);
	strbuf_add(to, sum->blocks == 1 ? " block" : " blocks");
}

static void remark_taken_out(const struct remarks *remarks)
{
	const struct heap_analysis *analysis = remarks->report->analysis;
	char age[CP_TEXT_MAX];
	if (analysis->suppressed.raw) {
		strbuf_add(remarks->to, "suppressed: ");
		add_sum(remarks->to, &analysis->suppressed);
		const char *before = ": ";
		for (size_t i = 0; i < remarks->report->input->rules->n; i++) {
			const struct heap_rule *rule = &remarks->report->input->rules->rules[i];
			if (rule->blocks <= 0)
				continue;
			strbuf_add(remarks->to, before);
			strbuf_add_printable(remarks->to, rule->pattern);
			strbuf_add(remarks->to, " ");
			heap_add_bytes(remarks->to, rule->bytes, 0);
			before = ", ";
		}
		say(remarks);
	}
	if (analysis->before.raw) {
		strbuf_add(remarks->to, "live already in the earlier copy, and left out: ");
		add_sum(remarks->to, &analysis->before);
		say(remarks);
	}
	if (analysis->too_young.raw) {
		strbuf_addf(remarks->to, "younger than %s, and left out: ",
			    cp_format_duration(analysis->options->min_age_ns, age));
		add_sum(remarks->to, &analysis->too_young);
		say(remarks);
	}
}

static void add_share(struct strbuf *to, const char *what, size_t part, size_t whole)
{
	char text[CP_TEXT_MAX];
	const double pct = whole ? 100.0 * (double)part / (double)whole : 0;
	strbuf_addf(to, "%s %s", cp_format_pct(pct, text), what);
}

static void remark_quality(const struct remarks *remarks)
{
	struct heap_coverage coverage;
	if (heap_coverage_count(remarks->report->analysis, &coverage) || coverage.sites == 0)
		return;
	add_share(remarks->to, "of the stacks complete, ", coverage.complete, coverage.sites);
	add_share(remarks->to, "of the addresses have a function, ", coverage.symbolized,
		  coverage.frames);
	add_share(remarks->to, "a source line", coverage.with_lines, coverage.frames);
	const struct {
		const char *what;
		size_t n;
	} ends[] = {
		{"longer than 512 frames", coverage.truncated},
		{"cut at code without unwind information", coverage.no_cfi},
		{"cut at unwind information of an unusual kind", coverage.unsupported},
		{"cut at what is no code", coverage.bad},
		{"partly by frame pointer", coverage.by_fp},
	};
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends[i].n)
			strbuf_addf(remarks->to, "; %zu %s", ends[i].n, ends[i].what);
	say(remarks);
}

static void remark_room(const struct remarks *remarks)
{
	char text[CP_TEXT_MAX];
	const struct heap_snapshot *snapshot = remarks->report->input->snapshot;
	const uint32_t max = snapshot->header.limit_blocks ? snapshot->header.limit_blocks
							   : snapshot->header.max_blocks;
	if (snapshot->disk_bytes)
		strbuf_addf(remarks->to, "file: %s; ", cp_format_bytes(snapshot->disk_bytes, text));
	strbuf_addf(remarks->to, "room for %s live blocks", cp_format_count(max, text));
	strbuf_addf(remarks->to, ", %s when full (CPROF_HEAP_MAX_BLOCKS)",
		    cp_format_bytes((uint64_t)max * sizeof(struct heap_block), text));
	say(remarks);
}

static const struct {
	enum heap_loss loss;
	const char *text;
} losses[] = {
	{HEAP_LOSS_TABLE_FULL,
	 "blocks beyond the limit of live blocks were not recorded: raise CPROF_HEAP_MAX_BLOCKS"},
	{HEAP_LOSS_NO_SPACE,
	 "blocks were not recorded because the file could not grow: the file system was full; make "
	 "room there, or choose another place with CPROF_HEAP_OUTPUT"},
	{HEAP_LOSS_SITES_FULL,
	 "blocks are without their stack, since there were more stacks than the limit: raise "
	 "CPROF_HEAP_MAX_SITES and CPROF_HEAP_MAX_NODES"},
	{HEAP_LOSS_LOCK, "events were given up because another thread held a lock for too long"},
	{HEAP_LOSS_REENTERED,
	 "events of signal handlers that interrupted the recorder were not recorded"},
	{HEAP_LOSS_MISSED_FREE,
	 "blocks were freed without the recorder seeing it, and are counted as freed since their "
	 "address was handed out again"},
	{HEAP_LOSS_STACK_LOCK,
	 "blocks are without their stack because another thread held a lock for too long"},
	{HEAP_LOSS_STACK_NO_SPACE, "blocks are without their stack because the file could not "
				   "grow: the file system was full"},
	{HEAP_LOSS_MODULES_FULL,
	 "frames have no name, since there were more modules than the limit: raise "
	 "CPROF_HEAP_MAX_MODULES"},
	{HEAP_LOSS_BOOTSTRAP, "blocks are from before the recorder was ready, and not recorded"},
};

/* What the library would have said, could it print. */
static void remark_settings(const struct remarks *remarks)
{
	const uint32_t refused = remarks->report->input->snapshot->header.settings_refused;
	for (size_t i = 0; i < HEAP_SETTING_NUMBERS; i++) {
		const struct heap_setting_number *number = &heap_setting_numbers[i];
		if (!(refused >> i & 1))
			continue;
		strbuf_addf(remarks->to,
			    "%s was not used as it was set: a whole number from %" PRIu64
			    " to %" PRIu64 " is needed",
			    number->name, number->least, number->most);
		say(remarks);
	}
	if (refused >> HEAP_SETTING_FOLLOW & 1) {
		strbuf_add(remarks->to,
			   "CPROF_HEAP_FOLLOW was not used: it is no regular expression");
		say(remarks);
	}
	if (refused >> HEAP_SETTING_OUTPUT & 1) {
		strbuf_add(remarks->to, "CPROF_HEAP_OUTPUT was not used: it is too long");
		say(remarks);
	}
}

static void remark_losses(const struct remarks *remarks)
{
	char text[CP_TEXT_MAX];
	const struct heap_snapshot *snapshot = remarks->report->input->snapshot;
	bool any = false;
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		const uint64_t n = snapshot->header.losses[losses[i].loss];
		if (n == 0)
			continue;
		any = true;
		strbuf_addf(remarks->to, "lost: %s %s", cp_format_count(n, text), losses[i].text);
		say(remarks);
	}
	if (snapshot->torn_blocks) {
		any = true;
		strbuf_addf(remarks->to,
			    "lost: %" PRIu64 " blocks that came and went while they were read",
			    snapshot->torn_blocks);
		say(remarks);
	}
	if (snapshot->header.frozen)
		strbuf_add(remarks->to,
			   snapshot->header.losses[HEAP_LOSS_NO_SPACE] &&
					   !snapshot->header.losses[HEAP_LOSS_TABLE_FULL]
				   ? "the file could not grow: everything here is \"at least\", "
				     "from then on frees are still counted, further blocks are not"
				   : "a table was full: everything here is \"at least\", from then "
				     "on frees are still counted, further blocks are not");
	else if (!any)
		strbuf_add(remarks->to, "lost: nothing");
	if (remarks->to->n)
		say(remarks);
}

/* The remedy says it all: "build it with -g". */
static bool is_plain(const struct heap_missing *binary)
{
	return binary->remedy && binary->reason &&
	       strncmp(binary->reason, "no debug information", 20) == 0;
}

static void remark_missing(const struct remarks *remarks)
{
	const struct heap_missing_list *list = &remarks->report->missing;
	const size_t most =
		remarks->report->options->summary ? SUMMARY_MISSING : HEAP_MISSING_REMEDIES;
	bool needs_note = false;
	for (size_t i = 0; i < list->n && i < most; i++) {
		const struct heap_missing *binary = &list->items[i];
		const bool unnamed = binary->named < binary->addresses;
		if (remarks->report->options->summary && !unnamed)
			break;
		strbuf_add(remarks->to, unnamed ? "no symbols: " : "no line information: ");
		strbuf_add_printable(remarks->to, binary->path);
		if (binary->reason && !is_plain(binary)) {
			strbuf_add(remarks->to, ": ");
			strbuf_add_printable(remarks->to, binary->reason);
		}
		if (binary->remedy) {
			strbuf_add(remarks->to, binary->reason && !is_plain(binary) ? "; " : ": ");
			strbuf_add_printable(remarks->to, binary->remedy);
			needs_note = needs_note || strstr(binary->remedy, "-dbgsym");
		}
		say(remarks);
	}
	if (list->n > most && !remarks->report->options->summary) {
		strbuf_addf(remarks->to, "%zu more binaries without symbols or lines",
			    list->n - most);
		say(remarks);
	}
	if (needs_note && list->note) {
		strbuf_add(remarks->to, list->note);
		if (list->command)
			strbuf_addf(remarks->to, ": %s", list->command);
		say(remarks);
	}
}

static void remark_gates(const struct remarks *remarks)
{
	for (size_t i = 0; i < remarks->report->n_gates; i++) {
		const struct heap_gate *gate = &remarks->report->gates[i];
		const bool growth = strcmp(gate->name, "growth") == 0;
		strbuf_addf(remarks->to, "gate %s: %s: ", gate->option,
			    gate->result == HEAP_GATE_FAIL   ? "FAILED"
			    : gate->result == HEAP_GATE_PASS ? "passed"
							     : "COULD NOT JUDGE");
		if (gate->reason) {
			if (gate->most > 0) {
				strbuf_add(remarks->to, "up to ");
				heap_add_bytes(remarks->to, gate->most, 0);
				strbuf_add(remarks->to, growth ? "/h against " : " against ");
				heap_add_bytes(remarks->to, gate->limit, 0);
				strbuf_add(remarks->to, growth ? "/h: " : ": ");
			}
			strbuf_add(remarks->to, gate->reason);
		} else {
			heap_add_bytes(remarks->to, gate->value, 0);
			strbuf_add(remarks->to, growth ? "/h against " : " against ");
			heap_add_bytes(remarks->to, gate->limit, 0);
			strbuf_add(remarks->to, growth ? "/h" : "");
		}
		say(remarks);
	}
}

void heap_each_remark(const struct heap_report *report, struct strbuf *scratch,
		      void (*remark)(void *ctx, const char *text), void *ctx)
{
	const struct remarks remarks = {
		.report = report, .to = scratch, .remark = remark, .ctx = ctx};
	remark_taken_out(&remarks);
	remark_quality(&remarks);
	remark_missing(&remarks);
	if (!report->options->summary)
		remark_room(&remarks);
	remark_settings(&remarks);
	remark_losses(&remarks);
	remark_gates(&remarks);
}

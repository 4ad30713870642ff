#include "heap_view.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { RULES_MAX_BYTES = 1 << 20 };

static int take_growth(const struct cli_command *command, const char *value,
		       struct heap_report_options *report)
{
	double per_second;
	if (!cp_parse_bytes_rate(value, &per_second))
		return cli_usage(command, "--fail-on-growth %s: use a rate such as 1MB/h", value);
	report->fail_on_growth = true;
	report->growth_per_hour = per_second * 3600;
	return CLI_OK;
}

int heap_view_take(const struct cli_command *command, enum heap_view_option option,
		   const char *value, struct heap_view *view)
{
	struct heap_report_options *report = &view->report;
	switch (option) {
	case HEAP_VIEW_MIN_AGE:
		if (cp_parse_duration(value, &report->min_age_ns))
			return CLI_OK;
		return cli_usage(command, "--min-age %s: use a time such as 500ms, 60s or 2m",
				 value);
	case HEAP_VIEW_SUPPRESSIONS:
		view->suppressions = value;
		return CLI_OK;
	case HEAP_VIEW_UNFREED:
		report->fail_on_unfreed = true;
		report->unfreed_bytes = 0;
		if (!value || cp_parse_bytes(value, &report->unfreed_bytes))
			return CLI_OK;
		return cli_usage(command,
				 "--fail-on-unfreed=%s: use a number of bytes such as 64K or 1.5MB",
				 value);
	case HEAP_VIEW_GROWTH:
		break;
	}
	return take_growth(command, value, report);
}

bool heap_view_has_gate(const struct heap_view *view)
{
	return view->report.fail_on_unfreed || view->report.fail_on_growth;
}

static int read_rules(const char *path, struct heap_suppressions *rules, struct cp_err *err)
{
	CP_CLEANUP(cp_close_file) FILE *file = fopen(path, "re");
	CP_CLEANUP(cp_free) char *text = calloc(1, RULES_MAX_BYTES + 1);
	if (!file)
		return cp_fail(err, -errno, "--suppressions %s: %s", path, strerror(errno));
	if (!text)
		return cp_fail_nomem(err);
	const size_t n = fread(text, 1, RULES_MAX_BYTES, file);
	if (ferror(file))
		return cp_fail(err, -EIO, "--suppressions %s: cannot be read", path);
	if (n == RULES_MAX_BYTES)
		return cp_fail(err, -EFBIG, "--suppressions %s: more than 1 MiB of rules", path);
	return heap_suppressions_parse(rules, text, path, err);
}

int heap_view_check(const struct heap_view *view, struct cp_err *err)
{
	CP_CLEANUP(heap_suppressions_deinit) struct heap_suppressions rules;
	if (heap_suppressions_init(&rules))
		return cp_fail_nomem(err);
	return view->suppressions ? read_rules(view->suppressions, &rules, err) : 0;
}

static int load_since(const char *path, struct heap_loaded *since, struct cp_err *err)
{
	struct heap_file file;
	const int rc = heap_file_open(path, &file, err);
	return rc ? rc : heap_load(&file, false, since, err);
}

static const char *read_rss(const struct heap_loaded *loaded, struct heap_rss *rss)
{
	if (loaded->target.state == HEAP_TARGET_COPY)
		return "this is a copy; ask for the process with -p PID";
	if (loaded->target.state != HEAP_TARGET_RUNNING)
		return "the process does not run any more";
	const int rc = heap_rss_read(loaded->target.pid, loaded->snapshot, rss);
	if (rc == -EACCES || rc == -EPERM)
		return "no permission to read the process's smaps";
	return rc ? "the process's smaps cannot be read" : NULL;
}

static int report(struct heap_loaded *loaded, const struct heap_loaded *since,
		  const struct heap_view *view, FILE *out, enum heap_gate_result *gate,
		  struct cp_err *err)
{
	CP_CLEANUP(heap_suppressions_deinit) struct heap_suppressions rules;
	struct heap_rss rss;
	if (heap_suppressions_init(&rules))
		return cp_fail_nomem(err);
	const int rc = view->suppressions ? read_rules(view->suppressions, &rules, err) : 0;
	if (rc)
		return rc;
	struct heap_input input = {
		.snapshot = loaded->snapshot,
		.target = &loaded->target,
		.path = loaded->file.path,
		.profile = loaded->profile,
		.stacks = loaded->stacks,
		.rss_unknown = read_rss(loaded, &rss),
		.rules = &rules,
		.remedies = remedy_system(),
	};
	if (!input.rss_unknown)
		input.rss = &rss;
	if (since) {
		input.since = since->snapshot;
		input.since_target = &since->target;
		input.since_path = view->since;
	}
	return heap_report_write(&input, &view->report, out, gate, err);
}

int heap_view_write(struct heap_file *file, const struct heap_view *view, FILE *out,
		    enum heap_gate_result *gate, struct cp_err *err)
{
	CP_CLEANUP(heap_loaded_deinit) struct heap_loaded loaded = {.file = {.fd = -1}};
	CP_CLEANUP(heap_loaded_deinit) struct heap_loaded since = {.file = {.fd = -1}};
	int rc = view->since ? load_since(view->since, &since, err) : 0;
	if (!rc)
		rc = heap_load(file, true, &loaded, err);
	else
		heap_file_close(file);
	return rc ? rc : report(&loaded, view->since ? &since : NULL, view, out, gate, err);
}

#include "heap_report.h"

#include "heap_parts.h"

#include <errno.h>
#include <string.h>

static int write_form(const struct heap_report *report)
{
	switch (report->options->format) {
	case REPORT_JSON:
		return heap_json(report);
	case REPORT_MARKDOWN:
		return heap_markdown(report);
	case REPORT_TEXT:
		break;
	}
	return heap_text(report);
}

int heap_report_write(const struct heap_input *input, const struct heap_report_options *options,
		      FILE *out, enum heap_gate_result *gate, struct cp_err *err)
{
	struct heap_analysis *analysis;
	int rc = heap_analysis_create(input, options, &analysis, err);
	if (rc)
		return rc;
	const size_t limit = options->limit ? options->limit : SIZE_MAX;
	struct heap_report report = {
		.analysis = analysis,
		.input = input,
		.options = options,
		.n_shown = analysis->n_rows < limit ? analysis->n_rows : limit,
		.out = out,
	};
	report.n_gates = heap_gates_decide(analysis, report.gates);
	rc = heap_missing_find(analysis, input->remedies, &report.missing);
	errno = 0;
	if (!rc)
		rc = write_form(&report);
	*gate = heap_gates_together(report.gates, report.n_gates);
	heap_missing_deinit(&report.missing);
	heap_analysis_destroy(analysis);
	if (rc)
		return cp_fail_nomem(err);
	if (fflush(out) || ferror(out))
		return cp_fail(err, -EIO, "cannot write the report: %s",
			       errno ? strerror(errno) : "write error");
	return 0;
}

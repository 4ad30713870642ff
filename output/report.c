#include "report.h"

#include "report_parts.h"

#include <errno.h>
#include <string.h>

enum { SUMMARY_ROWS = 10 };

static int write_form(const struct report *report)
{
	switch (report->options->format) {
	case REPORT_JSON:
		return report_json(report);
	case REPORT_MARKDOWN:
		return report_markdown(report);
	case REPORT_TEXT:
		break;
	}
	return report_text(report);
}

/*
 * How many rows are shown. People who read what uses the time itself are spared the rows that use
 * none, unless they ask for all; what is left out is counted either way.
 */
static size_t rows_shown(const struct hotspots *hotspots, const struct report_options *options)
{
	size_t limit = options->limit ? options->limit : options->summary ? SUMMARY_ROWS : SIZE_MAX;
	size_t n = hotspots->n < limit ? hotspots->n : limit;
	if (options->sort != REPORT_SORT_SELF || options->format == REPORT_JSON || !options->limit)
		return n;
	while (n > 1 && hotspots->rows[n - 1].self.value == 0)
		n--;
	return n;
}

int report_write(const struct profile *profile, const struct report_options *options, FILE *out,
		 struct cp_err *err)
{
	struct hotspots *hotspots;
	struct quality *quality;
	int rc = hotspots_compute(profile, options, &hotspots, err);
	if (rc)
		return rc;
	if (quality_compute(profile, &quality)) {
		hotspots_destroy(hotspots);
		return cp_fail_nomem(err);
	}
	struct report report = {
		.profile = profile,
		.options = options,
		.hotspots = hotspots,
		.quality = quality,
		.n_shown = rows_shown(hotspots, options),
		.out = out,
	};
	if (options->none_left)
		*options->none_left = (options->focus || options->ignore) && hotspots->n == 0;
	errno = 0;
	rc = write_form(&report);
	quality_destroy(quality);
	hotspots_destroy(hotspots);
	if (rc)
		return cp_fail_nomem(err);
	if (fflush(out) || ferror(out))
		return cp_fail(err, -EIO, "cannot write the report: %s",
			       errno ? strerror(errno) : "write error");
	return 0;
}

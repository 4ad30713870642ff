#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double max_duration_ns = 100.0 * 365 * 24 * 3600 * 1e9;

bool cp_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	/* strtoull accepts white space and signs, and negates: look at the first character */
	if (!isdigit((unsigned char)text[0]))
		return false;
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno || *end || value < min || value > max)
		return false;
	*out = value;
	return true;
}

bool cp_parse_duration(const char *text, uint64_t *out_ns)
{
	static const struct {
		const char *suffix;
		double ns;
	} units[] = {{"", 1e9},  {"ns", 1},   {"us", 1e3},  {"ms", 1e6},
		     {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	/* digits with at most one point; strtod alone would take "inf", "0x1" and "1e3" */
	size_t number = strspn(text, "0123456789.");
	if (number == 0 || number >= CP_TEXT_MAX || !isdigit((unsigned char)text[0]))
		return false;
	char digits[CP_TEXT_MAX];
	memcpy(digits, text, number);
	digits[number] = '\0';
	char *end;
	double value = strtod(digits, &end);
	if (*end)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + number, units[i].suffix) == 0) {
			double ns = value * units[i].ns;
			if (ns < 1 || ns > max_duration_ns)
				return false;
			*out_ns = (uint64_t)ns;
			return true;
		}
	}
	return false;
}

/* The number at the start of @text, of digits with at most one point. Return: its end, or NULL. */
static const char *parse_decimal(const char *text, double *out)
{
	const size_t n = strspn(text, "0123456789.");
	char digits[CP_TEXT_MAX], *end;
	if (n == 0 || n >= sizeof(digits) || !isdigit((unsigned char)text[0]))
		return NULL;
	memcpy(digits, text, n);
	digits[n] = '\0';
	*out = strtod(digits, &end);
	return *end ? NULL : text + n;
}

/* Return: the end, or NULL. */
static const char *parse_bytes(const char *text, double *out)
{
	static const char units[] = "BKMGT";
	double value;
	const char *at = parse_decimal(text, &value);
	if (!at)
		return NULL;
	const char *unit = *at ? strchr(units, toupper((unsigned char)*at)) : NULL;
	if (unit) {
		at++;
		for (const char *step = units; step < unit; step++)
			value *= 1024;
		if (unit > units && at[0] == 'i' && at[1] == 'B')
			at += 2;
		else if (unit > units && at[0] == 'B')
			at++;
	}
	if (value > 0x1p62)
		return NULL;
	*out = value;
	return at;
}

bool cp_parse_bytes(const char *text, uint64_t *out)
{
	double value;
	const char *end = parse_bytes(text, &value);
	if (!end || *end)
		return false;
	*out = (uint64_t)value;
	return true;
}

bool cp_parse_bytes_rate(const char *text, double *out_per_second)
{
	static const struct {
		const char *suffix;
		double seconds;
	} units[] = {{"/s", 1}, {"/m", 60}, {"/min", 60}, {"/h", 3600}, {"/d", 86400}};
	double value;
	const char *end = parse_bytes(text, &value);
	for (size_t i = 0; end && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].suffix) == 0) {
			*out_per_second = value / units[i].seconds;
			return true;
		}
	}
	return false;
}

const char *cp_format_duration(uint64_t ns, char buf[CP_TEXT_MAX])
{
	/* what would be rounded up to a thousand, or to a minute, belongs to the next unit */
	uint64_t seconds = (ns + 500000000) / 1000000000;
	if (ns < 1000)
		snprintf(buf, CP_TEXT_MAX, "%u ns", (unsigned)ns);
	else if (ns < 999500)
		snprintf(buf, CP_TEXT_MAX, "%.3g us", (double)ns / 1e3);
	else if (ns < 999500000)
		snprintf(buf, CP_TEXT_MAX, "%.3g ms", (double)ns / 1e6);
	else if (ns < 59950000000)
		snprintf(buf, CP_TEXT_MAX, "%.1f s", (double)ns / 1e9);
	else if (seconds < 3600)
		snprintf(buf, CP_TEXT_MAX, "%u m %02u s", (unsigned)seconds / 60,
			 (unsigned)seconds % 60);
	else
		snprintf(buf, CP_TEXT_MAX, "%llu h %02u m", (unsigned long long)seconds / 3600,
			 (unsigned)(seconds / 60 % 60));
	return buf;
}

const char *cp_format_bytes(uint64_t bytes, char buf[CP_TEXT_MAX])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	if (bytes < 1024) {
		snprintf(buf, CP_TEXT_MAX, "%u B", (unsigned)bytes);
		return buf;
	}
	double value = (double)bytes / 1024;
	size_t unit = 0;
	/* what would be rounded up to 1024 belongs to the next unit */
	for (; value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		value /= 1024;
	snprintf(buf, CP_TEXT_MAX, "%.1f %s", value, units[unit]);
	return buf;
}

const char *cp_format_pct(double pct, char buf[CP_TEXT_MAX])
{
	if (pct > 0 && pct < 0.05)
		snprintf(buf, CP_TEXT_MAX, "<0.1 %%");
	else if (pct >= 99.95 && pct < 100)
		snprintf(buf, CP_TEXT_MAX, "99.9 %%");
	else
		snprintf(buf, CP_TEXT_MAX, "%.1f %%", pct);
	return buf;
}

const char *cp_format_count(uint64_t count, char buf[CP_TEXT_MAX])
{
	char digits[CP_TEXT_MAX];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
	char *p = buf;
	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return buf;
}

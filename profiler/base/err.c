#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int cp_fail(struct cp_err *err, int code, const char *fmt, ...)
{
	if (!err)
		return code;
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	errno = saved;
	return code;
}

int cp_fail_prefix(struct cp_err *err, int code, const char *fmt, ...)
{
	if (!err)
		return code;
	int saved = errno;
	char inner[CP_ERR_MAX];
	memcpy(inner, err->message, sizeof(inner));
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->message))
		snprintf(err->message + n, sizeof(err->message) - (size_t)n, ": %s", inner);
	errno = saved;
	return code;
}

int cp_fail_nomem(struct cp_err *err)
{
	return cp_fail(err, -ENOMEM, "out of memory");
}

#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* err.h's macros for the static analyzer */
#undef cp_fail
#undef cp_fail_prefix

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
	int n = vsnprintf(err->message, sizeof(err->message) - 3, fmt, ap);
	va_end(ap);
	size_t used = strlen(err->message);
	if (n > 0) {
		memcpy(err->message + used, ": ", 3);
		used += 2;
	}
	size_t room = sizeof(err->message) - used - 1;
	size_t take = strnlen(inner, room);
	memcpy(err->message + used, inner, take);
	err->message[used + take] = '\0';
	errno = saved;
	return code;
}

int cp_fail_nomem(struct cp_err *err)
{
	return cp_fail(err, -ENOMEM, "out of memory");
}

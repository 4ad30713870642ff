#include "terminal.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static atomic_bool progress_shown;

bool terminal_colour(int fd)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	if (no_color && *no_color) /* https://no-color.org: set and not empty */
		return false;
	return term && *term && strcmp(term, "dumb") != 0 && isatty(fd);
}

unsigned terminal_width(int fd)
{
	if (!isatty(fd))
		return 0;
	const char *columns = getenv("COLUMNS");
	uint64_t width;
	if (columns && cp_parse_u64(columns, 20, 10000, &width))
		return (unsigned)width;
	struct winsize size;
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
		return size.ws_col;
	return 80;
}

void terminal_progress(const char *fmt, ...)
{
	if (!isatty(STDERR_FILENO))
		return;
	char line[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* the last column stays free: some terminals wrap when it is written */
	int width = (int)terminal_width(STDERR_FILENO) - 1;
	fprintf(stderr, "\r%.*s\033[K", width, line);
	fflush(stderr);
	progress_shown = true;
}

void terminal_progress_end(void)
{
	if (!progress_shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	progress_shown = false;
}

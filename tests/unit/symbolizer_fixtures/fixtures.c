#include "fixtures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka wants the above first */
#include <cmocka.h>

const char *fixture_path(const char *name, char buf[FIXTURE_PATH_MAX])
{
	snprintf(buf, FIXTURE_PATH_MAX, "%s/%s", FIXTURE_DIR, name);
	return buf;
}

static FILE *read_command(const char *fmt, ...)
{
	char command[2 * FIXTURE_PATH_MAX];
	va_list args;
	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	return pipe;
}

uint64_t fixture_address(const char *path, const char *symbol)
{
	FILE *pipe = read_command("nm '%s'", path);
	char line[1024], name[512], type;
	unsigned long long address, found = 0;
	while (fgets(line, sizeof(line), pipe))
		if (sscanf(line, "%llx %c %511s", &address, &type, name) == 3 &&
		    strcmp(name, symbol) == 0)
			found = address;
	pclose(pipe);
	if (!found)
		fail_msg("%s has no symbol %s", path, symbol);
	return found;
}

uint32_t fixture_line(const char *source, const char *mark)
{
	char path[FIXTURE_PATH_MAX], line[1024], wanted[128];
	snprintf(path, sizeof(path), "%s/%s", FIXTURE_SOURCE_DIR, source);
	snprintf(wanted, sizeof(wanted), "MARK(%s)", mark);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	uint32_t number = 0, found = 0;
	while (fgets(line, sizeof(line), file)) {
		number++;
		if (strstr(line, wanted))
			found = number;
	}
	fclose(file);
	if (!found)
		fail_msg("%s has no %s", source, wanted);
	return found;
}

const char *fixture_build_id(const char *path, char buf[FIXTURE_PATH_MAX])
{
	FILE *pipe = read_command("readelf -n '%s'", path);
	char line[1024];
	buf[0] = '\0';
	while (fgets(line, sizeof(line), pipe))
		sscanf(line, " Build ID: %128s", buf);
	pclose(pipe);
	return buf;
}

void fixture_run(const char *fmt, ...)
{
	char command[8 * FIXTURE_PATH_MAX];
	va_list args;
	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

int fixture_setup_dir(void **state)
{
	char *dir = strdup("/tmp/cprof-test-XXXXXX");
	*state = dir;
	return dir && mkdtemp(dir) ? 0 : -1;
}

int fixture_teardown_dir(void **state)
{
	fixture_run("rm -rf '%s'", (char *)*state);
	free(*state);
	return 0;
}

void fixture_each(const char *list, void (*test)(const char *name))
{
	char names[1024];
	snprintf(names, sizeof(names), "%s", list);
	char *rest = names, *name;
	while ((name = strsep(&rest, " ")) != NULL)
		test(name);
}

#include "settings.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

#include "heap/heap_settings.h"
#include "sys.h"

enum {
	DEFAULT_BLOCKS = 16 << 20,
	DEFAULT_NODES = 4 << 20,
	DEFAULT_SITES = 256 << 10,
	DEFAULT_MODULES = 4096,
	DEFAULT_REPLICAS = 32,
	/* where the file is made whole at the start */
	POPULATED_BLOCKS = 512 << 10,
	POPULATED_NODES = 128 << 10,
	POPULATED_SITES = 16 << 10,
	POPULATED_MODULES = 1024,
	POPULATED_REPLICAS = 8,
};

/* What the environment says, or @otherwise: also where it says what cannot be. */
static uint64_t number(struct settings *settings, enum heap_setting setting, uint64_t otherwise)
{
	uint64_t value;
	const char *text = secure_getenv(heap_setting_numbers[setting].name);
	if (!text || !*text)
		return otherwise;
	if (heap_setting_parse(setting, text, &value))
		return value;
	settings->refused |= UINT32_C(1) << setting;
	return otherwise;
}

/* A pattern that is none leaves nobody out: what it refuses is told by what is recorded. */
static bool matches(struct settings *settings, const char *pattern, const char *exe)
{
	regex_t regex;
	const char *slash = strrchr(exe, '/');
	if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0) {
		settings->refused |= UINT32_C(1) << HEAP_SETTING_FOLLOW;
		return true;
	}
	const bool match = regexec(&regex, slash ? slash + 1 : exe, 0, NULL, 0) == 0;
	regfree(&regex);
	return match;
}

/*
 * CPROF_HEAP_FOLLOW: no, all, or a regular expression of executables' names. The process that was
 * started with the shim is recorded in any case, known by CPROF_HEAP_ROOT_PID; without that number
 * every program is one that was started so.
 */
static bool is_wanted(struct settings *settings, const char *follow, const char *exe)
{
	const uint64_t root = number(settings, HEAP_SETTING_ROOT_PID, 0);
	if (!follow || !*follow || strcmp(follow, "all") == 0 || root == (uint64_t)getpid())
		return true;
	return strcmp(follow, "no") != 0 && matches(settings, follow, exe);
}

static uint64_t random_seed(void)
{
	struct timespec now = {0};
	uint64_t seed = 0;
	const void *random = (const void *)getauxval(AT_RANDOM); // NOLINT: 16 bytes of the kernel's
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (random)
		memcpy(&seed, random, sizeof(seed));
	return seed ^ (uint64_t)now.tv_nsec ^ (uint64_t)getpid() << 32;
}

static void read_limits(struct settings *settings)
{
	const bool all = settings->populate;
	const struct {
		enum heap_setting setting;
		uint32_t otherwise;
		uint32_t *out;
	} limits[] = {
		{HEAP_SETTING_MAX_BLOCKS, all ? POPULATED_BLOCKS : DEFAULT_BLOCKS,
		 &settings->max_blocks},
		{HEAP_SETTING_MAX_NODES, all ? POPULATED_NODES : DEFAULT_NODES,
		 &settings->max_nodes},
		{HEAP_SETTING_MAX_SITES, all ? POPULATED_SITES : DEFAULT_SITES,
		 &settings->max_sites},
		{HEAP_SETTING_MAX_MODULES, all ? POPULATED_MODULES : DEFAULT_MODULES,
		 &settings->max_modules},
		{HEAP_SETTING_REPLICAS, all ? POPULATED_REPLICAS : DEFAULT_REPLICAS,
		 &settings->n_replicas},
	};
	for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		*limits[i].out = (uint32_t)number(settings, limits[i].setting, limits[i].otherwise);
	/* a page holds 128 blocks, and every part of the table begins on one */
	settings->max_blocks &= ~UINT32_C(4095);
}

/* A copy: programs that change their title write over their environment. */
static void read_output(struct settings *settings)
{
	const char *output = secure_getenv("CPROF_HEAP_OUTPUT");
	const size_t n = output ? strlen(output) : 0;
	if (n >= sizeof(settings->output))
		settings->refused |= UINT32_C(1) << HEAP_SETTING_OUTPUT;
	else if (output)
		memcpy(settings->output, output, n + 1);
}

void settings_read(struct settings *settings, const char *exe)
{
	const char *follow = secure_getenv("CPROF_HEAP_FOLLOW");
	*settings = (struct settings){.follow_forks = follow && strcmp(follow, "all") == 0};
	settings->wanted = is_wanted(settings, follow, exe);
	settings->populate = number(settings, HEAP_SETTING_POPULATE, 0) != 0 || !sys_can_populate();
	settings->sample_bytes = number(settings, HEAP_SETTING_SAMPLE_BYTES, 0);
	settings->seed = number(settings, HEAP_SETTING_SEED, random_seed());
	read_output(settings);
	read_limits(settings);
}

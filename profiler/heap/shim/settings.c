#include "settings.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

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

static uint64_t number(const char *name, uint64_t otherwise, uint64_t least, uint64_t most)
{
	const char *text = secure_getenv(name);
	if (!text || !*text)
		return otherwise;
	char *end;
	const uint64_t value = strtoull(text, &end, 10);
	if (*end)
		return otherwise;
	return value < least ? least : value > most ? most : value;
}

static bool matches(const char *pattern, const char *exe)
{
	regex_t regex;
	const char *slash = strrchr(exe, '/');
	if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	const bool match = regexec(&regex, slash ? slash + 1 : exe, 0, NULL, 0) == 0;
	regfree(&regex);
	return match;
}

/*
 * CPROF_HEAP_FOLLOW: no, all, or a regular expression of executables' names. The process that was
 * started with the shim is recorded in any case, known by CPROF_HEAP_ROOT_PID; without that number
 * every program is one that was started so.
 */
static bool is_wanted(const char *exe)
{
	const char *follow = secure_getenv("CPROF_HEAP_FOLLOW");
	if (!follow || !*follow || strcmp(follow, "all") == 0)
		return true;
	const uint64_t root = number("CPROF_HEAP_ROOT_PID", 0, 0, UINT32_MAX);
	if (root == (uint64_t)getpid())
		return true;
	return strcmp(follow, "no") != 0 && matches(follow, exe);
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

void settings_read(struct settings *settings, const char *exe)
{
	const char *follow = secure_getenv("CPROF_HEAP_FOLLOW");
	const bool populate = number("CPROF_HEAP_POPULATE", 0, 0, 1) != 0 || !sys_can_populate();
	*settings = (struct settings){
		.wanted = is_wanted(exe),
		.follow_forks = follow && strcmp(follow, "all") == 0,
		.populate = populate,
		.sample_bytes = number("CPROF_HEAP_SAMPLE_BYTES", 0, 0, UINT64_C(1) << 40),
		.seed = number("CPROF_HEAP_SEED", random_seed(), 0, UINT64_MAX),
	};
	/* a copy: programs that change their title write over their environment */
	const char *output = secure_getenv("CPROF_HEAP_OUTPUT");
	if (output)
		strncpy(settings->output, output, sizeof(settings->output) - 1);
	settings->max_blocks = (uint32_t)number("CPROF_HEAP_MAX_BLOCKS",
						populate ? POPULATED_BLOCKS : DEFAULT_BLOCKS, 4096,
						UINT32_C(1) << 30);
	settings->max_nodes =
		(uint32_t)number("CPROF_HEAP_MAX_NODES", populate ? POPULATED_NODES : DEFAULT_NODES,
				 1024, UINT32_C(1) << 28);
	settings->max_sites =
		(uint32_t)number("CPROF_HEAP_MAX_SITES", populate ? POPULATED_SITES : DEFAULT_SITES,
				 64, UINT32_C(1) << 24);
	settings->max_modules =
		(uint32_t)number("CPROF_HEAP_MAX_MODULES",
				 populate ? POPULATED_MODULES : DEFAULT_MODULES, 16, UINT16_MAX);
	settings->n_replicas = (uint32_t)number("CPROF_HEAP_REPLICAS",
						populate ? POPULATED_REPLICAS : DEFAULT_REPLICAS, 2,
						HEAP_REPLICAS_MAX);
	/* a page holds 128 blocks, and every shard's part begins on one */
	settings->max_blocks &= ~UINT32_C(4095);
}

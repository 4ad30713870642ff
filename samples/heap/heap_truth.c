#include "heap_truth.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 1 << 21, LASTING = 16, GONE = 1 };

/* Addresses are kept as their complement: a checker of leaks must not take these for pointers. */
struct entry {
	uintptr_t block; /* 0 = never used, GONE = was used */
	struct heap_truth_site *site;
	size_t bytes;
};

static struct entry entries[SLOTS];
static struct heap_truth_site *sites;
static struct {
	struct heap_truth_site site;
	char function[64];
} lasting[LASTING];
static size_t n_lasting;
static uint64_t live_bytes, peak_bytes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t slot_of(const void *block)
{
	return (size_t)((uint64_t)(uintptr_t)block * UINT64_C(0x9e3779b97f4a7c15) >> 43) % SLOTS;
}

/* The entry of @block; with @add also the one where it is to go: the first that is not in use. */
static struct entry *find(const void *block, bool add)
{
	size_t at = slot_of(block);
	struct entry *unused = NULL;

	for (size_t i = 0; i < SLOTS; i++, at = (at + 1) % SLOTS) {
		struct entry *entry = &entries[at];

		if (entry->block == ~(uintptr_t)block)
			return entry;
		if (!unused && (!entry->block || entry->block == GONE))
			unused = entry;
		if (!entry->block)
			break;
	}
	return add ? unused : NULL;
}

static void add(struct heap_truth_site *site, uint64_t blocks, uint64_t bytes)
{
	if (!site->listed) {
		site->listed = true;
		site->next = sites;
		sites = site;
	}
	site->blocks += blocks;
	site->bytes += bytes;
	live_bytes += bytes;
	if (live_bytes > peak_bytes)
		peak_bytes = live_bytes;
}

/* The slot may be that of the end of a run of slots: then the run is shorter now. */
static void clear(struct entry *entry)
{
	size_t at = (size_t)(entry - entries);

	entry->block = GONE;
	if (entries[(at + 1) % SLOTS].block)
		return;
	while (entries[at].block == GONE) {
		entries[at].block = 0;
		at = (at + SLOTS - 1) % SLOTS;
	}
}

static void remove_entry(struct entry *entry)
{
	entry->site->blocks--;
	entry->site->bytes -= entry->bytes;
	live_bytes -= entry->bytes;
	clear(entry);
}

void *heap_truth_made(struct heap_truth_site *site, void *block, size_t bytes)
{
	struct entry *entry;

	if (!block)
		return NULL;
	pthread_mutex_lock(&lock);
	entry = find(block, true);
	if (!entry || entry->block == ~(uintptr_t)block)
		abort(); /* the sample forgot heap_truth_gone(), or is too large */
	*entry = (struct entry){.block = ~(uintptr_t)block, .site = site, .bytes = bytes};
	add(site, 1, bytes);
	site->calls++;
	site->call_bytes += bytes;
	pthread_mutex_unlock(&lock);
	return block;
}

void heap_truth_gone(const void *block)
{
	struct entry *entry;

	if (!block)
		return;
	pthread_mutex_lock(&lock);
	entry = find(block, false);
	if (entry)
		remove_entry(entry);
	pthread_mutex_unlock(&lock);
}

void heap_free(void *block)
{
	heap_truth_gone(block);
	free(block);
}

void heap_truth_note(struct heap_truth_site *site, uint64_t blocks, uint64_t bytes, uint64_t calls,
		     uint64_t call_bytes)
{
	pthread_mutex_lock(&lock);
	add(site, blocks, bytes);
	site->calls += calls;
	site->call_bytes += call_bytes;
	pthread_mutex_unlock(&lock);
}

struct heap_truth_site *heap_truth_lasting(const char *function, const char *file, int line)
{
	for (size_t i = 0; i < n_lasting; i++)
		if (!strcmp(lasting[i].function, function) && lasting[i].site.line == line)
			return &lasting[i].site;
	if (n_lasting == LASTING)
		abort();
	snprintf(lasting[n_lasting].function, sizeof(lasting[0].function), "%s", function);
	lasting[n_lasting].site = (struct heap_truth_site){
		.function = lasting[n_lasting].function, .file = file, .line = line};
	return &lasting[n_lasting++].site;
}

void heap_truth_say(const char *text)
{
	size_t n = strlen(text);

	while (n) {
		ssize_t done = write(STDOUT_FILENO, text, n);

		if (done <= 0)
			_exit(3);
		text += done;
		n -= (size_t)done;
	}
}

void heap_truth_fact(const char *name, uint64_t value)
{
	char line[128];

	snprintf(line, sizeof(line), "fact %s %llu\n", name, (unsigned long long)value);
	heap_truth_say(line);
}

static void print_site(const struct heap_truth_site *site)
{
	const char *slash = strrchr(site->file, '/');
	char line[512];

	snprintf(line, sizeof(line), "site %s %s %d %llu %llu %llu %llu\n", site->function,
		 slash ? slash + 1 : site->file, site->line, (unsigned long long)site->blocks,
		 (unsigned long long)site->bytes, (unsigned long long)site->calls,
		 (unsigned long long)site->call_bytes);
	heap_truth_say(line);
}

void heap_truth_end(void)
{
	char line[64];

	pthread_mutex_lock(&lock);
	for (const struct heap_truth_site *site = sites; site; site = site->next)
		print_site(site);
	snprintf(line, sizeof(line), "peak %llu\nend\n", (unsigned long long)peak_bytes);
	heap_truth_say(line);
	pthread_mutex_unlock(&lock);
}

int heap_truth_main(const struct heap_mode *modes, size_t n, int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < n; i++)
		if (!strcmp(argv[1], modes[i].name))
			return modes[i].run(argc - 1, argv + 1);
	heap_truth_say("modes:");
	for (size_t i = 0; i < n; i++) {
		heap_truth_say(" ");
		heap_truth_say(modes[i].name);
	}
	heap_truth_say("\n");
	return 2;
}

#include "heap_profile.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "profile/header_keys.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* Ids of what the snapshot's tables became. */
struct maker {
	const struct heap_snapshot *snapshot;
	struct profile *profile;
	module_id *modules;   /* by module */
	location_id *frames;  /* of one stack */
	location_id *by_node; /* valid where `known` */
	bool *known;
	size_t cap_frames;
};

static void hex_of(const struct heap_module *module, char hex[2 * HEAP_BUILD_ID_BYTES + 1])
{
	static const char digits[] = "0123456789abcdef";
	for (uint32_t i = 0; i < module->build_id_bytes; i++) {
		hex[2 * i] = digits[module->build_id[i] >> 4];
		hex[2 * i + 1] = digits[module->build_id[i] & 15];
	}
	hex[2 * module->build_id_bytes] = '\0';
}

static const char *path_of(const struct heap_module *module)
{
	const char *slash = strrchr(module->path, '/');
	const char *base = slash ? slash + 1 : module->path;
	return strncmp(base, "linux-vdso.so", 13) == 0 ? PROFILE_PATH_VDSO : module->path;
}

/* Code in no binary: named by the map of a JIT compiler, if the process wrote one. */
static int add_unknown(struct maker *maker, module_id *out)
{
	char map[64], path[64] = PROFILE_PATH_UNKNOWN;
	snprintf(map, sizeof(map), "/tmp/perf-%u.map", maker->snapshot->header.pid);
	if (access(map, R_OK) == 0)
		snprintf(path, sizeof(path), PROFILE_PATH_JIT "%u]", maker->snapshot->header.pid);
	struct profile_module module = {.svma_end = UINT64_MAX};
	const int rc = profile_string(maker->profile, path, &module.path);
	return rc ? rc : profile_add_module(maker->profile, &module, out);
}

static int add_module(struct maker *maker, const struct heap_module *from, module_id *out)
{
	char hex[2 * HEAP_BUILD_ID_BYTES + 1];
	struct profile_module module = {
		.svma_start = from->start - from->bias,
		.svma_end = from->end - from->bias,
	};
	if (!from->path[0])
		return add_unknown(maker, out);
	hex_of(from, hex);
	int rc = profile_string(maker->profile, path_of(from), &module.path);
	if (!rc)
		rc = profile_string(maker->profile, hex, &module.build_id);
	return rc ? rc : profile_add_module(maker->profile, &module, out);
}

static int add_modules(struct maker *maker)
{
	const uint32_t n = maker->snapshot->header.n_modules;
	maker->modules = calloc((size_t)n + 1, sizeof(*maker->modules));
	const char *exe = maker->snapshot->header.exe;
	int rc = maker->modules ? 0 : -ENOMEM;
	/* pprof takes the first one for the program */
	for (uint32_t i = 1; i < n && !rc; i++)
		if (strcmp(maker->snapshot->modules[i].path, exe) == 0)
			rc = add_module(maker, &maker->snapshot->modules[i], &maker->modules[i]);
	for (uint32_t i = 1; i < n && !rc; i++)
		rc = add_module(maker, &maker->snapshot->modules[i], &maker->modules[i]);
	return rc ? rc : add_unknown(maker, &maker->modules[0]);
}

static int location_of(struct maker *maker, uint32_t node, location_id *out)
{
	const struct heap_node *from = &maker->snapshot->nodes[node];
	/* the bias of the module 0 is 0: svma = avma */
	const uint64_t svma = from->address - maker->snapshot->modules[from->module].bias;
	if (!maker->known[node]) {
		const int rc = profile_add_location(maker->profile, maker->modules[from->module],
						    svma, &maker->by_node[node]);
		if (rc)
			return rc;
		maker->known[node] = true;
	}
	*out = maker->by_node[node];
	return 0;
}

static int add_stack(struct maker *maker, uint32_t node, stack_id *out)
{
	size_t n = 0;
	for (; node; node = maker->snapshot->nodes[node].parent) {
		location_id *slot = CP_ARRAY_PUSH(maker->frames, n, maker->cap_frames);
		const int rc = slot ? location_of(maker, node, slot) : -ENOMEM;
		if (rc)
			return rc;
	}
	return stack_store_intern(&maker->profile->stacks, maker->frames, n, out);
}

static int add_stacks(struct maker *maker, stack_id *stacks)
{
	const struct heap_header *header = &maker->snapshot->header;
	maker->by_node = calloc((size_t)header->n_nodes + 1, sizeof(*maker->by_node));
	maker->known = calloc((size_t)header->n_nodes + 1, sizeof(*maker->known));
	int rc = maker->by_node && maker->known ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < header->n_sites && !rc; i++)
		rc = add_stack(maker, maker->snapshot->sites[i].node, &stacks[i]);
	return rc;
}

static void maker_deinit(struct maker *maker)
{
	free(maker->modules);
	free(maker->frames);
	free(maker->by_node);
	free(maker->known);
}

int heap_profile_create(const struct heap_snapshot *snapshot, struct profile **out,
			stack_id **stacks, struct cp_err *err)
{
	struct maker maker = {.snapshot = snapshot};
	stack_id *made = calloc((size_t)snapshot->header.n_sites + 1, sizeof(*made));
	int rc = made ? profile_create(&maker.profile) : -ENOMEM;
	if (!rc)
		rc = add_modules(&maker);
	if (!rc)
		rc = add_stacks(&maker, made);
	maker_deinit(&maker);
	if (rc) {
		profile_destroy(maker.profile);
		free(made);
		return cp_fail_nomem(err);
	}
	maker.profile->start_ns = (int64_t)snapshot->header.start_realtime_ns;
	*out = maker.profile;
	*stacks = made;
	return 0;
}

/* Live blocks and bytes of each site, from the block table. */
struct live {
	double blocks, bytes;
};

static struct live *sum_live(const struct heap_snapshot *snapshot)
{
	struct live *live = calloc((size_t)snapshot->header.n_sites + 1, sizeof(*live));
	for (size_t i = 0; live && i < snapshot->n_blocks; i++) {
		const struct heap_live *block = &snapshot->blocks[i];
		const struct heap_weight weight =
			heap_weight_of(block->size_bytes, snapshot->header.sample_bytes);
		live[block->site].blocks += weight.blocks;
		live[block->site].bytes += weight.bytes;
	}
	return live;
}

/* Columns by value; `all` has those of the others in this order. */
static const struct column {
	enum heap_value value;
	const char *type, *unit;
} columns[] = {
	{HEAP_VALUE_CALLS, "alloc_objects", "count"}, {HEAP_VALUE_BYTES, "alloc_space", "bytes"},
	{HEAP_VALUE_ALL, "peak_objects", "count"},    {HEAP_VALUE_PEAK, "peak_space", "bytes"},
	{HEAP_VALUE_ALL, "inuse_objects", "count"},   {HEAP_VALUE_LIVE, "inuse_space", "bytes"},
};

enum { N_COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static bool is_wanted(const struct column *column, enum heap_value value)
{
	return value == HEAP_VALUE_ALL || column->value == value;
}

static int64_t limited(uint64_t value)
{
	return value < INT64_MAX ? (int64_t)value : INT64_MAX;
}

static void values_of(const struct heap_site_sum *sum, const struct live *live,
		      int64_t values[N_COLUMNS])
{
	values[0] = limited(sum->allocs);
	values[1] = limited(sum->alloc_bytes);
	/* by a race of the reading a site may seem to have freed more than it had */
	values[2] = sum->peak_blocks > 0 ? sum->peak_blocks : 0;
	values[3] = sum->peak_bytes > 0 ? sum->peak_bytes : 0;
	values[4] = limited((uint64_t)llround(live->blocks));
	values[5] = limited((uint64_t)llround(live->bytes));
}

static uint64_t only_value(const int64_t values[N_COLUMNS], enum heap_value value)
{
	for (size_t i = 0; i < N_COLUMNS; i++)
		if (columns[i].value == value)
			return (uint64_t)values[i];
	return 0;
}

static enum cp_stop stop_of(unsigned flags)
{
	if (flags & HEAP_STACK_TRUNCATED)
		return CP_STOP_TRUNCATED; /* the outer frames are missing, not the middle */
	if (flags & HEAP_STACK_NO_CFI)
		return CP_STOP_NO_CFI;
	if (flags & HEAP_STACK_UNSUPPORTED)
		return CP_STOP_UNSUPPORTED;
	return flags & HEAP_STACK_BAD ? CP_STOP_BAD_RA : CP_STOP_END;
}

static int add_sample(struct profile *profile, const struct profile_sample_key *key,
		      const int64_t all[N_COLUMNS], enum heap_value value)
{
	int64_t values[N_COLUMNS];
	bool any = false;
	size_t n = 0;
	for (size_t i = 0; i < N_COLUMNS; i++) {
		if (!is_wanted(&columns[i], value))
			continue;
		values[n++] = all[i];
		any |= all[i] != 0;
	}
	return any ? profile_add_sample(profile, key, values) : 0;
}

static int add_thread(struct profile *profile, const struct heap_header *header, thread_id *out)
{
	const char *slash = strrchr(header->exe, '/');
	struct profile_thread thread = {.pid = header->pid, .tid = header->pid};
	int rc = profile_string(profile, slash ? slash + 1 : header->exe, &thread.comm);
	thread.name = thread.comm;
	return rc ? rc : profile_add_thread(profile, &thread, out);
}

/* What is left out is told. */
static int add_left_out(struct profile *profile, int64_t amount)
{
	return amount ? profile_header_setf(profile, HEADER_HEAP_SUPPRESSED, "%" PRId64, amount)
		      : 0;
}

static int add_samples(struct profile *profile, const struct heap_snapshot *snapshot,
		       const stack_id *stacks, const bool *left_out, enum heap_value value)
{
	uint64_t suppressed = 0;
	CP_CLEANUP(cp_free) struct live *live = sum_live(snapshot);
	struct profile_sample_key key = {.time_ns = -1};
	int rc = live ? add_thread(profile, &snapshot->header, &key.thread) : -ENOMEM;
	for (uint32_t i = 0; i < snapshot->header.n_sites && !rc; i++) {
		int64_t values[N_COLUMNS];
		values_of(&snapshot->sites[i], &live[i], values);
		if (left_out && left_out[i]) {
			suppressed += only_value(values, value);
			continue;
		}
		key.stack = stacks[i];
		key.stop = stop_of(heap_stack_end(snapshot, snapshot->sites[i].node));
		rc = add_sample(profile, &key, values, value);
	}
	return rc ? rc : add_left_out(profile, limited(suppressed));
}

/* What the columns mean, for readers of the file. */
static int describe(struct profile *profile, const struct heap_header *header)
{
	int rc = profile_header_setf(profile, HEADER_PIDS, "%u", header->pid);
	if (!rc)
		rc = profile_header_set(profile, HEADER_MODE, "heap");
	if (!rc)
		rc = profile_string(profile, "space", &profile->period_type.type);
	if (!rc)
		rc = profile_string(profile, "bytes", &profile->period_type.unit);
	profile->period = header->sample_bytes ? limited(header->sample_bytes) : 1;
	return rc;
}

int heap_profile_add_samples(struct profile *profile, const struct heap_snapshot *snapshot,
			     const stack_id *stacks, const bool *left_out, enum heap_value value,
			     struct cp_err *err)
{
	int rc = describe(profile, &snapshot->header);
	for (size_t i = 0; i < N_COLUMNS && !rc; i++)
		if (is_wanted(&columns[i], value))
			rc = profile_add_value_type(profile, columns[i].type, columns[i].unit);
	if (!rc)
		rc = add_samples(profile, snapshot, stacks, left_out, value);
	return rc ? cp_fail_nomem(err) : 0;
}

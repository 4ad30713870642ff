#include "profile.h"

#include "base/array.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int profile_create(struct profile **out)
{
	struct profile *profile = calloc(1, sizeof(*profile));
	if (!profile)
		return -ENOMEM;
	int rc = interner_init(&profile->strings);
	if (!rc)
		rc = stack_store_init(&profile->stacks);
	if (rc) {
		profile_destroy(profile);
		return rc;
	}
	*out = profile;
	return 0;
}

void profile_destroy(struct profile *profile)
{
	if (!profile)
		return;
	interner_deinit(&profile->strings);
	stack_store_deinit(&profile->stacks);
	cp_index_deinit(&profile->module_index);
	cp_index_deinit(&profile->function_index);
	cp_index_deinit(&profile->location_index);
	cp_index_deinit(&profile->thread_index);
	cp_index_deinit(&profile->sample_index);
	free(profile->modules);
	free(profile->functions);
	free(profile->lines);
	free(profile->locations);
	free(profile->threads);
	free(profile->samples);
	free(profile->values);
	for (size_t i = 0; i < profile->n_header; i++) {
		free(profile->header[i].key);
		free(profile->header[i].value);
	}
	free(profile->header);
	free(profile);
}

int profile_string(struct profile *profile, const char *text, string_id *out)
{
	return interner_add(&profile->strings, text, out);
}

int profile_add_value_type(struct profile *profile, const char *type, const char *unit)
{
	assert(profile->n_samples == 0);
	if (profile->n_value_types == PROFILE_MAX_VALUES)
		return -ENOSPC;
	struct profile_value_type made;
	int rc = profile_string(profile, type, &made.type);
	if (!rc)
		rc = profile_string(profile, unit, &made.unit);
	if (!rc)
		profile->value_types[profile->n_value_types++] = made;
	return rc;
}

int profile_value_column(const struct profile *profile, const char *type)
{
	for (size_t i = 0; i < profile->n_value_types; i++) {
		if (strcmp(profile_text(profile, profile->value_types[i].type), type) == 0)
			return (int)i;
	}
	return -1;
}

/*
 * Find-or-add for a dense table: the body that all of them share. The element is compared by @eq
 * and copied from @wanted. Returns from the function around it on failure.
 */
#define FIND_OR_ADD(profile, items, count, cap, index, hash, eq, wanted, out_id)                   \
	do {                                                                                       \
		uint64_t hash_ = (hash);                                                           \
		uint32_t id_ = cp_index_find(&(index), hash_, eq, (wanted), (profile));            \
		if (id_ == CP_INDEX_NONE) {                                                        \
			if ((count) >= CP_INDEX_NONE - 1)                                          \
				return -EOVERFLOW;                                                 \
			id_ = (uint32_t)(count);                                                   \
			__typeof__(items) made_ = CP_ARRAY_PUSH(items, count, cap);                \
			if (!made_)                                                                \
				return -ENOMEM;                                                    \
			*made_ = *(wanted);                                                        \
			int rc_ = cp_index_add(&(index), hash_, id_);                              \
			if (rc_) {                                                                 \
				(count)--;                                                         \
				return rc_;                                                        \
			}                                                                          \
		}                                                                                  \
		(out_id)->v = id_;                                                                 \
	} while (0)

static bool module_equals(const void *key, const void *owner, uint32_t id)
{
	const struct profile_module *a = key;
	const struct profile_module *b = &((const struct profile *)owner)->modules[id];
	return a->path.v == b->path.v && a->build_id.v == b->build_id.v &&
	       a->svma_start == b->svma_start && a->svma_end == b->svma_end &&
	       a->file_off == b->file_off;
}

int profile_add_module(struct profile *profile, const struct profile_module *module, module_id *out)
{
	uint64_t hash = cp_hash_mix(module->path.v, module->build_id.v);
	hash = cp_hash_mix(hash, module->svma_start);
	hash = cp_hash_mix(hash, module->svma_end ^ (module->file_off << 20));
	FIND_OR_ADD(profile, profile->modules, profile->n_modules, profile->cap_modules,
		    profile->module_index, hash, module_equals, module, out);
	return 0;
}

static bool function_equals(const void *key, const void *owner, uint32_t id)
{
	const struct profile_function *a = key;
	const struct profile_function *b = &((const struct profile *)owner)->functions[id];
	return a->name.v == b->name.v && a->system_name.v == b->system_name.v &&
	       a->file.v == b->file.v && a->start_line == b->start_line;
}

int profile_add_function(struct profile *profile, const struct profile_function *function,
			 function_id *out)
{
	uint64_t hash = cp_hash_mix(function->name.v, function->system_name.v);
	hash = cp_hash_mix(hash, (uint64_t)function->file.v << 32 | function->start_line);
	FIND_OR_ADD(profile, profile->functions, profile->n_functions, profile->cap_functions,
		    profile->function_index, hash, function_equals, function, out);
	return 0;
}

static bool location_equals(const void *key, const void *owner, uint32_t id)
{
	const struct profile_location *a = key;
	const struct profile_location *b = &((const struct profile *)owner)->locations[id];
	return a->module.v == b->module.v && a->svma == b->svma;
}

int profile_add_location(struct profile *profile, module_id module, uint64_t svma, location_id *out)
{
	assert(module.v < profile->n_modules);
	struct profile_location wanted = {.module = module, .svma = svma};
	FIND_OR_ADD(profile, profile->locations, profile->n_locations, profile->cap_locations,
		    profile->location_index, cp_hash_mix(module.v, svma), location_equals, &wanted,
		    out);
	return 0;
}

int profile_set_lines(struct profile *profile, location_id location,
		      const struct profile_line *lines, size_t n)
{
	assert(location.v < profile->n_locations);
	if (profile->n_lines + n > UINT32_MAX)
		return -EOVERFLOW;
	struct profile_line *grown = cp_array_reserve(profile->lines, &profile->cap_lines,
						      profile->n_lines + n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	profile->lines = grown;
	if (n)
		memcpy(grown + profile->n_lines, lines, n * sizeof(*lines));
	profile->locations[location.v].first_line = (uint32_t)profile->n_lines;
	profile->locations[location.v].n_lines = (uint32_t)n;
	profile->n_lines += n;
	return 0;
}

static bool thread_equals(const void *key, const void *owner, uint32_t id)
{
	const struct profile_thread *a = key;
	const struct profile_thread *b = &((const struct profile *)owner)->threads[id];
	return a->pid == b->pid && a->tid == b->tid && a->comm.v == b->comm.v &&
	       a->name.v == b->name.v;
}

int profile_add_thread(struct profile *profile, const struct profile_thread *thread, thread_id *out)
{
	uint64_t hash = cp_hash_mix((uint64_t)thread->pid << 32 | thread->tid,
				    (uint64_t)thread->comm.v << 32 | thread->name.v);
	FIND_OR_ADD(profile, profile->threads, profile->n_threads, profile->cap_threads,
		    profile->thread_index, hash, thread_equals, thread, out);
	return 0;
}

static bool sample_equals(const void *key, const void *owner, uint32_t id)
{
	const struct profile_sample_key *a = key;
	const struct profile_sample_key *b = &((const struct profile *)owner)->samples[id];
	return a->stack.v == b->stack.v && a->thread.v == b->thread.v && a->stop == b->stop &&
	       a->joined == b->joined && a->state == b->state && a->inferred == b->inferred &&
	       a->waits_for.v == b->waits_for.v && a->time_ns == b->time_ns;
}

static uint64_t sample_hash(const struct profile_sample_key *key)
{
	uint64_t hash = cp_hash_mix(key->stack.v, key->thread.v);
	uint64_t how = (uint64_t)key->joined * CP_STOP_COUNT + key->stop;
	how = (how * CP_STATE_COUNT + key->state) * CP_INFERRED_COUNT + key->inferred;
	hash = cp_hash_mix(hash, (uint64_t)key->waits_for.v << 32 | how);
	return cp_hash_mix(hash, (uint64_t)key->time_ns);
}

/* Find or make the sample of @key, with zero values when made. */
static int sample_row(struct profile *profile, const struct profile_sample_key *key, uint32_t *row)
{
	size_t need = (profile->n_samples + 1) * profile->n_value_types;
	int64_t *values =
		cp_array_reserve(profile->values, &profile->cap_values, need, sizeof(*values));
	if (!values)
		return -ENOMEM;
	profile->values = values;
	size_t before = profile->n_samples;
	struct {
		uint32_t v;
	} id;
	FIND_OR_ADD(profile, profile->samples, profile->n_samples, profile->cap_samples,
		    profile->sample_index, sample_hash(key), sample_equals, key, &id);
	if (profile->n_samples != before)
		memset(values + before * profile->n_value_types, 0,
		       profile->n_value_types * sizeof(*values));
	*row = id.v;
	return 0;
}

int profile_add_sample(struct profile *profile, const struct profile_sample_key *key,
		       const int64_t *values)
{
	assert(profile->n_value_types > 0);
	uint32_t row;
	int rc = sample_row(profile, key, &row);
	if (rc)
		return rc;
	int64_t *sum = profile->values + row * profile->n_value_types;
	for (size_t i = 0; i < profile->n_value_types; i++) {
		/* values of foreign files may be anything: saturate rather than overflow */
		if (__builtin_add_overflow(sum[i], values[i], &sum[i]))
			sum[i] = values[i] < 0 ? INT64_MIN : INT64_MAX;
	}
	return 0;
}

void profile_clear_samples(struct profile *profile)
{
	profile->n_samples = 0;
	cp_index_clear(&profile->sample_index);
	stack_store_clear(&profile->stacks);
}

void profile_clear_threads(struct profile *profile)
{
	assert(profile->n_samples == 0);
	profile->n_threads = 0;
	cp_index_clear(&profile->thread_index);
}

int profile_coarsen(struct profile *profile, int64_t quantum_ns)
{
	struct profile merged = {.n_value_types = profile->n_value_types};
	for (size_t i = 0; i < profile->n_samples; i++) {
		struct profile_sample_key key = profile->samples[i];
		if (key.time_ns >= 0)
			key.time_ns = quantum_ns > 0 ? key.time_ns - key.time_ns % quantum_ns : -1;
		int rc = profile_add_sample(&merged, &key,
					    profile->values + i * profile->n_value_types);
		if (rc) {
			free(merged.samples);
			free(merged.values);
			cp_index_deinit(&merged.sample_index);
			return rc;
		}
	}
	free(profile->samples);
	free(profile->values);
	cp_index_deinit(&profile->sample_index);
	profile->samples = merged.samples;
	profile->values = merged.values;
	profile->n_samples = merged.n_samples;
	profile->cap_samples = merged.cap_samples;
	profile->cap_values = merged.cap_values;
	profile->sample_index = merged.sample_index;
	return 0;
}

static struct profile_header_entry *header_find(const struct profile *profile, const char *key)
{
	for (size_t i = 0; i < profile->n_header; i++) {
		if (strcmp(profile->header[i].key, key) == 0)
			return &profile->header[i];
	}
	return NULL;
}

static struct profile_header_entry *header_add(struct profile *profile, const char *key)
{
	char *copy = strdup(key);
	if (!copy)
		return NULL;
	struct profile_header_entry *entry =
		CP_ARRAY_PUSH(profile->header, profile->n_header, profile->cap_header);
	if (!entry) {
		free(copy);
		return NULL;
	}
	*entry = (struct profile_header_entry){.key = copy};
	return entry;
}

int profile_header_set(struct profile *profile, const char *key, const char *value)
{
	assert(!strchr(key, '='));
	char *copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	struct profile_header_entry *entry = header_find(profile, key);
	if (!entry)
		entry = header_add(profile, key);
	if (!entry) {
		free(copy);
		return -ENOMEM;
	}
	free(entry->value);
	entry->value = copy;
	return 0;
}

int profile_header_setf(struct profile *profile, const char *key, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *value;
	int n = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	int rc = profile_header_set(profile, key, value);
	free(value);
	return rc;
}

const char *profile_header_get(const struct profile *profile, const char *key)
{
	const struct profile_header_entry *entry = header_find(profile, key);
	return entry ? entry->value : NULL;
}

uint64_t profile_header_u64(const struct profile *profile, const char *key, uint64_t missing)
{
	const char *text = profile_header_get(profile, key);
	uint64_t value;
	return text && cp_parse_u64(text, 0, UINT64_MAX, &value) ? value : missing;
}

bool profile_module_is_kernel(const struct profile *profile, module_id module)
{
	return strcmp(profile_text(profile, profile->modules[module.v].path),
		      PROFILE_PATH_KERNEL) == 0;
}

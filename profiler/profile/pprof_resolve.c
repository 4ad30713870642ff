#include "base/array.h"
#include "base/cleanup.h"
#include "header_keys.h"
#include "pprof_decode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Distinct keys among the comments; a file with more is not a profile anybody wrote. */
enum { MAX_HEADER_KEYS = 1024 };

/* Of all values: each is a copy, though many comments may be one string of the file. */
enum { MAX_HEADER_BYTES = 16 << 20 };

struct resolve {
	const struct pprof_raw *raw;
	struct profile *profile;
	struct pprof_refs *refs;
	struct cp_err *err;
	struct pprof_ids mappings, functions;
	uint32_t *module_models, *function_models; /* ids by position */
	struct profile_line *lines;                /* scratch: one location's */
	size_t cap_lines;
	uint64_t next_made_up_svma;
};

void pprof_refs_deinit(struct pprof_refs *refs)
{
	pprof_ids_deinit(&refs->locations);
	free(refs->location_models);
	free(refs->string_models);
	*refs = (struct pprof_refs){0};
}

int pprof_refs_string(struct pprof_refs *refs, const struct pprof_raw *raw, struct profile *profile,
		      raw_text index, string_id *out)
{
	const char *text = pprof_raw_text(raw, index);
	if (!text)
		return -EBADMSG;
	uint32_t *model = &refs->string_models[index];
	if (*model == UINT32_MAX) {
		string_id made;
		int rc = profile_string(profile, text, &made);
		if (rc)
			return rc;
		*model = made.v;
	}
	out->v = *model;
	return 0;
}

static int text_id(struct resolve *r, raw_text index, string_id *out)
{
	int rc = pprof_refs_string(r->refs, r->raw, r->profile, index, out);
	if (rc == -EBADMSG)
		return cp_fail(r->err, rc, "damaged: string %" PRId64 " of %zu", index,
			       r->raw->n.strings);
	return rc ? pprof_decode_fail(r->err, rc) : 0;
}

static int resolve_value_types(struct resolve *r)
{
	const struct raw_counts *n = &r->raw->n;
	if (n->strings == 0 || n->value_types == 0)
		return cp_fail(r->err, -EBADMSG, "not a profile: it has no %s",
			       n->strings ? "sample types" : "strings");
	if (*pprof_raw_text(r->raw, 0))
		return cp_fail(r->err, -EBADMSG, "damaged: string 0 is not empty");
	if (n->value_types > PROFILE_MAX_VALUES)
		return cp_fail(r->err, -EBADMSG,
			       "it has %zu values per sample; cprof reads profiles of up to %d",
			       n->value_types, PROFILE_MAX_VALUES);
	for (size_t i = 0; i < n->value_types; i++) {
		struct profile_value_type *made = &r->profile->value_types[i];
		int rc = text_id(r, r->raw->value_types[i].type, &made->type);
		if (!rc)
			rc = text_id(r, r->raw->value_types[i].unit, &made->unit);
		if (rc)
			return rc;
	}
	r->profile->n_value_types = n->value_types;
	int rc = text_id(r, n->period_type.type, &r->profile->period_type.type);
	if (!rc)
		rc = text_id(r, n->period_type.unit, &r->profile->period_type.unit);
	r->profile->period = n->period;
	r->profile->start_ns = n->time_ns;
	r->profile->duration_ns = n->duration_ns;
	return rc;
}

static int unknown_path(struct resolve *r, string_id *out)
{
	int rc = profile_string(r->profile, PROFILE_PATH_UNKNOWN, out);
	return rc ? pprof_decode_fail(r->err, rc) : 0;
}

static int resolve_mapping(struct resolve *r, size_t i)
{
	const struct raw_mapping *raw = &r->raw->mappings[i];
	struct profile_module module = {
		.svma_start = raw->start,
		.svma_end = raw->limit > raw->start ? raw->limit : raw->start,
		.file_off = raw->offset,
		.has_functions = raw->has_functions,
		.has_filenames = raw->has_filenames,
		.has_lines = raw->has_lines,
		.has_inlines = raw->has_inlines,
	};
	int rc = text_id(r, raw->filename, &module.path);
	if (!rc)
		rc = text_id(r, raw->build_id, &module.build_id);
	if (!rc && !module.path.v)
		rc = unknown_path(r, &module.path);
	if (rc)
		return rc;
	module_id id;
	rc = profile_add_module(r->profile, &module, &id);
	if (rc)
		return pprof_decode_fail(r->err, rc);
	r->module_models[i] = id.v;
	return 0;
}

/* A line number of the model: 0 for what is none. */
static uint32_t line_number(int64_t line)
{
	return line > 0 && line <= UINT32_MAX ? (uint32_t)line : 0;
}

static int resolve_function(struct resolve *r, size_t i)
{
	const struct raw_function *raw = &r->raw->functions[i];
	struct profile_function function = {.start_line = line_number(raw->start_line)};
	int rc = text_id(r, raw->name, &function.name);
	if (!rc)
		rc = text_id(r, raw->system_name, &function.system_name);
	if (!rc)
		rc = text_id(r, raw->filename, &function.file);
	if (rc)
		return rc;
	if (!function.name.v)
		function.name = function.system_name;
	if (!function.name.v)
		rc = unknown_path(r, &function.name);
	if (rc)
		return rc;
	function_id id;
	rc = profile_add_function(r->profile, &function, &id);
	if (rc)
		return pprof_decode_fail(r->err, rc);
	r->function_models[i] = id.v;
	return 0;
}

static int location_module(struct resolve *r, const struct raw_location *raw, module_id *out)
{
	if (raw->mapping_id) {
		int64_t position = pprof_ids_find(&r->mappings, raw->mapping_id);
		if (position < 0)
			return cp_fail(r->err, -EBADMSG,
				       "damaged: location %" PRIu64 " is in mapping %" PRIu64
				       ", which is not there",
				       raw->id, raw->mapping_id);
		*out = (module_id){r->module_models[position]};
		return 0;
	}
	struct profile_module module = {0};
	int rc = unknown_path(r, &module.path);
	if (rc)
		return rc;
	rc = profile_add_module(r->profile, &module, out);
	return rc ? pprof_decode_fail(r->err, rc) : 0;
}

/* The location's inline chain into r->lines; a line without a function says nothing. */
static int location_lines(struct resolve *r, const struct raw_location *raw, size_t *n)
{
	*n = 0;
	if (raw->n_lines > PPROF_MAX_INLINED)
		return cp_fail(r->err, -EBADMSG,
			       "damaged: location %" PRIu64 " is of %zu inlined functions", raw->id,
			       raw->n_lines);
	struct profile_line *grown =
		cp_array_reserve(r->lines, &r->cap_lines, raw->n_lines + 1, sizeof(*grown));
	if (!grown)
		return cp_fail_nomem(r->err);
	r->lines = grown;
	for (size_t i = 0; i < raw->n_lines; i++) {
		const struct raw_line *line = &r->raw->lines[raw->first_line + i];
		if (!line->function_id)
			continue;
		int64_t position = pprof_ids_find(&r->functions, line->function_id);
		if (position < 0)
			return cp_fail(r->err, -EBADMSG,
				       "damaged: location %" PRIu64 " is in function %" PRIu64
				       ", which is not there",
				       raw->id, line->function_id);
		grown[(*n)++] = (struct profile_line){
			.function = {r->function_models[position]},
			.line = line_number(line->line),
		};
	}
	return 0;
}

static bool same_lines(const struct resolve *r, location_id id, size_t n)
{
	const struct profile_location *location = &r->profile->locations[id.v];
	if (location->n_lines != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct profile_line *have = &r->profile->lines[location->first_line + i];
		if (have->function.v != r->lines[i].function.v || have->line != r->lines[i].line)
			return false;
	}
	return true;
}

/*
 * Producers for interpreters give many locations the address 0. In the model an address says all
 * about a location, so one that says something else gets an address nobody uses.
 */
static const uint64_t first_made_up_svma = (uint64_t)1 << 63;

static int resolve_location(struct resolve *r, size_t i)
{
	const struct raw_location *raw = &r->raw->locations[i];
	module_id module = {0};
	size_t n_lines = 0;
	int rc = location_module(r, raw, &module);
	if (!rc)
		rc = location_lines(r, raw, &n_lines);
	if (rc)
		return rc;
	uint64_t svma = raw->address;
	for (;;) {
		size_t before = r->profile->n_locations;
		location_id id = {0};
		rc = profile_add_location(r->profile, module, svma, &id);
		if (!rc && r->profile->n_locations != before)
			rc = profile_set_lines(r->profile, id, r->lines, n_lines);
		if (rc)
			return pprof_decode_fail(r->err, rc);
		r->refs->location_models[i] = id.v;
		if (same_lines(r, id, n_lines))
			return 0;
		svma = r->next_made_up_svma++;
	}
}

/*
 * What is wanting for a binary, and a rule for source paths: the rest of the key is a path, which
 * may hold anything.
 */
static bool is_of_path(const char *text)
{
	static const char *const prefixes[] = {"symbols.", HEADER_SOURCE_PREFIX_PREFIX};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* "key=value" as cprof writes it. Return: the length of the key, or 0. */
static size_t comment_key(const char *text)
{
	size_t n = is_of_path(text) ? strcspn(text, "=")
				    : strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.");
	return text[n] == '=' ? n : 0;
}

/* Collect, by key id, the last comment that has it; free text gets a key of its own. */
static int collect_header(struct resolve *r, struct interner *keys, const char **values)
{
	unsigned n_free = 0;
	for (size_t i = 0; i < r->raw->n.comments; i++) {
		const char *text = pprof_raw_text(r->raw, r->raw->comments[i]);
		if (!text)
			return cp_fail(r->err, -EBADMSG, "damaged: comment %" PRId64 " of %zu",
				       r->raw->comments[i], r->raw->n.strings);
		size_t n = comment_key(text);
		char made_up[32];
		int made_up_n = 0;
		if (!n)
			made_up_n = snprintf(made_up, sizeof(made_up), "comment.%u", ++n_free);
		string_id key;
		int rc = n ? interner_add_bytes(keys, text, n, &key)
			   : interner_add_bytes(keys, made_up, (size_t)made_up_n, &key);
		if (rc)
			return pprof_decode_fail(r->err, rc);
		if (key.v > MAX_HEADER_KEYS && is_of_path(text))
			continue; /* a machine has more binaries than that */
		if (key.v > MAX_HEADER_KEYS)
			return cp_fail(r->err, -EBADMSG, "more than %d comments", MAX_HEADER_KEYS);
		values[key.v] = n ? text + n + 1 : text;
	}
	return 0;
}

static int resolve_header(struct resolve *r)
{
	const char *values[MAX_HEADER_KEYS + 1] = {NULL};
	struct interner keys;
	if (interner_init(&keys))
		return cp_fail_nomem(r->err);
	int rc = collect_header(r, &keys, values);
	size_t bytes = 0;
	for (uint32_t i = 1; i < keys.n && i <= MAX_HEADER_KEYS && !rc; i++) {
		/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): each key has a value */
		bytes += strlen(values[i]) + 1;
		if (bytes > MAX_HEADER_BYTES) {
			rc = cp_fail(r->err, -EBADMSG, "comments of more than %d MiB",
				     MAX_HEADER_BYTES >> 20);
			break;
		}
		rc = profile_header_set(r->profile, interner_get(&keys, (string_id){i}), values[i]);
		if (rc)
			cp_fail_nomem(r->err);
	}
	interner_deinit(&keys);
	return rc;
}

static int allocate(struct resolve *r)
{
	const struct raw_counts *n = &r->raw->n;
	r->module_models = calloc(n->mappings + 1, sizeof(uint32_t));
	r->function_models = calloc(n->functions + 1, sizeof(uint32_t));
	r->refs->location_models = calloc(n->locations + 1, sizeof(uint32_t));
	r->refs->string_models = malloc((n->strings + 1) * sizeof(uint32_t));
	if (!r->module_models || !r->function_models || !r->refs->location_models ||
	    !r->refs->string_models)
		return cp_fail_nomem(r->err);
	memset(r->refs->string_models, 0xff, n->strings * sizeof(uint32_t));
	return 0;
}

static int resolve_tables(struct resolve *r)
{
	const struct pprof_raw *raw = r->raw;
	int rc = pprof_ids_build(&r->mappings, raw->mappings, raw->n.mappings,
				 sizeof(*raw->mappings), "mapping", r->err);
	if (!rc)
		rc = pprof_ids_build(&r->functions, raw->functions, raw->n.functions,
				     sizeof(*raw->functions), "function", r->err);
	if (!rc)
		rc = pprof_ids_build(&r->refs->locations, raw->locations, raw->n.locations,
				     sizeof(*raw->locations), "location", r->err);
	for (size_t i = 0; i < raw->n.mappings && !rc; i++)
		rc = resolve_mapping(r, i);
	for (size_t i = 0; i < raw->n.functions && !rc; i++)
		rc = resolve_function(r, i);
	for (size_t i = 0; i < raw->n.locations && !rc; i++)
		rc = resolve_location(r, i);
	return rc;
}

int pprof_resolve(const struct pprof_raw *raw, struct profile *profile, struct pprof_refs *refs,
		  struct cp_err *err)
{
	struct resolve r = {.raw = raw,
			    .profile = profile,
			    .refs = refs,
			    .err = err,
			    .next_made_up_svma = first_made_up_svma};
	int rc = allocate(&r);
	if (!rc)
		rc = resolve_value_types(&r);
	if (!rc)
		rc = resolve_tables(&r);
	if (!rc)
		rc = resolve_header(&r);
	pprof_ids_deinit(&r.mappings);
	pprof_ids_deinit(&r.functions);
	free(r.module_models);
	free(r.function_models);
	free(r.lines);
	return rc;
}

#include "pprof_encode.h"

#include "base/array.h"
#include "base/utf8.h"
#include "pprof.pb-c.h"
#include "pprof_header.h"
#include "pprof_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The encoder's own strings: label keys, a unit, and the names of the stops. */
enum fixed_string {
	FIXED_THREAD,
	FIXED_COMM,
	FIXED_PID,
	FIXED_TID,
	FIXED_STOP,
	FIXED_JOINED,
	FIXED_STATE,
	FIXED_WAITS_FOR,
	FIXED_INFERRED,
	FIXED_TIME_NS,
	FIXED_NANOSECONDS,
	FIXED_STOP_NAME,                                         /* + enum cp_stop */
	FIXED_JOINED_NAME = FIXED_STOP_NAME + CP_STOP_COUNT,     /* + enum cp_joined */
	FIXED_STATE_NAME = FIXED_JOINED_NAME + CP_JOINED_COUNT,  /* + enum cp_state */
	FIXED_INFERRED_NAME = FIXED_STATE_NAME + CP_STATE_COUNT, /* + enum cp_inferred */
	FIXED_COUNT = FIXED_INFERRED_NAME + CP_INFERRED_COUNT
};

static const char *const fixed_texts[FIXED_STOP_NAME] = {
	[FIXED_THREAD] = "thread",
	[FIXED_COMM] = "comm",
	[FIXED_PID] = "pid",
	[FIXED_TID] = "tid",
	[FIXED_STOP] = "stop",
	[FIXED_JOINED] = "joined",
	[FIXED_STATE] = "state",
	[FIXED_WAITS_FOR] = "waits_for",
	[FIXED_INFERRED] = "inferred",
	[FIXED_TIME_NS] = "time_ns",
	[FIXED_NANOSECONDS] = "nanoseconds",
};

/* What the file holds; copied whole to take a member back. */
struct held {
	bool started; /* value types, period type, string 0 */
	uint32_t n_strings;
	size_t n_modules, n_functions, n_locations;
	int64_t period, start_ns, duration_ns;
	uint32_t fixed[FIXED_COUNT];
};

struct pprof_encoder {
	struct gzip_out gz;
	int status; /* first failure of this member outside of gz */
	struct held committed, held;
	struct pprof_string_map strings;
	struct pprof_header header;

	/* scratch, grown as needed */
	uint8_t *packed;
	size_t cap_packed;
	char *text;
	size_t cap_text;
	uint64_t *location_ids;
	size_t cap_location_ids;
	Perftools__Profiles__Line *lines;
	Perftools__Profiles__Line **line_refs;
	size_t cap_lines, cap_line_refs;
};

int pprof_encoder_create(struct pprof_encoder **out)
{
	struct pprof_encoder *encoder = calloc(1, sizeof(*encoder));
	if (!encoder)
		return -ENOMEM;
	int rc = gzip_out_init(&encoder->gz);
	if (rc) {
		free(encoder);
		return rc;
	}
	*out = encoder;
	return 0;
}

void pprof_encoder_destroy(struct pprof_encoder *encoder)
{
	if (!encoder)
		return;
	gzip_out_deinit(&encoder->gz);
	pprof_string_map_deinit(&encoder->strings);
	pprof_header_deinit(&encoder->header);
	free(encoder->packed);
	free(encoder->text);
	free(encoder->location_ids);
	free(encoder->lines);
	free(encoder->line_refs);
	free(encoder);
}

void pprof_encoder_begin(struct pprof_encoder *encoder, gzip_sink *sink, void *ctx)
{
	gzip_out_begin(&encoder->gz, sink, ctx);
	encoder->status = 0;
}

int pprof_encoder_end(struct pprof_encoder *encoder)
{
	int rc = gzip_out_end(&encoder->gz);
	return encoder->status ? encoder->status : rc;
}

void pprof_encoder_commit(struct pprof_encoder *encoder)
{
	encoder->committed = encoder->held;
	pprof_header_commit(&encoder->header);
}

void pprof_encoder_rollback(struct pprof_encoder *encoder)
{
	encoder->held = encoder->committed;
	pprof_header_rollback(&encoder->header);
	for (size_t i = 0; i < encoder->strings.n; i++) {
		if (encoder->strings.file_ids[i] >= encoder->held.n_strings)
			encoder->strings.file_ids[i] = 0;
	}
}

const void *pprof_encoder_state(const struct pprof_encoder *encoder, size_t *n)
{
	*n = sizeof(encoder->held);
	return &encoder->held;
}

void pprof_encoder_set_state(struct pprof_encoder *encoder, const void *bytes)
{
	memcpy(&encoder->held, bytes, sizeof(encoder->held));
}

/* Keeps the first failure. */
static void fail(struct pprof_encoder *encoder, int rc)
{
	if (!encoder->status)
		encoder->status = rc;
}

/* Make a scratch array hold @need elements. Return: false (and fail) when out of memory. */
#define SCRATCH(encoder, items, cap, need)                                                         \
	({                                                                                         \
		void *moved_ = cp_array_reserve(items, &(cap), need, sizeof(*(items)));            \
		if (moved_)                                                                        \
			(items) = moved_;                                                          \
		else                                                                               \
			fail(encoder, -ENOMEM);                                                    \
		moved_ != NULL;                                                                    \
	})

static void put_bytes(struct pprof_encoder *encoder, enum pprof_field field, const void *bytes,
		      size_t n)
{
	uint8_t head[2 * VARINT_MAX_BYTES];
	size_t used = tag_put(head, field, WIRE_BYTES);
	used += varint_put(head + used, n);
	gzip_out_put(&encoder->gz, head, used);
	gzip_out_put(&encoder->gz, bytes, n);
}

static void put_int(struct pprof_encoder *encoder, enum pprof_field field, int64_t value)
{
	uint8_t bytes[2 * VARINT_MAX_BYTES];
	size_t used = tag_put(bytes, field, WIRE_VARINT);
	used += varint_put(bytes + used, (uint64_t)value);
	gzip_out_put(&encoder->gz, bytes, used);
}

static void put_message(struct pprof_encoder *encoder, enum pprof_field field,
			const ProtobufCMessage *message)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	if (SCRATCH(encoder, encoder->packed, encoder->cap_packed, n + 1))
		put_bytes(encoder, field, encoder->packed,
			  protobuf_c_message_pack(message, encoder->packed));
}

/* Add a string to the file. Return: its index there. */
static uint32_t put_string(struct pprof_encoder *encoder, const char *text, size_t n)
{
	if (encoder->held.n_strings == UINT32_MAX) {
		fail(encoder, -EOVERFLOW);
		return 0;
	}
	if (utf8_valid_prefix(text, n) == n) {
		put_bytes(encoder, PPROF_STRING, text, n);
	} else {
		if (!SCRATCH(encoder, encoder->text, encoder->cap_text, UTF8_CLEAN_MAX(n)))
			return 0;
		put_bytes(encoder, PPROF_STRING, encoder->text, utf8_clean(text, n, encoder->text));
	}
	return encoder->held.n_strings++;
}

/* The file's index of a string of @profile, which is added when new. */
static int64_t string_index(struct pprof_encoder *encoder, struct pprof_string_map *map,
			    const struct profile *profile, string_id id)
{
	if (!id.v)
		return 0;
	if (id.v >= map->n) {
		uint32_t *grown =
			reallocarray(map->file_ids, profile->strings.n, sizeof(*map->file_ids));
		if (!grown) {
			fail(encoder, -ENOMEM);
			return 0;
		}
		memset(grown + map->n, 0, (profile->strings.n - map->n) * sizeof(*grown));
		map->file_ids = grown;
		map->n = profile->strings.n;
	}
	if (!map->file_ids[id.v])
		map->file_ids[id.v] = put_string(encoder, profile_text(profile, id),
						 profile->strings.lengths[id.v]);
	return map->file_ids[id.v];
}

static const char *fixed_text(unsigned fixed)
{
	if (fixed >= FIXED_INFERRED_NAME)
		return cp_inferred_name((enum cp_inferred)(fixed - FIXED_INFERRED_NAME));
	if (fixed >= FIXED_STATE_NAME)
		return cp_state_name((enum cp_state)(fixed - FIXED_STATE_NAME));
	if (fixed >= FIXED_JOINED_NAME)
		return cp_joined_name((enum cp_joined)(fixed - FIXED_JOINED_NAME));
	return fixed >= FIXED_STOP_NAME ? cp_stop_name((enum cp_stop)(fixed - FIXED_STOP_NAME))
					: fixed_texts[fixed];
}

static int64_t fixed_index(struct pprof_encoder *encoder, unsigned fixed)
{
	uint32_t *id = &encoder->held.fixed[fixed];
	if (!*id) {
		const char *text = fixed_text(fixed);
		*id = put_string(encoder, text, strlen(text));
	}
	return *id;
}

static void put_value_type(struct pprof_encoder *encoder, enum pprof_field field,
			   const struct profile *profile, struct profile_value_type type)
{
	Perftools__Profiles__ValueType message = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
	message.type = string_index(encoder, &encoder->strings, profile, type.type);
	message.unit = string_index(encoder, &encoder->strings, profile, type.unit);
	put_message(encoder, field, &message.base);
}

static void put_module(struct pprof_encoder *encoder, const struct profile *profile, size_t i)
{
	const struct profile_module *module = &profile->modules[i];
	Perftools__Profiles__Mapping message = PERFTOOLS__PROFILES__MAPPING__INIT;
	message.id = i + 1;
	message.memory_start = module->svma_start;
	message.memory_limit = module->svma_end;
	message.file_offset = module->file_off;
	message.filename = string_index(encoder, &encoder->strings, profile, module->path);
	message.build_id = string_index(encoder, &encoder->strings, profile, module->build_id);
	message.has_functions = module->has_functions;
	message.has_filenames = module->has_filenames;
	message.has_line_numbers = module->has_lines;
	message.has_inline_frames = module->has_inlines;
	put_message(encoder, PPROF_MAPPING, &message.base);
}

static void put_function(struct pprof_encoder *encoder, const struct profile *profile, size_t i)
{
	const struct profile_function *function = &profile->functions[i];
	Perftools__Profiles__Function message = PERFTOOLS__PROFILES__FUNCTION__INIT;
	message.id = i + 1;
	message.name = string_index(encoder, &encoder->strings, profile, function->name);
	message.system_name =
		string_index(encoder, &encoder->strings, profile, function->system_name);
	message.filename = string_index(encoder, &encoder->strings, profile, function->file);
	message.start_line = function->start_line;
	put_message(encoder, PPROF_FUNCTION, &message.base);
}

static void put_location(struct pprof_encoder *encoder, const struct profile *profile, size_t i)
{
	const struct profile_location *location = &profile->locations[i];
	if (!SCRATCH(encoder, encoder->lines, encoder->cap_lines, location->n_lines + 1))
		return;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): it is an array of pointers */
	if (!SCRATCH(encoder, encoder->line_refs, encoder->cap_line_refs, location->n_lines + 1))
		return;
	for (uint32_t k = 0; k < location->n_lines; k++) {
		const struct profile_line *line = &profile->lines[location->first_line + k];
		perftools__profiles__line__init(&encoder->lines[k]);
		encoder->lines[k].function_id = (uint64_t)line->function.v + 1;
		encoder->lines[k].line = line->line;
		encoder->line_refs[k] = &encoder->lines[k];
	}
	Perftools__Profiles__Location message = PERFTOOLS__PROFILES__LOCATION__INIT;
	message.id = i + 1;
	message.mapping_id = (uint64_t)location->module.v + 1;
	message.address = location->svma;
	message.line = encoder->line_refs;
	message.n_line = location->n_lines;
	put_message(encoder, PPROF_LOCATION, &message.base);
}

/* Comments are sent when their value changed: the last of a key counts. */
static void put_header(struct pprof_encoder *encoder, const struct profile *profile)
{
	for (size_t i = 0; i < profile->n_header; i++) {
		const struct profile_header_entry *entry = &profile->header[i];
		bool news = false;
		int rc = pprof_header_put(&encoder->header, entry->key, entry->value, &news);
		if (rc)
			fail(encoder, rc);
		if (!news)
			continue;
		char *text;
		int n = asprintf(&text, "%s=%s", entry->key, entry->value);
		if (n < 0) {
			fail(encoder, -ENOMEM);
			continue;
		}
		put_int(encoder, PPROF_COMMENT, put_string(encoder, text, (size_t)n));
		free(text);
	}
}

void pprof_encoder_tables(struct pprof_encoder *encoder, const struct profile *profile)
{
	struct held *held = &encoder->held;
	if (!held->started) {
		held->started = true;
		put_string(encoder, "", 0);
		for (size_t i = 0; i < profile->n_value_types; i++)
			put_value_type(encoder, PPROF_SAMPLE_TYPE, profile,
				       profile->value_types[i]);
		if (profile->period_type.type.v)
			put_value_type(encoder, PPROF_PERIOD_TYPE, profile, profile->period_type);
	}
	/* of these the last one in the file counts */
	if (held->period != profile->period)
		put_int(encoder, PPROF_PERIOD, held->period = profile->period);
	if (held->start_ns != profile->start_ns)
		put_int(encoder, PPROF_TIME_NANOS, held->start_ns = profile->start_ns);
	if (held->duration_ns != profile->duration_ns)
		put_int(encoder, PPROF_DURATION_NANOS, held->duration_ns = profile->duration_ns);
	put_header(encoder, profile);
	for (; held->n_modules < profile->n_modules; held->n_modules++)
		put_module(encoder, profile, held->n_modules);
	for (; held->n_functions < profile->n_functions; held->n_functions++)
		put_function(encoder, profile, held->n_functions);
	for (; held->n_locations < profile->n_locations; held->n_locations++)
		put_location(encoder, profile, held->n_locations);
}

/* A sample's labels: at most one of each kind. */
enum { LABELS_MAX = 10 };

struct labels {
	Perftools__Profiles__Label items[LABELS_MAX];
	Perftools__Profiles__Label *refs[LABELS_MAX];
	size_t n;
};

static Perftools__Profiles__Label *label_add(struct pprof_encoder *encoder, struct labels *labels,
					     enum fixed_string key)
{
	Perftools__Profiles__Label *label = &labels->items[labels->n];
	perftools__profiles__label__init(label);
	label->key = fixed_index(encoder, key);
	labels->refs[labels->n++] = label;
	return label;
}

/* How a stack came to be known, and what its thread did. */
static void labels_of_stack(struct pprof_encoder *encoder, const struct profile *profile,
			    struct pprof_string_map *strings, const struct profile_sample_key *key,
			    struct labels *labels)
{
	if (key->stop != CP_STOP_END)
		label_add(encoder, labels, FIXED_STOP)->str =
			fixed_index(encoder, FIXED_STOP_NAME + (unsigned)key->stop);
	if (key->joined != CP_JOINED_NO)
		label_add(encoder, labels, FIXED_JOINED)->str =
			fixed_index(encoder, FIXED_JOINED_NAME + (unsigned)key->joined);
	if (key->state != CP_STATE_NONE)
		label_add(encoder, labels, FIXED_STATE)->str =
			fixed_index(encoder, FIXED_STATE_NAME + (unsigned)key->state);
	if (key->waits_for.v)
		label_add(encoder, labels, FIXED_WAITS_FOR)->str =
			string_index(encoder, strings, profile, key->waits_for);
	if (key->inferred != CP_INFERRED_NO)
		label_add(encoder, labels, FIXED_INFERRED)->str =
			fixed_index(encoder, FIXED_INFERRED_NAME + (unsigned)key->inferred);
}

/* What equals a reader's default ("", 0, end, not joined, no time) is left out. */
static void labels_make(struct pprof_encoder *encoder, const struct profile *profile,
			struct pprof_string_map *strings, const struct profile_sample_key *key,
			struct labels *labels)
{
	const struct profile_thread *thread = &profile->threads[key->thread.v];
	labels->n = 0;
	if (thread->name.v)
		label_add(encoder, labels, FIXED_THREAD)->str =
			string_index(encoder, strings, profile, thread->name);
	if (thread->comm.v)
		label_add(encoder, labels, FIXED_COMM)->str =
			string_index(encoder, strings, profile, thread->comm);
	if (thread->pid)
		label_add(encoder, labels, FIXED_PID)->num = thread->pid;
	if (thread->tid)
		label_add(encoder, labels, FIXED_TID)->num = thread->tid;
	labels_of_stack(encoder, profile, strings, key, labels);
	if (key->time_ns >= 0) {
		Perftools__Profiles__Label *label = label_add(encoder, labels, FIXED_TIME_NS);
		label->num = key->time_ns;
		label->num_unit = fixed_index(encoder, FIXED_NANOSECONDS);
	}
}

static void put_sample(struct pprof_encoder *encoder, const struct profile *profile,
		       struct pprof_string_map *strings, const uint64_t *location_ids, size_t i)
{
	const struct profile_sample_key *key = &profile->samples[i];
	size_t depth = 0;
	for (stack_id at = key->stack; at.v; at = stack_store_parent(&profile->stacks, at)) {
		location_id location = stack_store_leaf(&profile->stacks, at);
		if (!SCRATCH(encoder, encoder->location_ids, encoder->cap_location_ids, depth + 1))
			return;
		encoder->location_ids[depth++] =
			location_ids ? location_ids[location.v] : (uint64_t)location.v + 1;
	}
	struct labels labels;
	labels_make(encoder, profile, strings, key, &labels);
	Perftools__Profiles__Sample message = PERFTOOLS__PROFILES__SAMPLE__INIT;
	message.location_id = encoder->location_ids;
	message.n_location_id = depth;
	message.value = profile->values + i * profile->n_value_types;
	message.n_value = profile->n_value_types;
	message.label = labels.refs;
	message.n_label = labels.n;
	put_message(encoder, PPROF_SAMPLE, &message.base);
}

void pprof_encoder_samples(struct pprof_encoder *encoder, const struct profile *profile)
{
	pprof_encoder_samples_of(encoder, profile, &encoder->strings, NULL);
}

void pprof_encoder_samples_of(struct pprof_encoder *encoder, const struct profile *other,
			      struct pprof_string_map *strings, const uint64_t *location_ids)
{
	for (size_t i = 0; i < other->n_samples && !encoder->status && !encoder->gz.status; i++)
		put_sample(encoder, other, strings, location_ids, i);
}

int pprof_encode_all(const struct profile *profile, gzip_sink *sink, void *ctx)
{
	struct pprof_encoder *encoder;
	int rc = pprof_encoder_create(&encoder);
	if (rc)
		return rc;
	pprof_encoder_begin(encoder, sink, ctx);
	pprof_encoder_tables(encoder, profile);
	pprof_encoder_samples(encoder, profile);
	rc = pprof_encoder_end(encoder);
	pprof_encoder_destroy(encoder);
	return rc;
}

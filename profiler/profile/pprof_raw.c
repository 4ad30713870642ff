#include "pprof_raw.h"

#include "base/array.h"
#include "base/utf8.h"
#include "pprof.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_BIT(field) ((uint64_t)1 << (field))

const uint64_t pprof_raw_wanted = FIELD_BIT(PPROF_SAMPLE_TYPE) | FIELD_BIT(PPROF_MAPPING) |
				  FIELD_BIT(PPROF_LOCATION) | FIELD_BIT(PPROF_FUNCTION) |
				  FIELD_BIT(PPROF_STRING) | FIELD_BIT(PPROF_TIME_NANOS) |
				  FIELD_BIT(PPROF_DURATION_NANOS) | FIELD_BIT(PPROF_PERIOD_TYPE) |
				  FIELD_BIT(PPROF_PERIOD) | FIELD_BIT(PPROF_COMMENT);

void pprof_raw_init(struct pprof_raw *raw)
{
	*raw = (struct pprof_raw){0};
	pprof_arena_init(&raw->arena);
}

void pprof_raw_deinit(struct pprof_raw *raw)
{
	free(raw->strings);
	free(raw->text);
	free(raw->mappings);
	free(raw->functions);
	free(raw->locations);
	free(raw->lines);
	free(raw->comments);
	pprof_arena_deinit(&raw->arena);
}

static int take_string(struct pprof_raw *raw, const uint8_t *bytes, size_t n)
{
	uint64_t *offset = CP_ARRAY_PUSH(raw->strings, raw->n.strings, raw->cap.strings);
	char *text = cp_array_reserve(raw->text, &raw->cap.text,
				      raw->n.text_bytes + UTF8_CLEAN_MAX(n) + 1, 1);
	if (text)
		raw->text = text;
	if (!offset || !text) {
		raw->n.strings -= offset != NULL;
		return -ENOMEM;
	}
	*offset = raw->n.text_bytes;
	raw->n.text_bytes += utf8_clean((const char *)bytes, n, text + raw->n.text_bytes);
	text[raw->n.text_bytes++] = '\0';
	return 0;
}

static int take_mapping(struct pprof_raw *raw, const Perftools__Profiles__Mapping *message)
{
	struct raw_mapping *mapping =
		CP_ARRAY_PUSH(raw->mappings, raw->n.mappings, raw->cap.mappings);
	if (!mapping)
		return -ENOMEM;
	*mapping = (struct raw_mapping){
		.id = message->id,
		.start = message->memory_start,
		.limit = message->memory_limit,
		.offset = message->file_offset,
		.filename = message->filename,
		.build_id = message->build_id,
		.has_functions = message->has_functions,
		.has_filenames = message->has_filenames,
		.has_lines = message->has_line_numbers,
		.has_inlines = message->has_inline_frames,
	};
	return 0;
}

static int take_function(struct pprof_raw *raw, const Perftools__Profiles__Function *message)
{
	struct raw_function *function =
		CP_ARRAY_PUSH(raw->functions, raw->n.functions, raw->cap.functions);
	if (!function)
		return -ENOMEM;
	*function = (struct raw_function){
		.id = message->id,
		.name = message->name,
		.system_name = message->system_name,
		.filename = message->filename,
		.start_line = message->start_line,
	};
	return 0;
}

static int take_location(struct pprof_raw *raw, const Perftools__Profiles__Location *message)
{
	struct raw_location *location =
		CP_ARRAY_PUSH(raw->locations, raw->n.locations, raw->cap.locations);
	if (!location)
		return -ENOMEM;
	*location = (struct raw_location){
		.id = message->id,
		.mapping_id = message->mapping_id,
		.address = message->address,
		.first_line = raw->n.lines,
		.n_lines = message->n_line,
	};
	for (size_t i = 0; i < message->n_line; i++) {
		struct raw_line *line = CP_ARRAY_PUSH(raw->lines, raw->n.lines, raw->cap.lines);
		if (!line)
			return -ENOMEM;
		*line = (struct raw_line){
			.function_id = message->line[i]->function_id,
			.line = message->line[i]->line,
		};
	}
	return 0;
}

static int take_comment(struct pprof_raw *raw, uint64_t index)
{
	raw_text *comment = CP_ARRAY_PUSH(raw->comments, raw->n.comments, raw->cap.comments);
	if (!comment)
		return -ENOMEM;
	*comment = (raw_text)index;
	return 0;
}

/* Repeated numbers may come packed: varint after varint. */
static int take_packed_comments(struct pprof_raw *raw, const uint8_t *bytes, size_t n)
{
	uint64_t value = 0;
	unsigned shift = 0;
	for (size_t i = 0; i < n; i++) {
		if (shift > 63)
			return -EBADMSG;
		value |= (uint64_t)(bytes[i] & 0x7f) << shift;
		shift += 7;
		if (bytes[i] & 0x80)
			continue;
		int rc = take_comment(raw, value);
		if (rc)
			return rc;
		value = 0;
		shift = 0;
	}
	return shift ? -EBADMSG : 0;
}

static int take_number(struct pprof_raw *raw, uint32_t field, uint64_t number)
{
	switch (field) {
	case PPROF_TIME_NANOS:
		raw->n.time_ns = (int64_t)number;
		return 0;
	case PPROF_DURATION_NANOS:
		raw->n.duration_ns = (int64_t)number;
		return 0;
	case PPROF_PERIOD:
		raw->n.period = (int64_t)number;
		return 0;
	case PPROF_COMMENT:
		return take_comment(raw, number);
	default:
		return -EBADMSG; /* a table's entry is never a number */
	}
}

static int take_value_type(struct pprof_raw *raw, uint32_t field,
			   const Perftools__Profiles__ValueType *message)
{
	struct raw_value_type type = {.type = message->type, .unit = message->unit};
	if (field == PPROF_PERIOD_TYPE)
		raw->n.period_type = type;
	else if (raw->n.value_types < RAW_MAX_VALUE_TYPES)
		raw->value_types[raw->n.value_types++] = type;
	else
		return -EBADMSG;
	return 0;
}

static int take_message(struct pprof_raw *raw, const struct pprof_field_value *value)
{
	static const ProtobufCMessageDescriptor *const descriptors[] = {
		[PPROF_SAMPLE_TYPE] = &perftools__profiles__value_type__descriptor,
		[PPROF_PERIOD_TYPE] = &perftools__profiles__value_type__descriptor,
		[PPROF_MAPPING] = &perftools__profiles__mapping__descriptor,
		[PPROF_LOCATION] = &perftools__profiles__location__descriptor,
		[PPROF_FUNCTION] = &perftools__profiles__function__descriptor,
	};
	if (value->field >= sizeof(descriptors) / sizeof(descriptors[0]) ||
	    !descriptors[value->field])
		return -EBADMSG; /* a scalar of the profile is never a message */
	ProtobufCMessage *message;
	int rc = pprof_arena_unpack(&raw->arena, descriptors[value->field], value->bytes, value->n,
				    &message);
	if (rc)
		return rc;
	switch (value->field) {
	case PPROF_MAPPING:
		return take_mapping(raw, (const Perftools__Profiles__Mapping *)message);
	case PPROF_LOCATION:
		return take_location(raw, (const Perftools__Profiles__Location *)message);
	case PPROF_FUNCTION:
		return take_function(raw, (const Perftools__Profiles__Function *)message);
	default:
		return take_value_type(raw, value->field,
				       (const Perftools__Profiles__ValueType *)message);
	}
}

int pprof_raw_take(void *ctx, const struct pprof_field_value *value)
{
	struct pprof_raw *raw = ctx;
	if (!value->is_bytes)
		return take_number(raw, value->field, value->number);
	if (value->field == PPROF_STRING)
		return take_string(raw, value->bytes, value->n);
	if (value->field == PPROF_COMMENT)
		return take_packed_comments(raw, value->bytes, value->n);
	return take_message(raw, value);
}

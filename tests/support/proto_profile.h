/*
 * proto_profile.h - the messages of profile.proto by hand, as other producers may write them.
 *
 * The field numbers are written out here once more, independent of the code under test.
 *
 * Depends on: proto_bytes.h (included by it), cmocka.h (included before). Threads: one.
 */
#ifndef CPROF_TESTS_PROTO_PROFILE_H
#define CPROF_TESTS_PROTO_PROFILE_H

#include "proto_bytes.h"

enum {
	IN_SAMPLE_TYPE = 1,
	IN_SAMPLE = 2,
	IN_MAPPING = 3,
	IN_LOCATION = 4,
	IN_FUNCTION = 5,
	IN_STRING = 6,
	IN_TIME = 9,
	IN_DURATION = 10,
	IN_PERIOD_TYPE = 11,
	IN_PERIOD = 12,
	IN_COMMENT = 13
};

static inline void put_value_type(struct proto_bytes *p, unsigned field, uint64_t type,
				  uint64_t unit)
{
	struct proto_bytes m = {0};
	proto_int(&m, 1, type);
	proto_int(&m, 2, unit);
	proto_message(p, field, &m);
}

static inline void put_mapping(struct proto_bytes *p, uint64_t id, uint64_t filename)
{
	struct proto_bytes m = {0};
	proto_int(&m, 1, id);
	proto_int(&m, 2, 0x400000);
	proto_int(&m, 3, 0x500000);
	proto_int(&m, 5, filename);
	proto_message(p, IN_MAPPING, &m);
}

static inline void put_function(struct proto_bytes *p, uint64_t id, uint64_t name,
				uint64_t system_name, uint64_t file)
{
	struct proto_bytes m = {0};
	proto_int(&m, 1, id);
	proto_int(&m, 2, name);
	proto_int(&m, 3, system_name);
	proto_int(&m, 4, file);
	proto_message(p, IN_FUNCTION, &m);
}

/** A location of at most one line: @function 0 = none. */
static inline void put_location(struct proto_bytes *p, uint64_t id, uint64_t mapping,
				uint64_t address, uint64_t function, uint64_t line)
{
	struct proto_bytes m = {0}, l = {0};
	proto_int(&m, 1, id);
	proto_int(&m, 2, mapping);
	proto_int(&m, 3, address);
	if (function) {
		proto_int(&l, 1, function);
		proto_int(&l, 2, line);
		proto_message(&m, 4, &l);
	}
	proto_message(p, IN_LOCATION, &m);
}

static inline void put_label(struct proto_bytes *sample, uint64_t key, uint64_t text,
			     uint64_t number)
{
	struct proto_bytes m = {0};
	proto_int(&m, 1, key);
	if (text)
		proto_int(&m, 2, text);
	else
		proto_int(&m, 3, number);
	proto_message(sample, 3, &m);
}

/** A sample's locations and one value, packed. */
static inline struct proto_bytes begin_sample(const uint64_t *locations, size_t n, uint64_t value)
{
	struct proto_bytes m = {0};
	proto_packed(&m, 1, locations, n);
	proto_packed(&m, 2, &value, 1);
	return m;
}

static inline void put_sample(struct proto_bytes *p, uint64_t location, uint64_t value)
{
	struct proto_bytes m = begin_sample(&location, 1, value);
	proto_message(p, IN_SAMPLE, &m);
}

/** Strings "", "samples", "count", "main", "main.c", "/bin/app": indices 0 to 5. */
static inline void put_strings(struct proto_bytes *p)
{
	static const char *const strings[] = {"", "samples", "count", "main", "main.c", "/bin/app"};
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		proto_text(p, IN_STRING, strings[i]);
}

/** The smallest sound profile: one sample of 7 at line 42 of main in /bin/app. */
static inline void put_sound(struct proto_bytes *p)
{
	put_strings(p);
	put_value_type(p, IN_SAMPLE_TYPE, 1, 2);
	put_mapping(p, 1, 5);
	put_function(p, 1, 3, 3, 4);
	put_location(p, 1, 1, 0x400123, 1, 42);
	put_sample(p, 1, 7);
}

#endif

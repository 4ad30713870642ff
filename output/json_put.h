/*
 * json_put.h - objects and arrays of JSON, made step by step.
 *
 * A failure to allocate is remembered, so that the steps need not be checked one by one: what was
 * made is to be thrown away where json_put_failed(). Values that are handed in are taken in any
 * case, and NULL, which jansson returns for a value that could not be made, is such a failure.
 *
 * Depends on: base, strbuf.h, jansson. Threads: one at a time.
 */
#ifndef CPROF_OUTPUT_JSON_PUT_H
#define CPROF_OUTPUT_JSON_PUT_H

#include "strbuf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct json_put {
	struct strbuf scratch;
	bool failed;
};

/** All-zero is accepted. */
void json_put_deinit(struct json_put *put);

bool json_put_failed(const struct json_put *put);

/** A string of any bytes, or null for NULL and "". */
json_t *json_put_make_text(struct json_put *put, const char *text);

/** @value under @key of @object. */
void json_put(struct json_put *put, json_t *object, const char *key, json_t *value);

/** @value at the end of @array. */
void json_put_item(struct json_put *put, json_t *array, json_t *value);

void json_put_text(struct json_put *put, json_t *object, const char *key, const char *text);
void json_put_i64(struct json_put *put, json_t *object, const char *key, int64_t value);
void json_put_bool(struct json_put *put, json_t *object, const char *key, bool value);
void json_put_null(struct json_put *put, json_t *object, const char *key);

/** JSON's numbers are signed: what is larger is INT64_MAX. */
void json_put_u64(struct json_put *put, json_t *object, const char *key, uint64_t value);

/** A count, or an estimate of one, rounded. */
void json_put_count(struct json_put *put, json_t *object, const char *key, double value);

/** Nanoseconds since 1970 as RFC 3339 has them, in UTC; null where that is no date. */
void json_put_time(struct json_put *put, json_t *object, const char *key, int64_t time_ns);

#endif

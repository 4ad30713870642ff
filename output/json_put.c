#include "json_put.h"

#include <math.h>
#include <time.h>

void json_put_deinit(struct json_put *put)
{
	strbuf_deinit(&put->scratch);
}

bool json_put_failed(const struct json_put *put)
{
	return put->failed || strbuf_failed(&put->scratch);
}

json_t *json_put_make_text(struct json_put *put, const char *text)
{
	if (!text || !text[0])
		return json_null();
	strbuf_clear(&put->scratch);
	strbuf_add_utf8(&put->scratch, text);
	return json_string(strbuf_text(&put->scratch));
}

void json_put(struct json_put *put, json_t *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new(object, key, value))
		put->failed = true;
}

void json_put_item(struct json_put *put, json_t *array, json_t *value)
{
	if (!value || json_array_append_new(array, value))
		put->failed = true;
}

void json_put_text(struct json_put *put, json_t *object, const char *key, const char *text)
{
	json_put(put, object, key, json_put_make_text(put, text));
}

void json_put_i64(struct json_put *put, json_t *object, const char *key, int64_t value)
{
	json_put(put, object, key, json_integer(value));
}

void json_put_bool(struct json_put *put, json_t *object, const char *key, bool value)
{
	json_put(put, object, key, json_boolean(value));
}

void json_put_null(struct json_put *put, json_t *object, const char *key)
{
	json_put(put, object, key, json_null());
}

void json_put_u64(struct json_put *put, json_t *object, const char *key, uint64_t value)
{
	json_put_i64(put, object, key, value < INT64_MAX ? (int64_t)value : INT64_MAX);
}

void json_put_count(struct json_put *put, json_t *object, const char *key, double value)
{
	json_put_u64(put, object, key,
		     value > 0 ? value < 9e18 ? (uint64_t)llround(value) : INT64_MAX : 0);
}

void json_put_time(struct json_put *put, json_t *object, const char *key, int64_t time_ns)
{
	const time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm utc;
	char text[64];
	if (gmtime_r(&seconds, &utc) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc))
		json_put(put, object, key,
			 json_sprintf("%s.%09dZ", text, (int)(time_ns % 1000000000)));
	else
		json_put_null(put, object, key);
}

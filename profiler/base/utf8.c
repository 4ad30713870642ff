#include "utf8.h"

#include <string.h>

size_t utf8_decode(const char *text, size_t n, uint32_t *out)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[UTF8_MAX_BYTES] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	const unsigned char *s = (const unsigned char *)text;
	for (size_t more = 0; more < UTF8_MAX_BYTES; more++) {
		if ((s[0] & forms[more].mask) != forms[more].lead)
			continue;
		uint32_t point = s[0] & (unsigned char)~forms[more].mask;
		for (size_t k = 1; k <= more; k++) {
			/* a NUL fails this test, so nothing beyond it is read */
			if (k >= n || (s[k] & 0xc0) != 0x80)
				return 0;
			point = point << 6 | (s[k] & 0x3f);
		}
		if (point < forms[more].least || point > 0x10ffff ||
		    (point >= 0xd800 && point <= 0xdfff))
			return 0;
		*out = point;
		return more + 1;
	}
	return 0;
}

bool utf8_is_control(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x61c ||
	       point == 0x200e || point == 0x200f || (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2066 && point <= 0x2069);
}

size_t utf8_valid_prefix(const char *text, size_t n)
{
	size_t i = 0;
	while (i < n) {
		uint32_t point;
		size_t len = utf8_decode(text + i, n - i, &point);
		if (!len || !point)
			break;
		i += len;
	}
	return i;
}

size_t utf8_clean(const char *text, size_t n, char *out)
{
	size_t in = 0, used = 0;
	while (in < n) {
		size_t good = utf8_valid_prefix(text + in, n - in);
		memcpy(out + used, text + in, good);
		used += good;
		in += good;
		if (in < n) {
			memcpy(out + used, UTF8_REPLACEMENT, 3);
			used += 3;
			in++;
		}
	}
	return used;
}

#include "utf8.h"

#include <stdbool.h>
#include <string.h>

static bool continues(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Length of the character at @p (RFC 3629: no overlong forms, no surrogates), or 0. */
static size_t character(const unsigned char *p, size_t n)
{
	if (p[0] < 0x80)
		return p[0] != 0;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		return n >= 2 && continues(p[1]) ? 2 : 0;
	if ((p[0] & 0xf0) == 0xe0) {
		if (n < 3 || !continues(p[1]) || !continues(p[2]))
			return 0;
		bool overlong = p[0] == 0xe0 && p[1] < 0xa0;
		bool surrogate = p[0] == 0xed && p[1] >= 0xa0;
		return overlong || surrogate ? 0 : 3;
	}
	if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		if (n < 4 || !continues(p[1]) || !continues(p[2]) || !continues(p[3]))
			return 0;
		bool overlong = p[0] == 0xf0 && p[1] < 0x90;
		bool beyond = p[0] == 0xf4 && p[1] >= 0x90;
		return overlong || beyond ? 0 : 4;
	}
	return 0;
}

size_t utf8_valid_prefix(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t i = 0;
	while (i < n) {
		size_t len = character(p + i, n - i);
		if (!len)
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
			memcpy(out + used, "\xef\xbf\xbd", 3);
			used += 3;
			in++;
		}
	}
	return used;
}

#include "short_name.h"

#include <string.h>

/* Both ends of a name say most: its namespace, and its member. */
static void add_without_middle(struct strbuf *to, const char *text, size_t width)
{
	if (strbuf_columns(text) <= width) {
		strbuf_add(to, text);
		return;
	}
	size_t head = (width - 3) / 2;
	strbuf_add_bytes(to, text, strbuf_head(text, head));
	strbuf_add(to, "...");
	strbuf_add(to, strbuf_tail(text, width - 3 - head));
}

/*
 * Copy a C++ or Rust name with what stands between the outermost pairs of @open and @close
 * replaced by "...". Return: false when the brackets do not pair up (an operator< or ->).
 */
static bool add_abridged(struct strbuf *to, const char *text, char open, char close)
{
	size_t depth = 0;
	for (; *text; text++) {
		if (*text == close && depth-- == 0)
			return false;
		if (depth == 0)
			strbuf_add_bytes(to, text, 1);
		if (*text == open && depth++ == 0 && text[1] != close)
			strbuf_add(to, "...");
	}
	return depth == 0;
}

void short_name_add(struct strbuf *to, const char *text, size_t width)
{
	static const struct {
		char open, close;
	} pairs[] = {{'(', ')'}, {'<', '>'}};
	struct strbuf name = {0}, shorter = {0};
	strbuf_add(&name, text);
	for (size_t i = 0; i < 2 && strbuf_columns(strbuf_text(&name)) > width; i++) {
		strbuf_clear(&shorter);
		if (add_abridged(&shorter, strbuf_text(&name), pairs[i].open, pairs[i].close)) {
			strbuf_clear(&name);
			strbuf_add(&name, strbuf_text(&shorter));
		}
	}
	static const char arguments[] = "(...)";
	size_t n = strlen(arguments);
	if (strbuf_columns(strbuf_text(&name)) > width && name.n > n &&
	    strcmp(name.bytes + name.n - n, arguments) == 0) {
		name.n -= n;
		name.bytes[name.n] = '\0';
	}
	add_without_middle(to, strbuf_text(&name), width);
	to->failed = to->failed || name.failed || shorter.failed;
	strbuf_deinit(&name);
	strbuf_deinit(&shorter);
}

void short_path_add(struct strbuf *to, const char *path, size_t width)
{
	if (strbuf_columns(path) <= width) {
		strbuf_add(to, path);
		return;
	}
	const char *tail = strbuf_tail(path, width - 3);
	const char *slash = strchr(tail, '/');
	/* whole directories read better, unless that costs much of the column */
	if (slash && (size_t)(slash - tail) < width / 3)
		tail = slash;
	strbuf_add(to, "...");
	strbuf_add(to, tail);
}

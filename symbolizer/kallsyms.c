#include "kallsyms.h"

#include "symbol_names.h"
#include "text_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A distribution kernel with all its modules loaded stays below 40 MB. */
enum { KALLSYMS_MAX_BYTES = 256 * 1024 * 1024 };

void kallsyms_deinit(struct kallsyms *kallsyms)
{
	symbol_table_deinit(&kallsyms->table);
	free(kallsyms->text);
	kallsyms->text = NULL;
}

/* "ffffffff81000000 T name" or "ffffffffc0000000 t name\t[module]"; @line is cut into its fields.
 */
static bool parse_line(char *line, struct symbol *out)
{
	uint64_t address;
	if (!text_file_hex(&line, &address) || line[0] != ' ' || line[1] == '\0' ||
	    line[2] != ' ' || !strchr("tTwW", line[1]))
		return false;
	char type = line[1];
	char *name = line + 3;
	/* a part of a function (".cold") has the function's name */
	name[symbol_names_whole(name, strcspn(name, "\t "))] = '\0';
	*out = (struct symbol){.start = address,
			       .end = UINT64_MAX,
			       .name = name,
			       .rank = type == 'T'   ? 2
				       : type == 'W' ? 1
						     : 0};
	return true;
}

static int parse(struct kallsyms *kallsyms, bool *any_address)
{
	char *line = kallsyms->text, *next;
	for (; line && *line; line = next) {
		struct symbol symbol;
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!parse_line(line, &symbol))
			continue;
		*any_address |= symbol.start != 0;
		if (symbol_table_add(&kallsyms->table, &symbol) < 0)
			return -ENOMEM;
	}
	return symbol_table_seal(&kallsyms->table);
}

int kallsyms_read(struct kallsyms *kallsyms, const char *path, struct cp_err *err)
{
	size_t n;
	bool any_address = false;
	*kallsyms = (struct kallsyms){.text = NULL};
	int rc = text_file_read(path, KALLSYMS_MAX_BYTES, &kallsyms->text, &n);
	if (rc < 0)
		return cp_fail(err, rc, "%s: %s", path, strerror(-rc));
	rc = parse(kallsyms, &any_address);
	if (rc == 0 && kallsyms->table.n == 0)
		rc = cp_fail(err, -ENODATA, "%s names no functions", path);
	else if (rc == 0 && !any_address)
		rc = cp_fail(err, -EACCES,
			     "kernel addresses are hidden from this user: run as root, or set "
			     "kernel.kptr_restrict=0 and kernel.perf_event_paranoid=1");
	if (rc < 0)
		kallsyms_deinit(kallsyms);
	return rc;
}

#include "dwarf_damage.h"

#include <stdio.h>

void dwarf_damage_describe(unsigned int damage, char *buf, size_t size)
{
	static const struct {
		unsigned int part;
		const char *sections;
	} parts[] = {
		{DWARF_DAMAGE_UNITS | DWARF_DAMAGE_ENTRIES, ".debug_info or .debug_abbrev"},
		{DWARF_DAMAGE_RANGES, ".debug_ranges or .debug_rnglists"},
		{DWARF_DAMAGE_LINES, ".debug_line"},
	};
	int n = snprintf(buf, size, "its debug information is damaged (");
	const char *between = "";
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!(damage & parts[i].part) || n < 0 || (size_t)n >= size)
			continue;
		n += snprintf(buf + n, size - (size_t)n, "%s%s", between, parts[i].sections);
		between = ", ";
	}
	if (n >= 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, ")");
}

/*
 * Addresses all over whole programs, against other tools' answers. addr2line and
 * eu-addr2line are independent of each other and err in different places (addr2line puts
 * ELF names on inlined frames; eu-addr2line shows the line of the function before in padding), so a
 * line that neither of them gives is an error.
 */
#include "symbolizer/binary.h"

#include "symbolizer_fixtures/fixtures.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { STEP = 5, MAX_ADDRESSES = 2500, ANSWER_MAX = 64 * 1024 };

static FILE *read_command(const char *fmt, ...)
{
	char command[4 * FIXTURE_PATH_MAX];
	va_list args;
	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	return pipe;
}

/* [start, end) of .text, by readelf. */
static void text_range(const char *path, uint64_t *start, uint64_t *end)
{
	char line[1024];
	unsigned long long address, offset, size;
	FILE *pipe = read_command("readelf -SW '%s'", path);
	*start = *end = 0;
	while (fgets(line, sizeof(line), pipe)) {
		const char *name = strstr(line, " .text ");
		if (name &&
		    sscanf(name, " .text PROGBITS %llx %llx %llx", &address, &offset, &size) == 3) {
			*start = address;
			*end = address + size;
		}
	}
	pclose(pipe);
	assert_true(*end > *start);
}

/*
 * "name inlined at ..." -> "name"; "file:12 (discriminator 3)", "file:12:7" -> "file:12". Copies of
 * a function ("f.isra.0") have the symbol's name there, and their function's here.
 */
static void normalize(char *line, bool is_place)
{
	static const char *const behind[] = {" inlined at ", ".isra.", ".constprop.", ".part.",
					     ".cold"};
	line[strcspn(line, "\n")] = '\0';
	char *cut = strstr(line, " (discriminator");
	if (is_place && cut)
		*cut = '\0';
	for (size_t i = 0; !is_place && i < sizeof(behind) / sizeof(behind[0]); i++)
		if ((cut = strstr(line, behind[i])))
			*cut = '\0';
	if (!is_place)
		return;
	char *last = strrchr(line, ':');
	if (last && last > line) {
		*last = '\0';
		char *before = strrchr(line, ':');
		if (!before || !before[1] || before[1 + strspn(before + 1, "0123456789")])
			*last = ':';
	}
	size_t n = strlen(line);
	if (n > 0 && line[n - 1] == '?')
		line[n - 1] = '0';
}

/* A tool's output, one address after the other. */
struct answers {
	FILE *pipe;
	char line[ANSWER_MAX]; /* read ahead: the next address */
};

static void next_answer(struct answers *answers, uint64_t address, char *out)
{
	size_t used = 0;
	if (!answers->line[0])
		assert_non_null(fgets(answers->line, sizeof(answers->line), answers->pipe));
	assert_int_equal(strncmp(answers->line, "0x", 2), 0);
	assert_int_equal(strtoull(answers->line, NULL, 16), address);
	out[0] = '\0';
	for (int i = 0; fgets(answers->line, sizeof(answers->line), answers->pipe); i++) {
		if (i % 2 == 0 && strncmp(answers->line, "0x", 2) == 0)
			return;
		normalize(answers->line, i % 2 == 1);
		used += (size_t)snprintf(out + used, ANSWER_MAX - used, "%s\n", answers->line);
		assert_true(used < ANSWER_MAX);
	}
	answers->line[0] = '\0';
}

static size_t our_answer(struct binary *binary, uint64_t address, char *out)
{
	const struct symbol_frame *frames;
	size_t n, used = 0;
	assert_int_equal(binary_find(binary, address, &frames, &n), 0);
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(out + used, ANSWER_MAX - used, "%s\n%s:%" PRIu32 "\n",
					 frames[i].system_name,
					 frames[i].file[0] ? frames[i].file : "??", frames[i].line);
	return n;
}

/* Cut the next line off. Return: NULL when there is none. */
static char *next_line(char **rest)
{
	char *line = strsep(rest, "\n");
	return line && line[0] ? line : NULL;
}

/* C1 and C2, D1 and D2 are two symbols of one constructor or destructor: either will do. */
static bool same(const char *a, const char *b)
{
	bool mangled = a[0] == '_' && a[1] == 'Z';
	for (; *a && (*a == *b || (mangled && strchr("12", *a) && *b && strchr("12", *b))); a++)
		b++;
	return *a == *b;
}

/*
 * True when each line of our answer is that of one of the others. The symbol's name, which
 * belongs to the outermost frame, is what addr2line shows first.
 */
static bool backed(char *ours, char *theirs, char *elfutils)
{
	const char *symbol = NULL;
	for (;;) {
		char *a = next_line(&ours), *b = next_line(&theirs), *c = next_line(&elfutils);
		if (!a)
			return !b || !c;
		symbol = symbol ? symbol : b;
		if (!(b && same(a, b)) && !(c && same(a, c)) && !(symbol && same(a, symbol)))
			return false;
	}
}

static void sweep(const char *name)
{
	static char ours[ANSWER_MAX], theirs[ANSWER_MAX], elfutils[ANSWER_MAX];
	static struct answers a2l, eu;
	char path[FIXTURE_PATH_MAX], twin[FIXTURE_PATH_MAX + 16], list[FIXTURE_PATH_MAX];
	const struct binary_options none = {0};
	struct binary *binary;
	uint64_t start, end;
	size_t compared = 0, agreed = 0, deep = 0;
	fixture_path(name, path);
	snprintf(list, sizeof(list), "/tmp/cprof-sweep-XXXXXX");
	int fd = mkstemp(list);
	assert_true(fd >= 0);
	FILE *addresses = fdopen(fd, "w");
	text_range(path, &start, &end);
	uint64_t step = (end - start) / MAX_ADDRESSES | 1;
	if (step < STEP)
		step = STEP;
	for (uint64_t address = start; address < end; address += step)
		fprintf(addresses, "0x%" PRIx64 "\n", address);
	assert_int_equal(fclose(addresses), 0);
	assert_int_equal(binary_open(path, "", &none, &binary, NULL), 0);
	a2l = (struct answers){.pipe = read_command("addr2line -afi -e '%s' < %s", path, list)};
	/* eu-addr2line sees only units with .debug_aranges: it is asked about a twin with them */
	snprintf(twin, sizeof(twin), "%s_aranges", path);
	if (access(twin, R_OK) != 0)
		snprintf(twin, sizeof(twin), "%s", path);
	eu = (struct answers){.pipe = read_command("eu-addr2line -afi -e '%s' < %s", twin, list)};
	for (uint64_t address = start; address < end; address += step) {
		size_t n = our_answer(binary, address, ours);
		next_answer(&a2l, address, theirs);
		next_answer(&eu, address, elfutils);
		/* padding, and start-up code without debug information: eu-addr2line shows the
		 * line before it, addr2line the name of the object file's source */
		if (strncmp(elfutils, "??\n", 3) == 0 || strstr(elfutils, "\n??:0\n") ||
		    strstr(theirs, "crtstuff.c:0\n"))
			continue;
		compared++;
		deep += n > 1;
		agreed += n > 0 && backed(ours, theirs, elfutils);
	}
	pclose(a2l.pipe);
	pclose(eu.pipe);
	binary_close(binary);
	unlink(list);
	print_message("%s: %zu of %zu addresses agree (%zu with inlined calls)\n", name, agreed,
		      compared, deep);
	assert_true(compared > 1000);
	assert_true(agreed * 1000 >= compared * 999);
}

static void test_binary_sweep__agrees_with_other_tools_on_whole_programs(void **state)
{
	(void)state;
	fixture_each(SWEEP_MATRIX, sweep);
}

struct nm_symbol {
	uint64_t start, end;
	char name[200];
};

static void libc_path(char *out)
{
	char line[1024];
	FILE *maps = fopen("/proc/self/maps", "r");
	assert_non_null(maps);
	out[0] = '\0';
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "/libc.so.6\n"))
			sscanf(strchr(line, '/'), "%500s", out);
	fclose(maps);
	assert_true(out[0] == '/');
}

static size_t read_nm(const char *path, struct nm_symbol **out)
{
	char line[1024], type;
	unsigned long long start, size;
	size_t n = 0;
	struct nm_symbol *symbols = NULL;
	FILE *pipe = read_command("nm -D -S --defined-only '%s'", path);
	while (fgets(line, sizeof(line), pipe)) {
		symbols = realloc(symbols, (n + 1) * sizeof(*symbols));
		assert_non_null(symbols);
		if (sscanf(line, "%llx %llx %c %199[^@\n]", &start, &size, &type,
			   symbols[n].name) != 4 ||
		    !strchr("TWi", type))
			continue;
		symbols[n].start = start;
		symbols[n++].end = start + size;
	}
	pclose(pipe);
	*out = symbols;
	return n;
}

static bool covered_by(const struct nm_symbol *symbols, size_t n, uint64_t address,
		       const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (symbols[i].start <= address && address < symbols[i].end &&
		    strcmp(symbols[i].name, name) == 0)
			return true;
	return false;
}

static void test_binary_sweep__names_libc_by_its_exported_symbols(void **state)
{
	const char *dir = *state;
	char libc[FIXTURE_PATH_MAX], bare[FIXTURE_PATH_MAX];
	const struct binary_options none = {0};
	struct binary *binary;
	struct nm_symbol *symbols;
	size_t compared = 0, agreed = 0;
	libc_path(libc);
	snprintf(bare, sizeof(bare), "%s/libc.so.6", dir);
	/* without what leads to a debug package, should one be installed */
	fixture_run(OBJCOPY " -R .note.gnu.build-id -R .gnu_debuglink '%s' '%s'", libc, bare);
	size_t n_symbols = read_nm(libc, &symbols);
	assert_int_equal(binary_open(bare, "", &none, &binary, NULL), 0);
	assert_false(binary_has_dwarf(binary));
	for (size_t i = 0; i < n_symbols; i++) {
		for (uint64_t address = symbols[i].start; address < symbols[i].end;
		     address += 101) {
			const struct symbol_frame *frames;
			size_t n;
			assert_int_equal(binary_find(binary, address, &frames, &n), 0);
			compared++;
			agreed += n == 1 &&
				  covered_by(symbols, n_symbols, address, frames[0].system_name);
		}
	}
	binary_close(binary);
	free(symbols);
	print_message("libc: %zu of %zu addresses agree with nm\n", agreed, compared);
	assert_true(compared > 4000);
	assert_true(agreed * 1000 >= compared * 999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_binary_sweep__agrees_with_other_tools_on_whole_programs),
		cmocka_unit_test_setup_teardown(
			test_binary_sweep__names_libc_by_its_exported_symbols, fixture_setup_dir,
			fixture_teardown_dir),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

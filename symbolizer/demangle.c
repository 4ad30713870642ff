#include "demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct output {
	char *text; /* allocated before the demangler runs: a jump must not lose it */
	size_t n;
	jmp_buf too_long;
};

/*
 * libiberty bounds its recursion but not what it prints: substitutions that double in each step
 * make it print for hours. Its callback cannot say stop, so we jump out; the callback interface
 * keeps its state on the stack, so nothing of substance is lost.
 */
static void append(const char *bytes, size_t n, void *ctx)
{
	struct output *output = ctx;
	if (n >= DEMANGLE_MAX_OUTPUT - output->n)
		longjmp(output->too_long, 1);
	memcpy(output->text + output->n, bytes, n);
	output->n += n;
}

static bool demangle_into(const char *name, int options, struct output *output)
{
	if (setjmp(output->too_long) != 0)
		return false;
	output->n = 0;
	/* Legacy Rust names are valid C++ names too: Rust goes first. */
	if (rust_demangle_callback(name, options, append, output) && output->n > 0)
		return true;
	output->n = 0;
	return name[0] == '_' && name[1] == 'Z' &&
	       cplus_demangle_v3_callback(name, options, append, output) && output->n > 0;
}

static char *demangle_with(const char *name, int options)
{
	if (name[0] != '_' || (name[1] != 'Z' && name[1] != 'R'))
		return NULL;
	if (strnlen(name, DEMANGLE_MAX_INPUT) == DEMANGLE_MAX_INPUT)
		return NULL;
	struct output output = {.text = malloc(DEMANGLE_MAX_OUTPUT)};
	if (!output.text)
		return NULL;
	char *result =
		demangle_into(name, options, &output) ? strndup(output.text, output.n) : NULL;
	free(output.text);
	return result;
}

char *demangle(const char *name)
{
	return demangle_with(name, DMGL_PARAMS | DMGL_ANSI);
}

char *demangle_bare(const char *name)
{
	return demangle_with(name, DMGL_ANSI);
}

#include "heap_blame.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_UNKNOWN, KIND_OWN, KIND_ALLOCATOR, KIND_STANDARD };

/* What allocates, behind a prefix of up to three letters: xmalloc, g_strdup, je_calloc, zrealloc.
 */
static const char *const allocators[] = {
	"malloc",   "calloc",    "realloc", "reallocarray",  "memalign",       "posix_memalign",
	"valloc",   "pvalloc",   "strdup",  "strndup",       "memdup",         "aligned_alloc",
	"asprintf", "vasprintf", "wcsdup",  "zalloc",        "recalloc",       "slice_alloc",
	"palloc",   "pcalloc",   "pnalloc", "strdup_printf", "strdup_vprintf", "mallocarray",
};

/* What may follow. No other endings: malloc_users() may be anybody's. */
static const char *const endings[] = {
	"",       "0",        "_num",      "_n",
	"0_n",    "_usable",  "_internal", "_usable_internal",
	"_array", "_aligned", "_impl",     "_wrapper",
	"_wrap",  "_default", "_safe",     "_or_die",
	"_zero",  "@plt",     "2",         "_hook",
	"_bytes",
};

/* Names that no rule makes, of allocators that are much met with. */
static const char *const known[] = {
	"__libc_malloc",
	"__libc_calloc",
	"__libc_realloc",
	"__libc_memalign",
	"ztrymalloc_usable_internal",
	"ztrycalloc_usable_internal",
	"ztryrealloc_usable_internal",
	"zmalloc_usable_internal",
	"sqlite3Malloc",
	"sqlite3MemMalloc",
	"sqlite3MemRealloc",
	"sqlite3DbMallocRaw",
	"sqlite3DbMallocRawNN",
	"sqlite3DbMallocZero",
	"sqlite3MallocZero",
	"sqlite3Realloc",
	"sqlite3DbRealloc",
	"sqlite3DbReallocOrFree",
	"sqlite3DbStrDup",
	"sqlite3DbStrNDup",
	"sqlite3_malloc64",
	"sqlite3_realloc64",
	"dbMallocRawFinish",
	"dbReallocFinish",
	"mallocWithAlarm",
	"PyMem_Malloc",
	"PyMem_Calloc",
	"PyMem_Realloc",
	"PyMem_RawMalloc",
	"PyMem_RawCalloc",
	"PyMem_RawRealloc",
	"PyObject_Malloc",
	"PyObject_Calloc",
	"PyObject_Realloc",
	"_PyMem_RawMalloc",
	"_PyMem_RawCalloc",
	"_PyMem_RawRealloc",
	"_PyObject_Malloc",
	"_PyObject_Calloc",
	"_PyObject_Realloc",
	"_PyObject_Arena",
	"new_arena",
	"pymalloc_alloc",
	"OPENSSL_malloc",
	"CRYPTO_malloc",
	"CRYPTO_zalloc",
	"CRYPTO_realloc",
	"CRYPTO_strdup",
	"xmlMemMalloc",
	"Perl_safesysmalloc",
	"Perl_safesysrealloc",
	"Perl_safesyscalloc",
	"_emalloc",
	"_ecalloc",
	"_erealloc",
	"__rust_alloc",
	"__rust_alloc_zeroed",
	"__rust_realloc",
	"__rdl_alloc",
	"__rdl_realloc",
	"__rdl_alloc_zeroed",
	"__rg_alloc",
	"exchange_malloc",
	"av_mallocz",
	"av_malloc_array",
	"git__malloc",
	"git__calloc",
	"git__realloc",
	"git__strdup",
	"ev_realloc",
};

/* The function of a demangled name: without return type, arguments and template arguments. */
static size_t bare(const char *name, const char **start)
{
	size_t depth = 0, n = 0;
	const char *from = name, *end = NULL;
	for (const char *c = name; *c && !end; c++) {
		if (*c == '<')
			depth++;
		else if (*c == '>' && depth > 0)
			depth--;
		else if (depth == 0 && *c == '(' && c > from && c[1] != 'a')
			end = c;
		else if (depth == 0 && *c == ' ')
			from = c + 1;
	}
	n = end ? (size_t)(end - from) : strlen(from);
	const char *angle = memchr(from, '<', n);
	*start = from;
	return angle && angle > from ? (size_t)(angle - from) : n;
}

static bool equals(const char *name, size_t n, const char *wanted)
{
	return strlen(wanted) == n && memcmp(name, wanted, n) == 0;
}

static bool may_end(const char *rest, size_t n)
{
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if (equals(rest, n, endings[i]))
			return true;
	return false;
}

/* xmalloc, zmalloc_usable, g_malloc0: [prefix of 3] NAME [ending]. */
static bool wraps(const char *name, size_t n, const char *allocator)
{
	const size_t length = strlen(allocator);
	size_t prefix = 0;
	while (prefix < n && name[prefix] == '_')
		prefix++;
	const size_t first = prefix;
	for (; prefix <= first + 3 && prefix + length <= n; prefix++) {
		const size_t skip = prefix > first && name[prefix] == '_' ? 1 : 0;
		const size_t at = prefix + skip;
		if (at + length > n || memcmp(name + at, allocator, length) != 0) {
			if (prefix < n && !isalnum((unsigned char)name[prefix]))
				return false;
			continue;
		}
		return may_end(name + at + length, n - at - length);
	}
	return false;
}

bool heap_blame_is_allocator(const char *function)
{
	if (strncmp(function, "operator new", 12) == 0)
		return true;
	const char *name;
	const size_t n = bare(function, &name);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (equals(name, n, known[i]))
			return true;
	if (n == 0 || memchr(name, ':', n))
		return false;
	for (size_t i = 0; i < sizeof(allocators) / sizeof(allocators[0]); i++)
		if (wraps(name, n, allocators[i]))
			return true;
	return false;
}

bool heap_blame_is_standard(const char *function)
{
	static const char *const spaces[] = {
		"std::",   "__gnu_cxx::", "__cxxabiv1::",  "alloc::",
		"core::",  "hashbrown::", "<std::",        "<alloc::",
		"<core::", "_<alloc::",   "__gnu_debug::", "std_detail::",
	};
	const char *name;
	bare(function, &name);
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		if (strncmp(name, spaces[i], strlen(spaces[i])) == 0 ||
		    strncmp(function, spaces[i], strlen(spaces[i])) == 0)
			return true;
	return false;
}

bool heap_blame_is_library(const char *module)
{
	static const char *const names[] = {
		"libc.so",      "libc-2",        "libm.so",     "libstdc++.so",   "libc++.so",
		"libc++abi.so", "libgcc_s.so",   "libpthread",  "libdl.so",       "librt.so",
		"ld-linux",     "libcprof_heap", "libglib-2.0", "libgobject-2.0", "libjemalloc.so",
		"libtcmalloc",  "libmimalloc",   "libresolv",   "libnss_",        "libsupc++",
		"libasan.so",   "libc.musl",     "ld-musl",     "linux-vdso",     "[vdso]",
	};
	const char *slash = strrchr(module, '/');
	const char *base = slash ? slash + 1 : module;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(base, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/*
 * Templates of the standard library are compiled into the program, and so are inline functions of
 * libc's headers (getline in <bits/stdio.h>): their source tells.
 */
static bool is_standard_source(const char *file)
{
	const bool is_header = strncmp(file, "/usr/include/", 13) == 0 && strstr(file, "/bits/");
	return is_header || strstr(file, "/include/c++/") || strncmp(file, "/rustc/", 7) == 0 ||
	       strstr(file, "/lib/rustlib/src/");
}

int heap_blame_init(struct heap_blame *blame, const struct frames *frames)
{
	*blame =
		(struct heap_blame){.frames = frames, .kinds = calloc(frames_count(frames) + 1, 1)};
	return blame->kinds ? 0 : -ENOMEM;
}

void heap_blame_deinit(struct heap_blame *blame)
{
	free(blame->kinds);
	*blame = (struct heap_blame){0};
}

static enum kind kind_of(struct heap_blame *blame, frame_id id)
{
	if (blame->kinds[id.v])
		return (enum kind)blame->kinds[id.v];
	const struct frame *frame = frames_get(blame->frames, id);
	const char *name = frames_text(blame->frames, frame->name);
	enum kind kind = KIND_OWN;
	if (frame->symbolized && heap_blame_is_allocator(name))
		kind = KIND_ALLOCATOR;
	else if (heap_blame_is_library(frames_text(blame->frames, frame->module)) ||
		 (frame->symbolized && heap_blame_is_standard(name)) ||
		 is_standard_source(frames_text(blame->frames, frame->file)))
		kind = KIND_STANDARD;
	blame->kinds[id.v] = (unsigned char)kind;
	return kind;
}

bool heap_blame_passes_over(struct heap_blame *blame, frame_id frame)
{
	return kind_of(blame, frame) != KIND_OWN;
}

/* Where the C library calls main() a stack of nothing but the standard library begins. */
static bool starts_program(const struct heap_blame *blame, frame_id id)
{
	const char *name = frames_text(blame->frames, frames_get(blame->frames, id)->name);
	return strcmp(name, "_start") == 0;
}

size_t heap_blame_find(struct heap_blame *blame, const frame_id *stack, size_t n)
{
	size_t fallback = 0;
	bool found = false;
	for (size_t i = 0; i < n; i++) {
		const enum kind kind = kind_of(blame, stack[i]);
		if (kind == KIND_OWN && !starts_program(blame, stack[i]))
			return i;
		if (kind != KIND_ALLOCATOR && !found) {
			fallback = i;
			found = true;
		}
	}
	return fallback;
}

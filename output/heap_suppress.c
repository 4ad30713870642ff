#include "heap_suppress.h"

#include "base/array.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Functions of the C library that keep what they allocate for the life of the process. Names that
 * the library exports: they are known without its debug information.
 */
struct builtin {
	const char *about;
	const char *const *functions; /* of the library code next to the allocation; or NULL */
	const char *module;           /* of the innermost frame; or NULL */
	bool whole;                   /* the stack has no frame outside the standard libraries */
};

static const char *const stdio[] = {"_IO_file_doallocate", "_IO_wfile_doallocate", NULL};
static const char *const exit_handlers[] = {
	"__cxa_atexit",        "atexit", "on_exit", "__cxa_thread_atexit_impl",
	"__cxa_at_quick_exit", NULL};
static const char *const locale[] = {"setlocale",   "tzset",         "localtime",
				     "localtime_r", "__localtime_r", "mktime",
				     "strftime",    "strftime_l",    NULL};
static const char *const names[] = {"getpwnam",      "getpwuid",      "getgrnam", "getgrgid",
				    "getservbyname", "gethostbyname", NULL};
static const char *const environ_set[] = {"setenv", "putenv", NULL};
static const char *const messages[] = {"dlerror", "strerror", "strsignal", NULL};

static const struct builtin builtins[] = {
	{"buffers of stdio streams", stdio, NULL, false},
	{"the dynamic loader's own", NULL, "ld-linux", false},
	{"the runtime libraries' own (libstdc++'s emergency pool, ...)", NULL, NULL, true},
	{"lists of exit handlers", exit_handlers, NULL, false},
	{"the C library's locale and time zone", locale, NULL, false},
	{"the C library's name service", names, NULL, false},
	{"the environment", environ_set, NULL, false},
	{"the C library's messages", messages, NULL, false},
};

enum { N_BUILTINS = sizeof(builtins) / sizeof(builtins[0]), NOT_ASKED = UINT32_MAX - 1 };

static int add_rule(struct heap_suppressions *rules, const char *pattern, size_t n, bool builtin)
{
	struct heap_rule *rule = CP_ARRAY_PUSH(rules->rules, rules->n, rules->cap);
	if (!rule)
		return -ENOMEM;
	*rule = (struct heap_rule){.pattern = strndup(pattern, n), .builtin = builtin};
	return rule->pattern ? 0 : -ENOMEM;
}

int heap_suppressions_init(struct heap_suppressions *rules)
{
	*rules = (struct heap_suppressions){0};
	int rc = 0;
	for (size_t i = 0; i < N_BUILTINS && !rc; i++)
		rc = add_rule(rules, builtins[i].about, strlen(builtins[i].about), true);
	if (rc)
		heap_suppressions_deinit(rules);
	return rc;
}

void heap_suppressions_deinit(struct heap_suppressions *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		free(rules->rules[i].pattern);
	free(rules->rules);
	free(rules->by_frame);
	*rules = (struct heap_suppressions){0};
}

static int parse_line(struct heap_suppressions *rules, const char *line, size_t n, const char *name,
		      size_t number, struct cp_err *err)
{
	while (n && isspace((unsigned char)line[0])) {
		line++;
		n--;
	}
	while (n && isspace((unsigned char)line[n - 1]))
		n--;
	if (n == 0 || line[0] == '#')
		return 0;
	if (n <= 5 || memcmp(line, "leak:", 5) != 0)
		return cp_fail(err, -EINVAL,
			       "%s:%zu: \"%.*s\" is no rule: a line is leak:PATTERN, or a comment "
			       "after #",
			       name, number, n < 80 ? (int)n : 80, line);
	return add_rule(rules, line + 5, n - 5, false) ? cp_fail_nomem(err) : 0;
}

int heap_suppressions_parse(struct heap_suppressions *rules, const char *text, const char *name,
			    struct cp_err *err)
{
	for (size_t number = 1; *text; number++) {
		const size_t n = strcspn(text, "\n");
		const int rc = parse_line(rules, text, n, name, number, err);
		if (rc)
			return rc;
		text += n + (text[n] == '\n');
	}
	return 0;
}

/* Find @piece of @n bytes in @text. */
static const char *find(const char *text, const char *piece, size_t n)
{
	for (; *text; text++)
		if (strncmp(text, piece, n) == 0)
			return text;
	return n == 0 ? text : NULL;
}

/*
 * Pieces between stars are looked for one after the other. With "$" the last one must end the text:
 * it is looked for at the very end.
 */
bool heap_pattern_matches(const char *pattern, const char *text)
{
	bool bound = pattern[0] == '^';
	if (bound)
		pattern++;
	while (*pattern) {
		if (*pattern == '*') {
			bound = false;
			pattern++;
			continue;
		}
		if (strcmp(pattern, "$") == 0)
			return !bound || *text == '\0';
		const size_t n = strcspn(pattern, "*$");
		const bool last = strcmp(pattern + n, "$") == 0;
		const size_t left = strlen(text);
		if (last && !bound) {
			return left >= n && memcmp(text + left - n, pattern, n) == 0;
		}
		const char *at = bound ? (strncmp(text, pattern, n) == 0 ? text : NULL)
				       : find(text, pattern, n);
		/* a "$" that does not end the pattern can match nothing */
		if (!at || (pattern[n] == '$' && !last))
			return false;
		text = at + n;
		pattern += n;
		bound = true;
		if (*pattern == '\0')
			return true;
	}
	return true;
}

int heap_suppressions_bind(struct heap_suppressions *rules, const struct frames *frames)
{
	const size_t n = frames_count(frames);
	free(rules->by_frame);
	rules->by_frame = malloc((n + 1) * sizeof(*rules->by_frame));
	if (!rules->by_frame)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		rules->by_frame[i] = NOT_ASKED;
	rules->frames = frames;
	return 0;
}

static uint32_t rule_of_frame(struct heap_suppressions *rules, frame_id id)
{
	uint32_t *known = &rules->by_frame[id.v];
	if (*known != NOT_ASKED)
		return *known;
	const struct frame *frame = frames_get(rules->frames, id);
	*known = HEAP_RULE_NONE;
	for (size_t i = N_BUILTINS; i < rules->n; i++) {
		const char *pattern = rules->rules[i].pattern;
		if (heap_pattern_matches(pattern, frames_text(rules->frames, frame->module)) ||
		    heap_pattern_matches(pattern, frames_text(rules->frames, frame->file)) ||
		    (frame->symbolized &&
		     heap_pattern_matches(pattern, frames_text(rules->frames, frame->name)))) {
			*known = (uint32_t)i;
			break;
		}
	}
	return *known;
}

static const char *module_of(const struct heap_suppressions *rules, frame_id id)
{
	return frames_text(rules->frames, frames_get(rules->frames, id)->module);
}

/* The libraries that are part of every program, and of its way to main(). */
static bool is_runtime(const char *module)
{
	static const char *const names_of[] = {"libc.so",      "libc-2",      "ld-linux",
					       "libstdc++.so", "libgcc_s.so", "libm.so",
					       "libpthread"};
	const char *slash = strrchr(module, '/');
	const char *base = slash ? slash + 1 : module;
	for (size_t i = 0; i < sizeof(names_of) / sizeof(names_of[0]); i++)
		if (strncmp(base, names_of[i], strlen(names_of[i])) == 0)
			return true;
	return false;
}

static bool names_function(const struct heap_suppressions *rules, frame_id id,
			   const char *const *functions)
{
	const char *name = frames_text(rules->frames, frames_get(rules->frames, id)->name);
	for (; *functions; functions++)
		if (strcmp(name, *functions) == 0)
			return true;
	return false;
}

static bool builtin_matches(const struct heap_suppressions *rules, const struct builtin *builtin,
			    const frame_id *stack, size_t n_library, bool whole)
{
	if (builtin->whole)
		return whole;
	if (builtin->module) {
		const char *slash = n_library ? strrchr(module_of(rules, stack[0]), '/') : NULL;
		return slash && strncmp(slash + 1, builtin->module, strlen(builtin->module)) == 0;
	}
	for (size_t i = 0; i < n_library; i++)
		if (names_function(rules, stack[i], builtin->functions))
			return true;
	return false;
}

uint32_t heap_suppressions_find(struct heap_suppressions *rules, const frame_id *stack, size_t n,
				bool complete)
{
	for (size_t i = 0; i < n; i++) {
		const uint32_t rule = rule_of_frame(rules, stack[i]);
		if (rule != HEAP_RULE_NONE)
			return rule;
	}
	size_t n_library = 0;
	while (n_library < n && is_runtime(module_of(rules, stack[n_library])))
		n_library++;
	for (uint32_t i = 0; i < N_BUILTINS; i++)
		if (builtin_matches(rules, &builtins[i], stack, n_library,
				    complete && n > 0 && n_library == n))
			return i;
	return HEAP_RULE_NONE;
}

/*
 * make_profile KIND OUT.svg|OUT.pb.gz [--icicle] [--thread RE] - profiles with known content.
 *
 * The same KIND gives the same profile on every run. The browser tests know what is in them:
 *
 *   small    1,000 samples whose shares can be added up in the head
 *   hostile  names that try to break out of the document
 *   deep     a recursion of 2,500 levels beside a shallow half
 *   big      100,000 samples of a server of 3,000 functions, in tens of thousands of stacks
 */
#include "base/err.h"
#include "output/flamegraph.h"
#include "profile/header_keys.h"
#include "profile/pprof_file.h"
#include "profile/profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 3000

static void must(int rc)
{
	if (rc) {
		fprintf(stderr, "make_profile: %s\n", strerror(-rc));
		exit(1);
	}
}

static string_id text(struct profile *profile, const char *string)
{
	string_id id;
	must(profile_string(profile, string, &id));
	return id;
}

static module_id module(struct profile *profile, const char *path)
{
	struct profile_module module = {
		.path = text(profile, path),
		.svma_start = 0x1000,
		.svma_end = 0x40000000,
		.has_functions = true,
		.has_filenames = true,
		.has_lines = true,
		.has_inlines = true,
	};
	module_id id;
	must(profile_add_module(profile, &module, &id));
	return id;
}

struct line {
	const char *name, *file;
	uint32_t line;
};

/* A new location; @chain is innermost first, and empty for code without symbols. */
static location_id at(struct profile *profile, module_id in, const struct line *chain, size_t n)
{
	location_id id;
	struct profile_line lines[4];
	must(profile_add_location(profile, in, 0x1000 + 16 * profile->n_locations, &id));
	for (size_t i = 0; i < n; i++) {
		struct profile_function function = {
			.name = text(profile, chain[i].name),
			.system_name = text(profile, chain[i].name),
			.file = text(profile, chain[i].file),
		};
		must(profile_add_function(profile, &function, &lines[i].function));
		lines[i].line = chain[i].line;
	}
	must(profile_set_lines(profile, id, lines, n));
	return id;
}

static location_id fn(struct profile *profile, module_id in, const char *name, const char *file,
		      uint32_t line)
{
	struct line chain = {name, file, line};
	return at(profile, in, &chain, 1);
}

static thread_id thread(struct profile *profile, uint32_t tid, const char *comm, const char *name)
{
	struct profile_thread thread = {
		.pid = 4242, .tid = tid, .comm = text(profile, comm), .name = text(profile, name)};
	thread_id id;
	must(profile_add_thread(profile, &thread, &id));
	return id;
}

/* @frames: leaf first */
static void add(struct profile *profile, thread_id of, enum cp_stop stop, int64_t count,
		const location_id *frames, size_t n)
{
	struct profile_sample_key key = {.thread = of, .stop = stop, .time_ns = -1};
	int64_t values[] = {count, count * profile->period};
	must(stack_store_intern(&profile->stacks, frames, n, &key.stack));
	must(profile_add_sample(profile, &key, values));
}

#define ADD(profile, of, stop, count, ...)                                                         \
	add(profile, of, stop, count, (const location_id[]){__VA_ARGS__},                          \
	    sizeof((const location_id[]){__VA_ARGS__}) / sizeof(location_id))

static void header(struct profile *profile, const char *command, const char *threads)
{
	must(profile_add_value_type(profile, "samples", "count"));
	must(profile_add_value_type(profile, "cpu", "nanoseconds"));
	profile->period = 1001001;
	profile->start_ns = 1767225600000000000;
	profile->duration_ns = 10000000000;
	must(profile_header_set(profile, HEADER_COMMAND, command));
	must(profile_header_set(profile, HEADER_PIDS, "4242"));
	must(profile_header_set(profile, HEADER_EVENT, "cpu-clock"));
	must(profile_header_set(profile, HEADER_RATE_HZ, "999"));
	must(profile_header_set(profile, HEADER_THREADS, threads));
	must(profile_header_set(profile, HEADER_LOST, "7"));
}

static void make_small(struct profile *profile)
{
	header(profile, "./server --port 8080 '--name=a & b'", "2");
	module_id exe = module(profile, "/usr/bin/server"),
		  libc = module(profile, "/lib/libc.so.6");
	module_id kernel = module(profile, PROFILE_PATH_KERNEL);
	module_id jit = module(profile, PROFILE_PATH_JIT "4242]");
	module_id plugin = module(profile, "/usr/lib/plugin.so");
	thread_id main_thread = thread(profile, 4242, "server", "server");
	thread_id worker = thread(profile, 4243, "server", "worker");
	struct line inlined[] = {{"hash_step", "/src/hash.h", 31}, {"lookup", "/src/table.c", 120}};
	location_id start = fn(profile, libc, "__libc_start_main", "../csu/libc-start.c", 308);
	location_id entry = fn(profile, exe, "main", "/src/main.c", 40);
	location_id parse = fn(profile, exe, "parse_request", "/src/parse.c", 77);
	location_id parse_again = fn(profile, exe, "parse_request", "/src/parse.c", 81);
	location_id nested = fn(profile, exe, "parse_header", "/src/parse.c", 150);
	location_id hashed = at(profile, exe, inlined, 2);
	location_id copy = fn(profile, libc, "memcpy", "../string/memcpy.S", 0);
	location_id loop = fn(profile, exe, "worker_loop", "/src/worker.c", 12);
	location_id read_call = fn(profile, libc, "read", "../io/read.c", 26);
	location_id sys = fn(profile, kernel, "ksys_read", "fs/read_write.c", 613);
	location_id script = fn(profile, jit, "LazyCompile:*render /app/view.js:10", "", 0);
	location_id unknown = at(profile, plugin, NULL, 0);

	/* comm 1000: [truncated] 50, main 600 (parse 400 of it, lookup 150), worker_loop 350 */
	ADD(profile, main_thread, CP_STOP_END, 100, parse, entry, start);
	ADD(profile, main_thread, CP_STOP_END, 180, parse_again, entry, start);
	/* parse_request is its own caller here: a search must count these 120 once */
	ADD(profile, main_thread, CP_STOP_END, 120, parse, nested, parse_again, entry, start);
	ADD(profile, main_thread, CP_STOP_END, 150, hashed, entry, start);
	ADD(profile, main_thread, CP_STOP_END, 50, copy, entry, start);
	ADD(profile, worker, CP_STOP_END, 200, sys, read_call, loop);
	ADD(profile, worker, CP_STOP_END, 100, script, loop);
	ADD(profile, worker, CP_STOP_END, 50, unknown, loop);
	ADD(profile, worker, CP_STOP_TRUNCATED, 50, parse, nested);
}

static void make_hostile(struct profile *profile)
{
	static const char *const names[] = {
		"</script><script>window.pwned=1;alert(1)</script>",
		"]]></script><script>window.pwned=1</script>",
		"\" onload=\"window.pwned=1",
		"' onmouseover='window.pwned=1' x='",
		"<img src=x onerror=window.pwned=1>",
		"<!-- <![CDATA[ &lt;b&gt; &amp; ${window.pwned=1} \\u003cb\\u003e \\",
		"javascript:window.pwned=1",
		"bad utf-8 \xff\xc3\x28\xed\xa0\x80 tail",
		"control \x01\x1b[31m\n\t\x7f end",
		/* NOLINTNEXTLINE(misc-misleading-bidirectional) */
		"bidi \xe2\x80\xae gnp.exe \xe2\x81\xa6",
		"\xe5\x87\xbd\xe6\x95\xb0\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88 wide",
		"__proto__",
		"constructor",
	};
	header(profile, "./a </title><script>window.pwned=1</script> \" onload=\"window.pwned=1",
	       "1");
	module_id exe = module(profile, "/tmp/<script>window.pwned=1</script>\"&'");
	thread_id of = thread(profile, 1, "<b>&\"'</b>]]>", "x");
	location_id entry = fn(profile, exe, "main", "/src/</script><b>.c", 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ADD(profile, of, CP_STOP_END, 100,
		    fn(profile, exe, names[i], "/src/\"><script>window.pwned=1</script>.c", 9),
		    entry);
}

static void make_deep(struct profile *profile)
{
	static location_id frames[MAX_DEPTH];
	header(profile, "./deep_recursion 2500", "1");
	module_id exe = module(profile, "/usr/bin/deep_recursion");
	thread_id of = thread(profile, 1, "deep_recursion", "deep_recursion");
	location_id entry = fn(profile, exe, "main", "/src/deep.c", 60);
	location_id step = fn(profile, exe, "descend", "/src/deep.c", 22);
	location_id leaf = fn(profile, exe, "work", "/src/deep.c", 9);
	size_t n = 0;
	frames[n++] = leaf;
	while (n < 2501)
		frames[n++] = step;
	frames[n++] = entry;
	add(profile, of, CP_STOP_END, 500, frames, n);
	ADD(profile, of, CP_STOP_END, 500, leaf, entry);
}

/* Steele, Lea, Flood: SplitMix64 */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

enum { FUNCTIONS = 3000, LINES = 4, CALLEES = 12, BIG_SAMPLES = 100000 };

static void big_name(uint64_t *state, unsigned i, char *buf, size_t size)
{
	static const char *const spaces[] = {"net", "http", "storage", "util", "rpc", "json"};
	static const char *const nouns[] = {"Session", "Buffer", "Index",  "Request",
					    "Table",   "Lexer",  "Router", "Codec"};
	static const char *const verbs[] = {"read", "write", "find", "merge", "flush", "decode"};
	const char *space = spaces[random_next(state) % 6], *noun = nouns[random_next(state) % 8];
	const char *verb = verbs[random_next(state) % 6];
	switch (random_next(state) % 8) {
	case 0:
		snprintf(buf, size, "%s_%s_%u", space, verb, i);
		break;
	case 1: /* as std::map's internals look */
		snprintf(buf, size,
			 "std::_Rb_tree<std::__cxx11::basic_string<char>, std::pair<const "
			 "std::__cxx11::basic_string<char>, %s::%s>, "
			 "std::_Select1st<std::pair<const std::__cxx11::basic_string<char>, "
			 "%s::%s> >, std::less<void>, std::allocator<std::pair<const "
			 "std::__cxx11::basic_string<char>, %s::%s> > >::%s%u(std::_Rb_tree_node"
			 "<std::pair<const std::__cxx11::basic_string<char>, %s::%s> >*)",
			 space, noun, space, noun, space, noun, verb, i, space, noun);
		break;
	default:
		snprintf(buf, size, "%s::%s::%s%u(%s::%s const&, unsigned long)", space, noun, verb,
			 i, space, nouns[random_next(state) % 8]);
	}
}

struct big {
	location_id locations[FUNCTIONS][LINES];
	unsigned callees[FUNCTIONS][CALLEES];
};

static void big_functions(struct profile *profile, struct big *big, uint64_t *state)
{
	static const char *const paths[] = {"/opt/app/bin/app-server", "/opt/app/lib/libcore.so.3",
					    "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30",
					    "/usr/lib/x86_64-linux-gnu/libc.so.6",
					    PROFILE_PATH_KERNEL};
	module_id modules[5];
	for (size_t i = 0; i < 5; i++)
		modules[i] = module(profile, paths[i]);
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		char name[1024], file[64], inlined_name[64];
		big_name(state, i, name, sizeof(name));
		snprintf(file, sizeof(file), "/build/app/src/unit%u.cc", i / 20);
		snprintf(inlined_name, sizeof(inlined_name), "std::min%u<unsigned long>", i / 50);
		/* callees have higher numbers: the last tenth is the kernel */
		module_id in = modules[i >= FUNCTIONS * 9 / 10 ? 4 : random_next(state) % 4];
		for (unsigned l = 0; l < LINES; l++) {
			struct line chain[] = {
				{inlined_name, "/usr/include/c++/12/bits/algo.h", 80},
				{name, file, 10 + i % 700 + 3 * l}};
			bool inlined = l == 3 && i % 3 == 0;
			big->locations[i][l] =
				at(profile, in, inlined ? chain : chain + 1, inlined ? 2 : 1);
		}
		for (unsigned c = 0; c < CALLEES; c++)
			big->callees[i][c] =
				i + 1 + (unsigned)(random_next(state) % (FUNCTIONS / 12));
	}
}

static void make_big(struct profile *profile)
{
	uint64_t state = 20240229;
	struct big *big = calloc(1, sizeof(*big));
	thread_id threads[8];
	if (!big)
		must(-ENOMEM);
	header(profile, "/opt/app/bin/app-server --config /etc/app/server.toml", "8");
	big_functions(profile, big, &state);
	for (unsigned i = 0; i < 8; i++) {
		char name[16];
		snprintf(name, sizeof(name), "worker-%u", i);
		threads[i] = thread(profile, 100 + i, i < 6 ? "app-server" : "app-logger", name);
	}
	for (unsigned i = 0; i < BIG_SAMPLES; i++) {
		unsigned who = (unsigned)(random_next(&state) % 8);
		unsigned function = who < 6 ? 0 : 1;
		location_id path[64];
		size_t n = 0;
		while (function < FUNCTIONS && n < 64) {
			path[n++] = big->locations[function][random_next(&state) % LINES];
			if (n > 4 && random_next(&state) % 24 == 0)
				break;
			/* a few callees take most of the time, as in real programs */
			uint64_t r = random_next(&state);
			unsigned pick = r % 100 < 90 ? 0 : r % 100 < 97 ? 1 : (r >> 32) % CALLEES;
			function = big->callees[function][pick];
		}
		location_id stack[64];
		for (size_t f = 0; f < n; f++)
			stack[f] = path[n - 1 - f];
		enum cp_stop stop = random_next(&state) % 50 ? CP_STOP_END : CP_STOP_TRUNCATED;
		add(profile, threads[who], stop, 1, stack, n);
	}
	free(big);
}

static int write_out(struct profile *profile, const char *path,
		     const struct flamegraph_options *options, struct cp_err *err)
{
	size_t n = strlen(path);
	if (n < 4 || strcmp(path + n - 4, ".svg") != 0)
		return pprof_save(profile, path, err);
	FILE *out = fopen(path, "w");
	if (!out)
		return cp_fail(err, -errno, "%s: %s", path, strerror(errno));
	int rc = flamegraph_write(profile, options, out, err);
	if (fclose(out) && !rc)
		rc = cp_fail(err, -EIO, "%s: %s", path, strerror(errno));
	return rc;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*make)(struct profile *);
	} kinds[] = {{"small", make_small},
		     {"hostile", make_hostile},
		     {"deep", make_deep},
		     {"big", make_big}};
	struct flamegraph_options options = {0};
	struct cp_err err = {""};
	struct profile *profile;
	if (argc < 3)
		return 2;
	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], "--icicle") == 0)
			options.icicle = true;
		else if (strcmp(argv[i], "--thread") == 0 && i + 1 < argc)
			options.thread_re = argv[++i];
		else
			return 2;
	}
	must(profile_create(&profile));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, argv[1]) == 0)
			kinds[i].make(profile);
	}
	int rc = write_out(profile, argv[2], &options, &err);
	if (rc)
		fprintf(stderr, "make_profile: %s\n", err.message);
	profile_destroy(profile);
	return rc ? 1 : 0;
}

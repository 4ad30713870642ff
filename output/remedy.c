#include "remedy.h"

#include "profile/profile.h"
#include "strbuf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The length of "<prefix>N[.M]" at the start of @package, or 0. */
static size_t versioned_stem(const char *package, const char *prefix)
{
	if (!starts_with(package, prefix) || !isdigit((unsigned char)package[strlen(prefix)]))
		return 0;
	return strlen(prefix) + strspn(package + strlen(prefix), "0123456789.");
}

/*
 * The package with the detached symbols of @package. Debian builds NAME-dbgsym for all packages;
 * these few carry them in a -dbg package of the main archive instead.
 */
static void add_debug_package(struct strbuf *out, const char *package)
{
	size_t stem = versioned_stem(package, "openjdk-");
	const char *python = starts_with(package, "lib") ? package + 3 : package;
	if (strcmp(package, "libc6") == 0) {
		strbuf_add(out, "libc6-dbg");
	} else if (stem) {
		strbuf_add_bytes(out, package, stem);
		strbuf_add(out, "-dbg");
	} else if (versioned_stem(python, "python3.")) {
		strbuf_add_bytes(out, python, versioned_stem(python, "python3."));
		strbuf_add(out, "-dbg");
	} else {
		strbuf_addf(out, "%s-dbgsym", package);
	}
}

/* Servers were asked already: what might help where they failed; "" = nothing, NULL: not asked. */
static const char *remedy_of_fetch(const char *reason)
{
	static const struct {
		const char *part, *remedy;
	} known[] = {
		{"the time limit is used up",
		 "cprof symbolize --debuginfod-limit 10m gives the server more time"},
		{"no server has it", ""},
		{"is not installed", ""}, /* says it itself */
	};
	const char *fetch = reason ? strstr(reason, "debuginfod: ") : NULL;
	for (size_t i = 0; fetch && i < sizeof(known) / sizeof(known[0]); i++)
		if (strstr(fetch, known[i].part))
			return known[i].remedy;
	return fetch ? "cprof symbolize --debuginfod=URL asks another server, or this one again"
		     : NULL;
}

static void add_for_file(struct strbuf *out, const struct remedy_source *source,
			 const struct remedy_request *request, bool database)
{
	if (!source->file_exists(source->ctx, request->path)) {
		strbuf_add(out,
			   "the file is not on this machine: symbolize where the program runs");
		return;
	}
	strbuf_add(out, request->has_functions ? "build it with -g"
					       : "stripped: build it with -g and keep its symbols");
	if (!database && request->build_id[0] && !remedy_of_fetch(request->reason))
		strbuf_addf(out, ", or: debuginfod-find debuginfo %s", request->build_id);
}

/* Reasons that neither a package nor -g would do away with. */
static const char *remedy_of_reason(const char *reason)
{
	static const struct {
		const char *part, *remedy;
	} known[] = {
		{"cprof symbolize", ""},                          /* says it itself */
		{"held several functions one after another", ""}, /* says it itself */
		{"nor known to be of its user",
		 "run cprof symbolize as the user that owns it, or record the process again"},
		{"half of this machine's memory", "symbolize it on a larger one"},
		{"debug information is damaged", "install or build it anew"},
		{"which elfutils", "install elfutils 0.191, or build it with -gno-split-dwarf"},
		{"CAP_SYS_CHROOT", "record it as root, or symbolize it where its files are"},
		{"split debug information",
		 "keep its .dwo files where they were compiled or beside it, or build it with "
		 "-gno-split-dwarf"},
		{"no build-id to compare: names may be",
		 "record again, or link it with -Wl,--build-id"},
		{"the file on disk is another build",
		 "record again, or name a directory with its old debug file with --debug-dir"},
	};
	for (size_t i = 0; reason && i < sizeof(known) / sizeof(known[0]); i++)
		if (strstr(reason, known[i].part))
			return known[i].remedy;
	return NULL;
}

static char *remedy_of(const struct remedy_source *source, const struct remedy_request *request,
		       const char *package, bool database)
{
	struct strbuf out = {0};
	const char *of_reason = remedy_of_reason(request->reason);
	if (of_reason && !of_reason[0])
		return NULL;
	if (of_reason) {
		strbuf_add(&out, of_reason);
	} else if (strcmp(request->path, PROFILE_PATH_KERNEL) == 0) {
		strbuf_add(&out, "kernel symbols are hidden: record as root, or with "
				 "kernel.kptr_restrict=0");
	} else if (starts_with(request->path, PROFILE_PATH_JIT)) {
		strbuf_add(&out, "code generated at run time, without a perf map (/tmp/perf-");
		const char *pid = request->path + strlen(PROFILE_PATH_JIT);
		strbuf_add_bytes(&out, pid, strspn(pid, "0123456789"));
		strbuf_add(&out, ".map)");
	} else if (package) {
		strbuf_add(&out, "apt install ");
		add_debug_package(&out, package);
	} else if (request->path[0] == '/') {
		add_for_file(&out, source, request, database);
	} else {
		strbuf_add(&out, "build it with -g");
	}
	const char *of_fetch = remedy_of_fetch(request->reason);
	if (of_fetch && of_fetch[0])
		strbuf_addf(&out, ", or: %s", of_fetch);
	if (strbuf_failed(&out))
		strbuf_deinit(&out);
	return out.bytes;
}

const char *remedy_debuginfod_url(const struct remedy_source *source)
{
	static const struct {
		const char *os_id, *url;
	} servers[] = {
		{"debian", "https://debuginfod.debian.net"},
		{"ubuntu", "https://debuginfod.ubuntu.com"},
		{"fedora", "https://debuginfod.fedoraproject.org"},
		{"arch", "https://debuginfod.archlinux.org"},
		{"opensuse-tumbleweed", "https://debuginfod.opensuse.org"},
	};
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
		if (strcmp(source->os_id, servers[i].os_id) == 0)
			return servers[i].url;
	return NULL;
}

/* The command that adds the archive of the -dbgsym packages; NULL when we know none. */
static char *archive_command(const struct remedy_source *source)
{
	struct strbuf out = {0};
	const char *codename = source->os_codename;
	if (strcmp(source->os_id, "debian") == 0)
		strbuf_addf(&out,
			    "echo 'deb http://deb.debian.org/debian-debug %s-debug main' > "
			    "/etc/apt/sources.list.d/debug.list && apt update",
			    codename[0] ? codename : "unstable");
	else if (strcmp(source->os_id, "ubuntu") == 0 && codename[0])
		strbuf_addf(&out,
			    "apt install ubuntu-dbgsym-keyring && echo 'deb "
			    "http://ddebs.ubuntu.com %s main universe' > "
			    "/etc/apt/sources.list.d/ddebs.list && apt update",
			    codename);
	if (strbuf_failed(&out))
		strbuf_deinit(&out);
	return out.bytes;
}

void remedy_find(const struct remedy_source *source, struct remedy_request *requests, size_t n,
		 struct remedy_note *note)
{
	const char **paths = calloc(n + 1, sizeof(*paths));
	char **packages = calloc(n + 1, sizeof(*packages));
	bool database = false, dbgsym = false;
	*note = (struct remedy_note){NULL, NULL};
	if (!paths || !packages)
		goto out;
	for (size_t i = 0; i < n; i++)
		paths[i] = requests[i].path;
	database = source->find_packages(source->ctx, paths, n, packages);
	for (size_t i = 0; i < n; i++) {
		requests[i].remedy = remedy_of(source, &requests[i], packages[i], database);
		dbgsym = dbgsym ||
			 (requests[i].remedy && strstr(requests[i].remedy, "-dbgsym") != NULL);
	}
	if (dbgsym)
		*note = (struct remedy_note){
			.text = "packages named -dbgsym are in an archive of their own; to add it",
			.command = archive_command(source),
		};
out:
	for (size_t i = 0; packages && i < n; i++)
		free(packages[i]);
	free(packages);
	free(paths);
}

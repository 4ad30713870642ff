#include "dwarf_split.h"

#include "base/array.h"
#include "elf/map_guard.h"
#include "elf_bytes.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void dwarf_split_init(struct dwarf_split *split, const char *elf_path, const char *root)
{
	*split = (struct dwarf_split){.elf_path = elf_path};
	if (root && strlen(root) < sizeof(split->root))
		memcpy(split->root, root, strlen(root) + 1);
}

void dwarf_split_deinit(struct dwarf_split *split)
{
	for (size_t i = 0; i < split->n_guards; i++)
		map_guard_remove(split->guards[i]);
	free(split->guards);
	free(split->first_missing);
	*split = (struct dwarf_split){.elf_path = NULL};
}

static const char *text_of(Dwarf_Die *die, unsigned int name, unsigned int older_name)
{
	Dwarf_Attribute found;
	if (!dwarf_attr(die, name, &found) && !dwarf_attr(die, older_name, &found))
		return NULL;
	return dwarf_formstring(&found);
}

static const char *file_of(Dwarf_Die *skeleton)
{
	return text_of(skeleton, DW_AT_dwo_name, DW_AT_GNU_dwo_name);
}

enum place { PLACE_NONE, PLACE_FILE, PLACE_ODD };

/* Where to look: each of @between and @file counts alone where it is absolute. */
struct place_names {
	const char *root, *dir, *between, *file;
};

static enum place look(const struct place_names *names, char *path)
{
	struct stat st;
	int n;
	if (names->file[0] == '/')
		n = snprintf(path, PATH_MAX, "%s%s", names->root, names->file);
	else if (names->between[0] == '/' || !names->dir[0])
		n = snprintf(path, PATH_MAX, "%s%s/%s", names->root, names->between, names->file);
	else
		n = snprintf(path, PATH_MAX, "%s%s/%s/%s", names->root, names->dir, names->between,
			     names->file);
	if (n < 0 || n >= PATH_MAX || stat(path, &st) < 0)
		return PLACE_NONE;
	return S_ISREG(st.st_mode) ? PLACE_FILE : PLACE_ODD;
}

/*
 * Whether the file is where libdw is going to look: in the compilation directory, and beside the
 * linked file. One that is no regular file must not even be opened.
 *
 * @root: the places are below it; "" = none
 * @path: where it is, else where it was meant to be
 */
static bool is_below(const struct dwarf_split *split, const char *root, Dwarf_Die *skeleton,
		     char *path)
{
	const char *comp_dir = text_of(skeleton, DW_AT_comp_dir, DW_AT_comp_dir);
	char beside[PATH_MAX], elf_dir[PATH_MAX] = "";
	const char *slash = strrchr(split->elf_path, '/');
	struct place_names names = {root, elf_dir, comp_dir ? comp_dir : ".", file_of(skeleton)};
	path[0] = '\0';
	if (!names.file)
		return false;
	if (slash && slash - split->elf_path < PATH_MAX)
		memcpy(elf_dir, split->elf_path, (size_t)(slash - split->elf_path));
	elf_dir[slash && slash - split->elf_path < PATH_MAX ? slash - split->elf_path : 0] = '\0';
	const enum place first = look(&names, path);
	names.between = ".";
	const enum place second = look(&names, beside);
	if (first == PLACE_NONE && second == PLACE_FILE)
		memcpy(path, beside, strlen(beside) + 1);
	return first != PLACE_ODD && second != PLACE_ODD &&
	       (first == PLACE_FILE || second == PLACE_FILE);
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat st_a, st_b;
	return stat(a, &st_a) == 0 && stat(b, &st_b) == 0 && st_a.st_dev == st_b.st_dev &&
	       st_a.st_ino == st_b.st_ino;
}

enum whereabouts { NOWHERE, HERE, IN_ROOT };

/* The target's own file comes first: another of the same path may be here. */
static enum whereabouts find(const struct dwarf_split *split, Dwarf_Die *skeleton, char *path)
{
	char inside[PATH_MAX];
	const bool here = is_below(split, "", skeleton, path);
	if (!split->root[0] || !is_below(split, split->root, skeleton, inside) ||
	    (here && is_same_file(path, inside)))
		return here ? HERE : NOWHERE;
	return IN_ROOT;
}

static void note_missing(struct dwarf_split *split, const char *path)
{
	if (split->n_missing++ == 0)
		split->first_missing = strdup(path);
}

bool dwarf_split_note(struct dwarf_split *split, Dwarf_Die *unit)
{
	char path[PATH_MAX];
	if (!file_of(unit))
		return false;
	split->any = true;
	if (find(split, unit, path) == NOWHERE)
		note_missing(split, path);
	return true;
}

/* The file was mapped by libdw: guard it like the others, from now on. */
static void guard(struct dwarf_split *split, Dwarf *dwarf)
{
	size_t n = 0;
	const char *bytes = elf_rawfile(dwarf_getelf(dwarf), &n);
	int *slot = CP_ARRAY_PUSH(split->guards, split->n_guards, split->cap_guards);
	if (slot)
		*slot = map_guard_add(bytes, n);
}

static void find_files(struct dwarf_body *body, Dwarf *dwarf)
{
	body->files = NULL;
	if (!elf_bytes_find(dwarf_getelf(dwarf), ".debug_line.dwo").bytes ||
	    dwarf_getsrcfiles(&body->die, &body->files, &body->n_files) != 0)
		body->files = NULL;
}

struct opening {
	const struct dwarf_split *split;
	Dwarf_Die *skeleton;
	struct dwarf_body body;
	bool refused, done;
};

/*
 * Below "/" as it is now: links of a container lead elsewhere than seen from outside, and libdw
 * would wait for ever for the other end of a FIFO.
 */
static void open_body(struct opening *opening)
{
	struct dwarf_body *body = &opening->body;
	char path[PATH_MAX];
	if (!is_below(opening->split, "", opening->skeleton, path))
		return;
	map_guard_open_begin();
	const int rc = dwarf_cu_info(opening->skeleton->cu, NULL, NULL, NULL, &body->die, NULL,
				     NULL, NULL);
	const bool gone = map_guard_open_end();
	opening->done = rc == 0 && !gone && body->die.addr && die_unit_of(&body->die, &body->place);
}

/* libdw takes no other path than the one it reads: so "/" is another one, of this thread alone. */
static void *open_in_root(void *argument)
{
	struct opening *opening = argument;
	opening->refused =
		unshare(CLONE_FS) < 0 || chroot(opening->split->root) < 0 || chdir("/") < 0;
	if (!opening->refused)
		open_body(opening);
	return NULL;
}

static void open_there(struct dwarf_split *split, struct opening *opening)
{
	pthread_t thread;
	/* the thread writes what it found: nothing of it may be set from here on */
	if (pthread_create(&thread, NULL, open_in_root, opening) == 0)
		pthread_join(thread, NULL);
	else
		opening->refused = true;
	split->refused = split->refused || opening->refused;
}

bool dwarf_split_open(struct dwarf_split *split, Dwarf_Die *skeleton, struct dwarf_body *out)
{
	char path[PATH_MAX];
	struct opening opening = {.split = split, .skeleton = skeleton};
	const enum whereabouts where = find(split, skeleton, path);
	if (where == NOWHERE)
		return false; /* has been noted */
	if (where == IN_ROOT)
		open_there(split, &opening);
	/* libdw asks for the unit's id: what is here by the same path may be it all the same */
	if (where == HERE || opening.refused)
		open_body(&opening);
	if (!opening.done) {
		note_missing(split, path); /* a file of another build, or damaged */
		return false;
	}
	guard(split, opening.body.place.dwarf);
	find_files(&opening.body, opening.body.place.dwarf);
	*out = opening.body;
	return true;
}

bool dwarf_split_changed(const struct dwarf_split *split)
{
	for (size_t i = 0; i < split->n_guards; i++)
		if (map_guard_hit(split->guards[i]))
			return true;
	return false;
}

/* A package of all of them, which libdw reads from 0.191 on. */
static bool has_unread_package(const struct dwarf_split *split, char *path)
{
	unsigned int major = 0, minor = 0;
	if (sscanf(dwfl_version(NULL), "%u.%u", &major, &minor) == 2 && (major > 0 || minor >= 191))
		return false;
	const char *const roots[] = {split->root, ""};
	for (int i = split->root[0] ? 0 : 1; i < 2; i++) {
		const int n = snprintf(path, PATH_MAX, "%s%s.dwp", roots[i], split->elf_path);
		if (n > 0 && n < PATH_MAX && access(path, F_OK) == 0)
			return true;
	}
	return false;
}

bool dwarf_split_describe(const struct dwarf_split *split, char *buf, size_t size)
{
	char package[PATH_MAX], more[48] = "";
	if (split->n_missing == 0)
		return false;
	if (has_unread_package(split, package)) {
		snprintf(buf, size,
			 "its split debug information is in %s, which elfutils %s cannot read "
			 "(0.191 can): no inlined calls, no names but ELF symbols",
			 package, dwfl_version(NULL));
		return true;
	}
	if (split->refused) {
		snprintf(buf, size,
			 "its split debug information lies below another root, where it takes "
			 "CAP_SYS_CHROOT to open it: no inlined calls there, no names but ELF "
			 "symbols");
		return true;
	}
	if (split->n_missing > 1)
		snprintf(more, sizeof(more), " and %zu more", split->n_missing - 1);
	snprintf(buf, size,
		 "split debug information is missing or of another build: %s%s: no inlined calls "
		 "there, no names but ELF symbols",
		 split->first_missing ? split->first_missing : "", more);
	return true;
}

#include "jit_code.h"

#include "base/text.h"
#include "jitdump.h"
#include "perf_map.h"
#include "profile/profile.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct jit_code {
	bool has_dump, has_map;
	struct jitdump dump;
	struct perf_map map;
};

bool jit_code_process(const char *path, pid_t *out)
{
	char number[32];
	uint64_t pid;
	if (strncmp(path, PROFILE_PATH_JIT, strlen(PROFILE_PATH_JIT)) != 0)
		return false;
	const char *start = path + strlen(PROFILE_PATH_JIT);
	const size_t length = strcspn(start, "]");
	if (length >= sizeof(number))
		return false;
	memcpy(number, start, length);
	number[length] = '\0';
	if (!cp_parse_u64(number, 1, INT_MAX, &pid))
		return false;
	*out = (pid_t)pid;
	return true;
}

void jit_code_close(struct jit_code *code)
{
	if (!code)
		return;
	if (code->has_dump)
		jitdump_deinit(&code->dump);
	if (code->has_map)
		perf_map_deinit(&code->map);
	free(code);
}

/* One of the two is enough; when there is neither, why the last one could not be read. */
static int read_files(struct jit_code *code, const struct jit_files *files, pid_t pid,
		      struct cp_err *err)
{
	char path[PATH_MAX];
	int rc = cp_fail(err, -ENOENT, "the runtime wrote no /tmp/perf-%ld.map and no jitdump",
			 (long)pid);
	if (jit_files_find(files, pid, JIT_FILE_DUMP, path, sizeof(path)) == 0)
		rc = jitdump_read(&code->dump, path, err);
	code->has_dump = rc == 0;
	if (rc == -ENOMEM)
		return rc;
	const int found = jit_files_find(files, pid, JIT_FILE_MAP, path, sizeof(path));
	if (found == -EPERM && !code->has_dump)
		rc = cp_fail(err, found,
			     "%s is neither root's nor known to be of its user: not used", path);
	if (found == 0) {
		int map_rc = perf_map_read(&code->map, path, code->has_dump ? NULL : err);
		code->has_map = map_rc == 0;
		rc = code->has_dump && map_rc != -ENOMEM ? 0 : map_rc;
	}
	return rc;
}

int jit_code_open(const struct jit_files *files, pid_t pid, struct jit_code **out,
		  struct cp_err *err)
{
	struct jit_code *code = calloc(1, sizeof(*code));
	if (!code)
		return cp_fail_nomem(err);
	int rc = read_files(code, files, pid, err);
	if (rc < 0)
		jit_code_close(code);
	else
		*out = code;
	return rc;
}

bool jit_code_find(const struct jit_code *code, uint64_t address, struct symbol_frame *frame)
{
	if (code->has_dump && jitdump_find(&code->dump, address, frame))
		return true;
	const struct symbol *symbol =
		code->has_map ? symbol_table_find(&code->map.table, address) : NULL;
	if (!symbol)
		return false;
	*frame = (struct symbol_frame){
		.name = symbol->name, .system_name = symbol->name, .file = ""};
	return true;
}

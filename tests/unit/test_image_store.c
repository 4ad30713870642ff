/* Binaries behind the mappings of other processes, linked in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/mapping_file.h"
#include "../support/temp_dir.h"
#include "unwind/address_space.h"
#include "unwind/image_store.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

struct probe {
	pid_t pid;
	int to, from; /* the ends of its standard input and output */
	uint64_t function_avma;
};

static void start(const char *path, struct probe *out)
{
	int in[2], printed[2];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(printed, O_CLOEXEC), 0);
	out->pid = fork();
	if (out->pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(printed[1], STDOUT_FILENO);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(printed[1]);
	out->to = in[1];
	out->from = printed[0];
	char text[64] = "";
	assert_true(read(out->from, text, sizeof(text) - 1) > 0);
	out->function_avma = strtoull(text, NULL, 16);
	assert_true(out->function_avma != 0);
}

static void stop(struct probe *probe)
{
	int status;
	close(probe->to);
	close(probe->from);
	assert_int_equal(waitpid(probe->pid, &status, 0), probe->pid);
	assert_int_equal(status, 0);
}

/* What the file's symbol table says. */
static uint64_t function_svma(const char *path)
{
	char command[2 * PATH_MAX], line[512];
	unsigned long long svma = 0;
	snprintf(command, sizeof(command), "%s -sW '%s'", READELF, path);
	FILE *out = popen(command, "re");
	assert_non_null(out);
	while (fgets(line, sizeof(line), out))
		if (strstr(line, " probe_function"))
			assert_int_equal(sscanf(line, " %*d: %llx", &svma), 1);
	assert_int_equal(pclose(out), 0);
	assert_true(svma != 0);
	return svma;
}

static void copy_file(const char *from, const char *to)
{
	size_t n;
	char *bytes = temp_dir_read(from, &n);
	FILE *file = fopen(to, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
	free(bytes);
	assert_int_equal(chmod(to, 0755), 0);
}

static struct address_space *space_of(struct image_store *store, const struct probe *probe)
{
	struct address_space *space = NULL;
	struct cp_err err;
	assert_int_equal(address_space_create(store, probe->pid, &space), 0);
	assert_int_equal(address_space_read_proc(space, &err), 0);
	return space;
}

static void test_image_store__bias_for_each_kind_of_link(void **state)
{
	(void)state;
	struct image_store *store = NULL;
	assert_int_equal(image_store_create(&store), 0);
	char names[] = PROBES, *rest = names, path[PATH_MAX];
	for (const char *name; (name = strtok_r(rest, " ", &rest));) {
		snprintf(path, sizeof(path), "%s/%s", FIXTURE_DIR, name);
		struct probe probe;
		start(path, &probe);
		struct address_space *space = space_of(store, &probe);
		const struct mapping *m = address_space_find(space, probe.function_avma);
		assert_non_null(m);
		assert_non_null(m->image);
		assert_int_equal(probe.function_avma - m->bias, function_svma(path));
		if (!elf_image_is_pie(m->image)) {
			assert_int_equal(m->bias, 0);
		}
		address_space_destroy(space);
		stop(&probe);
	}
	image_store_destroy(store);
}

static void test_image_store__processes_share_a_binary(void **state)
{
	(void)state;
	struct image_store *store = NULL;
	assert_int_equal(image_store_create(&store), 0);
	struct probe one, two;
	start(FIXTURE_DIR "/probe_pie", &one);
	start(FIXTURE_DIR "/probe_pie", &two);
	struct address_space *space_one = space_of(store, &one), *space_two = space_of(store, &two);
	const struct mapping *m = address_space_find(space_one, one.function_avma);
	const size_t size = image_store_size_bytes(store);
	assert_non_null(m->image);
	assert_ptr_equal(address_space_find(space_two, two.function_avma)->image, m->image);
	assert_int_equal(image_store_size_bytes(store), size);
	address_space_destroy(space_one);
	address_space_destroy(space_two);
	stop(&one);
	stop(&two);
	image_store_destroy(store);
}

static void test_image_store__beyond_its_limit_nothing_is_compiled_and_that_is_counted(void **state)
{
	(void)state;
	struct image_store *store = NULL;
	assert_int_equal(image_store_create(&store), 0);
	image_store_set_limit(store, 1);
	struct probe one, two;
	start(FIXTURE_DIR "/probe_pie", &one);
	start(FIXTURE_DIR "/probe_fixed", &two);
	struct address_space *space_one = space_of(store, &one), *space_two = space_of(store, &two);
	const struct mapping *m = address_space_find(space_one, one.function_avma);
	assert_non_null(m->segment);
	assert_null(m->rows);
	assert_int_equal(image_store_skipped(store), 1);
	/* what nobody has mapped any more makes room */
	address_space_destroy(space_one);
	image_store_set_limit(store, 256 << 10);
	m = address_space_find(space_two, two.function_avma);
	assert_non_null(m->rows);
	assert_int_equal(image_store_skipped(store), 1);
	address_space_destroy(space_two);
	stop(&one);
	stop(&two);
	image_store_destroy(store);
}

/* A binary's code, mapped somewhere in a process of this one's name. */
static struct mapping *map_file(struct image_store *store, const char *path,
				struct address_space **out)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	const struct mapping_file file = mapping_file_of(path, &st);
	assert_int_equal(address_space_create(store, getpid(), out), 0);
	assert_int_equal(address_space_add(*out, 0x10000, 0x1000000, 0, &file), 0);
	struct mapping *mapping = address_space_find(*out, 0x10000);
	assert_non_null(mapping->segment);
	return mapping;
}

static void test_image_store__beyond_its_limit_no_tables_are_kept(void **state)
{
	enum { N = 20 };
	const struct temp_dir *dir = *state;
	struct image_store *store = NULL;
	struct address_space *spaces[N];
	char path[PATH_MAX];
	assert_int_equal(image_store_create(&store), 0);
	image_store_set_limit(store, 1);
	for (unsigned i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "%s/%u", dir->path, i);
		copy_file(FIXTURE_DIR "/probe_static", path);
		const struct mapping *m = map_file(store, path, &spaces[i]);
		assert_int_equal(elf_image_tables_bytes(m->image), 0);
		assert_int_equal(elf_image_build_id(m->image)->n, 20);
	}
	assert_int_equal(image_store_skipped(store), N);
	assert_in_range(image_store_size_bytes(store), 1, N * 1024);
	for (unsigned i = 0; i < N; i++)
		address_space_destroy(spaces[i]);
	image_store_destroy(store);
}

static void test_image_store__what_was_skipped_is_compiled_when_there_is_room(void **state)
{
	(void)state;
	struct image_store *store = NULL;
	struct address_space *first, *second;
	assert_int_equal(image_store_create(&store), 0);
	image_store_set_limit(store, 1);
	const struct mapping *m = map_file(store, FIXTURE_DIR "/probe_static", &first);
	assert_null(m->rows);
	/* for libunwind the tables would be written anew, which rows cannot be made of */
	assert_false(image_store_index(store, getpid(), m));
	image_store_set_limit(store, 64 << 20);
	assert_true(image_store_index(store, getpid(), m));
	m = map_file(store, FIXTURE_DIR "/probe_static", &second);
	assert_non_null(m->rows);
	assert_int_equal(
		cfi_rule_kind(cfi_table_find(m->rows, function_svma(FIXTURE_DIR "/probe_static"))),
		CFI_RSP);
	assert_true(image_store_index(store, getpid(), m));
	address_space_destroy(first);
	address_space_destroy(second);
	image_store_destroy(store);
}

static void copy_number(const char *to, unsigned number)
{
	copy_file(FIXTURE_DIR "/probe_pie", to);
	FILE *file = fopen(to, "ae");
	assert_non_null(file);
	fprintf(file, "%u", number);
	assert_int_equal(fclose(file), 0);
}

static void test_image_store__binaries_that_nobody_has_mapped_are_forgotten(void **state)
{
	const struct temp_dir *dir = *state;
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/again", dir->path);
	struct image_store *store = NULL;
	assert_int_equal(image_store_create(&store), 0);
	struct probe kept;
	start(FIXTURE_DIR "/probe_pie", &kept);
	struct address_space *space_kept = space_of(store, &kept);
	const struct elf_image *image = address_space_find(space_kept, kept.function_avma)->image;
	image_store_set_limit(store, 1); /* forget at the next one */
	size_t most = 0;
	for (unsigned i = 0; i < 20; i++) {
		struct probe probe;
		copy_number(path, i);
		start(path, &probe);
		struct address_space *space = space_of(store, &probe);
		assert_non_null(address_space_find(space, probe.function_avma)->image);
		address_space_destroy(space);
		stop(&probe);
		image_store_set_limit(store, 1);
		const size_t size = image_store_size_bytes(store);
		if (i == 1)
			most = size;
		assert_true(i <= 1 || size <= most);
	}
	assert_ptr_equal(address_space_find(space_kept, kept.function_avma)->image, image);
	address_space_destroy(space_kept);
	stop(&kept);
	image_store_destroy(store);
}

static void test_image_store__a_deleted_binary_is_still_read(void **state)
{
	struct temp_dir *dir = *state;
	struct image_store *store = NULL;
	assert_int_equal(image_store_create(&store), 0);
	const char *path = temp_dir_file(dir, "a name (with) spaces");
	copy_file(FIXTURE_DIR "/probe_pie", path);
	struct probe probe;
	start(path, &probe);
	assert_int_equal(unlink(path), 0);
	struct address_space *space = space_of(store, &probe);
	const struct mapping *m = address_space_find(space, probe.function_avma);
	assert_string_equal(m->path, path);
	assert_true(m->deleted);
	assert_non_null(m->image);
	assert_int_equal(probe.function_avma - m->bias, function_svma(FIXTURE_DIR "/probe_pie"));
	address_space_destroy(space);
	stop(&probe);
	image_store_destroy(store);
}

static void test_image_store__a_replaced_binary_is_not_taken_for_the_running_one(void **state)
{
	struct temp_dir *dir = *state;
	struct image_store *store = NULL;
	assert_int_equal(image_store_create(&store), 0);
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s", temp_dir_file(dir, "service"));
	copy_file(FIXTURE_DIR "/probe_pie", path);
	struct probe probe;
	start(path, &probe);
	copy_file(FIXTURE_DIR "/probe_noseparate", temp_dir_file(dir, "service.new"));
	assert_int_equal(rename(temp_dir_file(dir, "service.new"), path), 0);
	struct address_space *space = space_of(store, &probe);
	const struct mapping *m = address_space_find(space, probe.function_avma);
	assert_non_null(m->image);
	assert_int_equal(probe.function_avma - m->bias, function_svma(FIXTURE_DIR "/probe_pie"));
	address_space_destroy(space);
	stop(&probe);
	image_store_destroy(store);
}

static void test_image_store__a_process_that_has_ended_by_its_path(void **state)
{
	(void)state;
	struct image_store *store = NULL;
	assert_int_equal(image_store_create(&store), 0);
	struct probe probe;
	start(FIXTURE_DIR "/probe_pie", &probe);
	struct address_space *space = space_of(store, &probe);
	stop(&probe);
	assert_non_null(address_space_find(space, probe.function_avma)->image);
	address_space_destroy(space);
	image_store_destroy(store);
}

static void test_image_store__same_path_other_inode_is_refused(void **state)
{
	(void)state;
	struct image_store *store = NULL;
	struct address_space *space = NULL;
	struct stat st;
	assert_int_equal(image_store_create(&store), 0);
	assert_int_equal(address_space_create(store, getpid(), &space), 0);
	assert_int_equal(stat(FIXTURE_DIR "/probe_pie", &st), 0);
	struct mapping_file file = mapping_file_of(FIXTURE_DIR "/probe_pie", &st);
	file.inode++;
	assert_int_equal(address_space_add(space, 0x1000, 0x2000, 0x1000, &file), 0);
	assert_null(address_space_find(space, 0x1000)->image);
	file.inode = st.st_ino;
	assert_int_equal(address_space_add(space, 0x3000, 0x4000, 0x1000, &file), 0);
	assert_non_null(address_space_find(space, 0x3000)->image);
	/* and the file must reach as far as the mapping */
	assert_int_equal(address_space_add(space, 0x5000, 0x6000, 1 << 30, &file), 0);
	assert_null(address_space_find(space, 0x5000)->image);
	/* the kernel's device differs from stat's on btrfs and overlayfs: there the inode decides
	 */
	struct statfs fs;
	assert_int_equal(statfs(FIXTURE_DIR, &fs), 0);
	const bool made_up = fs.f_type == BTRFS_SUPER_MAGIC || fs.f_type == OVERLAYFS_SUPER_MAGIC;
	file.dev_major = 99;
	assert_int_equal(address_space_add(space, 0x7000, 0x8000, 0x1000, &file), 0);
	assert_int_equal(address_space_find(space, 0x7000)->image != NULL, made_up);
	address_space_destroy(space);
	image_store_destroy(store);
}

static void test_image_store__what_is_no_regular_file_is_not_opened(void **state)
{
	struct temp_dir *dir = *state;
	struct image_store *store = NULL;
	struct address_space *space = NULL;
	struct stat st;
	const char *path = temp_dir_file(dir, "fifo"); /* opening it for reading would block */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(image_store_create(&store), 0);
	assert_int_equal(address_space_create(store, getpid(), &space), 0);
	const struct mapping_file file = mapping_file_of(path, &st);
	assert_int_equal(address_space_add(space, 0x1000, 0x2000, 0, &file), 0);
	assert_null(address_space_find(space, 0x1000)->image);
	address_space_destroy(space);
	image_store_destroy(store);
}

static void test_image_store__the_vdso_is_everybodys(void **state)
{
	(void)state;
	struct image_store *store = NULL;
	assert_int_equal(image_store_create(&store), 0);
	struct probe probe;
	start(FIXTURE_DIR "/probe_pie", &probe);
	struct address_space *space = space_of(store, &probe);
	const struct mapping *vdso = address_space_find(space, probe.function_avma);
	char path[64], line[1024];
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)probe.pid);
	FILE *maps = fopen(path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "[vdso]"))
			vdso = address_space_find(space, strtoull(line, NULL, 16));
	fclose(maps);
	assert_int_equal(vdso->kind, MAPPING_VDSO);
	assert_non_null(vdso->image);
	assert_int_equal(vdso->bias, vdso->avma_start);
	address_space_destroy(space);
	stop(&probe);
	image_store_destroy(store);
}

#define IN_DIR(name) cmocka_unit_test_setup_teardown(name, temp_dir_setup, temp_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_store__bias_for_each_kind_of_link),
		cmocka_unit_test(test_image_store__processes_share_a_binary),
		cmocka_unit_test(
			test_image_store__beyond_its_limit_nothing_is_compiled_and_that_is_counted),
		IN_DIR(test_image_store__beyond_its_limit_no_tables_are_kept),
		cmocka_unit_test(test_image_store__what_was_skipped_is_compiled_when_there_is_room),
		IN_DIR(test_image_store__binaries_that_nobody_has_mapped_are_forgotten),
		IN_DIR(test_image_store__a_deleted_binary_is_still_read),
		IN_DIR(test_image_store__a_replaced_binary_is_not_taken_for_the_running_one),
		cmocka_unit_test(test_image_store__a_process_that_has_ended_by_its_path),
		cmocka_unit_test(test_image_store__same_path_other_inode_is_refused),
		IN_DIR(test_image_store__what_is_no_regular_file_is_not_opened),
		cmocka_unit_test(test_image_store__the_vdso_is_everybodys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

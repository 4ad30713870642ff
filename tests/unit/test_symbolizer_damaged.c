/*
 * Binaries that are wrong in one way each (tests/support/damaged_binaries.c): symbolizing a profile
 * with one of them ends soon, in bounded memory; what is sound in it is answered, and so are
 * the profile's other modules.
 */
#include "symbolizer/symbolizer.h"

#include "../support/damaged_binaries.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/temp_dir.h"

/* A sound file of this size takes some MB and milliseconds; sanitizers multiply both. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MAX_KIB = 900 * 1024, MAX_CPU_SECONDS = 30 };
#else
enum { MAX_KIB = 200 * 1024, MAX_CPU_SECONDS = 5 };
#endif

enum { ANSWER_MAX = 4096, N_QUESTIONS = 4 };

static const uint64_t questions[N_QUESTIONS] = {DWARF_WRITER_CODE, DWARF_WRITER_CODE + 0x12,
						DWARF_WRITER_CODE + DWARF_WRITER_FUNCTION + 1,
						DAMAGED_SVMA + 1};

static const char sound_answer[] = "first /src/sound.c:1\n"
				   "small /src/sound.c:11 first /src/sound.c:5\n"
				   "second /src/sound.c:21\n";

static void write_file(const char *path, const struct bytes *bytes)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes->data, 1, bytes->n, file), bytes->n);
	assert_int_equal(fclose(file), 0);
}

/* @placed: with the place of its code; without, what is found may be cached */
static module_id add_module(struct profile *profile, const char *path, bool placed)
{
	struct profile_module module = {.svma_start = 0};
	module_id id;
	if (placed) {
		module.svma_start = DWARF_WRITER_CODE;
		module.svma_end = DWARF_WRITER_CODE + DWARF_WRITER_CODE_BYTES;
	}
	assert_int_equal(profile_string(profile, path, &module.path), 0);
	assert_int_equal(profile_string(profile, "", &module.build_id), 0);
	assert_int_equal(profile_add_module(profile, &module, &id), 0);
	for (size_t i = 0; i < N_QUESTIONS; i++) {
		location_id location;
		assert_int_equal(profile_add_location(profile, id, questions[i], &location), 0);
	}
	return id;
}

/* A line for each location of a module: function, file:line, from the innermost on. */
static void describe(const struct profile *profile, module_id module, char *out)
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; i < profile->n_locations; i++) {
		const struct profile_location *location = &profile->locations[i];
		if (location->module.v != module.v)
			continue;
		for (uint32_t j = 0; j < location->n_lines && used < ANSWER_MAX; j++) {
			const struct profile_line *line = &profile->lines[location->first_line + j];
			const struct profile_function *function =
				&profile->functions[line->function.v];
			used += (size_t)snprintf(out + used, ANSWER_MAX - used, "%s%s %s:%u",
						 j > 0 ? " " : "",
						 profile_text(profile, function->name),
						 profile_text(profile, function->file), line->line);
		}
		if (used < ANSWER_MAX)
			used += (size_t)snprintf(out + used, ANSWER_MAX - used, "\n");
	}
}

/* In a process of its own. What is said goes to @out. */
static void symbolize_both(const char *damaged, const char *sound, FILE *out)
{
	static char text[ANSWER_MAX];
	const struct symbolizer_options none = {0};
	struct symbolizer_stats stats;
	struct profile *profile;
	struct cp_err err;
	alarm(2 * MAX_CPU_SECONDS + 30);
	if (profile_create(&profile) != 0)
		_exit(1);
	const module_id first = add_module(profile, damaged, true);
	const module_id second = add_module(profile, sound, true);
	if (symbolizer_run(profile, &none, &stats, &err) != 0)
		_exit(2);
	describe(profile, first, text);
	fputs(text, out);
	describe(profile, second, text);
	fprintf(out, "---\n%s", text);
	profile_destroy(profile);
	_exit(fclose(out) == 0 ? 0 : 3);
}

/*
 * @answer: of the damaged one's first questions, of the one in the damage, "---", the other's
 * Return: false when it failed, or took too long or too much memory.
 */
static bool run(struct temp_dir *dir, const char *name, struct bytes file, char *answer)
{
	struct rusage usage;
	char damaged[PATH_MAX], sound[PATH_MAX];
	int status, ends[2];
	snprintf(damaged, sizeof(damaged), "%s/damaged", dir->path);
	snprintf(sound, sizeof(sound), "%s/sound", dir->path);
	write_file(damaged, &file);
	free(file.data);
	assert_int_equal(pipe(ends), 0);
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		symbolize_both(damaged, sound, fdopen(ends[1], "w"));
	}
	close(ends[1]);
	size_t n = 0;
	for (ssize_t got; (got = read(ends[0], answer + n, 2 * ANSWER_MAX - 1 - n)) > 0;)
		n += (size_t)got;
	answer[n] = '\0';
	close(ends[0]);
	assert_int_equal(wait4(pid, &status, 0, &usage), pid);
	const double cpu_s = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
			     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	print_message("%-40s %5.2f s %6ld KiB, status %d\n", name, cpu_s, usage.ru_maxrss, status);
	return status == 0 && cpu_s < MAX_CPU_SECONDS && usage.ru_maxrss < MAX_KIB;
}

static void write_sound(struct temp_dir *dir)
{
	struct elf_writer elf;
	char path[PATH_MAX];
	struct dwarf_unit_writer unit = dwarf_writer_sound(&elf, NULL);
	dwarf_writer_close(&elf, &unit);
	struct bytes file = elf_writer_finish(&elf);
	snprintf(path, sizeof(path), "%s/sound", dir->path);
	write_file(path, &file);
	free(file.data);
	elf_writer_deinit(&elf);
}

static bool is_sound(const char *answer)
{
	return strncmp(answer, sound_answer, sizeof(sound_answer) - 1) == 0;
}

static bool other_is_sound(const char *answer)
{
	const char *other = strstr(answer, "---\n");
	return other && is_sound(other + 4);
}

static void run_all(struct temp_dir *dir, bool small)
{
	static char answer[2 * ANSWER_MAX];
	size_t n_failed = 0;
	write_sound(dir);
	for (size_t i = 0; i < n_damaged_binaries; i++) {
		const struct damaged_binary *binary = &damaged_binaries[i];
		const bool bounded =
			run(dir, binary->name, damaged_binary_make(binary, small), answer);
		if (bounded && other_is_sound(answer) &&
		    (!binary->rest_is_sound || is_sound(answer)))
			continue;
		print_message("%s: %s\n", bounded ? "wrong" : "unbounded", answer);
		n_failed++;
	}
	assert_int_equal(n_failed, 0);
}

static void test_symbolizer_damaged__the_sound_file_is_answered(void **state)
{
	static char answer[2 * ANSWER_MAX];
	struct elf_writer elf;
	write_sound(*state);
	struct dwarf_unit_writer unit = dwarf_writer_sound(&elf, NULL);
	dwarf_writer_close(&elf, &unit);
	assert_true(run(*state, "sound", elf_writer_finish(&elf), answer));
	elf_writer_deinit(&elf);
	assert_true(is_sound(answer));
	assert_true(other_is_sound(answer));
}

static void test_symbolizer_damaged__one_fault_each(void **state)
{
	run_all(*state, true);
}

static void test_symbolizer_damaged__counts_meant_to_take_forever(void **state)
{
	run_all(*state, false);
}

/* References that lead nowhere leave the function its place, and what else is known of it. */
static void test_symbolizer_damaged__a_name_that_is_not_there_is_not_made_up(void **state)
{
	static const char *const nameless[] = {"origins_in_a_circle", "specification_of_itself",
					       "reference_beyond_the_file"};
	static char answer[2 * ANSWER_MAX];
	write_sound(*state);
	for (size_t i = 0; i < n_damaged_binaries; i++) {
		for (size_t j = 0; j < sizeof(nameless) / sizeof(nameless[0]); j++) {
			if (strcmp(damaged_binaries[i].name, nameless[j]) != 0)
				continue;
			assert_true(run(*state, nameless[j],
					damaged_binary_make(&damaged_binaries[i], true), answer));
			assert_non_null(strstr(answer, "\n[unnamed] :0\n---\n"));
		}
	}
}

/* Symbolize one file with a cache. Return: what is said to be wanting; to be freed. */
static char *reason_with_cache(const char *path, const char *cache_dir)
{
	const struct symbolizer_options options = {.cache_dir = cache_dir};
	struct symbolizer_stats stats;
	struct profile *profile;
	struct cp_err err;
	char key[PATH_MAX + 32];
	assert_int_equal(profile_create(&profile), 0);
	add_module(profile, path, false);
	assert_int_equal(symbolizer_run(profile, &options, &stats, &err), 0);
	snprintf(key, sizeof(key), SYMBOLIZER_REASON_PREFIX "%s", path);
	const char *reason = profile_header_get(profile, key);
	char *copy = strdup(reason ? reason : "");
	assert_non_null(copy);
	profile_destroy(profile);
	return copy;
}

static size_t count_entries(const char *path)
{
	size_t n = 0;
	DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;)
		n += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

static void test_symbolizer_damaged__damage_is_named_and_not_cached(void **state)
{
	struct temp_dir *dir = *state;
	char path[PATH_MAX], cache[PATH_MAX];
	size_t n_told = 0;
	snprintf(path, sizeof(path), "%s/damaged", dir->path);
	snprintf(cache, sizeof(cache), "%s/cache", dir->path);
	for (size_t i = 0; i < n_damaged_binaries; i++) {
		const struct damaged_binary *binary = &damaged_binaries[i];
		if (!binary->told)
			continue;
		struct bytes file = damaged_binary_make(binary, true);
		write_file(path, &file);
		free(file.data);
		char *reason = reason_with_cache(path, cache);
		if (!strstr(reason, "its debug information is damaged (") ||
		    !strstr(reason, binary->told))
			fail_msg("%s: %s", binary->name, reason);
		free(reason);
		assert_int_equal(count_entries(cache), 0);
		n_told++;
	}
	assert_true(n_told >= 20);
	write_sound(dir);
	snprintf(path, sizeof(path), "%s/sound", dir->path);
	char *reason = reason_with_cache(path, cache);
	assert_string_equal(reason, "");
	free(reason);
	assert_int_equal(count_entries(cache), 1);
}

static int remove_cache_too(void **state)
{
	const struct temp_dir *dir = *state;
	char command[PATH_MAX + 16];
	snprintf(command, sizeof(command), "rm -rf '%s/cache'", dir->path);
	return system(command) == 0 ? temp_dir_teardown(state) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_symbolizer_damaged__the_sound_file_is_answered,
						temp_dir_setup, temp_dir_teardown),
		cmocka_unit_test_setup_teardown(test_symbolizer_damaged__one_fault_each,
						temp_dir_setup, temp_dir_teardown),
		cmocka_unit_test_setup_teardown(
			test_symbolizer_damaged__counts_meant_to_take_forever, temp_dir_setup,
			temp_dir_teardown),
		cmocka_unit_test_setup_teardown(
			test_symbolizer_damaged__a_name_that_is_not_there_is_not_made_up,
			temp_dir_setup, temp_dir_teardown),
		cmocka_unit_test_setup_teardown(
			test_symbolizer_damaged__damage_is_named_and_not_cached, temp_dir_setup,
			remove_cache_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * fuzz_replay.c - run a fuzz target over the files of its corpus, without a fuzzer.
 *
 * usage: fuzz_NAME DIRECTORY...
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	FILE *file = fopen(path, "re");
	if (!file || fseek(file, 0, SEEK_END)) {
		perror(path);
		return 1;
	}
	long size = ftell(file);
	rewind(file);
	/* a buffer of exactly this size, so that a read beyond its end is seen */
	uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
	if (size < 0 || !data || fread(data, 1, (size_t)size, file) != (size_t)size) {
		perror(path);
		free(data);
		fclose(file);
		return 1;
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int n = 0;
	for (int i = 1; i < argc; i++) {
		DIR *directory = opendir(argv[i]);
		if (!directory) {
			perror(argv[i]);
			return 1;
		}
		for (struct dirent *entry; (entry = readdir(directory));) {
			char path[PATH_MAX];
			if (entry->d_type == DT_DIR)
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
			if (replay(path))
				return 1;
			n++;
		}
		closedir(directory);
	}
	printf("%d inputs\n", n);
	return n ? 0 : 1;
}

/*
 * make_damaged.c - the damaged binaries as files: the corpus that fuzzing starts from.
 *
 * usage: make_damaged DIRECTORY
 */
#include "damaged_binaries.h"

#include <limits.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: make_damaged DIRECTORY\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < n_damaged_binaries; i++) {
		char path[PATH_MAX];
		struct bytes bytes = damaged_binary_make(&damaged_binaries[i], true);
		snprintf(path, sizeof(path), "%s/%s", argv[1], damaged_binaries[i].name);
		FILE *file = fopen(path, "wb");
		if (!file || fwrite(bytes.data, 1, bytes.n, file) != bytes.n || fclose(file) != 0) {
			perror(path);
			return 1;
		}
		free(bytes.data);
	}
	return 0;
}

/*
 * code_pages.h - bytes of code of binaries, a few pages at hand.
 *
 * Where there is no unwind information instructions are looked at (no_cfi.h), mostly the same ones
 * again. A page that could not be read is remembered as well, for the process that it could not be
 * read for.
 *
 * Depends on: elf. Threads: one at a time.
 */
#ifndef CPROF_UNWIND_CODE_PAGES_H
#define CPROF_UNWIND_CODE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct elf_image;

enum { CODE_PAGES = 32, CODE_PAGE_BYTES = 4096 };

struct code_page {
	const struct elf_image *image; /* NULL = empty */
	uint64_t file_off;
	pid_t pid; /* through which it was read, or not */
	size_t n;  /* 0: it could not be read */
	uint8_t bytes[CODE_PAGE_BYTES];
};

struct code_pages {
	struct code_page pages[CODE_PAGES];
};

/* The file of a binary, as a process shows it. */
struct code_file {
	const struct elf_image *image;
	pid_t pid;
	/** Return: a descriptor, or -1 when it is gone, or another file by now. */
	int (*open)(void *ctx);
	void *ctx;
};

/** Return: false when not all of the bytes can be had. */
bool code_pages_read(struct code_pages *pages, const struct code_file *file, uint64_t file_off,
		     void *out, size_t n);

/** Forget all: an image that is freed leaves its address to another one. */
void code_pages_forget(struct code_pages *pages);

#endif

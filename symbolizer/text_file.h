/*
 * text_file.h - a whole text file in memory, to be cut into fields in place.
 *
 * Depends on: base, elf (opening regular files only). Threads: any.
 */
#ifndef CPROF_SYMBOLIZER_TEXT_FILE_H
#define CPROF_SYMBOLIZER_TEXT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Read a regular file (or one of /proc, whose size is stated as 0) up to @max bytes.
 *
 * @out: NUL-terminated; the caller frees it
 * Return: 0; -errno of reading; -EFBIG; -ENOMEM.
 */
int text_file_read(const char *path, size_t max, char **out, size_t *n);

/**
 * Read a hexadecimal number without sign or prefix.
 *
 * @text: moved behind the number
 * Return: false when there is no digit, or more than 16.
 */
bool text_file_hex(char **text, uint64_t *out);

#endif

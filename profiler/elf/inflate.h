/*
 * inflate.h - inflate what ELF files hold compressed: sections (zlib, zstd) and .gnu_debugdata
 * (xz).
 *
 * Every size in a file is a claim. What a claim can be at most, given the compressed bytes, is
 * checked before memory is taken for it.
 *
 * Depends on: zlib, libzstd, liblzma. Threads: any.
 */
#ifndef CPROF_ELF_INFLATE_H
#define CPROF_ELF_INFLATE_H

#include <elf.h>
#include <stdint.h>

#ifndef ELFCOMPRESS_ZSTD
#define ELFCOMPRESS_ZSTD 2 /* gABI; glibc has it since 2.37 */
#endif

/**
 * Whether @n_in bytes of a compression (ELFCOMPRESS_*) can become @n_out.
 *
 * Return: 0; -EBADMSG: never; -ENOTSUP: another compression.
 */
int inflate_check(uint32_t type, uint64_t n_in, uint64_t n_out);

/**
 * Inflate into memory of the caller, exactly @n_out bytes.
 *
 * Return: 0; -EBADMSG: damaged, or another size; -ENOTSUP: another compression.
 */
int inflate_into(uint32_t type, const void *in, uint64_t n_in, void *out, uint64_t n_out);

/**
 * Inflate an xz stream, which does not state its size in front.
 *
 * @max: of the content
 * @out: the caller frees it
 * Return: 0; -EFBIG: larger than @max, or needs more memory than that to inflate; -EBADMSG;
 *         -ENOMEM.
 */
int inflate_xz(const void *in, uint64_t n_in, uint64_t max, uint8_t **out, uint64_t *n);

#endif

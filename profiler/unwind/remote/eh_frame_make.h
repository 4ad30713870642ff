/*
 * eh_frame_make.h - write a binary's unwind information as an index with its .eh_frame.
 *
 * libunwind's tables are searched through .eh_frame_hdr. Where a binary has none (static non-PIE
 * ones), where the index leaves functions out, or where the information is in .debug_frame, all of
 * it is written anew in the one form that is read: CIEs and FDEs of .eh_frame with addresses
 * relative to themselves, and a sorted index. It takes the addresses of code of the binary, where
 * no stack can be.
 *
 * Depends on: elf, image_rows.h. Threads: one at a time per image.
 */
#ifndef CPROF_UNWIND_REMOTE_EH_FRAME_MAKE_H
#define CPROF_UNWIND_REMOTE_EH_FRAME_MAKE_H

#include "elf/elf_image.h"

/**
 * Give the image an index that names all its functions; nothing is done when it has one.
 *
 * Return: 0; -ENOENT: it has no unwind information; -ENOSPC: more of it than code, which no
 *         compiler writes; -ENOMEM. In these cases the image is as before.
 */
int eh_frame_make(struct elf_image *image);

#endif

/*
 * cfi_check.h - is a program of call frame instructions safe to give to libunwind?
 *
 * libunwind 1.6.2 trusts register numbers, block lengths and jumps it reads (it indexes arrays
 * with them and follows backward jumps for ever), which is fine for the process it lives in and not
 * for files of somebody else. So each FDE is checked once, before libunwind sees it. What no
 * compiler emits is refused too, and the walk ends as UNSUPPORTED.
 *
 * Depends on: elf/cfi_reader.h. Threads: any.
 */
#ifndef CPROF_UNWIND_REMOTE_CFI_CHECK_H
#define CPROF_UNWIND_REMOTE_CFI_CHECK_H

#include "elf/cfi_reader.h"

/** @instructions: of one CIE or FDE, from here to its end. */
bool cfi_check(struct cfi_reader instructions);

#endif

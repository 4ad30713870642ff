/*
 * prologue.h - how much of the stack a function with a frame pointer takes at its beginning.
 *
 * Unwind information says where the frame lies by rbp once rbp is set up; how far the stack pointer
 * is from it is said nowhere. The first instructions say it: pushes and one subtraction. More can
 * only be added later, by alloca() or for a call's arguments. So what is found here is the least
 * that is between the two, and for most functions exactly what is.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_UNWIND_PROLOGUE_H
#define CPROF_UNWIND_PROLOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROLOGUE_BYTES = 64 }; /* that are looked at */

/**
 * @code: from the function's first byte on
 * @frame_bytes: between rbp and the stack pointer behind the last instruction that was understood
 * Return: false when the function does not begin by making rbp its frame pointer.
 */
bool prologue_frame(const uint8_t *code, size_t n, uint64_t *frame_bytes);

#endif

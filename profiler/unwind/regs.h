/*
 * regs.h - the user registers that a sample carries; one implementation file per ISA.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_UNWIND_REGS_H
#define CPROF_UNWIND_REGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNWIND_REGS_MAX = 17 };

/* General registers in DWARF numbering of the ISA; on x86-64: 0-15, and 16 = return address (rip).
 */
struct unwind_regs {
	uint64_t r[UNWIND_REGS_MAX];
};

/** The mask of registers to ask perf for (perf_event_attr.sample_regs_user). */
uint64_t unwind_regs_perf_mask(void);

/**
 * Registers from a perf sample: @values in ascending order of the mask's bits.
 * @n must be the number of bits in unwind_regs_perf_mask().
 */
void unwind_regs_from_perf(struct unwind_regs *regs, const uint64_t *values, unsigned n);

/**
 * Registers that a signal interrupted, from the frame that the kernel made for its handler.
 *
 * @bytes: @n of them, from the stack pointer on that the handler returns to its trampoline with
 * Return: the frame's bytes: all registers, the signal mask, what the signal told, and of the
 *         vector registers what is at hand; 0 when @n are too few for the first three.
 */
size_t unwind_regs_from_signal(struct unwind_regs *regs, uint64_t avma, const uint8_t *bytes,
			       size_t n);

uint64_t unwind_regs_pc(const struct unwind_regs *regs);
uint64_t unwind_regs_sp(const struct unwind_regs *regs);
uint64_t unwind_regs_fp(const struct unwind_regs *regs);

/** What a system call returned. */
uint64_t unwind_regs_result(const struct unwind_regs *regs);

/** The frame pointer's bit in a mask of registers by DWARF number. */
uint32_t unwind_regs_fp_bit(void);

/** The bits of all registers. */
uint32_t unwind_regs_all_bits(void);

/** The bits of pc, stack pointer and frame pointer. */
uint32_t unwind_regs_walk_bits(void);

void unwind_regs_set_pc(struct unwind_regs *regs, uint64_t pc);
void unwind_regs_set_sp(struct unwind_regs *regs, uint64_t sp);
void unwind_regs_set_fp(struct unwind_regs *regs, uint64_t fp);

#endif

/*
 * stack_capture.h - take the registers and the stack of the running thread, as a sample would.
 *
 * Depends on: unwind/regs.h, unwind/unwind.h, cmocka.h (included before). Threads: any.
 */
#ifndef CPROF_TESTS_STACK_CAPTURE_H
#define CPROF_TESTS_STACK_CAPTURE_H

#include "unwind/unwind.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

struct stack_capture {
	struct unwind_regs regs;
	struct unwind_stack stack;
	uint8_t *bytes; /* owned */
};

static inline void stack_capture_free(struct stack_capture *capture)
{
	free(capture->bytes);
	capture->bytes = NULL;
}

static inline struct unwind_regs stack_capture_regs(const ucontext_t *context)
{
	static const int of_dwarf[UNWIND_REGS_MAX] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
		REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
	struct unwind_regs regs;
	for (int i = 0; i < UNWIND_REGS_MAX; i++)
		regs.r[i] = (uint64_t)context->uc_mcontext.gregs[of_dwarf[i]];
	return regs;
}

/* The end of the mapping that holds @avma. */
static inline uint64_t stack_capture_mapping_end(const char *maps_path, uint64_t avma)
{
	char line[1024];
	uint64_t found = 0;
	FILE *maps = fopen(maps_path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long long start, end;
		if (sscanf(line, "%llx-%llx", &start, &end) == 2 && avma >= start && avma < end)
			found = end;
	}
	fclose(maps);
	assert_true(found != 0);
	return found;
}

/*
 * Take the caller's state. The frame of this function is the innermost one of the capture. The
 * stack is read through the kernel: the sanitizer objects to reading other functions' frames.
 */
static __attribute__((noinline, unused)) void stack_capture_take(struct stack_capture *out)
{
	ucontext_t context;
	getcontext(&context);
	out->regs = stack_capture_regs(&context);
	const uint64_t sp = unwind_regs_sp(&out->regs);
	const size_t n = stack_capture_mapping_end("/proc/self/maps", sp) - sp;
	out->bytes = malloc(n);
	assert_non_null(out->bytes);
	const int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, out->bytes, n, (off_t)sp), n);
	close(fd);
	out->stack = (struct unwind_stack){.sp = sp, .bytes = out->bytes, .n_bytes = n};
}

#endif

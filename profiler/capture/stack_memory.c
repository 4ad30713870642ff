#include "stack_memory.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* Of a sample the kernel's record can hold less than 64 KB (perf_event.h: u16 size). */
enum { COPY_MAX = 1 << 16 };

void stack_memory_deinit(struct stack_memory *memory)
{
	free(memory->bytes);
	free(memory->whole);
	*memory = (struct stack_memory){0};
}

size_t stack_memory_overlap(const struct unwind_result *result, const struct unwind_stack *stack)
{
	/* the leaf's frame changes all the time */
	const size_t first = result->n > STACK_MEMORY_FRAMES ? result->n - STACK_MEMORY_FRAMES : 1;
	const uint64_t sp = result->n > 1 ? result->sps[first] : stack->sp;
	size_t bytes = STACK_MEMORY_OVERLAP_MIN;
	if (sp >= stack->sp && sp < stack->sp + stack->n_bytes &&
	    stack->sp + stack->n_bytes - sp > bytes)
		bytes = stack->sp + stack->n_bytes - sp;
	return bytes < stack->n_bytes ? bytes : stack->n_bytes;
}

static bool allocate(struct stack_memory *memory)
{
	if (!memory->bytes)
		memory->bytes = malloc(COPY_MAX + STACK_MEMORY_MAX_BYTES);
	if (!memory->whole)
		memory->whole = malloc(COPY_MAX + STACK_MEMORY_MAX_BYTES);
	return memory->bytes && memory->whole;
}

/*
 * The kernel copies page by page: a range that ends in unmapped pages gives what lies before them
 * (mm/process_vm_access.c).
 */
static enum stack_memory_status read_stack(struct stack_memory *memory, pid_t pid, uint64_t avma,
					   size_t n)
{
	memory->pid = 0;
	memory->read_ns = clock_now_ns();
	struct iovec local = {memory->bytes, n};
	struct iovec remote = {(void *)(uintptr_t)avma, n}; /* NOLINT: another process' address */
	const ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
	if (got < 0 && errno == ESRCH)
		return STACK_MEMORY_GONE;
	if (got < 0 && errno == EPERM)
		return STACK_MEMORY_REFUSED;
	if (got <= 0)
		return STACK_MEMORY_CHANGED;
	memory->pid = pid;
	memory->avma = avma;
	memory->n_bytes = (size_t)got;
	return STACK_MEMORY_SAME;
}

enum stack_memory_status stack_memory_extend(struct stack_memory *memory, pid_t pid,
					     uint64_t sample_ns, const struct unwind_stack *stack,
					     size_t overlap_bytes, uint64_t until,
					     struct unwind_stack *whole)
{
	const uint64_t end = stack->sp + stack->n_bytes;
	const uint64_t from = end - overlap_bytes;
	if (stack->n_bytes > COPY_MAX || overlap_bytes == 0 || !allocate(memory))
		return STACK_MEMORY_CHANGED;
	const bool at_hand = memory->pid == pid && memory->read_ns > sample_ns &&
			     memory->avma <= from && memory->avma + memory->n_bytes > end;
	if (!at_hand) {
		/* a little more than is needed, for the next samples, which end elsewhere */
		const uint64_t start =
			from - stack->sp > COPY_MAX / 4 ? from - COPY_MAX / 4 : stack->sp;
		const enum stack_memory_status status =
			read_stack(memory, pid, start, end - start + STACK_MEMORY_MAX_BYTES);
		if (status != STACK_MEMORY_SAME)
			return status;
	}
	uint64_t read_end = memory->avma + memory->n_bytes;
	if (read_end <= end || memcmp(memory->bytes + (from - memory->avma),
				      stack->bytes + (from - stack->sp), overlap_bytes) != 0)
		return STACK_MEMORY_CHANGED;
	if (until > end && until < read_end)
		read_end = until;
	memcpy(memory->whole, stack->bytes, stack->n_bytes);
	memcpy(memory->whole + stack->n_bytes, memory->bytes + (end - memory->avma),
	       read_end - end);
	*whole = (struct unwind_stack){
		.sp = stack->sp,
		.bytes = memory->whole,
		.n_bytes = stack->n_bytes + (read_end - end),
		.maybe_more = true,
	};
	return STACK_MEMORY_SAME;
}

enum stack_memory_status stack_memory_other(struct stack_memory *memory, pid_t pid, uint64_t sp,
					    const struct unwind_stack *frame,
					    struct unwind_stack *other)
{
	if (frame->n_bytes > COPY_MAX || !allocate(memory))
		return STACK_MEMORY_CHANGED;
	enum stack_memory_status status = read_stack(memory, pid, sp, STACK_MEMORY_MAX_BYTES);
	if (status != STACK_MEMORY_SAME)
		return status;
	const uint64_t read_ns = memory->read_ns;
	const size_t n_other = memory->n_bytes;
	memcpy(memory->whole, memory->bytes, n_other);
	status = read_stack(memory, pid, frame->sp, frame->n_bytes);
	memory->read_ns = read_ns;
	memory->pid = 0; /* that is no stack, to serve other samples */
	if (status != STACK_MEMORY_SAME)
		return status;
	if (memory->n_bytes != frame->n_bytes ||
	    memcmp(memory->bytes, frame->bytes, frame->n_bytes) != 0)
		return STACK_MEMORY_CHANGED;
	*other = (struct unwind_stack){
		.sp = sp,
		.bytes = memory->whole,
		.n_bytes = n_other,
		.maybe_more = n_other == STACK_MEMORY_MAX_BYTES,
	};
	return STACK_MEMORY_SAME;
}

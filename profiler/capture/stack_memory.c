#include "stack_memory.h"

#include "base/cleanup.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Of a sample the kernel's record can hold less than 64 KB (perf_event.h: u16 size). */
enum { COPY_MAX = 1 << 16, PAGE_BYTES = 4096 };

/* Of an entry of /proc/PID/pagemap (admin-guide/mm/pagemap.rst). */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)

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

/* How many of @n bytes from @avma on are in memory, up to the first page that is not. */
static enum stack_memory_status find_present(pid_t pid, uint64_t avma, size_t *n)
{
	uint64_t pages[(COPY_MAX + STACK_MEMORY_MAX_BYTES) / PAGE_BYTES + 2];
	const uint64_t first = avma / PAGE_BYTES;
	const size_t n_pages = (size_t)((avma + *n - 1) / PAGE_BYTES - first + 1);
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	CP_CLEANUP(cp_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH ? STACK_MEMORY_GONE : STACK_MEMORY_REFUSED;
	const ssize_t got =
		pread(fd, pages, n_pages * sizeof(*pages), (off_t)(first * sizeof(*pages)));
	if (got < 0)
		return errno == EPERM || errno == EACCES ? STACK_MEMORY_REFUSED
							 : STACK_MEMORY_CHANGED;
	if (got == 0) /* it is exiting and has no memory any more */
		return STACK_MEMORY_GONE;
	size_t present = 0;
	while (present < (size_t)got / sizeof(*pages) && (pages[present] & PAGEMAP_PRESENT))
		present++;
	if (present == 0)
		return STACK_MEMORY_CHANGED;
	const uint64_t bytes = (first + present) * PAGE_BYTES - avma;
	if (bytes < *n)
		*n = bytes;
	return STACK_MEMORY_SAME;
}

/*
 * The kernel copies page by page: a range that ends in unmapped pages gives what lies before them
 * (mm/process_vm_access.c).
 */
static enum stack_memory_status read_stack(struct stack_memory *memory, pid_t pid, uint64_t avma,
					   uint64_t until)
{
	size_t n = until - avma;
	memory->pid = 0;
	memory->read_ns = clock_now_ns();
	const enum stack_memory_status status = find_present(pid, avma, &n);
	if (status != STACK_MEMORY_SAME)
		return status;
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
	memory->until = until;
	return STACK_MEMORY_SAME;
}

enum stack_memory_status stack_memory_extend(struct stack_memory *memory, pid_t pid,
					     uint64_t sample_ns, const struct unwind_stack *stack,
					     size_t overlap_bytes, uint64_t until,
					     struct unwind_stack *whole)
{
	const uint64_t end = stack->sp + stack->n_bytes;
	const uint64_t from = end - overlap_bytes;
	if (stack->n_bytes > COPY_MAX || overlap_bytes == 0 || until <= end || !allocate(memory))
		return STACK_MEMORY_CHANGED;
	if (until - end > STACK_MEMORY_MAX_BYTES)
		until = end + STACK_MEMORY_MAX_BYTES;
	const bool at_hand = memory->pid == pid && memory->read_ns > sample_ns &&
			     memory->avma <= from && memory->avma + memory->n_bytes > end &&
			     memory->until >= until;
	if (!at_hand) {
		/* a little more than is needed, for the next samples, which end elsewhere */
		const uint64_t start =
			from - stack->sp > COPY_MAX / 4 ? from - COPY_MAX / 4 : stack->sp;
		const enum stack_memory_status status = read_stack(memory, pid, start, until);
		if (status != STACK_MEMORY_SAME)
			return status;
	}
	uint64_t read_end = memory->avma + memory->n_bytes;
	if (read_end <= end || memcmp(memory->bytes + (from - memory->avma),
				      stack->bytes + (from - stack->sp), overlap_bytes) != 0)
		return STACK_MEMORY_CHANGED;
	if (until < read_end)
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
					    uint64_t until, const struct unwind_stack *frame,
					    struct unwind_stack *other)
{
	if (frame->n_bytes > COPY_MAX || until <= sp || !allocate(memory))
		return STACK_MEMORY_CHANGED;
	if (until - sp > STACK_MEMORY_MAX_BYTES)
		until = sp + STACK_MEMORY_MAX_BYTES;
	enum stack_memory_status status = read_stack(memory, pid, sp, until);
	if (status != STACK_MEMORY_SAME)
		return status;
	const uint64_t read_ns = memory->read_ns;
	const size_t n_other = memory->n_bytes;
	memcpy(memory->whole, memory->bytes, n_other);
	status = read_stack(memory, pid, frame->sp, frame->sp + frame->n_bytes);
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
		.maybe_more = n_other == until - sp,
	};
	return STACK_MEMORY_SAME;
}

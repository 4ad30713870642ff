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
enum {
	COPY_MAX = 1 << 16,
	PAGE_BYTES = 4096,
	PAGES_MAX = (COPY_MAX + STACK_MEMORY_MAX_BYTES) / PAGE_BYTES + 2,
};

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

/* What lies between [avma, until): the pages' entries, of which there are PAGES_MAX at most. */
static enum stack_memory_status read_pagemap(pid_t pid, uint64_t avma, uint64_t until,
					     uint64_t *pages, size_t *n_pages)
{
	const uint64_t first = avma / PAGE_BYTES;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	CP_CLEANUP(cp_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH ? STACK_MEMORY_GONE : STACK_MEMORY_REFUSED;
	*n_pages = (size_t)((until - 1) / PAGE_BYTES - first + 1);
	const ssize_t got =
		pread(fd, pages, *n_pages * sizeof(*pages), (off_t)(first * sizeof(*pages)));
	if (got < 0)
		return errno == EPERM || errno == EACCES ? STACK_MEMORY_REFUSED
							 : STACK_MEMORY_CHANGED;
	if (got == 0) /* it is exiting and has no memory any more */
		return STACK_MEMORY_GONE;
	*n_pages = (size_t)got / sizeof(*pages);
	return STACK_MEMORY_SAME;
}

/* One entry for each run of pages that are in memory. Return: the end of the last one, 0 = none. */
static uint64_t find_runs(struct stack_memory *memory, uint64_t avma, uint64_t until,
			  const uint64_t *pages, size_t n_pages, struct iovec *remote, size_t *n)
{
	uint64_t end = 0;
	*n = 0;
	memory->has_absent = avma + n_pages * PAGE_BYTES < until;
	for (size_t i = 0; i < n_pages; i++) {
		const uint64_t page = (avma / PAGE_BYTES + i) * PAGE_BYTES;
		const uint64_t from = page > avma ? page : avma;
		const uint64_t to = page + PAGE_BYTES < until ? page + PAGE_BYTES : until;
		if (!(pages[i] & PAGEMAP_PRESENT)) {
			memory->has_absent = true;
			continue;
		}
		if (*n > 0 && end == from)
			remote[*n - 1].iov_len += to - from;
		else
			remote[(*n)++] = (struct iovec){
				(void *)(uintptr_t)from, /* NOLINT: another process' address */
				to - from};
		end = to;
	}
	return end;
}

/*
 * The kernel copies page by page: a range that ends in unmapped pages gives what lies before them
 * (mm/process_vm_access.c).
 */
static enum stack_memory_status read_stack(struct stack_memory *memory, pid_t pid, uint64_t avma,
					   uint64_t until)
{
	uint64_t pages[PAGES_MAX];
	struct iovec remote[PAGES_MAX / 2 + 1], local[PAGES_MAX / 2 + 1];
	size_t n_pages, n_runs;
	memory->pid = 0;
	memory->read_ns = clock_now_ns();
	const enum stack_memory_status status = read_pagemap(pid, avma, until, pages, &n_pages);
	if (status != STACK_MEMORY_SAME)
		return status;
	uint64_t end = find_runs(memory, avma, until, pages, n_pages, remote, &n_runs);
	if (n_runs == 0)
		return STACK_MEMORY_CHANGED;
	uint64_t to = avma;
	for (size_t i = 0; i < n_runs; i++) {
		const uint64_t from = (uint64_t)(uintptr_t)remote[i].iov_base;
		memset(memory->bytes + (to - avma), STACK_MEMORY_ABSENT, from - to);
		local[i] = (struct iovec){memory->bytes + (from - avma), remote[i].iov_len};
		to = from + remote[i].iov_len;
	}
	const ssize_t got = process_vm_readv(pid, local, n_runs, remote, n_runs, 0);
	if (got < 0 && errno == ESRCH)
		return STACK_MEMORY_GONE;
	if (got < 0 && errno == EPERM)
		return STACK_MEMORY_REFUSED;
	if (got <= 0)
		return STACK_MEMORY_CHANGED;
	size_t left = (size_t)got;
	for (size_t i = 0; i < n_runs; i++) {
		if (left < remote[i].iov_len) {
			end = (uint64_t)(uintptr_t)remote[i].iov_base + left;
			memory->has_absent = true;
			break;
		}
		left -= remote[i].iov_len;
	}
	memory->pid = pid;
	memory->avma = avma;
	memory->n_bytes = (size_t)(end - avma);
	memory->until = until;
	return STACK_MEMORY_SAME;
}

static uint64_t limit_until(const struct unwind_stack *stack, uint64_t until)
{
	const uint64_t end = stack->sp + stack->n_bytes;
	return until - end > STACK_MEMORY_MAX_BYTES ? end + STACK_MEMORY_MAX_BYTES : until;
}

enum stack_memory_status stack_memory_look(struct stack_memory *memory, pid_t pid,
					   uint64_t sample_ns, const struct unwind_stack *stack,
					   size_t overlap_bytes, uint64_t until)
{
	const uint64_t end = stack->sp + stack->n_bytes;
	const uint64_t from = end - overlap_bytes;
	if (stack->n_bytes > COPY_MAX || overlap_bytes == 0 || until <= end || !allocate(memory))
		return STACK_MEMORY_CHANGED;
	until = limit_until(stack, until);
	const bool at_hand = memory->pid == pid && memory->read_ns > sample_ns &&
			     memory->avma <= from && memory->avma + memory->n_bytes >= end &&
			     memory->until >= until;
	if (!at_hand) {
		/* a little more than is needed, for the next samples, which end elsewhere */
		const uint64_t start =
			from - stack->sp > COPY_MAX / 4 ? from - COPY_MAX / 4 : stack->sp;
		const enum stack_memory_status status = read_stack(memory, pid, start, until);
		if (status != STACK_MEMORY_SAME)
			return status;
	}
	if (memory->avma + memory->n_bytes < end ||
	    memcmp(memory->bytes + (from - memory->avma), stack->bytes + (from - stack->sp),
		   overlap_bytes) != 0)
		return STACK_MEMORY_CHANGED;
	return STACK_MEMORY_SAME;
}

bool stack_memory_word(const struct stack_memory *memory, uint64_t avma, uint64_t *out)
{
	const uint64_t off = avma - memory->avma;
	if (memory->pid == 0 || avma < memory->avma || off >= memory->n_bytes ||
	    memory->n_bytes - off < sizeof(*out))
		return false;
	memcpy(out, memory->bytes + off, sizeof(*out));
	return true;
}

bool stack_memory_peek(pid_t pid, uint64_t avma, uint64_t *out)
{
	uint64_t pages[2], word;
	size_t n_pages;
	const uint64_t until = avma + sizeof(word);
	if (until < avma || read_pagemap(pid, avma, until, pages, &n_pages) != STACK_MEMORY_SAME ||
	    n_pages <= (until - 1) / PAGE_BYTES - avma / PAGE_BYTES)
		return false;
	for (size_t i = 0; i < n_pages; i++) {
		if (!(pages[i] & PAGEMAP_PRESENT))
			return false;
	}
	const struct iovec local = {.iov_base = &word, .iov_len = sizeof(word)};
	const struct iovec remote = {(void *)(uintptr_t)avma, /* NOLINT: another process' address */
				     sizeof(word)};
	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != sizeof(word))
		return false;
	*out = word;
	return true;
}

enum stack_memory_status stack_memory_extend(struct stack_memory *memory, pid_t pid,
					     uint64_t sample_ns, const struct unwind_stack *stack,
					     size_t overlap_bytes, uint64_t until,
					     struct unwind_stack *whole)
{
	const uint64_t end = stack->sp + stack->n_bytes;
	const enum stack_memory_status status =
		stack_memory_look(memory, pid, sample_ns, stack, overlap_bytes, until);
	if (status != STACK_MEMORY_SAME)
		return status;
	uint64_t read_end = memory->avma + memory->n_bytes;
	if (limit_until(stack, until) < read_end)
		read_end = limit_until(stack, until);
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
	const bool has_absent = memory->has_absent;
	const size_t n_other = memory->n_bytes;
	memcpy(memory->whole, memory->bytes, n_other);
	status = read_stack(memory, pid, frame->sp, frame->sp + frame->n_bytes);
	memory->read_ns = read_ns;
	memory->has_absent = has_absent;
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

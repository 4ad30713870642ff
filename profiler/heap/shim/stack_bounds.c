#include "stack_bounds.h"

#include <errno.h>
#include <sys/mman.h>

#include "sys.h"

enum {
	PAGE_BYTES = 4096,
	MAX_DEEPER = 64 << 20,   /* between two looks at one stack */
	MAX_FRAME = 1 << 20,     /* a word further away is not part of the frame */
	MAX_ABOVE_ROOT = 1 << 20 /* a thread's static TLS, between its root and the control block */
};

static uint64_t page_of(uint64_t address)
{
	return address & ~(uint64_t)(PAGE_BYTES - 1);
}

/* Whether all of [lo, hi) can be read. */
static bool prove(uint64_t lo, uint64_t hi)
{
	if (hi <= lo)
		return true;
	const int result = sys_madvise(lo, hi - lo, SYS_MADV_POPULATE_READ);
	if (result != -EINVAL)
		return result == 0;
	/* a page without permission, or Linux before 5.14: then not even this page would do */
	if (sys_can_populate())
		return false;
	/* answers ENOMEM for what is not mapped; guard pages, which it cannot tell, end stacks
	 * below */
	return sys_madvise(lo, hi - lo, MADV_WILLNEED) == 0;
}

void stack_bounds_init_main(struct thread_stack *stack, uint64_t sp, uint64_t end)
{
	/* a forked child's one thread can have been any of its parent's */
	if (sp < end && end - sp < MAX_DEEPER && prove(page_of(sp), end))
		*stack = (struct thread_stack){
			.top = end, .own_lo = page_of(sp), .own_hi = end, .is_main = true};
}

void stack_bounds_init_thread(struct thread_stack *stack, uint64_t tcb)
{
	*stack = (struct thread_stack){.top = tcb};
}

void stack_bounds_find(struct thread_stack *stack, uint64_t sp, struct stack_range *range)
{
	if (stack->own_hi && sp < stack->own_lo && stack->own_lo - sp < MAX_DEEPER &&
	    prove(page_of(sp), stack->own_lo)) {
		stack->own_lo = page_of(sp);
		*range = (struct stack_range){sp, stack->own_hi, true};
		return;
	}
	/* a stack pointer that was read from memory can be anything, the last page included */
	if (sp >> 47) {
		*range = (struct stack_range){sp, sp, false};
		return;
	}
	*range = (struct stack_range){sp, page_of(sp) + PAGE_BYTES, false};
	if (sp < stack->hint_hi && sp + MAX_FRAME >= stack->hint_lo &&
	    prove(page_of(sp), stack->hint_hi)) {
		range->hi = stack->hint_hi;
		return;
	}
	/* the caller's frame ends at @sp: what lies there may be the next page, or none */
	if (!prove(page_of(sp), range->hi))
		range->hi = sp;
	stack->hint_lo = page_of(sp);
	stack->hint_hi = range->hi;
}

bool stack_bounds_extend(struct thread_stack *stack, struct stack_range *range, uint64_t address)
{
	if (range->own || address >> 47 || address < range->hi - 8 ||
	    address - range->hi > MAX_FRAME)
		return false;
	const uint64_t hi = page_of(address + 7) + PAGE_BYTES;
	if (!prove(range->hi, hi))
		return false;
	range->hi = hi;
	stack->hint_hi = hi;
	return true;
}

void stack_bounds_rooted(struct thread_stack *stack, const struct stack_range *range, uint64_t sp)
{
	if (range->own || stack->own_hi || !stack->top || sp > stack->top ||
	    stack->top - sp > MAX_ABOVE_ROOT || !prove(range->hi, stack->top))
		return;
	stack->own_lo = page_of(range->lo);
	stack->own_hi = stack->top;
}

#include "no_cfi.h"

#include "rows/cfi_step.h"

#include <string.h>

enum {
	WORD = sizeof(uint64_t),
	CALL_BYTES_MAX = 7, /* ff /2 with SIB and disp32; a REX prefix is not needed to tell */
	WINDOW = 16,        /* instruction bytes before a pc that are looked at */
};

/* What is before an address that may be a return address. In the order of how likely it is one. */
enum evidence {
	NO_CALL,
	CALL_OF_OTHER, /* a call of a function with information, which might have jumped here */
	UNREADABLE,    /* JIT code, or a file that is gone */
	CALL, /* an indirect call, or one of a PLT entry or other code without information */
	CALL_OF_THIS, /* a call to where the pc's code begins */
};

/* Bytes of code right before and from an address on; 0 beyond the ends of its mapping. */
struct code {
	uint8_t bytes[2 * WINDOW];
	bool readable;
};

static size_t at_most_window(uint64_t n)
{
	return n < WINDOW ? (size_t)n : WINDOW;
}

static struct code read_code(struct address_space *space, uint64_t avma)
{
	struct code code = {.readable = false};
	const struct mapping *mapping = address_space_find(space, avma);
	if (!mapping)
		return code;
	const size_t before = at_most_window(avma - mapping->avma_start);
	const size_t from = at_most_window(mapping->avma_end - avma);
	code.readable = address_space_code(space, avma - before, code.bytes + WINDOW - before,
					   before + from);
	return code;
}

/* The bytes from @off on, relative to the address that was asked for, are these. */
static bool has(const struct code *code, int off, const char *bytes, size_t n)
{
	return code->readable && off >= -WINDOW && off + (int)n <= WINDOW &&
	       memcmp(code->bytes + WINDOW + off, bytes, n) == 0;
}

#define HAS(code, off, text) has(code, off, text, sizeof(text) - 1)

static uint8_t byte_at(const struct code *code, int off)
{
	return code->bytes[WINDOW + off];
}

/* The length of "call *operand" by its ModRM byte (Intel SDM volume 2, table 2-2). */
static int indirect_call_bytes(uint8_t modrm, uint8_t sib)
{
	const unsigned mod = modrm >> 6, rm = modrm & 7;
	int n = 2;
	if ((modrm >> 3 & 7) != 2)
		return 0;
	if (mod == 3)
		return n;
	if (rm == 4)
		n++;
	if (mod == 1)
		n++;
	else if (mod == 2 || rm == 5 || (rm == 4 && (sib & 7) == 5))
		n += 4;
	return n;
}

static bool is_after_indirect_call(const struct code *code)
{
	for (int n = 2; n <= CALL_BYTES_MAX; n++)
		if (byte_at(code, -n) == 0xff &&
		    indirect_call_bytes(byte_at(code, 1 - n), byte_at(code, 2 - n)) == n)
			return true;
	return false;
}

/* Bytes of an endbr64 at @off. */
static int endbr_bytes(const struct code *code, int off)
{
	return HAS(code, off, "\xf3\x0f\x1e\xfa") ? 4 : 0;
}

/* A PLT entry, or another place that does nothing but go on elsewhere. */
static bool is_jump(const struct code *code)
{
	const int at = endbr_bytes(code, 0);
	return HAS(code, at, "\xff\x25") || HAS(code, at, "\xf2\xff\x25") ||
	       HAS(code, at, "\xe9") || HAS(code, at, "\xeb") || HAS(code, at, "\x68");
}

/*
 * Where the code without information begins that holds an address; equal for two addresses when no
 * function with information is between them.
 *
 * Return: false when the address has information.
 */
static bool find_gap(struct address_space *space, uint64_t avma, uint64_t *out_start)
{
	const struct mapping *mapping = address_space_find(space, avma);
	if (!mapping)
		return false;
	const uint64_t svma = avma - mapping->bias;
	uint64_t start_svma;
	*out_start = mapping->avma_start;
	if (!mapping->rows)
		return true;
	if (cfi_rule_kind(cfi_table_find(mapping->rows, svma)) != CFI_NONE)
		return false;
	if (cfi_table_range_start(mapping->rows, svma, &start_svma))
		*out_start = start_svma + mapping->bias;
	return true;
}

/* @target: set with CALL_OF_THIS */
static enum evidence look_before(struct address_space *space, uint64_t ra, uint64_t pc,
				 uint64_t *target)
{
	int32_t offset;
	uint64_t gap, target_gap;
	const struct mapping *mapping = ra ? address_space_find(space, ra - 1) : NULL;
	if (!mapping)
		return NO_CALL;
	if (mapping->rows &&
	    cfi_rule_kind(cfi_table_find(mapping->rows, ra - mapping->bias)) == CFI_SIGNAL)
		return CALL; /* the kernel has called a signal handler */
	const struct code code = read_code(space, ra);
	if (!code.readable)
		return UNREADABLE;
	if (byte_at(&code, -5) != 0xe8)
		return is_after_indirect_call(&code) ? CALL : NO_CALL;
	memcpy(&offset, code.bytes + WINDOW - 4, sizeof(offset));
	*target = ra + (uint64_t)(int64_t)offset;
	if (!address_space_find(space, *target)) /* bytes of another instruction */
		return is_after_indirect_call(&code) ? CALL : NO_CALL;
	if (find_gap(space, *target, &target_gap))
		return *target <= pc && find_gap(space, pc, &gap) && gap == target_gap
			       ? CALL_OF_THIS
			       : CALL;
	const struct code begin = read_code(space, *target);
	return !begin.readable || is_jump(&begin) ? CALL : CALL_OF_OTHER;
}

/* The function at @start begins by making rbp its frame pointer, and @pc is behind that. */
static bool has_frame(struct address_space *space, uint64_t start, uint64_t pc)
{
	const struct code code = read_code(space, start);
	const int at = endbr_bytes(&code, 0);
	return (HAS(&code, at, "\x55\x48\x89\xe5") || HAS(&code, at, "\x55\x48\x8b\xec")) &&
	       pc >= start + (uint64_t)at + 4;
}

/*
 * The one place where the C library's clone() and clone3() say nothing: right behind the system
 * call, "mov $nr, %eax; syscall; test %rax, %rax; jl; jz". In the new thread rax is 0 and its stack
 * is empty; in the old one the return address is on top.
 */
static bool is_new_thread(const struct code *code, const struct unwind_regs *regs)
{
	static const int after_syscall[] = {0, 3, 5, 9}; /* bytes up to the pc */
	if (unwind_regs_result(regs) != 0)
		return false;
	for (size_t i = 0; i < sizeof(after_syscall) / sizeof(after_syscall[0]); i++) {
		const int off = -after_syscall[i];
		if (off < 0 && !HAS(code, off, "\x48\x85\xc0"))
			continue;
		if (HAS(code, off - 7, "\xb8\x38\x00\x00\x00\x0f\x05") ||
		    HAS(code, off - 7, "\xb8\xb3\x01\x00\x00\x0f\x05"))
			return true;
	}
	return false;
}

/*
 * Where the return address is when the instruction at the pc leaves no doubt.
 * Return: bytes above the stack pointer; -1: it does.
 */
static int return_address_off(const struct code *code)
{
	if (HAS(code, 0, "\xc3") || HAS(code, 0, "\xf3\xc3") || HAS(code, 0, "\xf2\xc3") ||
	    HAS(code, 0, "\xc2") || endbr_bytes(code, 0))
		return 0;
	const bool sets_fp = HAS(code, 0, "\x48\x89\xe5") || HAS(code, 0, "\x48\x8b\xec");
	if (HAS(code, 0, "\x5d\xc3") || (HAS(code, -1, "\x55") && sets_fp))
		return WORD;
	if (HAS(code, 0, "\x55\x48\x89\xe5") || HAS(code, 0, "\x55\x48\x8b\xec"))
		return 0;
	return -1;
}

/* The candidate at @off above the stack pointer. */
static enum evidence look_on_top(const struct walk *walk, int off, struct frame *next,
				 uint64_t *target)
{
	uint64_t ra;
	if (!walk_read(walk->stack, walk->frame.sp + (uint64_t)off, &ra))
		return NO_CALL;
	*next = (struct frame){.pc = ra, .sp = walk->frame.sp + (uint64_t)off + WORD};
	return look_before(walk->space, ra, walk->frame.pc, target);
}

/* A frame that was interrupted: it may have called nothing, and have no frame of its own. */
static bool step_from_leaf(const struct walk *walk, const struct unwind_regs *regs,
			   enum evidence by_fp, struct frame *next, uint64_t *caller_fp,
			   enum cp_stop *stop, const struct frame *fp_next)
{
	const struct code code = read_code(walk->space, walk->frame.pc);
	uint64_t target = 0;
	struct frame top;
	if (walk->n_steps == 0 && is_new_thread(&code, regs)) {
		*stop = CP_STOP_END;
		return false;
	}
	const int off = return_address_off(&code);
	enum evidence on_top = look_on_top(walk, off > 0 ? off : 0, &top, &target);
	/* JIT compilers keep a frame pointer, and leave addresses of code on the stack */
	if (!code.readable && (on_top == UNREADABLE || by_fp > CALL_OF_OTHER))
		on_top = NO_CALL;
	if (off < 0 && on_top == CALL_OF_THIS && has_frame(walk->space, target, walk->frame.pc))
		on_top = CALL_OF_OTHER; /* left over from an earlier call */
	if (on_top > NO_CALL && (off >= 0 || on_top >= by_fp)) {
		*next = top;
		*caller_fp = unwind_regs_fp(regs);
		if (off == WORD)
			walk_read(walk->stack, walk->frame.sp, caller_fp);
		return true;
	}
	*next = *fp_next;
	return by_fp > CALL_OF_OTHER;
}

static bool is_sigreturn(const struct code *code, int off)
{
	return HAS(code, off, "\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05") ||
	       HAS(code, off, "\xb8\x0f\x00\x00\x00\x0f\x05");
}

/* In the trampoline, before its system call or inside. */
static bool is_in_sigreturn(const struct walk *walk)
{
	static const int before_pc[] = {0, 5, 7, 9};
	const struct code code = read_code(walk->space, walk->frame.pc);
	for (size_t i = 0; i < sizeof(before_pc) / sizeof(before_pc[0]); i++)
		if (is_sigreturn(&code, -before_pc[i]))
			return true;
	return false;
}

static bool step_over_signal(struct walk *walk, struct frame *next, uint64_t *caller_fp,
			     enum cp_stop *stop)
{
	const struct cfi_stack stack = {walk->stack->sp, walk->stack->bytes, walk->stack->n_bytes};
	struct cfi_regs regs = {.rip = walk->frame.pc, .rsp = walk->frame.sp};
	uint64_t missing;
	if (cfi_step_signal(&stack, &regs, &missing) != CFI_STEP_SIGNAL) {
		*stop = walk_stop_of_fault(walk, missing);
		return false;
	}
	*next = (struct frame){.pc = regs.rip, .sp = regs.rsp, .interrupted = true};
	*caller_fp = regs.rbp;
	return walk_accept(walk, next, stop);
}

bool no_cfi_step(struct walk *walk, const struct unwind_regs *regs, bool fp_known,
		 struct frame *next, uint64_t *caller_fp, enum cp_stop *stop)
{
	struct frame fp_next = {.pc = 0};
	enum evidence by_fp = NO_CALL;
	uint64_t target;
	*stop = CP_STOP_NO_CFI;
	if (walk_is_process_entry(walk)) {
		*stop = CP_STOP_END;
		return false;
	}
	if (is_in_sigreturn(walk))
		return step_over_signal(walk, next, caller_fp, stop);
	if (fp_known &&
	    walk_by_frame_pointer(walk, unwind_regs_fp(regs), &fp_next, caller_fp, stop))
		by_fp = look_before(walk->space, fp_next.pc, walk->frame.pc, &target);
	if (walk->frame.interrupted)
		return step_from_leaf(walk, regs, by_fp, next, caller_fp, stop, &fp_next);
	/* a call of another function: rbp is its caller's, and the frame would be left out */
	*next = fp_next;
	return by_fp > CALL_OF_OTHER;
}

enum no_cfi_call no_cfi_call_before(struct address_space *space, uint64_t ra, uint64_t *target)
{
	int32_t offset;
	if (!ra || !address_space_find(space, ra - 1))
		return NO_CFI_NO_CALL;
	const struct code code = read_code(space, ra);
	if (!code.readable)
		return NO_CFI_NO_CALL;
	if (byte_at(&code, -5) == 0xe8) {
		memcpy(&offset, code.bytes + WINDOW - 4, sizeof(offset));
		*target = ra + (uint64_t)(int64_t)offset;
		if (address_space_find(space, *target)) {
			const struct code begin = read_code(space, *target);
			return begin.readable && is_jump(&begin) ? NO_CFI_CALL_INDIRECT
								 : NO_CFI_CALL_DIRECT;
		}
	}
	return is_after_indirect_call(&code) ? NO_CFI_CALL_INDIRECT : NO_CFI_NO_CALL;
}

bool no_cfi_is_after_call(struct address_space *space, uint64_t avma)
{
	const struct code code = read_code(space, avma);
	return !code.readable || byte_at(&code, -5) == 0xe8 || is_after_indirect_call(&code);
}

/* By "mov %rbx, %rsp; mov (%rsp), %rdi", which is behind the shadow stack's part if it has one. */
bool no_cfi_is_coroutine_root(struct address_space *space, uint64_t avma)
{
	enum { BEFORE = 32, BEHIND = 64 };
	static const char signature[] = "\x48\x89\xdc\x48\x8b\x3c\x24";
	uint8_t bytes[BEFORE + BEHIND];
	return avma > BEFORE && address_space_find(space, avma) &&
	       address_space_code(space, avma - BEFORE, bytes, sizeof(bytes)) &&
	       memmem(bytes, sizeof(bytes), signature, sizeof(signature) - 1) != NULL;
}

enum no_cfi_entry no_cfi_entry_of(struct address_space *space, uint64_t avma)
{
	const struct code code = read_code(space, avma);
	if (is_sigreturn(&code, 0))
		return NO_CFI_SIGRETURN;
	return no_cfi_is_coroutine_root(space, avma) ? NO_CFI_ROOT : NO_CFI_CALLED;
}

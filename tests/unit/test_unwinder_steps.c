/*
 * A child is executed one instruction at a time, and its stack is walked at each. What the walk
 * must find is known from the calls and returns that were executed since: a shadow stack.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/stack_capture.h"

#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

enum { DEPTH_MAX = 256, CALL_BYTES_MAX = 16 };

/* What the shadow stack keeps of a frame that was left. */
struct entry {
	uint64_t lookup; /* return address - 1; of a signal's frames their very addresses */
	uint64_t slot;   /* where the stack has the address */
	bool moves;      /* the handler makes it go on two bytes behind */
};

struct child {
	pid_t pid;
	uint64_t stack_end;
	struct unwind_regs regs;
	uint8_t stack[1 << 18];
	size_t n_stack;
	struct entry shadow[DEPTH_MAX]; /* outermost first */
	size_t n_shadow;
	int signal; /* to be delivered */
};

static struct child child;
static struct image_store *store;
static struct address_space *space;
static struct unwinder *unwinder;

static void read_child(uint64_t avma, void *out, size_t n)
{
	const struct iovec local = {out, n}, remote = {(void *)(uintptr_t)avma, n};
	assert_int_equal(process_vm_readv(child.pid, &local, 1, &remote, 1, 0), n);
}

static void read_state(void)
{
	struct user_regs_struct u;
	assert_int_equal(ptrace(PTRACE_GETREGS, child.pid, NULL, &u), 0);
	child.regs =
		(struct unwind_regs){{u.rax, u.rdx, u.rcx, u.rbx, u.rsi, u.rdi, u.rbp, u.rsp, u.r8,
				      u.r9, u.r10, u.r11, u.r12, u.r13, u.r14, u.r15, u.rip}};
	child.n_stack = child.stack_end - u.rsp;
	assert_true(child.n_stack <= sizeof(child.stack));
	read_child(u.rsp, child.stack, child.n_stack);
}

static uint64_t top_of_stack(void)
{
	uint64_t word;
	memcpy(&word, child.stack, sizeof(word));
	return word;
}

/* Run to the next stop. Return: false when the child has ended. */
static bool resume(int request)
{
	int status;
	assert_int_equal(ptrace(request, child.pid, NULL, (void *)(intptr_t)child.signal), 0);
	child.signal = 0;
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	if (WIFEXITED(status)) {
		assert_int_equal(WEXITSTATUS(status), 0);
		return false;
	}
	assert_true(WIFSTOPPED(status));
	if (WSTOPSIG(status) == SIGILL)
		child.signal = SIGILL;
	else
		assert_int_equal(WSTOPSIG(status), SIGTRAP);
	return true;
}

static void start(const char *path)
{
	char maps[64];
	memset(&child, 0, sizeof(child));
	child.pid = fork();
	if (child.pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	int status;
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	assert_true(WIFSTOPPED(status));  /* by the exec */
	assert_true(resume(PTRACE_CONT)); /* to the first int3 */
	struct user_regs_struct u;
	assert_int_equal(ptrace(PTRACE_GETREGS, child.pid, NULL, &u), 0);
	snprintf(maps, sizeof(maps), "/proc/%d/maps", (int)child.pid);
	child.stack_end = stack_capture_mapping_end(maps, u.rsp);
	assert_int_equal(image_store_create(&store), 0);
	assert_int_equal(address_space_create(store, child.pid, &space), 0);
	assert_int_equal(address_space_read_proc(space, NULL), 0);
	assert_int_equal(unwinder_create(space, &unwinder), 0);
}

static void finish(void)
{
	unwinder_destroy(unwinder);
	address_space_destroy(space);
	image_store_destroy(store);
}

static struct unwind_result walk(uint64_t pcs[DEPTH_MAX])
{
	struct unwind_result result = {.pcs = pcs, .cap = DEPTH_MAX};
	const struct unwind_stack stack = {unwind_regs_sp(&child.regs), child.stack, child.n_stack,
					   false};
	unwinder_walk(unwinder, &child.regs, &stack, &result);
	return result;
}

/* The code at a pc is a return: c3, or c2 imm16, with any of the prefixes that compilers put. */
static bool is_return(const uint8_t *code)
{
	while (*code == 0xf3 || *code == 0xf2)
		code++;
	return *code == 0xc3 || *code == 0xc2;
}

/* e8 rel32, or ff /2; a REX prefix and others may be in front. */
static bool is_call(const uint8_t *code)
{
	while (*code == 0x3e || *code == 0xf2 || *code == 0x67 || (*code & 0xf0) == 0x40)
		code++;
	return code[0] == 0xe8 || (code[0] == 0xff && (code[1] >> 3 & 7) == 2);
}

static void push(uint64_t lookup, uint64_t slot)
{
	assert_true(child.n_shadow < DEPTH_MAX);
	child.shadow[child.n_shadow++] = (struct entry){.lookup = lookup, .slot = slot};
}

/* From the instruction that trapped to the first one of the handler. */
static void step_into_handler(uint64_t interrupted)
{
	assert_true(resume(PTRACE_SINGLESTEP));
	read_state();
	push(interrupted, unwind_regs_sp(&child.regs));
	child.shadow[child.n_shadow - 1].moves = true;
	push(top_of_stack(), unwind_regs_sp(&child.regs)); /* the trampoline: entered by "ret" */
}

/* jmp *operand: leaves any number of frames */
static bool is_indirect_jump(const uint8_t *code)
{
	while (*code == 0x3e || *code == 0xf2 || (*code & 0xf0) == 0x40)
		code++;
	return code[0] == 0xff && (code[1] >> 3 & 7) == 4;
}

static bool is_sigreturn(const uint8_t *code)
{
	return code[0] == 0x0f && code[1] == 0x05 && unwind_regs_result(&child.regs) == 15;
}

/* Keep the shadow stack up to date over one instruction. */
static void step_shadow(void)
{
	uint8_t code[8];
	const uint64_t old_pc = unwind_regs_pc(&child.regs), old_sp = unwind_regs_sp(&child.regs);
	read_child(old_pc, code, sizeof(code));
	const bool returns_from_signal = is_sigreturn(code);
	assert_true(resume(PTRACE_SINGLESTEP));
	read_state();
	if (child.signal) {
		step_into_handler(old_pc);
		return;
	}
	const uint64_t pc = unwind_regs_pc(&child.regs);
	const uint64_t top = top_of_stack();
	if (is_return(code)) {
		assert_true(child.n_shadow > 0);
		const uint64_t lookup = child.shadow[--child.n_shadow].lookup;
		assert_true(lookup == pc - 1 || lookup == pc);
	} else if (returns_from_signal) {
		assert_true(child.n_shadow > 0);
		child.n_shadow--; /* the handler goes on two bytes behind */
	} else if (is_indirect_jump(code)) {
		while (child.n_shadow > 0 &&
		       child.shadow[child.n_shadow - 1].slot < unwind_regs_sp(&child.regs))
			child.n_shadow--;
	} else if (is_call(code)) {
		assert_int_equal(unwind_regs_sp(&child.regs), old_sp - 8);
		assert_in_range(top, old_pc + 2, old_pc + CALL_BYTES_MAX);
		push(top - 1, unwind_regs_sp(&child.regs));
	}
}

/*
 * Where the binary's own information says something else than what is on the stack: by the
 * function, and the code from the instruction on. glibc's __longjmp describes the frame that it
 * goes to from where it has loaded it into registers; libunwind 1.6.2 does not take the stack
 * pointer from a register, and the walk ends as SP_BACKWARDS.
 */
#define LONGJMP_END "\x4c\x89\xc4\x4c\x89\xcd\xff\xe2"
static const struct {
	const char *function, *disassembly, *code;
} exceptions[] = {
	{"__longjmp", "mov (%rdi), %rbx", "\x48\x8b\x1f\x4c\x8b\x67\x10\x4c"},
	{"__longjmp", "mov 0x10(%rdi), %r12", "\x4c\x8b\x67\x10\x4c\x8b\x6f\x18"},
	{"__longjmp", "mov 0x18(%rdi), %r13", "\x4c\x8b\x6f\x18\x4c\x8b\x77\x20"},
	{"__longjmp", "mov 0x20(%rdi), %r14", "\x4c\x8b\x77\x20\x4c\x8b\x7f\x28"},
	{"__longjmp", "mov 0x28(%rdi), %r15", "\x4c\x8b\x7f\x28\x89\xf0"},
	{"__longjmp", "mov %esi, %eax", "\x89\xf0" LONGJMP_END},
	{"__longjmp", "mov %r8, %rsp", LONGJMP_END},
	{"__longjmp", "mov %r9, %rbp", "\x4c\x89\xcd\xff\xe2"},
	{"__longjmp", "jmp *%rdx", "\xff\xe2"},
};

/* Whatever the exception, the walk has to say that it did not reach the root. */
static bool is_exception(uint64_t pc, enum cp_stop stop)
{
	uint8_t code[16];
	read_child(pc, code, sizeof(code));
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++)
		if (memcmp(code, exceptions[i].code, strlen(exceptions[i].code)) == 0)
			return stop == CP_STOP_SP_BACKWARDS;
	return false;
}

static bool is_entry(const struct entry *entry, uint64_t lookup)
{
	return lookup == entry->lookup || (entry->moves && lookup == entry->lookup + 2);
}

static void check_walk(size_t step, bool with_bare)
{
	uint64_t pcs[DEPTH_MAX];
	const struct unwind_result result = walk(pcs);
	bool same = result.stop == CP_STOP_END && result.n == child.n_shadow + 1 &&
		    result.n_fp_frames <= (with_bare ? 1 : 0) &&
		    pcs[0] == unwind_regs_pc(&child.regs);
	for (size_t i = 0; same && i < child.n_shadow; i++)
		same = is_entry(&child.shadow[child.n_shadow - 1 - i], pcs[1 + i]);
	if (same || is_exception(unwind_regs_pc(&child.regs), result.stop))
		return;
	for (size_t i = 0; i < child.n_shadow || i + 1 < result.n; i++)
		print_error(
			"%llx, not %llx\n", i + 1 < result.n ? (unsigned long long)pcs[1 + i] : 0,
			i < child.n_shadow
				? (unsigned long long)child.shadow[child.n_shadow - 1 - i].lookup
				: 0);
	const struct mapping *m = address_space_find(space, unwind_regs_pc(&child.regs));
	fail_msg("step %zu at %s+0x%llx: %zu frames of %zu, stop %s", step, m ? m->path : "?",
		 (unsigned long long)(unwind_regs_pc(&child.regs) - (m ? m->bias : 0)), result.n,
		 child.n_shadow + 1, cp_stop_name(result.stop));
}

static void check_program(const char *path, enum unwind_engine engine, size_t n_steps_min,
			  bool with_bare)
{
	start(path);
	unwinder_set_engine(unwinder, engine);
	read_state();
	uint64_t pcs[DEPTH_MAX];
	const struct unwind_result first = walk(pcs);
	assert_int_equal(first.stop, CP_STOP_END);
	assert_true(first.n >= 4); /* main, two of libc's, _start */
	while (child.n_shadow + 1 < first.n) {
		push(pcs[first.n - 1 - child.n_shadow], UINT64_MAX); /* not left again */
	}
	size_t n_steps = 0;
	for (uint8_t code = 0; code != 0xcc; n_steps++) { /* the second int3 */
		step_shadow();
		check_walk(n_steps, with_bare);
		read_child(unwind_regs_pc(&child.regs), &code, 1);
	}
	assert_true(n_steps >= n_steps_min);
	assert_int_equal(child.n_shadow + 1, first.n);
	resume(PTRACE_CONT); /* the int3 itself */
	assert_false(resume(PTRACE_CONT));
	finish();
}

static void test_unwinder_steps__every_instruction_has_its_callers(void **state)
{
	(void)state;
	char names[] = STEPPED, *rest = names, path[4096];
	for (const char *name; (name = strtok_r(rest, " ", &rest));) {
		snprintf(path, sizeof(path), "%s/%s", FIXTURE_DIR, name);
		check_program(path, UNWIND_AUTO, 3000, false);
		check_program(path, UNWIND_LIBUNWIND, 3000, false);
	}
}

static void check_ways(char *names, bool with_bare)
{
	char path[4096];
	for (const char *name; (name = strtok_r(names, " ", &names));) {
		snprintf(path, sizeof(path), "%s/%s", FIXTURE_DIR, name);
		check_program(path, UNWIND_AUTO, 150, with_bare);
		check_program(path, UNWIND_LIBUNWIND, 150, with_bare);
	}
}

static void test_unwinder_steps__ways_that_are_no_call_and_no_return(void **state)
{
	(void)state;
	char names[] = WAYS;
	check_ways(names, false);
}

static void test_unwinder_steps__assembly_without_information_is_told_by_its_code(void **state)
{
	(void)state;
	char names[] = WAYS_BARE;
	check_ways(names, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unwinder_steps__every_instruction_has_its_callers),
		cmocka_unit_test(test_unwinder_steps__ways_that_are_no_call_and_no_return),
		cmocka_unit_test(
			test_unwinder_steps__assembly_without_information_is_told_by_its_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

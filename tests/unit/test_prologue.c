#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unwind/prologue.h"

#include <string.h>

static const uint64_t NONE = UINT64_MAX;

static uint64_t frame_of(const char *code, size_t n)
{
	uint64_t bytes = 0;
	return prologue_frame((const uint8_t *)code, n, &bytes) ? bytes : NONE;
}

#define FRAME_OF(text) frame_of(text, sizeof(text) - 1)

/* Expected numbers are counted by hand from what the instructions do. */
static void test_prologue__as_gcc_writes_it_without_optimising(void **state)
{
	(void)state;
	/* push %rbp; mov %rsp,%rbp; sub $0x20,%rsp; mov %edi,-0x14(%rbp) */
	assert_int_equal(FRAME_OF("\x55\x48\x89\xe5\x48\x83\xec\x20\x89\x7d\xec\xc3"), 0x20);
	/* endbr64; push %rbp; mov; push %rbx; sub $0x118,%rsp */
	assert_int_equal(
		FRAME_OF("\xf3\x0f\x1e\xfa\x55\x48\x89\xe5\x53\x48\x81\xec\x18\x01\x00\x00\xc3"),
		0x120);
	/* a leaf: push; mov; mov %edi,-4(%rbp) ... */
	assert_int_equal(FRAME_OF("\x55\x48\x89\xe5\x89\x7d\xfc\x8b\x45\xfc\x5d\xc3"), 0);
	/* add $-128,%rsp */
	assert_int_equal(FRAME_OF("\x55\x48\x89\xe5\x48\x83\xc4\x80\xc3\x90"), 128);
}

static void test_prologue__what_is_between_the_pushes_does_not_matter(void **state)
{
	(void)state;
	/* push rbp; mov; push r15; mov %rdi,%r15; push r14; lea 0x8(%rdi,%rsi,1),%rax; push rbx;
	 * xor %ebx,%ebx; movl $0x5,-0x2c(%rbp); sub $0x18,%rsp */
	assert_int_equal(FRAME_OF("\x55\x48\x89\xe5\x41\x57\x49\x89\xff\x41\x56"
				  "\x48\x8d\x44\x37\x08\x53\x31\xdb"
				  "\xc7\x45\xd4\x05\x00\x00\x00\x48\x83\xec\x18\xc3"),
			 3 * 8 + 0x18);
	/* push rbp; mov $1,%edx; mov %rsp,%rbp; sub $0x10,%rsp */
	assert_int_equal(FRAME_OF("\x55\xba\x01\x00\x00\x00\x48\x89\xe5\x48\x83\xec\x10\xc3"),
			 0x10);
	/* lea 0x0(,%rdi,8),%eax; push rbp; sub %edi,%eax; movslq %eax,%rdx; mov %rsp,%rbp;
	 * imul $0x4325c53f,%rdx,%rdx; sar $0x24,%rdx; push rbx; movzbl (%rdi),%eax; cltq;
	 * sub $0x8,%rsp */
	assert_int_equal(FRAME_OF("\x8d\x04\xfd\x00\x00\x00\x00\x55\x29\xf8\x48\x63\xd0"
				  "\x48\x89\xe5\x48\x69\xd2\x3f\xc5\x25\x43\x48\xc1\xfa\x24"
				  "\x53\x0f\xb6\x07\x48\x98\x48\x83\xec\x08\xc3"),
			 8 + 8);
	/* as clang: push rbp; mov; push rax (for the alignment); call */
	assert_int_equal(FRAME_OF("\x55\x48\x89\xe5\x50\xe8\x00\x00\x00\x00\xc3"), 8);
}

/* What is not understood ends the search: the least is still right. */
static void test_prologue__ends_at_what_is_not_plain(void **state)
{
	(void)state;
	/* push rbp; mov; push rbx; and $-32,%rsp; sub $0x40,%rsp */
	assert_int_equal(FRAME_OF("\x55\x48\x89\xe5\x53\x48\x83\xe4\xe0\x48\x83\xec\x40\xc3"), 8);
	/* push rbp; mov; push rbx; mov %rdi,%rsp; sub $0x40,%rsp */
	assert_int_equal(FRAME_OF("\x55\x48\x89\xe5\x53\x48\x89\xfc\x48\x83\xec\x40\xc3"), 8);
	/* push rbp; mov; je; sub */
	assert_int_equal(FRAME_OF("\x55\x48\x89\xe5\x74\x10\x48\x83\xec\x40\xc3"), 0);
	/* sub of what no frame is */
	assert_int_equal(FRAME_OF("\x55\x48\x89\xe5\x48\x81\xec\x00\x00\x00\x80\xc3"), 0);
}

static void test_prologue__without_a_frame_pointer_there_is_nothing_to_say(void **state)
{
	(void)state;
	assert_int_equal(FRAME_OF("\x53\x48\x83\xec\x20\xc3"), NONE);
	assert_int_equal(FRAME_OF("\x55\x53\x48\x83\xec\x20\xc3"), NONE);
	/* push rbp; mov $0x48,%ebp: a register like others */
	assert_int_equal(FRAME_OF("\x55\xbd\x48\x00\x00\x00\x48\x89\xe5\xc3"), NONE);
	assert_int_equal(FRAME_OF(""), NONE);
}

/* Cut anywhere, nothing beyond is read (the sanitizer looks), and no more is found. */
static void test_prologue__truncated_at_every_byte(void **state)
{
	(void)state;
	static const char whole[] = "\xf3\x0f\x1e\xfa\x55\x48\x89\xe5\x41\x57\x48\x8d\x44\x37\x08"
				    "\xc7\x45\xd4\x05\x00\x00\x00\x48\x81\xec\x18\x01\x00\x00\xc3";
	const size_t n = sizeof(whole) - 1;
	for (size_t i = 0; i < n; i++) {
		char cut[sizeof(whole)];
		memcpy(cut + sizeof(cut) - i, whole, i);
		const uint64_t frame = frame_of(cut + sizeof(cut) - i, i);
		assert_true(frame == NONE || frame <= 8 + 0x118);
	}
	assert_int_equal(frame_of(whole, n), 8 + 0x118);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prologue__as_gcc_writes_it_without_optimising),
		cmocka_unit_test(test_prologue__what_is_between_the_pushes_does_not_matter),
		cmocka_unit_test(test_prologue__ends_at_what_is_not_plain),
		cmocka_unit_test(test_prologue__without_a_frame_pointer_there_is_nothing_to_say),
		cmocka_unit_test(test_prologue__truncated_at_every_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

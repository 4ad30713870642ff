/*
 * Go's ways to another stack, as its assembler writes them; "_ra" is where the call returns to, and
 * NAME_N an instruction that can be interrupted. With -DGO, Go's linker has made it.
 */
#ifdef GO
	.section .note.go.buildid, "a", @note
	.p2align 2
	.long 4, 4, 4
	.asciz "Go\0"
	.long 0
#endif

	.text
	.macro label name
	.globl \name
\name:
	.endm

	/* behind them, code like that of C, with no switch within reach */
	.macro plain name
	.fill 64, 1, 0x90
	mov %rdi, %rdx
	mov 0x38(%rsi), %rsi
	mov %rbx, %rbp
	call *%rdi
	label \name
	ret
	.p2align 6
	.endm

	plain plain_first_ra
.Lplain:
.Ldata:
	ret

	/* Go 1.5 to 1.19 */
	mov 0x38(%rdx), %rbx
	label systemstack_0
	mov %rbx, %rsp
	label systemstack_1
	mov %rdi, %rdx
	mov (%rdi), %rdi
	label systemstack_2
	call *%rdi
	label systemstack_ra
	mov %fs:0xfffffffffffffff8, %rax
	mov 0x30(%rax), %rbx
	label systemstack_3
	mov 0xc0(%rbx), %rax
	ret
	plain plain_systemstack_ra

	/* Go 1.20 */
	mov 0x38(%rdx), %rsp
	mov %rdi, %rdx
	mov (%rdi), %rdi
	call *%rdi
	label systemstack_120_ra
	ret
	plain plain_systemstack_120_ra

	/* Go 1.17 */
	label mcall_0
	mov 0x38(%r14), %rsp
	label mcall_1
	push %rax
	mov (%rdx), %r12
	call *%r12
	label mcall_ra
	pop %rax
	ret
	plain plain_mcall_ra

	/* Go 1.21 */
	mov 0x38(%r14), %rsp
	mov $0, %ebp
	push %rax
	mov (%rdx), %r12
	call *%r12
	label mcall_121_ra
	pop %rax
	ret
	plain plain_mcall_121_ra

	mov 0x38(%rbx), %rsp
	call .Lplain
	label morestack_ra
	ret
	plain plain_morestack_ra

	mov 0x38(%rsi), %rsp
	sub $0x40, %rsp
	and $-16, %rsp
	mov %rdi, 0x30(%rsp)
	mov 0x8(%rdi), %rdi
	sub %rdx, %rdi
	mov %rdi, 0x28(%rsp)
	mov %rbx, %rdi
	mov %rbx, %rcx
	call *%rax
	label asmcgocall_ra
	ret
	plain plain_asmcgocall_ra

	/* on g0 already, it stays there */
	cmp 0xc0(%rbx), %r14
	jne 1f
	mov (%rbx), %rdx
	label nanotime_0
	mov 0x38(%rdx), %rsp
1:
	sub $0x10, %rsp
	and $-16, %rsp
	mov $1, %edi
	lea (%rsp), %rsi
	mov .Ldata(%rip), %rax
	cmp $0, %rax
	je 2f
	call *%rax
	label nanotime_ra
2:
	mov (%rsp), %rax
	ret
	plain plain_nanotime_ra

	.section .note.GNU-stack, "", @progbits

/* A library of 20,000 functions, each of four rules: too many to compile all at once. */
	.text
.Lfirst:
	.rept 20000
	.cfi_startproc
	push %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset 6, -16
	mov %rsp, %rbp
	.cfi_def_cfa_register 6
	pop %rbp
	.cfi_def_cfa 7, 8
	ret
	.cfi_endproc
	.p2align 4
	.endr
/* One that calls another one which has information, and behind it code that has none. */
	.globl calls
	.type calls, @function
	.cfi_startproc
calls:
	call .Lfirst
	.globl called
called:
	ret
	.cfi_endproc
	.p2align 4, 0x90
	.globl silent
silent:
	.fill 32, 1, 0x90
	.section .note.GNU-stack, "", @progbits

/*
 * Assembly with and without unwind information. Each calls or is the place where time goes; the
 * entries are reached by direct calls and by pointers.
 */
	.text

/* Spin for %edi turns. */
	.macro spin
	mov %edi, %eax
1:	imul $3, %ecx, %ecx
	dec %eax
	jnz 1b
	.endm

	.macro function name
	.p2align 4
	.globl \name
	.type \name, @function
\name:
	.endm

/* with information */
	function asm_cfi
	.cfi_startproc
	push %rbx
	.cfi_def_cfa_offset 16
	.cfi_offset rbx, -16
	sub $512, %rsp
	.cfi_adjust_cfa_offset 512
	spin
	add $512, %rsp
	.cfi_adjust_cfa_offset -512
	pop %rbx
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc

/* none, and no frame: the return address is on top */
	function asm_leaf
	spin
	ret

/* none, but a frame pointer */
	function asm_frame
	push %rbp
	mov %rsp, %rbp
	push %rbx
	sub $40, %rsp
	spin
	add $40, %rsp
	pop %rbx
	pop %rbp
	ret

/* none, and jumps on to one without a frame */
	function asm_tail
	cmp $0, %edi
	jmp asm_leaf

/* none, and a frame that is only to be known by its code */
	function asm_pushes
	push %rbx
	push %r12
	spin
	pop %r12
	pop %rbx
	ret

/* with information, and a tail call to a function of C */
	function asm_jumps
	.cfi_startproc
	jmp kind_leaf
	.cfi_endproc

	.section .note.GNU-stack, "", @progbits

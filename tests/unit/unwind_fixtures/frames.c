#include "frames.h"

/* A global function of the given lines. */
#define FUNCTION(name, body)                                                                       \
	__asm__(".text\n.p2align 4\n.globl " #name "\n.type " #name ", @function\n" #name          \
		":\n" body "\n.size " #name ", . - " #name "\n")

FUNCTION(frames_plain, ".cfi_startproc\n"
		       "push %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset rbx, -16\n"
		       "xor %ebx, %ebx\n"
		       "call *%rdi\n"
		       ".globl frames_plain_ra\nframes_plain_ra:\n"
		       "pop %rbx\n.cfi_def_cfa_offset 8\n"
		       "ret\n.cfi_endproc");

FUNCTION(frames_huge, ".cfi_startproc\n"
		      "sub $65544, %rsp\n.cfi_def_cfa_offset 65552\n"
		      "call *%rdi\n"
		      "add $65544, %rsp\n.cfi_def_cfa_offset 8\n"
		      "ret\n.cfi_endproc");

/* DW_CFA_def_cfa_expression, 2 bytes: DW_OP_breg7 16 */
FUNCTION(frames_expression, ".cfi_startproc\n"
			    "sub $8, %rsp\n.cfi_escape 0x0f, 2, 0x77, 16\n"
			    "call *%rdi\n"
			    "add $8, %rsp\n.cfi_def_cfa rsp, 8\n"
			    "ret\n.cfi_endproc");

/* As gcc realigns: the CFA is kept in memory, DW_OP_breg6 -8, DW_OP_deref. */
FUNCTION(frames_deref, ".cfi_startproc\n"
		       "lea 8(%rsp), %r10\n.cfi_def_cfa r10, 0\n"
		       "and $-64, %rsp\n"
		       "push -8(%r10)\n"
		       "push %rbp\n"
		       "mov %rsp, %rbp\n.cfi_escape 0x10, 6, 2, 0x76, 0\n"
		       "push %r10\n.cfi_escape 0x0f, 3, 0x76, 0x78, 0x06\n"
		       "sub $40, %rsp\n"
		       "call *%rdi\n"
		       ".globl frames_deref_ra\nframes_deref_ra:\n"
		       "add $40, %rsp\n"
		       "pop %r10\n.cfi_def_cfa r10, 0\n"
		       "pop %rbp\n"
		       "lea -8(%r10), %rsp\n.cfi_def_cfa rsp, 8\n"
		       "ret\n.cfi_endproc");

FUNCTION(frames_rbp_undefined, ".cfi_startproc\n"
			       "push %rbp\n.cfi_def_cfa_offset 16\n.cfi_undefined rbp\n"
			       "call *%rdi\n"
			       "pop %rbp\n.cfi_def_cfa_offset 8\n.cfi_same_value rbp\n"
			       "ret\n.cfi_endproc");

FUNCTION(frames_popped, ".cfi_startproc\n"
			"push %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset rbp, -16\n"
			"pop %rbp\n.cfi_def_cfa_offset 8\n"
			".globl frames_popped_ret\nframes_popped_ret:\n"
			"ret\n.cfi_endproc");

FUNCTION(frames_bare, "push %rbp\n"
		      "mov %rsp, %rbp\n"
		      "sub $32, %rsp\n"
		      "call *%rdi\n"
		      ".globl frames_bare_ra\nframes_bare_ra:\n"
		      "leave\n"
		      "ret");

FUNCTION(frames_bare_no_fp, "push %rbp\n"
			    "xor %ebp, %ebp\n"
			    "call *%rdi\n"
			    ".globl frames_bare_no_fp_ra\nframes_bare_no_fp_ra:\n"
			    "pop %rbp\n"
			    "ret");

FUNCTION(frames_stuck, ".cfi_startproc\n"
		       "sub $8, %rsp\n.cfi_def_cfa_offset 0\n.cfi_offset rip, 8\n"
		       "call *%rdi\n"
		       "add $8, %rsp\n"
		       "ret\n.cfi_endproc");

/* DW_OP_breg7 16, DW_OP_lit1, DW_OP_div */
FUNCTION(frames_division, ".cfi_startproc\n"
			  "sub $8, %rsp\n.cfi_escape 0x0f, 4, 0x77, 16, 0x31, 0x1b\n"
			  "call *%rdi\n"
			  "add $8, %rsp\n"
			  "ret\n.cfi_endproc");

/* DW_OP_breg7 16, DW_OP_skip -3 */
FUNCTION(frames_jump, ".cfi_startproc\n"
		      "sub $8, %rsp\n.cfi_escape 0x0f, 5, 0x77, 16, 0x2f, 0xfd, 0xff\n"
		      "call *%rdi\n"
		      "add $8, %rsp\n"
		      "ret\n.cfi_endproc");

/* DW_CFA_def_cfa r60, 16 */
FUNCTION(frames_bad_register, ".cfi_startproc\n"
			      "sub $8, %rsp\n.cfi_escape 0x0c, 60, 16\n"
			      "call *%rdi\n"
			      "add $8, %rsp\n"
			      "ret\n.cfi_endproc");

/* Directly behind a function whose frame is another one: pc - 1 would be in that. */
FUNCTION(frames_before_trap, ".cfi_startproc\n"
			     "sub $4088, %rsp\n.cfi_def_cfa_offset 4096\n"
			     ".p2align 4, 0x90\n"
			     ".cfi_endproc");
FUNCTION(frames_trap, ".cfi_startproc\n"
		      ".globl frames_trap_pc\nframes_trap_pc:\n"
		      "ud2\n"
		      "ret\n"
		      ".globl frames_trap_end\nframes_trap_end:\n"
		      ".cfi_endproc");

/* cfi_internal.h - what the reader of CFI sections and the interpreter of their programs share. */
#ifndef CPROF_UNWIND_ROWS_CFI_INTERNAL_H
#define CPROF_UNWIND_ROWS_CFI_INTERNAL_H

#include "cfi_rows.h"

/*
 * Offsets from rsp at the first instruction of the restorer, where rsp points at the ucontext: the
 * kernel's rt_sigframe after its return address was popped (arch/x86/include/asm/sigframe.h);
 * uc_flags, uc_link and uc_stack are 40 bytes, gregs follow in the order of <sys/ucontext.h>.
 */
enum { CFI_UCONTEXT_RBP = 120, CFI_UCONTEXT_RSP = 160, CFI_UCONTEXT_RIP = 168 };

/* A position in untrusted bytes; reading past the end sets @bad and gives 0. */
struct cfi_cursor {
	const uint8_t *at, *end;
	bool bad;
};

static inline uint64_t cfi_read(struct cfi_cursor *c, unsigned size)
{
	if ((size_t)(c->end - c->at) < size) {
		c->bad = true;
		c->at = c->end;
		return 0;
	}
	uint64_t value = 0;
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)c->at[i] << (8 * i);
	c->at += size;
	return value;
}

static inline uint8_t cfi_read_byte(struct cfi_cursor *c)
{
	if (c->at < c->end)
		return *c->at++;
	c->bad = true;
	return 0;
}

static inline uint64_t cfi_read_uleb(struct cfi_cursor *c)
{
	uint64_t value = 0;
	for (unsigned shift = 0;; shift += 7) {
		uint8_t byte = cfi_read_byte(c);
		if (shift < 64)
			value |= (uint64_t)(byte & 127) << shift;
		if (!(byte & 128) || c->bad)
			return value;
	}
}

static inline int64_t cfi_read_sleb(struct cfi_cursor *c)
{
	uint64_t value = 0;
	for (unsigned shift = 0;;) {
		uint8_t byte = cfi_read_byte(c);
		if (shift < 64)
			value |= (uint64_t)(byte & 127) << shift;
		shift += 7;
		if (!(byte & 128) || c->bad) {
			if (shift < 64 && (byte & 64))
				value |= ~0ULL << shift;
			return (int64_t)value;
		}
	}
}

/** Take @n bytes as a cursor of their own. */
static inline struct cfi_cursor cfi_take(struct cfi_cursor *c, uint64_t n)
{
	if ((uint64_t)(c->end - c->at) < n) {
		c->bad = true;
		n = (uint64_t)(c->end - c->at);
	}
	struct cfi_cursor taken = {c->at, c->at + n, false};
	c->at += n;
	return taken;
}

struct cfi_cie {
	uint64_t code_align;
	int64_t data_align;
	uint8_t fde_encoding;
	bool has_augmentation_length, signal;
	struct cfi_cursor instructions;
};

/** Add a row for code from @svma on, unless it repeats the last row of the span. */
enum cfi_status cfi_emit(struct cfi_build *build, const struct cfi_span *span, uint64_t svma,
			 cfi_rule rule);

/** Run a FDE's program over [span->start, span->end), emitting rows. @bad: the program is broken.
 */
enum cfi_status cfi_run(struct cfi_build *build, const struct cfi_section *section,
			const struct cfi_cie *cie, struct cfi_cursor instructions,
			const struct cfi_span *span, bool *bad);

/** Read a pointer in a DW_EH_PE_* encoding. */
uint64_t cfi_read_encoded(struct cfi_cursor *c, const struct cfi_section *section,
			  uint8_t encoding);

#endif

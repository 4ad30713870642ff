/*
 * cfi_rows.h - call frame information compiled to a sorted array of 8-byte rows, and one step.
 *
 * DWARF CFI is a program per function that is interpreted for every frame of every sample. Here
 * each program is run once, and what it says for a range of pcs on x86-64 is kept in 32 bits: where
 * the CFA is and where the caller's rbp is (the return address is always at CFA - 8). What does not
 * fit is CFI_UNSUPPORTED, and the walk's owner evaluates the original CFI for that frame.
 *
 * Freestanding: no allocation, no libc, no I/O, so that the heap shim can link it into any process.
 *
 * Depends on: nothing. Threads: tables are immutable once compiled.
 */
#ifndef CPROF_UNWIND_ROWS_CFI_ROWS_H
#define CPROF_UNWIND_ROWS_CFI_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cfi_kind {
	CFI_NONE,        /* no FDE covers the pc */
	CFI_RSP,         /* CFA = rsp + offset */
	CFI_RBP,         /* CFA = rbp + offset */
	CFI_PLT,         /* CFA = rsp + 8 + ((rip & 15) >= offset ? 8 : 0): a lazy PLT entry */
	CFI_DEREF_RBP,   /* CFA = *(rbp + offset) + add: a realigned stack */
	CFI_DEREF_RSP,   /* CFA = *(rsp + offset) + add */
	CFI_END,         /* the return address is undefined: the thread's root */
	CFI_SIGNAL,      /* the C library's trampoline: registers are in the ucontext at rsp */
	CFI_UNSUPPORTED, /* CFI that does not fit in a row */
};

/* Where the caller's rbp is: 0 = unchanged, k = at CFA - 8 * k, CFI_RBP_AT_RBP = at *rbp. */
enum { CFI_RBP_SAME = 0, CFI_RBP_MAX = 254, CFI_RBP_AT_RBP = 255 };

/* A rule in 32 bits: kind in bits 0-3, rbp in bits 4-11, offsets in bits 12-31. */
typedef uint32_t cfi_rule;

struct cfi_row {
	uint32_t pc; /* svma - base of the first byte it holds for; up to the next row's */
	cfi_rule rule;
};

struct cfi_table {
	uint64_t base_svma;
	const struct cfi_row *rows; /* by pc, ascending, distinct */
	size_t n;
	/**
	 * When set, of a table that is compiled piece by piece: gives the one, which has rows,
	 * that is about an address; NULL: none is.
	 */
	const struct cfi_table *(*piece_of)(void *ctx, uint64_t svma);
	void *ctx;
};

/** The rule at an svma; the rule of CFI_NONE (0) before the first row. */
cfi_rule cfi_table_find(const struct cfi_table *table, uint64_t svma);

/**
 * Where the range begins in which the rule at an svma holds.
 *
 * Return: false before the first row.
 */
bool cfi_table_range_start(const struct cfi_table *table, uint64_t svma, uint64_t *out);

static inline enum cfi_kind cfi_rule_kind(cfi_rule rule)
{
	return (enum cfi_kind)(rule & 15);
}

static inline unsigned cfi_rule_rbp(cfi_rule rule)
{
	return rule >> 4 & 255;
}

/** The same rule, but for the caller's rbp, which is what rbp is now. */
static inline cfi_rule cfi_rule_rbp_kept(cfi_rule rule)
{
	return rule & ~(cfi_rule)(255 << 4);
}

/** Bytes; of CFI_RSP, CFI_RBP: a multiple of 8; of CFI_PLT: the limit. */
static inline int64_t cfi_rule_offset(cfi_rule rule)
{
	int64_t field = (int32_t)rule >> 12;
	return cfi_rule_kind(rule) == CFI_PLT ? field : field * 8;
}

/** Of the two CFI_DEREF kinds: what is added to the address before, and to the word after. */
static inline int64_t cfi_rule_deref_offset(cfi_rule rule)
{
	return (int64_t)((int32_t)rule >> 20) * 8;
}

static inline int64_t cfi_rule_deref_add(cfi_rule rule)
{
	return (int64_t)(rule >> 12 & 255) * 8;
}

/* The section to compile. */
struct cfi_section {
	const uint8_t *bytes;
	size_t n;
	uint64_t svma;      /* of bytes[0] */
	bool debug_frame;   /* .debug_frame, else .eh_frame */
	uint64_t text_svma; /* for DW_EH_PE_textrel, 0 = none */
	uint64_t data_svma; /* for DW_EH_PE_datarel, 0 = none */
};

struct cfi_span {            /* one FDE */
	uint64_t start, end; /* svma */
	uint32_t first_row, n_rows;
};

struct cfi_counts {
	size_t fdes;        /* compiled */
	size_t bad;         /* entries that could not be read: skipped */
	size_t unsupported; /* rows that could not express their rule */
};

enum cfi_status { CFI_OK, CFI_NO_MEMORY };

/* One FDE as it is written: programs of call frame instructions, and what they are relative to. */
struct cfi_fde {
	uint64_t start, end; /* svma of the code */
	uint64_t code_align;
	int64_t data_align;
	bool signal;
	const uint8_t *cie_bytes, *bytes; /* the CIE's program and its own; borrowed */
	size_t n_cie_bytes, n_bytes;
};

/*
 * Scratch and result, in memory that @resize gives. All zero but for @resize and @ctx at the
 * start; several sections may be compiled into one, then cfi_build_finish() once.
 */
struct cfi_build {
	/** Like realloc(); NULL = out of memory, the old block stays. */
	void *(*resize)(void *ctx, void *block, size_t old_bytes, size_t new_bytes);
	/** When set: called for each FDE instead of running its program. */
	enum cfi_status (*visit)(void *ctx, const struct cfi_fde *fde);
	void *ctx;
	struct cfi_row *rows;
	size_t n_rows, cap_rows;
	struct cfi_span *spans;
	size_t n_spans, cap_spans;
	struct cfi_counts counts;
	/*
	 * Bytes of CFI programs that may still be run, or NULL: a few times the section's size for
	 * each call. For sections that are compiled piece by piece.
	 */
	uint64_t *bytes_left;
};

/**
 * Run the CFI programs of a section.
 *
 * Damaged entries are skipped and counted; the section may be hostile: time and memory follow its
 * size, and what goes on beyond that is counted as bad.
 * Return: CFI_OK or CFI_NO_MEMORY (the build may only be released).
 */
enum cfi_status cfi_build_section(struct cfi_build *build, const struct cfi_section *section);

/** The FDEs of a section, by their headers alone. */
size_t cfi_count_fdes(const struct cfi_section *section);

/** How many bytes of programs may be run for a section in all. */
uint64_t cfi_bytes_allowed(const struct cfi_section *section);

/**
 * The same for the FDEs that a PT_GNU_EH_FRAME search table lists. For files whose section headers
 * are gone: where .eh_frame ends is then unknown, and @section may reach beyond it.
 *
 * @table:    @n pairs of int32 relative to @hdr_svma: first pc, FDE
 */
enum cfi_status cfi_build_search_table(struct cfi_build *build, const struct cfi_section *section,
				       const uint8_t *table, size_t n, uint64_t hdr_svma);

/**
 * Sort, cut overlaps, add gap rows and drop rows that repeat the one before.
 *
 * @base_svma: FDEs below it or 4 GiB above are dropped and counted as bad
 * @out:	rows given by @build->resize, to be released by the caller with @n_bytes as its
 *		size; the build's own arrays are the caller's to release as well
 */
enum cfi_status cfi_build_finish(struct cfi_build *build, uint64_t base_svma, struct cfi_table *out,
				 size_t *n_bytes);

/**
 * One table of two: the rows of @first, and where it says nothing (CFI_NONE), those of @second.
 *
 * @first, @second: with the same base
 * @out: as of cfi_build_finish(); @first and @second stay as they are
 */
enum cfi_status cfi_table_merge(struct cfi_build *build, const struct cfi_table *first,
				const struct cfi_table *second, struct cfi_table *out,
				size_t *n_bytes);

/** Bytes of code that the table has rules for. */
uint64_t cfi_table_covered_bytes(const struct cfi_table *table);

/** Release a build's arrays. */
void cfi_build_release(struct cfi_build *build);

#endif

#include "plain_libunwind.h"

#include <errno.h>
#include <libunwind.h>
#include <stdlib.h>
#include <string.h>

/* Exported by libunwind-x86_64.so for debuggers, declared in no installed header. */
int _Ux86_64_dwarf_search_unwind_table(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di,
				       unw_proc_info_t *pi, int need_unwind_info, void *arg);

enum { WORD = sizeof(unw_word_t), CACHE_ENTRIES = 1 << 14 };

struct plain_libunwind {
	struct address_space *space;
	unw_addr_space_t as;
	const struct unwind_regs *regs;
	const struct unwind_stack *stack;
	const struct mapping *parsed; /* the mapping whose tables are being read */
};

/* libunwind reads a table by the aligned words around its bytes. */
static bool read_tables(const struct mapping *mapping, uint64_t avma, unw_word_t *out)
{
	if (!mapping || !mapping->image)
		return false;
	uint8_t *word = (uint8_t *)out;
	bool any = false;
	*out = 0;
	for (unsigned i = 0; i < WORD; i++) {
		const uint8_t *byte = elf_image_bytes(mapping->image, avma + i - mapping->bias, 1);
		if (byte) {
			word[i] = *byte;
			any = true;
		}
	}
	return any;
}

static int access_mem(unw_addr_space_t as, unw_word_t avma, unw_word_t *value, int write, void *arg)
{
	const struct plain_libunwind *p = arg;
	(void)as;
	const uint64_t off = avma - p->stack->sp;
	if (write)
		return -UNW_EREADONLYREG;
	if (avma >= p->stack->sp && off < p->stack->n_bytes && p->stack->n_bytes - off >= WORD) {
		memcpy(value, p->stack->bytes + off, WORD);
		return 0;
	}
	const uint8_t *bytes =
		p->parsed && p->parsed->image
			? elf_image_bytes(p->parsed->image, avma - p->parsed->bias, WORD)
			: NULL;
	if (bytes) {
		memcpy(value, bytes, WORD);
		return 0;
	}
	return read_tables(p->parsed, avma, value) ? 0 : -UNW_EINVAL;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *value, int write,
		      void *arg)
{
	const struct plain_libunwind *p = arg;
	(void)as;
	if (write || reg < 0 || reg >= UNWIND_REGS_MAX)
		return -UNW_EBADREG;
	*value = p->regs->r[reg];
	return 0;
}

static int find_proc_info(unw_addr_space_t as, unw_word_t avma, unw_proc_info_t *info, int need,
			  void *arg)
{
	struct plain_libunwind *p = arg;
	struct elf_eh_frame_hdr hdr;
	p->parsed = address_space_find(p->space, avma);
	if (!p->parsed || !p->parsed->image || !elf_image_eh_frame_hdr(p->parsed->image, &hdr))
		return -UNW_ENOINFO;
	unw_dyn_info_t table = {
		.start_ip = p->parsed->avma_start,
		.end_ip = p->parsed->avma_end,
		.format = UNW_INFO_FORMAT_REMOTE_TABLE,
		.u.rti = {.segbase = hdr.svma + p->parsed->bias,
			  .table_len = hdr.n_entries * 8 / WORD,
			  .table_data = hdr.table_svma + p->parsed->bias},
	};
	return _Ux86_64_dwarf_search_unwind_table(as, avma, &table, info, need, arg);
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *info, void *arg)
{
	(void)as;
	(void)info;
	(void)arg;
}

static int no_dyn_info_list(unw_addr_space_t as, unw_word_t *list, void *arg)
{
	(void)as;
	(void)list;
	(void)arg;
	return -UNW_ENOINFO;
}

int plain_libunwind_create(struct address_space *space, struct plain_libunwind **out)
{
	static unw_accessors_t accessors = {
		.find_proc_info = find_proc_info,
		.put_unwind_info = put_unwind_info,
		.get_dyn_info_list_addr = no_dyn_info_list,
		.access_mem = access_mem,
		.access_reg = access_reg,
	};
	struct plain_libunwind *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->space = space;
	p->as = unw_create_addr_space(&accessors, 0);
	if (!p->as || unw_set_caching_policy(p->as, UNW_CACHE_GLOBAL) != 0 ||
	    unw_set_cache_size(p->as, CACHE_ENTRIES, 0) != 0) {
		plain_libunwind_destroy(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

void plain_libunwind_destroy(struct plain_libunwind *p)
{
	if (!p)
		return;
	if (p->as)
		unw_destroy_addr_space(p->as);
	free(p);
}

size_t plain_libunwind_walk(struct plain_libunwind *p, const struct unwind_regs *regs,
			    const struct unwind_stack *stack, uint64_t *pcs, size_t cap)
{
	unw_cursor_t cursor;
	p->regs = regs;
	p->stack = stack;
	p->parsed = NULL;
	size_t n = 0;
	if (unw_init_remote(&cursor, p->as, p) != 0)
		return 0;
	do {
		unw_word_t pc = 0;
		unw_get_reg(&cursor, UNW_REG_IP, &pc);
		pcs[n++] = pc;
	} while (n < cap && unw_step(&cursor) > 0);
	return n;
}

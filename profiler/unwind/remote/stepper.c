#include "stepper.h"

#include "eh_frame.h"
#include "rule_cache.h"

#include <errno.h>
#include <libunwind.h>
#include <stdlib.h>
#include <string.h>

/* Exported by libunwind-x86_64.so for debuggers, declared in no installed header. */
int _Ux86_64_dwarf_search_unwind_table(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di,
				       unw_proc_info_t *pi, int need_unwind_info, void *arg);

enum {
	WORD = sizeof(unw_word_t),
	RED_ZONE_BYTES = 128, /* psABI 3.2.2 */
	RED_ZONE_WORDS = RED_ZONE_BYTES / WORD,
	/* rule numbers of addresses without a rule */
	RULE_ID_NO_MAP = RULE_ID_FIRST_SPECIAL,
	RULE_ID_NO_CFI,
	RULE_ID_UNSUPPORTED,
};

/* The registers that a function gives back to its caller, in libunwind's numbers. */
static const int callee_saved[] = {UNW_X86_64_RBX, UNW_X86_64_RBP, UNW_X86_64_R12,
				   UNW_X86_64_R13, UNW_X86_64_R14, UNW_X86_64_R15};

/* libunwind numbers the registers as DWARF does; unwind_regs does, too. */
_Static_assert(UNW_X86_64_RAX == 0 && UNW_X86_64_RBP == 6 && UNW_X86_64_RSP == 7 &&
		       UNW_X86_64_R15 == 15 && UNW_X86_64_RIP == 16,
	       "register numbers");

/* What one look-up of a rule is about; libunwind's callbacks read it. */
struct query {
	bool active;
	uint64_t avma;
	const struct elf_image *image;
	uint64_t bias;
	struct eh_frame_entry entry;
	struct eh_frame_fde fde;
	bool failed; /* to keep a rule */
};

struct stepper {
	struct address_space *space; /* borrowed */
	uint64_t generation;         /* of the space that the cache is about */
	unw_addr_space_t as;
	unw_cursor_t cursor;
	struct unwind_regs regs; /* of the frame that the walk was started at */
	uint32_t known;
	struct unwind_stack stack;
	uint64_t lookup_avma; /* of the frame whose rule is applied */
	bool faulted;
	uint64_t fault_avma;
	/* See fill_red_zone(). */
	uint64_t red_zone[RED_ZONE_WORDS];
	uint32_t red_zone_known;
	struct query query;
	struct rule_cache cache;
};

/* Bytes of an image as a word. libunwind reads bytes by the aligned word around them, which can
 * stick out of the tables: what is outside reads as zero and is not used. */
static bool read_image(const struct elf_image *image, uint64_t svma, unw_word_t *out)
{
	const uint8_t *bytes = elf_image_bytes(image, svma, WORD);
	if (bytes) {
		memcpy(out, bytes, WORD);
		return true;
	}
	uint8_t word[WORD] = {0};
	bool any = false;
	for (unsigned i = 0; i < WORD; i++) {
		bytes = elf_image_bytes(image, svma + i, 1);
		if (bytes) {
			word[i] = *bytes;
			any = true;
		}
	}
	if (any)
		memcpy(out, word, WORD);
	return any;
}

/* Memory while a rule is parsed: only tables, which eh_frame_find() has checked. The one thing
 * outside is where an indirect pointer to the personality leads, whose value nobody uses. */
static int access_tables(const struct stepper *s, unw_word_t avma, unw_word_t *value)
{
	if (!read_image(s->query.image, avma - s->query.bias, value))
		*value = 0;
	return 0;
}

static int access_mem(unw_addr_space_t as, unw_word_t avma, unw_word_t *value, int write, void *arg)
{
	(void)as;
	struct stepper *s = arg;
	if (write)
		return -UNW_EREADONLYREG;
	if (s->query.active)
		return access_tables(s, avma, value);
	const uint64_t off = avma - s->stack.sp;
	if (avma >= s->stack.sp && off < s->stack.n_bytes && s->stack.n_bytes - off >= WORD) {
		memcpy(value, s->stack.bytes + off, WORD);
		return 0;
	}
	if (s->stack.sp - avma <= RED_ZONE_BYTES) {
		/* avma == sp: the first word of a dump that does not hold it */
		const unsigned word = (unsigned)(s->stack.sp - avma - 1) / WORD;
		if (avma != s->stack.sp && avma % WORD == s->stack.sp % WORD &&
		    s->red_zone_known >> word & 1) {
			*value = s->red_zone[word];
			return 0;
		}
	} else { /* the expression of a rule, which lies in the tables */
		const struct mapping *mapping = address_space_find(s->space, s->lookup_avma);
		if (mapping && mapping->image &&
		    read_image(mapping->image, avma - mapping->bias, value))
			return 0;
	}
	s->faulted = true;
	s->fault_avma = avma;
	return -UNW_EINVAL;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *value, int write,
		      void *arg)
{
	(void)as;
	const struct stepper *s = arg;
	if (write || reg < 0 || reg >= UNWIND_REGS_MAX)
		return -UNW_EBADREG;
	if (s->query.active) {
		*value = reg == UNW_X86_64_RIP ? s->query.avma : 0;
		return 0;
	}
	if (!(s->known >> reg & 1))
		return -UNW_EBADREG;
	*value = s->regs.r[reg];
	return 0;
}

/* Give libunwind a table of one entry: the one that eh_frame_find() found. */
static int find_proc_info(unw_addr_space_t as, unw_word_t avma, unw_proc_info_t *info, int need,
			  void *arg)
{
	struct stepper *s = arg;
	const struct query *q = &s->query;
	if (!q->active || avma != q->avma)
		return -UNW_ENOINFO;
	unw_dyn_info_t table = {
		.start_ip = q->fde.svma_start + q->bias,
		.end_ip = q->fde.svma_end + q->bias,
		.format = UNW_INFO_FORMAT_REMOTE_TABLE,
		.u.rti =
			{
				.segbase = q->entry.hdr_svma + q->bias,
				.table_len = 1, /* in words */
				.table_data = q->entry.svma + q->bias,
			},
	};
	return _Ux86_64_dwarf_search_unwind_table(as, avma, &table, info, need, arg);
}

/* libunwind frees what it made itself. */
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

int stepper_create(struct address_space *space, struct stepper **out)
{
	static unw_accessors_t accessors = {
		.find_proc_info = find_proc_info,
		.put_unwind_info = put_unwind_info,
		.get_dyn_info_list_addr = no_dyn_info_list,
		.access_mem = access_mem,
		.access_reg = access_reg,
	};
	struct stepper *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->space = space;
	s->generation = address_space_generation(space);
	s->as = unw_create_addr_space(&accessors, 0);
	if (rule_cache_init(&s->cache) != 0 || !s->as) {
		stepper_destroy(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void stepper_destroy(struct stepper *s)
{
	if (!s)
		return;
	if (s->as)
		unw_destroy_addr_space(s->as);
	rule_cache_deinit(&s->cache);
	free(s);
}

void stepper_sync(struct stepper *s)
{
	const uint64_t generation = address_space_generation(s->space);
	if (s->generation == generation)
		return;
	rule_cache_clear(&s->cache);
	s->generation = generation;
}

/* libunwind reports the rules of a function one after the other. All are let pass also when one
 * could not be kept, because libunwind leaks its remembered states when it is stopped. */
static int keep_rule(void *token, void *state, size_t n, unw_word_t start, unw_word_t end)
{
	struct stepper *s = token;
	(void)end;
	if (!s->query.failed && rule_cache_add_row(&s->cache, start, state, n) != 0)
		s->query.failed = true;
	return 0;
}

/* Make libunwind parse a function's rules. Return: false when it cannot; it then has no rows. */
static bool parse_rules(struct stepper *s, const struct mapping *mapping,
			const struct eh_frame_entry *entry, const struct eh_frame_fde *fde)
{
	s->query = (struct query){
		.active = true,
		.avma = fde->svma_start + mapping->bias,
		.image = mapping->image,
		.bias = mapping->bias,
		.entry = *entry,
		.fde = *fde,
	};
	unw_cursor_t cursor;
	const bool ok = unw_init_remote(&cursor, s->as, s) == 0 &&
			unw_reg_states_iterate(&cursor, keep_rule, s) >= 0 && !s->query.failed;
	s->query.active = false;
	if (!ok)
		rule_cache_drop_rows(&s->cache);
	return ok;
}

static const struct rule_function *add_function(struct stepper *s, const struct mapping *mapping,
						const struct eh_frame_entry *entry)
{
	struct rule_function *function =
		rule_cache_add_function(&s->cache, entry->svma + mapping->bias);
	if (!function)
		return NULL;
	struct eh_frame_fde fde;
	if (!eh_frame_parse(mapping->image, entry->fde_svma, &fde)) {
		function->avma_end = UINT64_MAX; /* it could be anywhere */
		return function;
	}
	function->avma_start = fde.svma_start + mapping->bias;
	function->avma_end = fde.svma_end + mapping->bias;
	function->signal_frame = fde.signal_frame;
	if (function->avma_start < function->avma_end)
		parse_rules(s, mapping, entry, &fde);
	return function;
}

static uint32_t look_up(struct stepper *s, uint64_t avma, bool *signal_frame)
{
	const struct mapping *mapping = address_space_find(s->space, avma);
	if (!mapping)
		return RULE_ID_NO_MAP;
	struct eh_frame_entry entry;
	if (!mapping->image || !address_space_index(s->space, mapping) ||
	    !eh_frame_search(mapping->image, avma - mapping->bias, &entry))
		return RULE_ID_NO_CFI;
	const struct rule_function *function =
		rule_cache_function(&s->cache, entry.svma + mapping->bias);
	if (!function)
		function = add_function(s, mapping, &entry);
	if (!function)
		return RULE_ID_UNSUPPORTED;
	if (avma < function->avma_start || avma >= function->avma_end)
		return RULE_ID_NO_CFI;
	uint32_t rule_id = RULE_ID_UNSUPPORTED;
	rule_cache_search(&s->cache, function, avma, &rule_id);
	*signal_frame = function->signal_frame;
	return rule_id;
}

struct step_rule stepper_find(struct stepper *s, uint64_t avma)
{
	struct rule_pc *pc = rule_cache_pc(&s->cache, avma);
	if (!pc->used || pc->avma != avma) {
		bool signal_frame = false;
		const uint32_t rule_id = look_up(s, avma, &signal_frame);
		if (rule_id == RULE_ID_NO_MAP) /* a mapping can come: address_space_generation() */
			return (struct step_rule){.kind = RULE_NO_MAP};
		*pc = (struct rule_pc){
			.avma = avma,
			.rule_id = rule_id,
			.used = true,
			.signal_frame = signal_frame,
		};
	}
	switch (pc->rule_id) {
	case RULE_ID_NO_MAP:
		return (struct step_rule){.kind = RULE_NO_MAP};
	case RULE_ID_NO_CFI:
		return (struct step_rule){.kind = RULE_NO_CFI};
	case RULE_ID_UNSUPPORTED:
		return (struct step_rule){.kind = RULE_UNSUPPORTED};
	default:
		return (struct step_rule){
			.kind = RULE_CFI,
			.signal_frame = pc->signal_frame,
			.state = s->cache.rules[pc->rule_id].bytes,
		};
	}
}

void stepper_start(struct stepper *s, const struct unwind_regs *regs, uint32_t known,
		   const struct unwind_stack *stack)
{
	s->regs = *regs;
	s->known = known;
	s->stack = *stack;
	s->red_zone_known = 0;
	s->query.active = false;
	/* cannot fail: it reads two registers, which are always known */
	unw_init_remote(&s->cursor, s->as, s);
}

uint32_t stepper_regs(struct stepper *s, struct unwind_regs *out)
{
	uint32_t known = 0;
	for (int i = 0; i < UNWIND_REGS_MAX; i++) {
		unw_word_t value = 0;
		if (unw_get_reg(&s->cursor, i, &value) == 0)
			known |= UINT32_C(1) << i;
		out->r[i] = value;
	}
	return known;
}

/*
 * Restore registers whose saved copy lies below the innermost stack pointer.
 *
 * Compilers do not say in the unwind information that an epilogue has popped a register: between
 * "pop %rbp" and "ret" rbp is still said to be in its slot, now below the stack pointer and so not
 * in the copy. What the slot held is what the register holds again.
 *
 * Return: true when something was added.
 */
static bool fill_red_zone(struct stepper *s)
{
	const uint32_t before = s->red_zone_known;
	if (s->stack.sp != s->regs.r[UNW_X86_64_RSP])
		return false;
	for (size_t i = 0; i < sizeof(callee_saved) / sizeof(callee_saved[0]); i++) {
		const int reg = callee_saved[i];
		unw_save_loc_t loc;
		if (unw_get_save_loc(&s->cursor, reg, &loc) != 0 || loc.type != UNW_SLT_MEMORY ||
		    !(s->known >> reg & 1))
			continue;
		const uint64_t below = s->stack.sp - loc.u.addr;
		if (below == 0 || below > RED_ZONE_BYTES || below % WORD != 0)
			continue;
		s->red_zone[(below - 1) / WORD] = s->regs.r[reg];
		s->red_zone_known |= UINT32_C(1) << ((below - 1) / WORD);
	}
	return s->red_zone_known != before;
}

/* Apply a rule, a second time if the red zone had what was missing. */
static int apply_state(struct stepper *s, void *state)
{
	unw_word_t sp_before = 0, sp_after = 0;
	unw_get_reg(&s->cursor, UNW_REG_SP, &sp_before);
	s->faulted = false;
	int ret = unw_apply_reg_state(&s->cursor, state);
	if (ret >= 0 || !s->faulted || s->stack.sp - s->fault_avma > RED_ZONE_BYTES)
		return ret;
	/* only if the frame's address could not be had: then the cursor has not been changed */
	unw_get_reg(&s->cursor, UNW_REG_SP, &sp_after);
	if (sp_before != sp_after || !fill_red_zone(s))
		return ret;
	s->faulted = false;
	return unw_apply_reg_state(&s->cursor, state);
}

enum step_result stepper_apply(struct stepper *s, uint64_t lookup_avma,
			       const struct step_rule *rule, uint64_t *pc, uint64_t *sp,
			       uint64_t *fault_avma)
{
	s->lookup_avma = lookup_avma;
	const int ret = apply_state(s, rule->state);
	if (ret == 0)
		return STEP_ROOT;
	if (ret < 0 && s->faulted) {
		*fault_avma = s->fault_avma;
		return STEP_UNREADABLE;
	}
	if (ret < 0)
		return ret == -UNW_EBADFRAME ? STEP_STUCK : STEP_UNSUPPORTED;
	unw_word_t value = 0;
	unw_get_reg(&s->cursor, UNW_REG_IP, &value);
	*pc = value;
	unw_get_reg(&s->cursor, UNW_REG_SP, &value);
	*sp = value;
	return STEP_CALLER;
}

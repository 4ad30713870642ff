/*
 * cfi_rows.c - read .eh_frame (LSB, "Exception Frames") and .debug_frame (DWARF 5, section 6.4.1).
 */
#include "cfi_rows.h"

#include "cfi_internal.h"

/* Room for one more element in one of the build's arrays. */
static bool reserve(struct cfi_build *build, void **items, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	size_t grown = *cap + *cap / 2 + 1024;
	void *moved = build->resize(build->ctx, *items, *cap * size, grown * size);
	if (!moved)
		return false;
	*items = moved;
	*cap = grown;
	return true;
}

enum cfi_status cfi_emit(struct cfi_build *build, const struct cfi_span *span, uint64_t svma,
			 cfi_rule rule)
{
	size_t n = build->n_rows;
	if (n > span->first_row && build->rows[n - 1].rule == rule)
		return CFI_OK;
	void *rows = build->rows;
	if (n >= UINT32_MAX || !reserve(build, &rows, n, &build->cap_rows, sizeof(*build->rows)))
		return CFI_NO_MEMORY;
	build->rows = rows;
	/* relative to the span; cfi_build_finish() knows the base */
	build->rows[n] = (struct cfi_row){(uint32_t)(svma - span->start), rule};
	build->n_rows++;
	build->counts.unsupported += cfi_rule_kind(rule) == CFI_UNSUPPORTED;
	return CFI_OK;
}

enum { PE_ABSPTR = 0, PE_ULEB = 1, PE_SLEB = 9, PE_OMIT = 0xff, PE_INDIRECT = 0x80 };

uint64_t cfi_read_encoded(struct cfi_cursor *c, const struct cfi_section *section, uint8_t encoding)
{
	uint64_t at = section->svma + (uint64_t)(c->at - section->bytes);
	uint64_t value;
	switch (encoding & 0x0f) {
	case PE_ABSPTR:
	case 0x04: /* udata8 */
	case 0x0c: /* sdata8 */
		value = cfi_read(c, 8);
		break;
	case PE_ULEB:
		value = cfi_read_uleb(c);
		break;
	case 0x02: /* udata2 */
		value = cfi_read(c, 2);
		break;
	case 0x03: /* udata4 */
		value = cfi_read(c, 4);
		break;
	case PE_SLEB:
		value = (uint64_t)cfi_read_sleb(c);
		break;
	case 0x0a: /* sdata2 */
		value = (uint64_t)(int64_t)(int16_t)cfi_read(c, 2);
		break;
	case 0x0b: /* sdata4 */
		value = (uint64_t)(int64_t)(int32_t)cfi_read(c, 4);
		break;
	default:
		c->bad = true;
		return 0;
	}
	switch (encoding & 0x70) {
	case 0x00:
		break;
	case 0x10: /* pcrel */
		value += at;
		break;
	case 0x20: /* textrel */
		value += section->text_svma;
		break;
	case 0x30: /* datarel */
		value += section->data_svma;
		break;
	default: /* funcrel and aligned do not occur here */
		c->bad = true;
	}
	if (encoding & PE_INDIRECT)
		c->bad = true;
	return value;
}

/* The augmentation of a CIE; @c stands behind the string's NUL afterwards. */
static bool read_augmentation(struct cfi_cursor *c, const uint8_t **string)
{
	*string = c->at;
	while (c->at < c->end) {
		if (!*c->at++)
			return true;
	}
	return false;
}

/* The data behind 'z'. Unknown letters end the reading: the length leads past them. */
static void read_augmentation_data(struct cfi_cursor data, const struct cfi_section *section,
				   const uint8_t *letter, struct cfi_cie *cie, bool *bad)
{
	for (; *letter; letter++) {
		switch (*letter) {
		case 'R':
			cie->fde_encoding = (uint8_t)cfi_read(&data, 1);
			break;
		case 'L':
			cfi_read(&data, 1);
			break;
		case 'P': {
			uint8_t encoding = (uint8_t)cfi_read(&data, 1);
			/* only its length matters; what it points to may well be indirect */
			cfi_read_encoded(&data, section, encoding & 0x0f);
			break;
		}
		case 'S':
			cie->signal = true;
			break;
		case 'B': /* aarch64 pointer authentication: no data */
			break;
		default:
			return;
		}
		*bad |= data.bad;
	}
}

/* @c: the CIE from behind its id to its end. */
static bool read_cie(struct cfi_cursor c, const struct cfi_section *section, struct cfi_cie *cie)
{
	*cie = (struct cfi_cie){.fde_encoding = PE_ABSPTR};
	uint8_t version = (uint8_t)cfi_read(&c, 1);
	if (version != 1 && version != 3 && version != 4)
		return false;
	const uint8_t *augmentation;
	if (!read_augmentation(&c, &augmentation))
		return false;
	if (version == 4) {
		const uint64_t address_size = cfi_read(&c, 1);
		const uint64_t selector_size = cfi_read(&c, 1);
		if (address_size != 8 || selector_size != 0)
			return false;
	}
	cie->code_align = cfi_read_uleb(&c);
	cie->data_align = cfi_read_sleb(&c);
	uint64_t ra = version == 1 ? cfi_read(&c, 1) : cfi_read_uleb(&c);
	if (ra != 16)
		return false;
	bool bad = false;
	if (augmentation[0] == 'z') {
		cie->has_augmentation_length = true;
		struct cfi_cursor data = cfi_take(&c, cfi_read_uleb(&c));
		read_augmentation_data(data, section, augmentation + 1, cie, &bad);
	} else if (augmentation[0]) {
		return false; /* "eh" of gcc 2: nothing says how long its data is */
	}
	cie->instructions = c;
	return !c.bad && !bad;
}

/* One entry's bytes and whether it is a CIE. False at the end of the section, or when damaged. */
struct entry {
	struct cfi_cursor body; /* behind the id */
	bool is_cie;
	uint64_t cie_at; /* of a FDE: offset of its CIE in the section */
};

static bool next_entry(struct cfi_cursor *c, const struct cfi_section *section, struct entry *entry)
{
	uint64_t length = cfi_read(c, 4);
	bool wide = length == 0xffffffff;
	if (wide)
		length = cfi_read(c, 8);
	/* a zero terminator may stand in the middle: crtend.o's, or one of a partial link */
	if (c->bad || length == 0)
		return false;
	struct cfi_cursor body = cfi_take(c, length);
	if (c->bad)
		return false;
	uint64_t id_at = (uint64_t)(body.at - section->bytes);
	/* .eh_frame's ids have 4 bytes in either form; .debug_frame's follow the length */
	bool wide_id = wide && section->debug_frame;
	uint64_t id = cfi_read(&body, wide_id ? 8 : 4);
	if (body.bad)
		return false;
	entry->body = body;
	if (section->debug_frame) {
		entry->is_cie = id == (wide_id ? UINT64_MAX : UINT32_MAX);
		entry->cie_at = id;
	} else {
		entry->is_cie = id == 0;
		entry->cie_at = id_at - id;
	}
	return true;
}

static enum cfi_status visit_fde(struct cfi_build *build, const struct cfi_cie *cie, uint64_t start,
				 uint64_t end, struct cfi_cursor instructions)
{
	const struct cfi_fde fde = {
		.start = start,
		.end = end,
		.code_align = cie->code_align,
		.data_align = cie->data_align,
		.signal = cie->signal,
		.cie_bytes = cie->instructions.at,
		.n_cie_bytes = (size_t)(cie->instructions.end - cie->instructions.at),
		.bytes = instructions.at,
		.n_bytes = (size_t)(instructions.end - instructions.at),
	};
	return build->visit(build->ctx, &fde);
}

static enum cfi_status build_fde(struct cfi_build *build, const struct cfi_section *section,
				 const struct cfi_cie *cie, struct cfi_cursor c)
{
	uint64_t start = cfi_read_encoded(&c, section, cie->fde_encoding);
	uint64_t size = cfi_read_encoded(&c, section, cie->fde_encoding & 0x0f);
	if (cie->has_augmentation_length)
		cfi_take(&c, cfi_read_uleb(&c));
	if (c.bad || size > UINT32_MAX || start + size < start) {
		build->counts.bad++;
		return CFI_OK;
	}
	/* a function that the linker dropped leaves an empty range, or one at address 0 */
	if (size == 0 || (section->debug_frame && start == 0))
		return CFI_OK;
	if (build->visit)
		return visit_fde(build, cie, start, start + size, c);
	void *spans = build->spans;
	if (!reserve(build, &spans, build->n_spans, &build->cap_spans, sizeof(*build->spans)))
		return CFI_NO_MEMORY;
	build->spans = spans;
	struct cfi_span span = {start, start + size, (uint32_t)build->n_rows, 0};
	bool bad = false;
	enum cfi_status status = cfi_run(build, section, cie, c, &span, &bad);
	if (status != CFI_OK)
		return status;
	span.n_rows = (uint32_t)build->n_rows - span.first_row;
	build->spans[build->n_spans++] = span;
	build->counts.fdes++;
	build->counts.bad += bad;
	return CFI_OK;
}

/*
 * One pass over a section. Tables and CIE pointers may name the same bytes over and over, which
 * would cost the square of the file's size; no linker writes an entry twice, and a CIE is no larger
 * than an FDE, so the bytes of all programs together are a few times the section's at most.
 */
struct pass {
	uint64_t own_bytes_left;
	uint64_t *bytes_left; /* that may be run */
	/* the CIE read last: neighbouring FDEs mostly share it */
	uint64_t cie_at;
	bool cie_usable;
	struct cfi_cie cie;
};

uint64_t cfi_bytes_allowed(const struct cfi_section *section)
{
	return (uint64_t)section->n * 8;
}

static void begin_pass(struct pass *pass, const struct cfi_build *build,
		       const struct cfi_section *section)
{
	*pass = (struct pass){
		.own_bytes_left = cfi_bytes_allowed(section),
		.cie_at = UINT64_MAX,
	};
	pass->bytes_left = build->bytes_left ? build->bytes_left : &pass->own_bytes_left;
}

static bool spend(struct pass *pass, const struct cfi_cursor *bytes)
{
	const uint64_t n = (uint64_t)(bytes->end - bytes->at);
	if (n > *pass->bytes_left)
		return false;
	*pass->bytes_left -= n;
	return true;
}

static bool cie_at(struct pass *pass, const struct cfi_section *section, uint64_t at,
		   struct cfi_cie *cie)
{
	if (at >= section->n)
		return false;
	struct cfi_cursor c = {section->bytes + at, section->bytes + section->n, false};
	struct entry entry;
	return next_entry(&c, section, &entry) && entry.is_cie && spend(pass, &entry.body) &&
	       read_cie(entry.body, section, cie);
}

static enum cfi_status build_entry(struct cfi_build *build, const struct cfi_section *section,
				   struct pass *pass, const struct entry *fde)
{
	if (fde->cie_at != pass->cie_at) {
		pass->cie_at = fde->cie_at;
		pass->cie_usable = cie_at(pass, section, pass->cie_at, &pass->cie);
	}
	/* the CIE's program is run for each FDE */
	if (pass->cie_usable && spend(pass, &pass->cie.instructions) && spend(pass, &fde->body))
		return build_fde(build, section, &pass->cie, fde->body);
	build->counts.bad++;
	return CFI_OK;
}

size_t cfi_count_fdes(const struct cfi_section *section)
{
	struct cfi_cursor c = {section->bytes, section->bytes + section->n, false};
	size_t n = 0;
	while (c.at < c.end && !c.bad) {
		struct entry entry;
		n += next_entry(&c, section, &entry) && !entry.is_cie;
	}
	return n;
}

enum cfi_status cfi_build_section(struct cfi_build *build, const struct cfi_section *section)
{
	struct cfi_cursor c = {section->bytes, section->bytes + section->n, false};
	struct pass pass;
	begin_pass(&pass, build, section);
	while (c.at < c.end) {
		struct entry entry;
		if (!next_entry(&c, section, &entry)) {
			if (!c.bad)
				continue; /* a terminator, or an entry too short for its id */
			build->counts.bad++;
			break;
		}
		if (entry.is_cie)
			continue;
		enum cfi_status status = build_entry(build, section, &pass, &entry);
		if (status != CFI_OK)
			return status;
	}
	return CFI_OK;
}

enum cfi_status cfi_build_search_table(struct cfi_build *build, const struct cfi_section *section,
				       const uint8_t *table, size_t n, uint64_t hdr_svma)
{
	struct pass pass;
	begin_pass(&pass, build, section);
	for (size_t i = 0; i < n; i++) {
		struct cfi_cursor c = {table + i * 8 + 4, table + i * 8 + 8, false};
		uint64_t fde_svma = hdr_svma + (uint64_t)(int64_t)(int32_t)cfi_read(&c, 4);
		uint64_t at = fde_svma - section->svma;
		struct entry entry;
		c = (struct cfi_cursor){section->bytes + (at < section->n ? at : section->n),
					section->bytes + section->n, false};
		if (!next_entry(&c, section, &entry) || entry.is_cie) {
			build->counts.bad++;
			continue;
		}
		enum cfi_status status = build_entry(build, section, &pass, &entry);
		if (status != CFI_OK)
			return status;
	}
	return CFI_OK;
}

void cfi_build_release(struct cfi_build *build)
{
	build->resize(build->ctx, build->rows, build->cap_rows * sizeof(*build->rows), 0);
	build->resize(build->ctx, build->spans, build->cap_spans * sizeof(*build->spans), 0);
	build->rows = NULL;
	build->spans = NULL;
	build->n_rows = build->cap_rows = build->n_spans = build->cap_spans = 0;
}

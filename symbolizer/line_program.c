#include "line_program.h"

#include "base/array.h"

#include <dwarf.h>
#include <errno.h>

enum { MAX_ENTRY_FORMATS = 16 };

static int add_dir(struct line_table *table, const char *name)
{
	const char **dir = CP_ARRAY_PUSH(table->dirs, table->n_dirs, table->cap_dirs);
	if (!dir)
		return -ENOMEM;
	*dir = name ? name : "";
	return 0;
}

static int add_file(struct line_table *table, const char *name, uint64_t dir)
{
	struct line_file *file = CP_ARRAY_PUSH(table->files, table->n_files, table->cap_files);
	if (!file)
		return -ENOMEM;
	*file = (struct line_file){.name = name ? name : "", .dir = dir};
	return 0;
}

/* DWARF 2 to 4: strings, an empty one ends each list. Directory and file 0 are not written. */
static int read_old_files(struct dwarf_cursor *header, struct line_table *table)
{
	const char *name;
	int rc = add_dir(table, "");
	while (rc == 0 && (name = dwarf_cursor_string(header)) != NULL && name[0])
		rc = add_dir(table, name);
	if (rc == 0)
		rc = add_file(table, NULL, 0);
	while (rc == 0 && (name = dwarf_cursor_string(header)) != NULL && name[0]) {
		uint64_t dir = dwarf_cursor_uleb(header);
		dwarf_cursor_uleb(header); /* time */
		dwarf_cursor_uleb(header); /* size */
		rc = add_file(table, name, dir);
	}
	return rc;
}

struct entry_format {
	uint64_t content, form;
};

struct entry_value {
	const char *name;
	uint64_t number;
};

static struct entry_value read_value(const struct line_program *program,
				     struct dwarf_cursor *header,
				     const struct line_sections *sections, uint64_t form)
{
	struct entry_value value = {.name = NULL};
	switch (form) {
	case DW_FORM_string:
		value.name = dwarf_cursor_string(header);
		break;
	case DW_FORM_line_strp:
		value.name = elf_bytes_string(&sections->line_str,
					      dwarf_cursor_fixed(header, program->offset_size));
		break;
	case DW_FORM_strp:
		value.name = elf_bytes_string(&sections->str,
					      dwarf_cursor_fixed(header, program->offset_size));
		break;
	case DW_FORM_data1:
		value.number = dwarf_cursor_fixed(header, 1);
		break;
	case DW_FORM_data2:
		value.number = dwarf_cursor_fixed(header, 2);
		break;
	case DW_FORM_data4:
		value.number = dwarf_cursor_fixed(header, 4);
		break;
	case DW_FORM_data8:
		value.number = dwarf_cursor_fixed(header, 8);
		break;
	case DW_FORM_udata:
		value.number = dwarf_cursor_uleb(header);
		break;
	case DW_FORM_data16:
		dwarf_cursor_skip(header, 16);
		break;
	case DW_FORM_block:
		dwarf_cursor_skip(header, dwarf_cursor_uleb(header));
		break;
	default:
		dwarf_cursor_fail(header);
	}
	return value;
}

/* One list of DWARF 5: what its entries hold, how many there are, the entries. */
static int read_entries(const struct line_program *program, struct dwarf_cursor *header,
			const struct line_sections *sections, struct line_table *table, bool files)
{
	struct entry_format formats[MAX_ENTRY_FORMATS];
	size_t n_formats = (size_t)dwarf_cursor_fixed(header, 1);
	if (n_formats > MAX_ENTRY_FORMATS)
		return -EINVAL;
	for (size_t i = 0; i < n_formats; i++) {
		formats[i].content = dwarf_cursor_uleb(header);
		formats[i].form = dwarf_cursor_uleb(header);
	}
	uint64_t n = dwarf_cursor_uleb(header);
	/* every entry takes a byte: no list is longer than what is left */
	if (header->failed || n > (uint64_t)(header->end - header->at) || (n > 0 && !n_formats))
		return -EINVAL;
	for (uint64_t i = 0; i < n && !header->failed; i++) {
		const char *name = NULL;
		uint64_t dir = 0;
		for (size_t j = 0; j < n_formats; j++) {
			struct entry_value value =
				read_value(program, header, sections, formats[j].form);
			if (formats[j].content == DW_LNCT_path)
				name = value.name;
			else if (formats[j].content == DW_LNCT_directory_index)
				dir = value.number;
		}
		if ((files ? add_file(table, name, dir) : add_dir(table, name)) < 0)
			return -ENOMEM;
	}
	return header->failed ? -EINVAL : 0;
}

static int read_names(const struct line_program *program, struct dwarf_cursor *header,
		      const struct line_sections *sections, struct line_table *table)
{
	if (program->version < 5)
		return read_old_files(header, table);
	int rc = read_entries(program, header, sections, table, false);
	return rc == 0 ? read_entries(program, header, sections, table, true) : rc;
}

int line_program_begin(struct line_program *program, struct line_table *table,
		       const struct line_sections *sections, uint64_t offset)
{
	const struct elf_bytes *section = &sections->line;
	*program = (struct line_program){.offset_size = 4};
	if (!section->bytes || offset >= section->n)
		return -EINVAL;
	struct dwarf_cursor header = {.at = section->bytes + offset,
				      .end = section->bytes + section->n};
	uint64_t length = dwarf_cursor_fixed(&header, 4);
	if (length == UINT32_MAX) {
		program->offset_size = 8;
		length = dwarf_cursor_fixed(&header, 8);
	}
	if (length > (uint64_t)(header.end - header.at))
		return -EINVAL;
	header.end = header.at + length;
	program->version = (unsigned int)dwarf_cursor_fixed(&header, 2);
	if (program->version < 2 || program->version > 5)
		return -EINVAL;
	if (program->version >= 5)
		dwarf_cursor_skip(&header, 2); /* sizes of addresses and segment selectors */
	uint64_t header_length = dwarf_cursor_fixed(&header, program->offset_size);
	if (header.failed || header_length > (uint64_t)(header.end - header.at))
		return -EINVAL;
	program->cursor = (struct dwarf_cursor){.at = header.at + header_length, .end = header.end};
	header.end = program->cursor.at;
	program->min_instruction = (unsigned int)dwarf_cursor_fixed(&header, 1);
	if (program->version >= 4)
		dwarf_cursor_skip(&header, 1); /* operations per instruction: VLIW machines */
	dwarf_cursor_skip(&header, 1);         /* default_is_stmt */
	const int base = (int)dwarf_cursor_fixed(&header, 1);
	program->line_base = base < 128 ? base : base - 256; /* a signed byte */
	program->line_range = (unsigned int)dwarf_cursor_fixed(&header, 1);
	program->opcode_base = (unsigned int)dwarf_cursor_fixed(&header, 1);
	program->inverse_range = program->line_range ? 65536 / program->line_range + 1 : 0;
	program->operands = header.at;
	dwarf_cursor_skip(&header, program->opcode_base ? program->opcode_base - 1 : 0);
	if (header.failed || program->line_range == 0 || program->opcode_base == 0)
		return -EINVAL;
	return read_names(program, &header, sections, table);
}

/* The registers of the state machine that matter here, and the sequence being read. */
struct machine {
	uint64_t address;
	uint64_t file, line;
	bool open;                     /* a sequence with rows */
	struct line_sequence sequence; /* end: unknown yet */
};

static void start_over(struct machine *machine)
{
	*machine = (struct machine){.file = 1, .line = 1};
}

/* Close the open sequence at @end; one that holds no code of the file is forgotten. */
static int close_sequence(struct machine *machine, struct line_table *table, uint64_t end,
			  const struct code_ranges *code)
{
	struct line_sequence *sequence = &machine->sequence;
	if (!machine->open)
		return 0;
	machine->open = false;
	if (end <= sequence->start || (code->n > 0 && !code_ranges_find(code, sequence->start))) {
		table->n_rows = sequence->first;
		return 0;
	}
	struct line_sequence *added =
		CP_ARRAY_PUSH(table->sequences, table->n_sequences, table->cap_sequences);
	if (!added)
		return -ENOMEM;
	sequence->end = end;
	sequence->n = table->n_rows - sequence->first;
	*added = *sequence;
	return 0;
}

static int add_row(struct machine *machine, struct line_table *table,
		   const struct code_ranges *code)
{
	struct line_row row = {.start = machine->address,
			       .file = machine->file < UINT32_MAX ? (uint32_t)machine->file : 0,
			       .line = machine->line < INT32_MAX ? (uint32_t)machine->line : 0};
	struct line_row *last = table->n_rows > 0 ? &table->rows[table->n_rows - 1] : NULL;
	/* addresses only grow in a sequence; where they do not, another one begins */
	if (machine->open && row.start < last->start &&
	    close_sequence(machine, table, last->start, code) < 0)
		return -ENOMEM;
	if (machine->open && row.start == last->start) {
		*last = row; /* of several rows at one address the last counts */
		return 0;
	}
	if (machine->open && row.file == last->file && row.line == last->line)
		return 0;
	if (!machine->open) {
		machine->open = true;
		machine->sequence =
			(struct line_sequence){.start = row.start, .first = table->n_rows};
	}
	struct line_row *added = CP_ARRAY_PUSH(table->rows, table->n_rows, table->cap_rows);
	if (!added)
		return -ENOMEM;
	*added = row;
	return 0;
}

static int run_extended(struct line_program *program, struct machine *machine,
			struct line_table *table, const struct code_ranges *code)
{
	struct dwarf_cursor *cursor = &program->cursor;
	uint64_t length = dwarf_cursor_uleb(cursor);
	if (length == 0 || length > (uint64_t)(cursor->end - cursor->at))
		return -EINVAL;
	struct dwarf_cursor operand = {.at = cursor->at, .end = cursor->at + length};
	cursor->at += length;
	int rc = 0;
	switch (dwarf_cursor_fixed(&operand, 1)) {
	case DW_LNE_end_sequence:
		rc = close_sequence(machine, table, machine->address, code);
		start_over(machine);
		break;
	case DW_LNE_set_address:
		if (length - 1 > 8)
			return -EINVAL;
		machine->address = dwarf_cursor_fixed(&operand, (unsigned int)(length - 1));
		break;
	case DW_LNE_define_file: {
		const char *name = dwarf_cursor_string(&operand);
		rc = add_file(table, name, dwarf_cursor_uleb(&operand));
		break;
	}
	default: /* discriminators, and what a later standard adds */
		break;
	}
	return rc;
}

static void run_standard(struct line_program *program, struct machine *machine, unsigned int opcode)
{
	struct dwarf_cursor *cursor = &program->cursor;
	switch (opcode) {
	case DW_LNS_advance_pc:
		machine->address += dwarf_cursor_uleb(cursor) * program->min_instruction;
		break;
	case DW_LNS_advance_line:
		machine->line += (uint64_t)dwarf_cursor_sleb(cursor);
		break;
	case DW_LNS_set_file:
		machine->file = dwarf_cursor_uleb(cursor);
		break;
	case DW_LNS_const_add_pc:
		machine->address += (uint64_t)((255 - program->opcode_base) / program->line_range) *
				    program->min_instruction;
		break;
	case DW_LNS_fixed_advance_pc:
		machine->address += dwarf_cursor_fixed(cursor, 2);
		break;
	default: /* columns, statement marks, and what this file's header says of others */
		for (unsigned int i = program->operands[opcode - 1]; i > 0; i--)
			dwarf_cursor_uleb(cursor);
	}
}

int line_program_run(struct line_program *program, struct line_table *table,
		     const struct code_ranges *code)
{
	struct dwarf_cursor *cursor = &program->cursor;
	struct machine machine;
	int rc = 0;
	start_over(&machine);
	while (rc == 0 && cursor->at < cursor->end) {
		unsigned int opcode = *cursor->at++;
		if (opcode >= program->opcode_base) {
			/* exact: both numbers are below 256 */
			const unsigned int special = opcode - program->opcode_base;
			const unsigned int steps = special * program->inverse_range >> 16;
			const unsigned int lines = special - steps * program->line_range;
			machine.address += (uint64_t)steps * program->min_instruction;
			machine.line += (uint64_t)(int64_t)(program->line_base + (int)lines);
			rc = add_row(&machine, table, code);
		} else if (opcode == 0) {
			rc = run_extended(program, &machine, table, code);
		} else if (opcode == DW_LNS_copy) {
			rc = add_row(&machine, table, code);
		} else {
			run_standard(program, &machine, opcode);
		}
	}
	if (machine.open) { /* no end was stated: what it would cover is unknown */
		table->n_rows = machine.sequence.first;
		return rc < 0 ? rc : -EINVAL;
	}
	return rc < 0 || !cursor->failed ? rc : -EINVAL;
}

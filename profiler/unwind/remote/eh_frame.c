#include "eh_frame.h"

#include "cfi_check.h"
#include "elf/cfi_reader.h"

#include <string.h>

enum {
	ENTRY_BYTES = 8,
	RETURN_ADDRESS = 16,     /* its column on x86-64 */
	CIE_BYTES_MAX = 1 << 16, /* real ones have 20 */
	FDE_BYTES_MAX = 1 << 20, /* the largest functions have some 10,000 */
};

struct cie {
	unsigned pointer_encoding;
	unsigned lsda_encoding;
	bool sized_augmentation; /* 'z' */
	bool signal_frame;
};

bool eh_frame_search(const struct elf_image *image, uint64_t svma, struct eh_frame_entry *out)
{
	struct elf_eh_frame_hdr hdr;
	if (!elf_image_eh_frame_hdr(image, &hdr))
		return false;
	const uint8_t *table = elf_image_bytes(image, hdr.table_svma, hdr.n_entries * ENTRY_BYTES);
	const int64_t wanted = (int64_t)(svma - hdr.svma);
	uint64_t lo = 0, hi = hdr.n_entries;
	if (!table)
		return false;
	while (lo < hi) {
		const uint64_t mid = lo + (hi - lo) / 2;
		int32_t start;
		memcpy(&start, table + mid * ENTRY_BYTES, sizeof(start));
		if (start <= wanted)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0)
		return false;
	int32_t to_fde;
	memcpy(&to_fde, table + (lo - 1) * ENTRY_BYTES + 4, sizeof(to_fde));
	*out = (struct eh_frame_entry){
		.hdr_svma = hdr.svma,
		.svma = hdr.table_svma + (lo - 1) * ENTRY_BYTES,
		.fde_svma = hdr.svma + (uint64_t)(int64_t)to_fde,
	};
	return true;
}

/* The record (CIE or FDE) at @svma, without its length field. */
static bool read_record(const struct elf_image *image, uint64_t svma, uint32_t max,
			struct cfi_reader *out)
{
	uint32_t length;
	const uint8_t *bytes = elf_image_bytes(image, svma, sizeof(length));
	if (!bytes)
		return false;
	memcpy(&length, bytes, sizeof(length));
	if (length == 0 || length > max)
		return false;
	bytes = elf_image_bytes(image, svma + sizeof(length), length);
	if (!bytes)
		return false;
	*out = cfi_reader_make(bytes, length, svma + sizeof(length));
	return true;
}

/* The data that the letters of the augmentation string announce (LSB core specification, 10.6.1).
 */
static bool parse_augmentation(struct cfi_reader *reader, const char *letters, struct cie *cie)
{
	if (letters[0] == '\0')
		return true;
	if (letters[0] != 'z')
		return false;
	cie->sized_augmentation = true;
	const uint64_t n = cfi_read_uleb(reader);
	const uint64_t data_svma = reader->svma;
	const uint8_t *bytes = cfi_read_bytes(reader, n);
	if (!bytes)
		return false;
	struct cfi_reader data = cfi_reader_make(bytes, n, data_svma);
	for (letters++; *letters; letters++) {
		switch (*letters) {
		case 'L':
			cie->lsda_encoding = (unsigned)cfi_read_fixed(&data, 1);
			break;
		case 'R':
			cie->pointer_encoding = (unsigned)cfi_read_fixed(&data, 1);
			break;
		case 'P': { /* the personality; an indirect one points into the process's data */
			const unsigned encoding = (unsigned)cfi_read_fixed(&data, 1);
			cfi_read_pointer(&data, encoding & ~(unsigned)EH_PE_INDIRECT, 0);
			break;
		}
		case 'S':
			cie->signal_frame = true;
			break;
		default:
			return false;
		}
	}
	/* libunwind takes the instructions to begin where the letters' data ends */
	return !data.failed && cfi_reader_left(&data) == 0;
}

static bool parse_cie(const struct elf_image *image, uint64_t svma, struct cie *cie)
{
	struct cfi_reader reader;
	if (!read_record(image, svma, CIE_BYTES_MAX, &reader) || cfi_read_fixed(&reader, 4) != 0)
		return false;
	const uint64_t version = cfi_read_fixed(&reader, 1);
	const char *letters = (const char *)reader.at;
	const size_t n_letters = strnlen(letters, cfi_reader_left(&reader));
	if ((version != 1 && version != 3) || !cfi_read_bytes(&reader, n_letters + 1))
		return false;
	cfi_read_uleb(&reader); /* code and data alignment: factors, any will do */
	cfi_read_sleb(&reader);
	const uint64_t column = version == 1 ? cfi_read_fixed(&reader, 1) : cfi_read_uleb(&reader);
	*cie = (struct cie){.pointer_encoding = EH_PE_ABSPTR, .lsda_encoding = EH_PE_OMIT};
	return column == RETURN_ADDRESS && parse_augmentation(&reader, letters, cie) &&
	       !reader.failed && cfi_check(reader);
}

/* The language-specific data is of no use here, but libunwind reads its pointer: it must be fit. */
static bool check_lsda(struct cfi_reader data, unsigned encoding)
{
	if (encoding == EH_PE_OMIT)
		return true;
	cfi_read_pointer(&data, encoding & ~(unsigned)EH_PE_INDIRECT, 0);
	return !data.failed;
}

bool eh_frame_parse(const struct elf_image *image, uint64_t fde_svma, struct eh_frame_fde *out)
{
	struct cfi_reader reader;
	struct cie cie;
	if (!read_record(image, fde_svma, FDE_BYTES_MAX, &reader))
		return false;
	const uint64_t id_svma = reader.svma;
	const uint64_t to_cie = cfi_read_fixed(&reader, 4);
	if (to_cie == 0 || reader.failed || !parse_cie(image, id_svma - to_cie, &cie))
		return false;
	const uint64_t start = cfi_read_pointer(&reader, cie.pointer_encoding, 0);
	const uint64_t size =
		cfi_read_pointer(&reader, cie.pointer_encoding & EH_PE_FORMAT_MASK, 0);
	if (cie.sized_augmentation) {
		const uint64_t n = cfi_read_uleb(&reader);
		const uint64_t data_svma = reader.svma;
		const uint8_t *bytes = cfi_read_bytes(&reader, n);
		if (!bytes || !check_lsda(cfi_reader_make(bytes, n, data_svma), cie.lsda_encoding))
			return false;
	}
	if (reader.failed || size > UINT64_MAX - start || !cfi_check(reader))
		return false;
	*out = (struct eh_frame_fde){
		.svma_start = start,
		.svma_end = start + size,
		.signal_frame = cie.signal_frame,
	};
	return true;
}

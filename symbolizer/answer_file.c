#include "answer_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static const char magic[8] = {'c', 'p', 'r', 'o', 'f', 's', 'y', 'm'};

struct header {
	char magic[8];
	uint32_t version;
	uint32_t checksum; /* of everything behind this number */
	uint64_t size;     /* of the file */
	uint32_t n_inputs, n_answers, n_frames, text_bytes;
	uint32_t key; /* offset in the text */
	uint32_t reserved;
};

_Static_assert(sizeof(struct header) == 48, "no gaps in what is written");
_Static_assert(sizeof(struct answer_input) == 40, "no gaps in what is written");
_Static_assert(sizeof(struct answer) == 16, "no gaps in what is written");
_Static_assert(sizeof(struct answer_frame) == 20, "no gaps in what is written");

struct answer_input answer_input_of(const struct stat *st)
{
	return (struct answer_input){.device = st->st_dev,
				     .inode = st->st_ino,
				     .size = (uint64_t)st->st_size,
				     .ctime_s = st->st_ctim.tv_sec,
				     .ctime_ns = (uint32_t)st->st_ctim.tv_nsec};
}

bool answer_input_equal(const struct answer_input *a, const struct answer_input *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->ctime_s == b->ctime_s && a->ctime_ns == b->ctime_ns;
}

static uint32_t checksum(uint32_t crc, const void *bytes, size_t n)
{
	return (uint32_t)crc32_z(crc, bytes, n);
}

static size_t checksum_end(void)
{
	return offsetof(struct header, checksum) + sizeof(uint32_t);
}

/* Where the parts are, as the header's counts say. Return: the size of all. */
static uint64_t lay_out(const struct header *header, uint64_t *answers, uint64_t *frames,
			uint64_t *text)
{
	*answers = sizeof(*header) + header->n_inputs * (uint64_t)sizeof(struct answer_input);
	*frames = *answers + header->n_answers * (uint64_t)sizeof(struct answer);
	*text = *frames + header->n_frames * (uint64_t)sizeof(struct answer_frame);
	return *text + header->text_bytes;
}

static bool are_indexes_sound(const struct answer_file *file, const struct header *header)
{
	const struct answer_table *table = &file->table;
	const uint32_t text = header->text_bytes;
	if (text == 0 || table->text[text - 1] != '\0' || header->key >= text)
		return false;
	for (size_t i = 0; i < file->n_inputs; i++)
		if (file->inputs[i].path >= text)
			return false;
	for (size_t i = 0; i < table->n; i++) {
		const struct answer *answer = &table->answers[i];
		if ((i > 0 && answer->svma <= answer[-1].svma) ||
		    answer->n_frames > ANSWER_MAX_FRAMES || answer->first_frame > table->n_frames ||
		    answer->n_frames > table->n_frames - answer->first_frame)
			return false;
	}
	for (size_t i = 0; i < table->n_frames; i++) {
		const struct answer_frame *frame = &table->frames[i];
		if (frame->name >= text || frame->system_name >= text || frame->file >= text)
			return false;
	}
	return true;
}

static int check(struct answer_file *file)
{
	uint8_t *bytes = file->bytes;
	struct header header;
	uint64_t answers, frames, text;
	memcpy(&header, bytes, sizeof(header));
	if (memcmp(header.magic, magic, sizeof(magic)) != 0 ||
	    header.version != ANSWER_FILE_VERSION || header.size != file->size ||
	    header.n_inputs > ANSWER_FILE_MAX_INPUTS ||
	    lay_out(&header, &answers, &frames, &text) != file->size)
		return -EBADMSG;
	if (checksum(0, bytes + checksum_end(), file->size - checksum_end()) != header.checksum)
		return -EBADMSG;
	file->inputs = (const void *)(bytes + sizeof(header));
	file->n_inputs = header.n_inputs;
	file->table = (struct answer_table){.answers = (void *)(bytes + answers),
					    .n = header.n_answers,
					    .frames = (void *)(bytes + frames),
					    .n_frames = header.n_frames,
					    .text = (const char *)bytes + text};
	if (!are_indexes_sound(file, &header))
		return -EBADMSG;
	file->key = file->table.text + header.key;
	return 0;
}

int answer_file_open(int fd, struct answer_file *out)
{
	struct stat st;
	*out = (struct answer_file){.bytes = NULL};
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct header))
		return -EBADMSG;
	/* Read, not mapped: a file that is truncated under a mapping is a SIGBUS. */
	out->size = (size_t)st.st_size;
	out->bytes = malloc(out->size);
	if (!out->bytes)
		return -ENOMEM;
	size_t have = 0;
	while (have < out->size) {
		ssize_t got = pread(fd, (char *)out->bytes + have, out->size - have, (off_t)have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		have += (size_t)got;
	}
	int rc = have == out->size ? check(out) : -EBADMSG;
	if (rc < 0)
		answer_file_close(out);
	return rc;
}

void answer_file_close(struct answer_file *file)
{
	free(file->bytes);
	*file = (struct answer_file){.bytes = NULL};
}

static int write_all(int fd, const void *bytes, size_t n)
{
	const char *at = bytes;
	while (n > 0) {
		ssize_t done = write(fd, at, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

/* All tables as one, its strings one after the other. */
struct writer {
	struct answer_table all;
	uint32_t *offsets; /* of strings, by id */
	char *text;
	size_t text_bytes;
};

static void writer_deinit(struct writer *writer)
{
	answer_table_deinit(&writer->all);
	free(writer->offsets);
	free(writer->text);
}

static int add_table(struct answer_table *all, const struct answer_table *table)
{
	struct symbol_frame *frames = NULL;
	size_t cap = 0;
	int rc = 0;
	for (size_t i = 0; i < table->n && rc == 0; i++) {
		const struct answer *answer = &table->answers[i];
		if (answer->n_frames > cap) {
			struct symbol_frame *grown =
				realloc(frames, answer->n_frames * sizeof(*frames));
			if (!grown) {
				rc = -ENOMEM;
				break;
			}
			frames = grown;
			cap = answer->n_frames;
		}
		for (size_t j = 0; j < answer->n_frames; j++)
			frames[j] = answer_table_frame(table, answer, j);
		rc = answer_table_add(all, answer->svma, frames, answer->n_frames);
	}
	free(frames);
	return rc;
}

static int compare_answers(const void *left, const void *right)
{
	const struct answer *a = left, *b = right;
	return a->svma < b->svma ? -1 : a->svma > b->svma;
}

/* Turn ids into offsets, and sort. The table cannot be searched after. */
static int settle(struct writer *writer, uint64_t max_bytes)
{
	struct answer_table *all = &writer->all;
	const struct interner *strings = &all->strings;
	uint64_t n = 0;
	for (size_t i = 0; i < strings->n; i++)
		n += strings->lengths[i] + 1;
	if (n > UINT32_MAX || n > max_bytes)
		return -EFBIG;
	writer->text = malloc(n);
	writer->offsets = malloc(strings->n * sizeof(*writer->offsets));
	if (!writer->text || !writer->offsets)
		return -ENOMEM;
	for (size_t i = 0; i < strings->n; i++) {
		writer->offsets[i] = (uint32_t)writer->text_bytes;
		memcpy(writer->text + writer->text_bytes, strings->strings[i],
		       strings->lengths[i] + 1);
		writer->text_bytes += strings->lengths[i] + 1;
	}
	for (size_t i = 0; i < all->n_frames; i++) {
		struct answer_frame *frame = &all->frames[i];
		frame->name = writer->offsets[frame->name];
		frame->system_name = writer->offsets[frame->system_name];
		frame->file = writer->offsets[frame->file];
	}
	if (all->n > 0)
		qsort(all->answers, all->n, sizeof(*all->answers), compare_answers);
	return 0;
}

struct part {
	const void *bytes;
	size_t n;
};

static int write_parts(int fd, struct header *header, const struct part *parts, size_t n_parts)
{
	const uint8_t *behind = (const uint8_t *)header + checksum_end();
	uint32_t crc = checksum(0, behind, sizeof(*header) - checksum_end());
	for (size_t i = 0; i < n_parts; i++)
		if (parts[i].n > 0)
			crc = checksum(crc, parts[i].bytes, parts[i].n);
	header->checksum = crc;
	int rc = write_all(fd, header, sizeof(*header));
	for (size_t i = 0; i < n_parts && rc == 0; i++)
		rc = write_all(fd, parts[i].bytes, parts[i].n);
	return rc;
}

static int write_file(int fd, struct writer *writer, struct answer_input *inputs, size_t n_inputs,
		      string_id key, uint64_t max_bytes)
{
	struct answer_table *all = &writer->all;
	struct header header = {.version = ANSWER_FILE_VERSION,
				.n_inputs = (uint32_t)n_inputs,
				.n_answers = (uint32_t)all->n,
				.n_frames = (uint32_t)all->n_frames};
	uint64_t answers, frames, text;
	int rc = settle(writer, max_bytes);
	if (rc < 0)
		return rc;
	memcpy(header.magic, magic, sizeof(magic));
	for (size_t i = 0; i < n_inputs; i++)
		inputs[i].path = writer->offsets[inputs[i].path];
	header.key = writer->offsets[key.v];
	header.text_bytes = (uint32_t)writer->text_bytes;
	header.size = lay_out(&header, &answers, &frames, &text);
	if (header.size > max_bytes)
		return -EFBIG;
	const struct part parts[] = {
		{inputs, n_inputs * sizeof(*inputs)},
		{all->answers, all->n * sizeof(*all->answers)},
		{all->frames, all->n_frames * sizeof(*all->frames)},
		{writer->text, writer->text_bytes},
	};
	return write_parts(fd, &header, parts, sizeof(parts) / sizeof(parts[0]));
}

int answer_file_write(int fd, const char *key, const struct answer_input *inputs,
		      const char *const *paths, size_t n_inputs,
		      const struct answer_table *const *tables, size_t n_tables, uint64_t max_bytes)
{
	struct writer writer = {.text = NULL};
	struct answer_input copies[ANSWER_FILE_MAX_INPUTS];
	string_id key_id, path;
	if (n_inputs > ANSWER_FILE_MAX_INPUTS)
		return -EFBIG;
	int rc = answer_table_init(&writer.all);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n_tables && rc == 0; i++)
		rc = add_table(&writer.all, tables[i]);
	if (rc == 0)
		rc = interner_add(&writer.all.strings, key, &key_id);
	for (size_t i = 0; i < n_inputs && rc == 0; i++) {
		rc = interner_add(&writer.all.strings, paths[i], &path);
		copies[i] = inputs[i];
		copies[i].path = path.v;
	}
	if (rc == 0)
		rc = write_file(fd, &writer, copies, n_inputs, key_id, max_bytes);
	writer_deinit(&writer);
	return rc;
}

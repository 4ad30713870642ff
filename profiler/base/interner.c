#include "interner.h"

#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct interner_block {
	struct interner_block *next;
	char bytes[];
};

enum { BLOCK_BYTES = 64 * 1024 };

int interner_init(struct interner *interner)
{
	*interner = (struct interner){0};
	string_id empty;
	int rc = interner_add_bytes(interner, "", 0, &empty);
	if (rc)
		interner_deinit(interner);
	return rc;
}

void interner_deinit(struct interner *interner)
{
	if (!interner)
		return;
	while (interner->blocks) {
		struct interner_block *next = interner->blocks->next;
		free(interner->blocks);
		interner->blocks = next;
	}
	free(interner->strings);
	free(interner->lengths);
	cp_index_deinit(&interner->index);
	*interner = (struct interner){0};
}

struct key {
	const char *bytes;
	size_t n;
};

static bool equals(const void *key_, const void *owner, uint32_t id)
{
	const struct key *key = key_;
	const struct interner *interner = owner;
	return interner->lengths[id] == key->n &&
	       memcmp(interner->strings[id], key->bytes, key->n) == 0;
}

/* @n + 1 bytes that never move. */
static char *allocate(struct interner *interner, size_t n)
{
	if (!interner->blocks || interner->block_size - interner->block_used < n + 1) {
		size_t size = n + 1 > BLOCK_BYTES ? n + 1 : BLOCK_BYTES;
		struct interner_block *block = malloc(sizeof(*block) + size);
		if (!block)
			return NULL;
		block->next = interner->blocks;
		interner->blocks = block;
		interner->block_size = size;
		interner->block_used = 0;
	}
	char *bytes = interner->blocks->bytes + interner->block_used;
	interner->block_used += n + 1;
	return bytes;
}

static int reserve(struct interner *interner)
{
	const char **strings = cp_array_reserve(interner->strings, &interner->cap, interner->n + 1,
						sizeof(*strings));
	if (!strings)
		return -ENOMEM;
	interner->strings = strings;
	uint32_t *lengths = cp_array_reserve(interner->lengths, &interner->cap_lengths,
					     interner->n + 1, sizeof(*lengths));
	if (!lengths)
		return -ENOMEM;
	interner->lengths = lengths;
	return 0;
}

int interner_add_bytes(struct interner *interner, const char *bytes, size_t n, string_id *out)
{
	struct key key = {bytes, n};
	uint64_t hash = cp_hash_bytes(bytes, n);
	uint32_t id = cp_index_find(&interner->index, hash, equals, &key, interner);
	if (id != CP_INDEX_NONE) {
		*out = (string_id){id};
		return 0;
	}
	if (interner->n >= CP_INDEX_NONE - 1 || n > INT32_MAX)
		return -EOVERFLOW;
	int rc = reserve(interner);
	if (rc)
		return rc;
	char *copy = allocate(interner, n);
	if (!copy)
		return -ENOMEM;
	if (n)
		memcpy(copy, bytes, n);
	copy[n] = '\0';
	id = (uint32_t)interner->n;
	rc = cp_index_add(&interner->index, hash, id);
	if (rc)
		return rc;
	interner->strings[id] = copy;
	interner->lengths[id] = (uint32_t)n;
	interner->n++;
	*out = (string_id){id};
	return 0;
}

int interner_add(struct interner *interner, const char *string, string_id *out)
{
	return interner_add_bytes(interner, string, strlen(string), out);
}

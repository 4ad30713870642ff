#include "pprof_arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>

/* A message is at most 4 MiB (pprof_decode.c); the unpacked form of the worst one fits in this. */
static const size_t max_bytes = (size_t)512 << 20;

enum { BLOCK_BYTES = 64 * 1024 };

struct pprof_arena_block {
	struct pprof_arena_block *next;
	size_t size;
	alignas(max_align_t) unsigned char bytes[];
};

static void *allocate(void *ctx, size_t size)
{
	struct pprof_arena *arena = ctx;
	size_t need = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (size > max_bytes || need > max_bytes - arena->total) {
		arena->exhausted = true;
		return NULL;
	}
	if (!arena->blocks || arena->blocks->size - arena->used < need) {
		size_t bytes = need > BLOCK_BYTES ? need : BLOCK_BYTES;
		struct pprof_arena_block *block = malloc(sizeof(*block) + bytes);
		if (!block) {
			arena->exhausted = true;
			return NULL;
		}
		block->next = arena->blocks;
		block->size = bytes;
		arena->blocks = block;
		arena->used = 0;
	}
	void *at = arena->blocks->bytes + arena->used;
	arena->used += need;
	arena->total += need;
	return at;
}

static void release(void *ctx, void *pointer)
{
	(void)ctx;
	(void)pointer;
}

void pprof_arena_init(struct pprof_arena *arena)
{
	*arena = (struct pprof_arena){.allocator = {.alloc = allocate, .free = release}};
	arena->allocator.allocator_data = arena;
}

/* Free all blocks, but with @keep one of the ordinary size. */
static void free_blocks(struct pprof_arena *arena, bool keep)
{
	while (arena->blocks &&
	       !(keep && !arena->blocks->next && arena->blocks->size == BLOCK_BYTES)) {
		struct pprof_arena_block *next = arena->blocks->next;
		free(arena->blocks);
		arena->blocks = next;
	}
	arena->used = 0;
	arena->total = 0;
}

void pprof_arena_deinit(struct pprof_arena *arena)
{
	free_blocks(arena, false);
}

int pprof_arena_unpack(struct pprof_arena *arena, const ProtobufCMessageDescriptor *descriptor,
		       const void *bytes, size_t n, ProtobufCMessage **out)
{
	free_blocks(arena, true);
	arena->exhausted = false;
	ProtobufCMessage *message =
		protobuf_c_message_unpack(descriptor, &arena->allocator, n, bytes);
	if (!message)
		return arena->exhausted ? -ENOMEM : -EBADMSG;
	*out = message;
	return 0;
}

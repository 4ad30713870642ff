/*
 * pprof_arena.h - memory for one unpacked message at a time.
 *
 * Internal to this folder. protobuf-c allocates every part of a message; here that is a pointer
 * moved forward, and moved back when the message was used.
 *
 * Depends on: protobuf-c. Threads: the owner's.
 */
#ifndef CPROF_PROFILE_PPROF_ARENA_H
#define CPROF_PROFILE_PPROF_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct pprof_arena_block;

struct pprof_arena {
	struct pprof_arena_block *blocks;
	size_t used, total;
	bool exhausted; /* an allocation failed since the last message: memory, not the data */
	ProtobufCAllocator allocator;
};

void pprof_arena_init(struct pprof_arena *arena);
void pprof_arena_deinit(struct pprof_arena *arena);

/**
 * Unpack a message; it lives until the next one.
 *
 * Return: 0, -EBADMSG, -ENOMEM.
 */
int pprof_arena_unpack(struct pprof_arena *arena, const ProtobufCMessageDescriptor *descriptor,
		       const void *bytes, size_t n, ProtobufCMessage **out);

#endif

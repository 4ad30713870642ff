/*
 * attributes.h - what is inlined into an event, and what is kept out of it.
 *
 * An event goes through a dozen small functions, of which each by itself saves and restores six
 * registers: as one function it takes a tenth less. Therefore SHIM_EVENT, and SHIM_ASIDE for what
 * is rare or large, which would only be in the way there.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_HEAP_SHIM_ATTRIBUTES_H
#define CPROF_HEAP_SHIM_ATTRIBUTES_H

/* Everything it calls is inlined, but what is aside. */
#define SHIM_EVENT __attribute__((flatten))

#define SHIM_ASIDE __attribute__((noinline, cold))

#endif

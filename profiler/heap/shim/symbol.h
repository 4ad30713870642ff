/*
 * symbol.h - a function by its name, without the loader's lock.
 *
 * dlsym() waits for a dlopen() that another thread is in, to the end of the constructors it runs;
 * such a constructor may wait for this thread. What dl_iterate_phdr() locks is held for the change
 * of the loader's list alone: exceptions rely on that too. Nor does a name that is not found become
 * what the target's next dlerror() says.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_HEAP_SHIM_SYMBOL_H
#define CPROF_HEAP_SHIM_SYMBOL_H

/**
 * The first definition behind this library, in the order in which objects were loaded.
 *
 * Return: NULL when there is none in an object with a GNU hash table.
 * Context: no allocation.
 */
void *symbol_find(const char *name);

#endif

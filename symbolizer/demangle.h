/*
 * demangle.h - names for people: C++ (Itanium ABI) and Rust (legacy and v0).
 *
 * C++ names keep their parameters, so that overloads stay apart; Rust's legacy hash suffix is
 * dropped.
 *
 * Depends on: libiberty. Threads: any.
 */
#ifndef CPROF_SYMBOLIZER_DEMANGLE_H
#define CPROF_SYMBOLIZER_DEMANGLE_H

#include <stddef.h>

/* Longer inputs and outputs are left mangled: a demangled name may be exponentially longer. */
enum { DEMANGLE_MAX_INPUT = 16 * 1024, DEMANGLE_MAX_OUTPUT = 64 * 1024 };

/**
 * Demangle a name.
 *
 * Return: a new string for the caller to free, or NULL: not mangled, not valid, too long, or
 *         out of memory. The name as it is serves then.
 */
char *demangle(const char *name);

/** The same without a C++ function's parameters: "ns::f", not "ns::f(int)". */
char *demangle_bare(const char *name);

#endif

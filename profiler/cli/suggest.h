/*
 * suggest.h - the word that was probably meant.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_CLI_SUGGEST_H
#define CPROF_CLI_SUGGEST_H

#include <stddef.h>

/**
 * Edits between two words: insertions, deletions, replacements and swaps of neighbours, each 1.
 *
 * Return: the distance; words over 63 bytes are cut.
 */
size_t suggest_distance(const char *a, const char *b);

/**
 * Compare one more candidate.
 *
 * @best: the nearest so far, or NULL at the start; kept when @candidate is no nearer
 * Return: the nearer one, or NULL while nothing is near enough to be a typing error: more than a
 *         third of the longer word would have to change, and it is no prefix.
 */
const char *suggest_nearer(const char *typed, const char *candidate, const char *best);

#endif

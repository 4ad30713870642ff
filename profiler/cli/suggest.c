#include "suggest.h"

#include <stdbool.h>
#include <string.h>

enum { SUGGEST_WORD_MAX = 63 };

static size_t min_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t suggest_distance(const char *a, const char *b)
{
	size_t n_a = strnlen(a, SUGGEST_WORD_MAX), n_b = strnlen(b, SUGGEST_WORD_MAX);
	/* three rows of the optimal string alignment matrix: a swap looks two rows back */
	size_t rows[3][SUGGEST_WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];
	for (size_t j = 0; j <= n_b; j++)
		last[j] = before[j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		row[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			size_t replaced = last[j - 1] + (a[i - 1] != b[j - 1]);
			row[j] = min_of(replaced, min_of(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min_of(row[j], before[j - 2] + 1);
		}
		size_t *oldest = before;
		before = last;
		last = row;
		row = oldest;
	}
	return last[n_b];
}

static bool near_enough(const char *typed, const char *candidate)
{
	size_t n_typed = strlen(typed), n_candidate = strlen(candidate);
	if (n_typed >= 3 && strncmp(candidate, typed, n_typed) == 0)
		return true;
	size_t longer = n_typed > n_candidate ? n_typed : n_candidate;
	return suggest_distance(typed, candidate) * 3 <= longer;
}

const char *suggest_nearer(const char *typed, const char *candidate, const char *best)
{
	if (!near_enough(typed, candidate))
		return best;
	if (best && suggest_distance(typed, best) <= suggest_distance(typed, candidate))
		return best;
	return candidate;
}

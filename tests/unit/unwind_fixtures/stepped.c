/*
 * Executed one instruction at a time by test_unwinder_steps.c, between two int3: prologues and
 * epilogues of code of our own in many shapes, and of the C library's.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frames.h"

static volatile double sink;

void frames_record(const void *return_address)
{
	(void)return_address;
}

static int compare(const void *a, const void *b)
{
	const int x = *(const int *)a, y = *(const int *)b;
	return (x > y) - (x < y);
}

static void inner(void)
{
	char text[128];
	struct timespec now;
	int numbers[12];
	for (int i = 0; i < 12; i++)
		numbers[i] = (i * 7919) % 31;
	qsort(numbers, 12, sizeof(numbers[0]), compare);
	snprintf(text, sizeof(text), "%s %d %.3f %p", "text", numbers[3], 1.0 / 3, (void *)text);
	sink = strtod("3.14159e3", NULL) + sin(numbers[2]);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	sink += (double)strlen(text);
	char *copy = strdup(text);
	free(copy);
	clock_gettime(CLOCK_MONOTONIC, &now);
}

int main(void)
{
	__asm__ volatile("int3");
	CHAIN(6, inner);
	__asm__ volatile("int3");
	return 0;
}

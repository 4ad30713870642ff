/*
 * heap_fractions STEPS GCD_EVERY: many short-lived small blocks, as programs of symbolic arithmetic
 * have them.
 *
 * Expands the square root of a product of two primes into a continued fraction, and looks whether
 * each remainder is a product of small primes: numbers are reference-counted blocks of 10 to 44
 * bytes, every operation makes a new one, factoring recurses, and so does the greatest common
 * divisor, some 40 frames deep with a new block in each, which is taken at every GCD_EVERYth step.
 * What it computes is checked at the end: A^2 = (-1)^k Q modulo N.
 */
#include <stdbool.h>
#include <string.h>

#include "heap_work.h"

typedef unsigned __int128 wide;

enum { DIGIT_BITS = 16, DIGITS_MAX = 32 };

struct number {
	uint32_t refs, n; /* digits, without leading zeros */
	uint16_t digits[];
};

static uint64_t allocations;

static KEPT struct number *number_make(const uint16_t *digits, uint32_t n)
{
	while (n > 1 && digits[n - 1] == 0)
		n--;
	struct number *number = malloc(sizeof(*number) + n * sizeof(digits[0]));
	if (!number)
		abort();
	allocations++;
	number->refs = 1;
	number->n = n;
	for (uint32_t i = 0; i < n; i++)
		number->digits[i] = digits[i];
	return number;
}

static KEPT struct number *number_of(wide value)
{
	uint16_t digits[8];
	for (int i = 0; i < 8; i++, value >>= DIGIT_BITS)
		digits[i] = (uint16_t)value;
	return number_make(digits, 8);
}

static KEPT struct number *number_keep(struct number *number)
{
	number->refs++;
	return number;
}

static KEPT void number_drop(struct number *number)
{
	if (--number->refs == 0)
		free(number);
}

static bool is_zero(const struct number *number)
{
	return number->n == 1 && number->digits[0] == 0;
}

static bool is_one(const struct number *number)
{
	return number->n == 1 && number->digits[0] == 1;
}

static KEPT struct number *number_add(const struct number *a, const struct number *b)
{
	uint16_t sum[DIGITS_MAX];
	uint32_t n = a->n > b->n ? a->n : b->n, carry = 0;
	for (uint32_t i = 0; i < n; i++, carry >>= DIGIT_BITS) {
		carry += (i < a->n ? a->digits[i] : 0U) + (i < b->n ? b->digits[i] : 0U);
		sum[i] = (uint16_t)carry;
	}
	sum[n] = (uint16_t)carry;
	return number_make(sum, n + 1);
}

/* @a is not less than @b. */
static KEPT struct number *number_sub(const struct number *a, const struct number *b)
{
	uint16_t difference[DIGITS_MAX];
	int32_t borrow = 0;
	for (uint32_t i = 0; i < a->n; i++, borrow >>= DIGIT_BITS) {
		borrow += a->digits[i] - (i < b->n ? b->digits[i] : 0);
		difference[i] = (uint16_t)borrow;
	}
	return number_make(difference, a->n);
}

static KEPT struct number *number_mul(const struct number *a, const struct number *b)
{
	uint16_t product[DIGITS_MAX] = {0};
	for (uint32_t i = 0; i < a->n; i++) {
		uint32_t carry = 0;
		for (uint32_t j = 0; j < b->n; j++, carry >>= DIGIT_BITS) {
			carry += product[i + j] + (uint32_t)a->digits[i] * b->digits[j];
			product[i + j] = (uint16_t)carry;
		}
		product[i + b->n] = (uint16_t)carry;
	}
	return number_make(product, a->n + b->n);
}

/* rest -= digit * b, from rest[0] on. Return: whether that is below zero. */
static bool subtract_product(uint16_t *rest, const struct number *b, uint32_t digit)
{
	int64_t borrow = 0;
	for (uint32_t i = 0; i <= b->n; i++, borrow >>= DIGIT_BITS) {
		borrow += rest[i] - (int64_t)digit * (i < b->n ? b->digits[i] : 0);
		rest[i] = (uint16_t)borrow;
	}
	return borrow < 0;
}

/* rest += b. Return: whether it is not below zero any more. */
static bool add_back(uint16_t *rest, const struct number *b)
{
	uint32_t carry = 0;
	for (uint32_t i = 0; i <= b->n; i++, carry >>= DIGIT_BITS) {
		carry += rest[i] + (i < b->n ? b->digits[i] : 0U);
		rest[i] = (uint16_t)carry;
	}
	return carry != 0;
}

/* The schoolbook's way: digit by digit, each guessed from the first ones and corrected. */
static void divide(const struct number *a, const struct number *b, uint16_t *quotient,
		   uint16_t *rest)
{
	memcpy(rest, a->digits, a->n * sizeof(rest[0]));
	rest[a->n] = 0;
	uint64_t leading = b->digits[b->n - 1];
	leading = leading << DIGIT_BITS | (b->n > 1 ? b->digits[b->n - 2] : 0U);
	for (uint32_t at = a->n - b->n + 1; at-- > 0;) {
		uint16_t *part = rest + at;
		uint64_t head = (uint64_t)part[b->n] << DIGIT_BITS | part[b->n - 1];
		head = head << DIGIT_BITS | (b->n > 1 ? part[b->n - 2] : 0U);
		uint32_t digit = (uint32_t)(head / leading);
		/* too large by a few at most, as only b's first two digits were looked at */
		for (bool below = subtract_product(part, b, digit); below; digit--)
			below = !add_back(part, b);
		quotient[at] = (uint16_t)digit;
	}
}

static KEPT struct number *number_div(const struct number *a, const struct number *b)
{
	uint16_t quotient[DIGITS_MAX], rest[DIGITS_MAX];
	if (a->n < b->n)
		return number_of(0);
	divide(a, b, quotient, rest);
	return number_make(quotient, a->n - b->n + 1);
}

static KEPT struct number *number_mod(struct number *a, const struct number *b)
{
	uint16_t quotient[DIGITS_MAX], rest[DIGITS_MAX];
	if (a->n < b->n)
		return number_keep(a);
	divide(a, b, quotient, rest);
	return number_make(rest, b->n);
}

/* a * b - c, as an expression's temporaries are made and dropped. */
static KEPT struct number *mul_sub(struct number *a, struct number *b, struct number *c)
{
	struct number *product = number_mul(a, b);
	struct number *result = number_sub(product, c);
	number_drop(product);
	return result;
}

static KEPT struct number *gcd(struct number *a, struct number *b)
{
	if (is_zero(b))
		return number_keep(a);
	struct number *rest = number_mod(a, b);
	struct number *result = gcd(b, rest);
	number_drop(rest);
	return result;
}

static const uint32_t primes[] = {2,  3,  5,  7,  11, 13, 17, 19, 23, 29, 31, 37, 41,
				  43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97};

/* What is left of @q without its prime factors from primes[i] on; one frame for each factor. */
static KEPT struct number *without_factors(struct number *q, size_t i)
{
	for (; i < sizeof(primes) / sizeof(primes[0]); i++) {
		struct number *prime = number_of(primes[i]);
		struct number *rest = number_mod(q, prime);
		int divides = is_zero(rest);
		number_drop(rest);
		if (!divides) {
			number_drop(prime);
			continue;
		}
		struct number *smaller = number_div(q, prime);
		number_drop(prime);
		struct number *left = without_factors(smaller, i);
		number_drop(smaller);
		return left;
	}
	return number_keep(q);
}

struct fraction {
	struct number *n, *root, *p, *q, *a, *before, *last; /* last = A of this step, mod n */
};

static KEPT void replace(struct number **old, struct number *new)
{
	number_drop(*old);
	*old = new;
}

static KEPT void step(struct fraction *f)
{
	replace(&f->p, mul_sub(f->a, f->q, f->p));
	struct number *square = number_mul(f->p, f->p);
	struct number *difference = number_sub(f->n, square);
	replace(&f->q, number_div(difference, f->q));
	number_drop(square);
	number_drop(difference);
	struct number *sum = number_add(f->root, f->p);
	replace(&f->a, number_div(sum, f->q));
	number_drop(sum);
}

static KEPT void convergent(struct fraction *f)
{
	struct number *product = number_mul(f->a, f->last);
	struct number *sum = number_add(product, f->before);
	number_drop(product);
	replace(&f->before, number_keep(f->last));
	replace(&f->last, number_mod(sum, f->n));
	number_drop(sum);
}

static void check(const struct fraction *f, uint64_t k)
{
	struct number *square = number_mul(f->last, f->last);
	struct number *rest = number_mod(square, f->n);
	struct number *wanted = k % 2 ? number_sub(f->n, f->q) : number_keep(f->q);
	if (rest->n != wanted->n || memcmp(rest->digits, wanted->digits, rest->n * 2) != 0)
		abort();
	number_drop(square);
	number_drop(rest);
	number_drop(wanted);
}

int main(int argc, char **argv)
{
	uint64_t steps = work_argument(argc, argv, 1), gcd_every = work_argument(argc, argv, 2);
	uint64_t smooth = 0, common = 0;
	/* 143 bits */
	struct number *p = number_of(((wide)1 << 72) - 93), *q = number_of(((wide)1 << 71) - 231);
	wide root = (wide)0xb5 << 64 | 0x4f333f9de648395; /* of the product, rounded down */
	struct fraction f = {number_mul(p, q), number_of(root), number_of(0),   number_of(1),
			     number_of(root),  number_of(1),    number_of(root)};
	struct work_clock start = work_clock_now();
	for (uint64_t k = 1; k <= steps; k++) {
		step(&f);
		struct number *left = without_factors(f.q, 0);
		smooth += is_one(left);
		number_drop(left);
		if (k % gcd_every == 0) {
			struct number *divisor = gcd(f.last, f.q);
			common += !is_one(divisor);
			number_drop(divisor);
		}
		if (k % 4096 == 0)
			check(&f, k);
		convergent(&f);
	}
	work_print(start, allocations);
	fprintf(stderr, "%" PRIu64 " smooth, %" PRIu64 " with a common divisor\n", smooth, common);
	struct number *rest[] = {p, q, f.n, f.root, f.p, f.q, f.a, f.before, f.last};
	for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
		number_drop(rest[i]);
	return 0;
}

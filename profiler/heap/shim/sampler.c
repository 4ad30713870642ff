#include "sampler.h"

#include "attributes.h"

uint64_t sampler_seed(uint64_t seed, uint64_t thread)
{
	/* splitmix64's finalizer: near seeds give unrelated states */
	uint64_t z = seed + (thread + 1) * UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return z ? z : 1;
}

/* xorshift64* */
static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

union bits {
	double d;
	uint64_t u;
};

/*
 * Natural logarithm, 0 < x, without libm: x = 2^k m with m in [sqrt(1/2), sqrt(2)), and
 * log m = 2 atanh((m - 1) / (m + 1)), whose series is short there. To 1e-15.
 */
static double natural_log(double x)
{
	union bits b = {.d = x};
	int64_t k = (int64_t)(b.u >> 52) - 1023;
	b.u = (b.u & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
	if (b.d > 1.4142135623730951) {
		b.d /= 2;
		k++;
	}
	const double t = (b.d - 1) / (b.d + 1);
	const double t2 = t * t;
	double sum = 0;
	for (int i = 21; i >= 1; i -= 2)
		sum = sum * t2 + 1.0 / i;
	return 2 * t * sum + (double)k * 0.69314718055994531;
}

/* 1 - exp(-x), 0 <= x: halved until the series is short, then 1 - e^-2y = (1 - e^-y)(2 - (1 -
 * e^-y)).
 */
static double chance(double x)
{
	unsigned halvings = 0;
	if (x > 40)
		return 1;
	while (x > 0.125) {
		x /= 2;
		halvings++;
	}
	double sum = 1;
	for (int i = 12; i >= 2; i--)
		sum = 1 - x / i * sum;
	double p = x * sum;
	while (halvings--)
		p *= 2 - p;
	return p;
}

int64_t sampler_distance(uint64_t *random, uint64_t sample_bytes)
{
	/* 53 bits, in (0, 1] */
	const double u = (double)((next_random(random) >> 11) + 1) * 0x1p-53;
	const double distance = -natural_log(u) * (double)sample_bytes;
	return distance < 0x1p62 ? (int64_t)distance : INT64_C(1) << 62;
}

SHIM_ASIDE void sampler_weigh(uint64_t size, uint64_t sample_bytes, struct count *out)
{
	/* an empty block takes part as one byte, or its chance would be 0 */
	const double drawn = size ? (double)size : 1;
	const double p = chance(drawn / (double)sample_bytes);
	const double variance = (1 - p) / (p * p);
	*out = (struct count){
		.blocks = (uint64_t)(HEAP_WEIGHT_ONE / p + 0.5),
		.bytes = (uint64_t)((double)size / p + 0.5),
		.blocks_variance = variance,
		.bytes_variance = variance * (double)size * (double)size,
	};
}

static void raise_count(uint8_t *count)
{
	uint8_t old = __atomic_load_n(count, __ATOMIC_RELAXED);
	while (old != UINT8_MAX &&
	       !__atomic_compare_exchange_n(count, &old, (uint8_t)(old + 1), true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
}

static void lower_count(uint8_t *count)
{
	uint8_t old = __atomic_load_n(count, __ATOMIC_RELAXED);
	while (old != UINT8_MAX && old != 0 &&
	       !__atomic_compare_exchange_n(count, &old, (uint8_t)(old - 1), true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
}

SHIM_ASIDE void sample_filter_add(struct sample_filter *filter, uint64_t address)
{
	raise_count(&filter->rough[sample_filter_rough_slot(address)]);
	raise_count(&filter->counts[sample_filter_slot(address)]);
}

SHIM_ASIDE void sample_filter_remove(struct sample_filter *filter, uint64_t address)
{
	lower_count(&filter->rough[sample_filter_rough_slot(address)]);
	lower_count(&filter->counts[sample_filter_slot(address)]);
}

#include "thread_rounds.h"

enum { CREDIT_MAX_NS = 20000000, FIRST_COST_NS = 20000, GRANT_NS = 200000 };

/* Looks that cost so many times as much as others have read a binary for the first time. */
enum { USUAL_TIMES = 4 };

void thread_rounds_init(struct thread_rounds *rounds, uint64_t interval_ns, double cpu_share,
			uint64_t seed, uint64_t now_ns)
{
	*rounds = (struct thread_rounds){
		.interval_ns = interval_ns,
		.cpu_share = cpu_share,
		.random = seed | 1,
		.next_ns = now_ns,
		.look_cost_ns = FIRST_COST_NS,
		.credited_ns = now_ns,
	};
}

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators" (2016) */
static uint64_t next_random(struct thread_rounds *rounds)
{
	rounds->random ^= rounds->random >> 12;
	rounds->random ^= rounds->random << 25;
	rounds->random ^= rounds->random >> 27;
	return rounds->random * UINT64_C(0x2545f4914f6cdd1d);
}

/* Below @n; the bias of the multiplication is n / 2^64. */
static uint64_t random_below(struct thread_rounds *rounds, uint64_t n)
{
	return (uint64_t)((unsigned __int128)next_random(rounds) * n >> 64);
}

void thread_rounds_charge(struct thread_rounds *rounds, uint64_t other_cpu_ns)
{
	rounds->charged_ns += (double)other_cpu_ns;
}

static void grant(struct thread_rounds *rounds, double ns)
{
	const double left_ns = (double)THREAD_ROUNDS_GRANT_NS - rounds->grants_ns;
	const double granted_ns = ns < left_ns ? ns : left_ns;
	rounds->grants_ns += granted_ns;
	rounds->granted_ns += granted_ns;
}

void thread_rounds_grant(struct thread_rounds *rounds)
{
	grant(rounds, GRANT_NS);
}

size_t thread_rounds_begin(struct thread_rounds *rounds, size_t n, uint64_t now_ns)
{
	const double given_ns = (double)(now_ns - rounds->credited_ns) * rounds->cpu_share;
	const double most_ns = given_ns * 3 / 4;
	rounds->credit_ns +=
		given_ns - (rounds->charged_ns < most_ns ? rounds->charged_ns : most_ns);
	rounds->charged_ns = 0;
	rounds->credited_ns = now_ns;
	if (rounds->credit_ns > CREDIT_MAX_NS)
		rounds->credit_ns = CREDIT_MAX_NS;
	const double credit_ns = rounds->credit_ns > 0 ? rounds->credit_ns : 0;
	const double affordable = (credit_ns + rounds->granted_ns) / rounds->look_cost_ns;
	size_t k = affordable >= (double)n ? n : affordable < 1 ? 0 : (size_t)affordable;
	rounds->n_rounds++;
	rounds->n_passed_over += n - k;
	return k;
}

uint32_t thread_rounds_pick(struct thread_rounds *rounds, uint32_t *order, size_t i, size_t n)
{
	/* a step of the Fisher-Yates shuffle */
	const size_t j = i + (size_t)random_below(rounds, n - i);
	const uint32_t picked = order[j];
	order[j] = order[i];
	order[i] = picked;
	return picked;
}

void thread_rounds_end(struct thread_rounds *rounds, size_t n_looks, uint64_t cpu_ns,
		       uint64_t now_ns)
{
	const double usual_ns = USUAL_TIMES * rounds->look_cost_ns * (double)n_looks;
	rounds->n_looks += n_looks;
	const double covered_ns = usual_ns > rounds->granted_ns ? usual_ns : rounds->granted_ns;
	if ((double)cpu_ns > covered_ns)
		grant(rounds, (double)cpu_ns - covered_ns);
	const double granted_ns =
		rounds->granted_ns < (double)cpu_ns ? rounds->granted_ns : (double)cpu_ns;
	rounds->granted_ns -= granted_ns;
	rounds->credit_ns -= (double)cpu_ns - granted_ns;
	if (n_looks > 0) {
		/* a binary that is read for the first time is not what looks cost */
		const double cost_ns =
			((double)cpu_ns < usual_ns ? (double)cpu_ns : usual_ns) / (double)n_looks;
		const double weight = n_looks < 64 ? (double)n_looks / 64 : 1;
		rounds->look_cost_ns += (cost_ns - rounds->look_cost_ns) * weight;
		if (rounds->look_cost_ns < 1)
			rounds->look_cost_ns = 1;
	}
	/* uniform between a half and one and a half of the interval */
	rounds->next_ns =
		now_ns + rounds->interval_ns / 2 + random_below(rounds, rounds->interval_ns + 1);
}

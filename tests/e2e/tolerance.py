"""How far a share measured from samples may be from the true one."""

import math

# Shares are only judged from this many samples on: below, the tolerance would accept anything.
MIN_SAMPLES = 5000

# 4.5 standard deviations: with some hundred comparisons in a run, a correct profiler fails one
# run in a thousand. The sampled split is stationary (samples/README.md), so samples are at worst
# independent draws; a regular clock over shuffled phases does better.
SIGMAS = 4.5

# What is outside the truth: the work loop itself, interrupts, the start of the program.
SLACK = 0.005


def tolerance(share, samples):
    """The largest |measured - share| that is no error."""
    share = min(max(share, 0.0), 1.0)
    return SIGMAS * math.sqrt(share * (1 - share) / samples) + SLACK


def tolerance_of_two(share, samples_a, samples_b):
    """The same for two measured shares of one unknown truth."""
    variance = share * (1 - share) * (1 / samples_a + 1 / samples_b)
    return SIGMAS * math.sqrt(variance) + SLACK


def assert_share(what, measured, share, samples):
    assert samples >= MIN_SAMPLES, f"{what}: {samples} samples are too few to judge a share"
    limit = tolerance(share, samples)
    assert abs(measured - share) <= limit, (
        f"{what}: {measured:.4f} measured, {share:.4f} true, "
        f"tolerance {limit:.4f} at {samples} samples"
    )

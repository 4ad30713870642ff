/*
 * sample_short [--exit STATUS] [--signal NUMBER]: ends at once, too soon for any sample.
 */
#include "common/truth.h"

#include <signal.h>

int main(int argc, char **argv)
{
	long number = truth_option(argc, argv, "--signal", 0);

	if (number)
		raise((int)number);
	return (int)truth_option(argc, argv, "--exit", 0);
}

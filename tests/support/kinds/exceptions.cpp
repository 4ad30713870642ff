// Most of the time an exception is in flight.
extern "C" {
#include "kinds.h"
}

#include <stdexcept>
#include <string>

struct Guard {
	~Guard()
	{
		KIND_KEEP();
	}
};

KIND_FRAME void kind_throws(int n)
{
	Guard guard;
	if (n == 0)
		throw std::runtime_error("in flight");
	kind_throws(n - 1);
	KIND_KEEP();
}

KIND_FRAME int kind_catches(int n)
{
	try {
		kind_throws(n);
	} catch (const std::exception &e) {
		return e.what()[0];
	}
	return 0;
}

int main(int argc, char **argv)
{
	kind_begin(argc, argv);
	while (kind_more())
		for (int i = 0; i < 100; i++)
			kind_catches(4);
	return 0;
}

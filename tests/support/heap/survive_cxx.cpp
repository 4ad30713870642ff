// survive_cxx.cpp - operators new and delete in all their forms, and exceptions through them.
#include <cstdio>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

static void *volatile kept;

static void *keep(void *block)
{
	kept = block;
	return kept;
}

static const std::align_val_t wide{64};

static void forms()
{
	keep(::operator new(700001));
	keep(::operator new[](700002));
	keep(::operator new(700003, std::nothrow));
	keep(::operator new[](700004, std::nothrow));
	keep(::operator new(700005, wide));
	keep(::operator new[](700006, wide));
	keep(::operator new(700007, wide, std::nothrow));
	keep(::operator new[](700008, wide, std::nothrow));
	::operator delete(keep(::operator new(700011)));
	::operator delete[](keep(::operator new[](700012)));
	::operator delete(keep(::operator new(700013)), std::size_t(700013));
	::operator delete[](keep(::operator new[](700014)), std::size_t(700014));
	::operator delete(keep(::operator new(700015)), std::nothrow);
	::operator delete[](keep(::operator new[](700016)), std::nothrow);
	::operator delete(keep(::operator new(700017, wide)), wide);
	::operator delete[](keep(::operator new[](700018, wide)), wide);
	::operator delete(keep(::operator new(700019, wide)), std::size_t(700019), wide);
	::operator delete[](keep(::operator new[](700020, wide)), std::size_t(700020), wide);
	::operator delete(keep(::operator new(700021, wide)), wide, std::nothrow);
	::operator delete[](keep(::operator new[](700022, wide)), wide, std::nothrow);
}

// From two lines of one function, over and over: the same frames up to it, and in the allocator.
static void two_lines()
{
	for (int i = 0; i < 50; i++) {
		keep(::operator new(std::size_t(701000 + i)));
		keep(::operator new(std::size_t(702000 + i)));
		keep(::operator new[](std::size_t(703000 + i)));
	}
}

struct thrower {
	char bytes[700030];
	thrower()
	{
		throw std::runtime_error("constructor");
	}
};

static int exceptions(bool bad_alloc)
{
	int caught = 0;
	volatile std::size_t huge = std::size_t(1) << 62;
	for (int i = 0; i < 100; i++) {
		try {
			if (!bad_alloc)
				throw std::bad_alloc();
			keep(::operator new(huge));
		} catch (const std::bad_alloc &) {
			caught++;
		}
		try {
			keep(new thrower);
		} catch (const std::runtime_error &) {
			caught++;
		}
		try {
			std::vector<std::string> strings(3, std::string(100, 'x'));
			strings.at(7);
		} catch (const std::out_of_range &) {
			caught++;
		}
	}
	if (bad_alloc && ::operator new(huge, std::nothrow))
		return 1;
	return caught == 300 ? 0 : 1;
}

// An argument: without allocations that cannot succeed, at which mimalloc aborts.
int main(int argc, char **)
{
	forms();
	two_lines();
	return exceptions(argc == 1);
}

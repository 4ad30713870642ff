/*
 * heap_cxx: C++.
 *
 *	containers    what vector, string, map, unordered_map and shared_ptr hold
 *	exceptions    thrown, caught, kept; constructors that throw give their memory back
 *	forms         new and delete in all their forms
 *	constructors  objects made before main() and destroyed after it
 */
#include "heap_truth.h"

#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

/* The sized forms by their symbols: clang declares them only with -fsized-deallocation. */
void delete_sized(void *block, std::size_t size) __asm__("_ZdlPvm");
void delete_sized_aligned(void *block, std::size_t size,
			  std::align_val_t align) __asm__("_ZdaPvmSt11align_val_t");

namespace
{

/* The steps by which libstdc++ grows a vector: 1, 2, 4, ... 1024, of which the last one stays. */
HEAP_NOINLINE void container_vector()
{
	auto *numbers = static_cast<std::vector<int> *>(HEAP_AT(new std::vector<int>, 24));
	for (int i = 0; i < 1000; i++)
		HEAP_NOTE(numbers->push_back(i), i == 512, i == 512 ? 4096 : 0, !(i & (i - 1)),
			  i & (i - 1) ? 0 : (i ? 8 * i : 4));
}

/* 15 characters fit into the string itself. */
HEAP_NOINLINE void container_string()
{
	HEAP_AT(new std::string("short"), sizeof(std::string));
	HEAP_NOTE(new std::string(100, 'x'), 2, sizeof(std::string) + 101, 2,
		  sizeof(std::string) + 101);
}

struct node_of_int_map {
	int colour;
	void *links[3];
	std::pair<const int, long> value;
};

HEAP_NOINLINE void container_map(std::map<int, long> &map)
{
	for (int i = 0; i < 50; i++)
		HEAP_NOTE(map.emplace(i, 0), 1, sizeof(node_of_int_map), 1,
			  sizeof(node_of_int_map));
}

struct large {
	char bytes[200];
};

/* One block holds the object and its counters: a pointer, two ints, the object. */
HEAP_NOINLINE std::shared_ptr<large> container_shared()
{
	std::shared_ptr<large> object;
	HEAP_NOTE(object = std::make_shared<large>(), 1, 216, 1, 216);
	return object;
}

int run_containers(int, char **)
{
	static std::map<int, long> map;
	static std::shared_ptr<large> object;
	container_vector();
	container_string();
	container_map(map);
	object = container_shared();
	heap_truth_end();
	_exit(0); /* or the static ones would be freed now */
}

/* What libstdc++ adds: a header of 128 bytes to each exception, one of 24 to each exception's text.
 */
enum { EXCEPTION_HEADER = 128, TEXT_HEADER = 24 };
const char long_text[] = "a text that is longer than what fits inside";
const std::size_t error_bytes =
	EXCEPTION_HEADER + sizeof(std::runtime_error) + TEXT_HEADER + sizeof(long_text);

struct thrower {
	char bytes[500];
	HEAP_NOINLINE explicit thrower(bool really)
	{
		bytes[0] = 1;
		if (really)
			HEAP_NOTE(throw std::runtime_error(long_text), 0, 0, 2, error_bytes);
	}
};

/* The memory of an object whose constructor throws is freed by the new expression. */
HEAP_NOINLINE void exception_in_constructor(bool really)
{
	try {
		HEAP_NOTE(new thrower(really), !really, really ? 0 : sizeof(thrower), 1,
			  sizeof(thrower));
	} catch (const std::exception &) {
		heap_truth_fact("caught", 1);
	}
}

std::exception_ptr kept;

struct plain_exception {
	char bytes[100];
};

/* Only the last one stays. */
[[noreturn]] HEAP_NOINLINE void exception_throw(bool stays)
{
	const std::size_t bytes = EXCEPTION_HEADER + sizeof(plain_exception);
	HEAP_NOTE(throw plain_exception(), stays, stays ? bytes : 0, 1, bytes);
}

HEAP_NOINLINE void exception_keep(bool stays)
{
	try {
		exception_throw(stays);
	} catch (...) {
		kept = std::current_exception();
	}
}

int run_exceptions(int, char **)
{
	for (int i = 0; i < 20; i++)
		exception_in_constructor(i % 2 == 0);
	for (int i = 0; i < 300; i++)
		exception_keep(i == 299);
	heap_truth_end();
	_exit(0);
}

struct alignas(128) wide {
	char bytes[256];
};

struct counted {
	long value;
	~counted()
	{
		value = 0;
	}
};

/* new[] of what has a destructor begins with the number of elements. */
HEAP_NOINLINE void forms_kept()
{
	HEAP_AT(new char, 1);
	HEAP_AT(new char[33], 33);
	HEAP_AT(new (std::nothrow) char[34], 34);
	HEAP_AT(new wide, 256);
	HEAP_AT(new wide[3], 768);
	HEAP_AT(new counted[5], 48);
	HEAP_AT(operator new(35, std::align_val_t(64)), 35);
	HEAP_AT(operator new[](36, std::nothrow), 36);
	HEAP_AT(operator new(37, std::align_val_t(32), std::nothrow), 37);
}

template <class T> HEAP_NOINLINE void forms_delete(T *block)
{
	heap_truth_gone(block);
	delete block;
}

HEAP_NOINLINE void forms_freed()
{
	for (int i = 0; i < 10; i++) {
		forms_delete(static_cast<wide *>(HEAP_AT(new wide, 256)));
		forms_delete(static_cast<counted *>(HEAP_AT(new counted, 8)));
		void *block = HEAP_AT(operator new(35), 35);
		heap_truth_gone(block);
		delete_sized(block, 35);
		block = HEAP_AT(operator new[](64, std::align_val_t(64)), 64);
		heap_truth_gone(block);
		delete_sized_aligned(block, 64, std::align_val_t(64));
	}
}

int run_forms(int, char **)
{
	forms_kept();
	forms_freed();
	heap_truth_end();
	_exit(0);
}

struct before_main {
	void *kept, *freed;
	HEAP_NOINLINE before_main()
	{
		kept = HEAP_AT(malloc(404), 404);
		freed = HEAP_AT(malloc(405), 405);
	}
	HEAP_NOINLINE ~before_main();
};

bool wanted;

/* The truth of this mode is printed when main() is over. */
HEAP_NOINLINE before_main::~before_main()
{
	HEAP_AT(malloc(406), 406);
	heap_free(freed);
	if (wanted)
		heap_truth_end();
}

before_main global;

int run_constructors(int, char **)
{
	wanted = true;
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	static const heap_mode modes[] = {
		{"containers", run_containers},
		{"exceptions", run_exceptions},
		{"forms", run_forms},
		{"constructors", run_constructors},
	};
	return heap_truth_main(modes, sizeof(modes) / sizeof(modes[0]), argc, argv);
}

/*
 * cpp_templates: two instantiations of a template (30 and 20), a lambda (15) and std::sort with a
 * lambda as comparator (35), in namespaces. The truth names them as c++filt prints them.
 */
#include "common/truth.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace shop
{
namespace detail
{

template <typename T> class Mixer
{
      public:
	TRUTH_NOINLINE static void mix(std::uint64_t n);
};

template <typename T> void Mixer<T>::mix(std::uint64_t n)
{
	std::uint64_t x = n;

	for (std::uint64_t i = 0; i < n; i++)
		HOT("Mixer.mix", TRUTH_MIX(x));
	truth_sink = x + sizeof(T);
}

struct Order {
	std::uint64_t price;
	std::uint32_t id;
};

} // namespace detail

TRUTH_NOINLINE void sort_orders(std::uint64_t n)
{
	std::vector<detail::Order> orders(256);
	std::uint64_t x = 1;

	for (std::uint64_t i = 0; i < n; i += orders.size()) {
		for (auto &order : orders)
			order = {TRUTH_STEP(x), static_cast<std::uint32_t>(i)};
		std::sort(orders.begin(), orders.end(),
			  [](const detail::Order &a, const detail::Order &b) {
				  return a.price < b.price;
			  });
		truth_sink = orders[0].price;
	}
}

TRUTH_NOINLINE void apply_lambda(std::uint64_t n)
{
	auto hot = [](std::uint64_t rounds) __attribute__((noinline))
	{
		std::uint64_t x = rounds;

		for (std::uint64_t i = 0; i < rounds; i++)
			HOT("lambda", TRUTH_MIX(x));
		truth_sink = x;
	};

	hot(n);
	TRUTH_NO_TAIL_CALL();
}

} // namespace shop

int main(int argc, char **argv)
{
	truth_work works[] = {
		{"shop::detail::Mixer<unsigned long>::mix(unsigned long)", "Mixer.mix",
		 shop::detail::Mixer<unsigned long>::mix, 30, 0, 0, 0},
		{"shop::detail::Mixer<double>::mix(unsigned long)", "Mixer.mix",
		 shop::detail::Mixer<double>::mix, 20, 0, 0, 0},
		{"shop::apply_lambda(unsigned long)::{lambda(unsigned "
		 "long)#1}::operator()(unsigned "
		 "long) const",
		 "lambda", shop::apply_lambda, 15, 0, 0, 0},
		{"shop::sort_orders(unsigned long)", nullptr, shop::sort_orders, 35, 0, 0, 0},
	};
	truth_plan plan = {works, 4, 150000000, 0};

	truth_start(argc, argv);
	truth_calibrate(&plan);
	truth_ready();
	while (truth_more())
		truth_block(&plan);
	truth_works(works, 4);
	return truth_end();
}

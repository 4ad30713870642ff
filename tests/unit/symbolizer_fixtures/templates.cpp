// C++ names: a member of a template, a lambda inlined into a template inlined into a function,
// an anonymous namespace. Labels and marks as in chain.c.
int template_sink;

namespace shapes
{
template <class T> struct box {
	T side;
	__attribute__((noinline)) T area(T factor)
	{
		__asm__ volatile("at_area: nop"); // MARK(area)
		template_sink += factor;
		return side * side * factor;
	}
};

template <class F> static inline __attribute__((always_inline)) void apply(F f, int x)
{
	template_sink ^= x;
	f(x + 1); // MARK(apply)
}
} // namespace shapes

namespace
{
__attribute__((noinline)) int hidden(int x)
{
	__asm__ volatile("at_hidden: nop"); // MARK(hidden)
	return template_sink + x;
}
} // namespace

__attribute__((noinline)) int overloaded(double x, const char *text)
{
	auto add = [&](int y) __attribute__((always_inline))
	{
		__asm__ volatile("at_lambda: nop"); // MARK(lambda)
		template_sink += y + text[0];
	};
	shapes::apply(add, (int)x); // MARK(overloaded)
	return template_sink;
}

extern "C" int enter(int x)
{
	shapes::box<int> box = {x};
	return box.area(2) + overloaded(x, "a") + hidden(x);
}

// An assembler name that looks mangled and is not.
int odd(int x) __asm__("_Zodd");
int odd(int x)
{
	__asm__ volatile("at_odd: nop"); // MARK(odd)
	return template_sink + x;
}

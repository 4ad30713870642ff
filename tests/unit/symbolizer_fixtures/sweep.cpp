// Ordinary C++ full of inlined templates: every address of it is compared with other tools.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

namespace
{
struct base {
	int v;
	explicit base(int x) : v(x)
	{
	}
	virtual ~base()
	{
	}
	virtual int f(int a)
	{
		return v * a + 1;
	}
};
} // namespace

namespace app
{
struct derived : base {
	using base::base;
	int f(int a) override
	{
		return base::f(a) ^ a;
	}
};

static inline int helper(int n)
{
	std::vector<int> v;
	for (int i = 0; i < n; i++)
		v.push_back(i * n);
	std::sort(v.begin(), v.end(), [](int a, int b) { return a > b; });
	return v.empty() ? 0 : v[v.size() / 2];
}

int run(int n)
{
	std::map<std::string, int> m;
	for (int i = 0; i < n; i++)
		m[std::to_string(i)] += helper(i % 17);
	int sum = 0;
	for (auto &entry : m)
		sum += entry.second;
	return sum;
}
} // namespace app

int main(int argc, char **argv)
{
	std::unordered_map<int, std::function<int(int)>> functions;
	functions[1] = [&](int x) { return x + argc; };
	functions[2] = [](int x) { return app::run(x); };
	std::unique_ptr<base> object(new app::derived(argc));
	std::ostringstream out;
	out << object->f(3) << functions[1](2) << functions[2](4) << argv[0];
	return (int)out.str().size() & 1;
}

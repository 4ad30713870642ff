// Much work for a compiler: hundreds of distinct instantiations of containers and lambdas.
#include <algorithm>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>

template <int N> struct step {
	template <class T> static long run(T start)
	{
		std::map<int, std::vector<T>> by_key;
		std::unordered_map<std::string, T> by_name{{std::to_string(N), start}};
		by_key[N].push_back(start);
		std::sort(by_key[N].begin(), by_key[N].end(), [](T a, T b) { return a + N < b; });
		std::function<long(long)> add = [&](long x) {
			return x + N + long(by_name.size());
		};
		return step<N - 1>::run(start) + add(N);
	}
};

template <> struct step<0> {
	template <class T> static long run(T)
	{
		return 0;
	}
};

int main()
{
	std::regex pattern("(a+b*)|c[d-f]{2,3}");
	return int(step<250>::run(1) + step<250>::run(2.0) + step<250>::run('c')) +
	       std::regex_match("aab", pattern);
}

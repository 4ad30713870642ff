/* What plt.c and loader.c load. */
#ifndef NAME
#define NAME library_work
#endif

void library_nothing(void)
{
}

__attribute__((noinline)) void NAME(void)
{
	for (int i = 0; i < 40000; i++)
		__asm__ volatile("imul $3, %%eax, %%eax" ::: "eax", "cc");
}

void library_enter(void)
{
	NAME();
	__asm__ volatile("" ::: "memory");
}

/*
 * sys.h - the system calls that the shim makes while the target runs, without libc.
 *
 * libc's wrappers set errno, which a hook must not change. There are three: madvise, to grow the
 * file and to prove that memory can be read; futex, to wait for a lock whose holder is off its CPU;
 * and, where glibc's own record of it was not found, gettid.
 *
 * Depends on: nothing. Threads: any. Signal safe.
 */
#ifndef CPROF_HEAP_SHIM_SYS_H
#define CPROF_HEAP_SHIM_SYS_H

#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

/* Linux 5.14; older <sys/mman.h> do not know them. */
enum { SYS_MADV_POPULATE_READ = 22, SYS_MADV_POPULATE_WRITE = 23 };

static inline long sys_call3(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

/** Return: 0 or -errno. */
static inline int sys_madvise(uint64_t address, uint64_t bytes, int advice)
{
	return (int)sys_call3(SYS_madvise, (long)address, (long)bytes, advice);
}

/** Whether the kernel knows how to make pages without a descriptor: Linux 5.14. */
static inline bool sys_can_populate(void)
{
	const uint8_t here = 0;
	const uint64_t page = (uint64_t)(uintptr_t)&here & ~UINT64_C(4095);
	return sys_madvise(page, 4096, SYS_MADV_POPULATE_READ) != -EINVAL;
}

/** Sleep while *word is @value, and no longer than @timeout. */
static inline void sys_futex_wait(uint32_t *word, uint32_t value, const struct timespec *timeout)
{
	register long r10 __asm__("r10") = (long)timeout;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"((long)SYS_futex), "D"(word),
			   "S"((long)(FUTEX_WAIT | FUTEX_PRIVATE_FLAG)), "d"((long)value), "r"(r10)
			 : "rcx", "r11", "memory");
}

static inline uint32_t sys_gettid(void)
{
	return (uint32_t)sys_call3(SYS_gettid, 0, 0, 0);
}

#endif

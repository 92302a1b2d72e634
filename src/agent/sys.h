/*
 * sys.h - raw system calls for the agent's helper. It runs on the thread
 * pointer of the thread that made it, so libc's wrappers (errno lives in
 * thread-local storage, which may be paged out) are not for it: results are
 * 0.. or -errno, straight from the kernel.
 */
#ifndef SW_AGENT_SYS_H
#define SW_AGENT_SYS_H

#include <stdint.h>
#include <sys/syscall.h>

static inline long sys6(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#define sys0(n)          sys6(n, 0, 0, 0, 0, 0, 0)
#define sys1(n, a)       sys6(n, (long)(a), 0, 0, 0, 0, 0)
#define sys2(n, a, b)    sys6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define sys3(n, a, b, c) sys6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sys4(n, a, b, c, d) \
	sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/*
 * clone(2) onto the stack that ends at `top` (16-byte aligned); the new task
 * runs fn() and exits. Returns its pid, or -errno.
 */
static inline long sys_spawn(long flags, void *top, void (*fn)(void))
{
	register long r10 __asm__("r10") = 0;
	register long r8 __asm__("r8") = 0;
	long ret;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "call *%[fn]\n\t"
			 "xor %%edi, %%edi\n\t"
			 "mov %[nr_exit], %%eax\n\t"
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(SYS_clone), "D"(flags), "S"(top), "d"(0),
			   "r"(r10),
			   "r"(r8), [fn] "b"(fn), [nr_exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory");
	return ret;
}

#endif

/* spin.c - the slow half of spin.h: waiting without starving the holder. */
#include "base/spin.h"

#include <sched.h>
#include <time.h>

#define SPINS  64 /* pauses before the first yield: ~1 us */
#define YIELDS 16 /* yields before the first nap */
#define NAP_NS 50000

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

void sw_spin_wait(struct sw_spinlock *l)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };

	for (unsigned i = 0; __atomic_load_n(&l->v, __ATOMIC_RELAXED); i++) {
		if (sw_sched_wait())
			continue;
		if (i < SPINS)
			cpu_relax();
		else if (i < SPINS + YIELDS)
			sched_yield();
		else
			nanosleep(&nap, NULL);
	}
}

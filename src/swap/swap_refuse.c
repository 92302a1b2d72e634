/* swap_refuse.c - the words for what was refused; see swap_refuse.h. */
#include "swap/swap_refuse.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

/* The linker's: where the program (or library) we are part of begins. Asking
 * the dynamic loader would mean taking its lock. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

bool swap_bad_entry_aborts = true;

void swap_refused(struct swap_refusal *at, const void *caller, const char *fmt,
		  ...)
{
#ifdef SW_CHECKS
	bool fatal = at->misuse && swap_bad_entry_aborts;
#else
	bool fatal = false;
#endif
	char what[256];
	va_list ap;

	__atomic_fetch_add(&sw_counters[at->counter], 1, __ATOMIC_RELAXED);
	if (__atomic_exchange_n(&at->said, true, __ATOMIC_RELAXED) && !fatal)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	sw_warn("%s: %s; refused (addr2line 0x%zx names the caller)", at->call,
		what, (size_t)((const char *)caller - __ehdr_start));
	if (fatal)
		sw_bug(__FILE__, __LINE__, at->call);
}

void swap_entry_refused(struct swap_refusal *at, const void *caller,
			swp_entry_t entry)
{
	swap_refused(at, caller, "entry %u:%llu is not in use", swp_type(entry),
		     (unsigned long long)swp_offset(entry));
}

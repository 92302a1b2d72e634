/* counters.c - storage and names of the counters in counters.h. */
#include "base/counters.h"

uint64_t sw_counters[SW_NR_COUNTERS];
__thread uint64_t sw_disk_reads;

const char *const sw_counter_names[SW_NR_COUNTERS] = {
#define X(name) #name,
	SW_COUNTERS(X)
#undef X
};

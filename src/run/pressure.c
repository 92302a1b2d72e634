/*
 * pressure.c - see pressure.h. Above: stalls.c. Below: nothing.
 *
 * Each average moves towards the share of the last period by 1 - e^(-2 s/T). Where
 * several periods went by unasked, all of them had the share of the whole.
 */
#include "run/pressure.h"

#define PERIOD_NS 2000000000ull

const char *const sw_pressure_names[SW_NR_PRESSURE] = { "some", "full" };
const unsigned sw_average_seconds[SW_NR_AVERAGES] = { 10, 60, 300 };

/* e^(-2/10), e^(-2/60), e^(-2/300) */
static const double keeps[SW_NR_AVERAGES] = { 0.8187307530779818,
					      0.9672161004820059,
					      0.9933555062550344 };

void sw_pressure_init(struct sw_pressure *p)
{
	*p = (struct sw_pressure){ .left_ns = PERIOD_NS };
}

/* By squaring: a machine may have slept for days. */
static double power(double base, uint64_t n)
{
	double result = 1;

	for (; n; n >>= 1, base *= base)
		if (n & 1)
			result *= base;
	return result;
}

static void average(struct sw_pressure *p, uint64_t periods)
{
	for (unsigned k = 0; k < SW_NR_PRESSURE; k++) {
		double share = (double)p->pending_ns[k] / p->elapsed_ns;

		for (unsigned i = 0; i < SW_NR_AVERAGES; i++) {
			double *avg = &p->line[k].average[i];
			double kept = power(keeps[i], periods);

			*avg = *avg * kept + share * (1 - kept);
		}
		p->pending_ns[k] = 0;
	}
	p->elapsed_ns = 0;
}

void sw_pressure_add(struct sw_pressure *p, uint64_t elapsed_ns,
		     const uint64_t stalled_ns[SW_NR_PRESSURE])
{
	uint64_t over;

	for (unsigned k = 0; k < SW_NR_PRESSURE; k++) {
		uint64_t ns = sw_min(stalled_ns[k], elapsed_ns);

		p->line[k].total_ns += ns;
		p->pending_ns[k] += ns;
	}
	p->elapsed_ns += elapsed_ns;
	if (elapsed_ns < p->left_ns) {
		p->left_ns -= elapsed_ns;
		return;
	}
	over = elapsed_ns - p->left_ns;
	average(p, 1 + over / PERIOD_NS);
	p->left_ns = PERIOD_NS - over % PERIOD_NS;
}

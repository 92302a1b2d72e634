/*
 * swap_work.h - what the swap layer does behind its callers' backs, one job
 * after the other in one thread: discarding freed clusters, taking back what
 * only the cache holds.
 */
#ifndef SW_SWAP_WORK_H
#define SW_SWAP_WORK_H

#include "base/list.h"

struct swap_work {
	struct sw_list node; /* [work_lock] on the queue while pending */
	void (*fn)(struct swap_work *work);
	bool running; /* [work_lock] */
};

void swap_work_init(struct swap_work *work, void (*fn)(struct swap_work *));

/* Any context, cluster locks included. A job already pending stays one. */
void swap_work_queue(struct swap_work *work);

/* Waits until `work` is neither pending nor running; under no lock. */
void swap_work_flush(struct swap_work *work);

/* Waits until the thread has nothing to do; not for jobs left to tests. */
void swap_work_drain(void);

/* The thread: started with the first device. 0 or -errno. */
int swap_work_start(void);
void swap_work_stop(void);
/* No thread from the first to the second, if there was one. */
void swap_work_pause(void);
void swap_work_resume(void);

/* Tests: jobs run only when told, in the caller's thread. */
void swap_work_set_manual(bool manual);
unsigned swap_work_run_pending(void);

#endif

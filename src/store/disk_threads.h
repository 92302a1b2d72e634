/*
 * disk_threads.h - requests to a disk by threads with preadv() and pwritev(),
 * where io_uring is forbidden or its rings are all in use. Private to the disk
 * store.
 */
#ifndef SW_STORE_DISK_THREADS_H
#define SW_STORE_DISK_THREADS_H

#include "store/disk_req.h"

struct sw_disk_threads;

/* NULL: no memory. Unless `helped`, there are no threads but those that bring
 * work. */
struct sw_disk_threads *sw_disk_threads_open(int fd, bool helped);
/* Nobody is inside sw_disk_threads_run(). */
void sw_disk_threads_close(struct sw_disk_threads *threads);

/* Carries out those that were not tried, by the calling thread as well, and
 * waits for the end of them. */
void sw_disk_threads_run(struct sw_disk_threads *threads,
			 struct sw_disk_reqs *reqs);

#endif

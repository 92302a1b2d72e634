/*
 * zswap.h - compressed memory in front of slower devices: one pool for all
 * that a session has. A device is wrapped before it is switched on; what is
 * written to it stays in the pool, in as much memory as it takes, until it is
 * cold and room is needed, and only then goes to the device. Pages that do not
 * shrink, and all of them while the pool is full, go there at once.
 *
 * A slot's page is in the pool or on the device, never in both. Only two can
 * change that: who writes the slot's folio out, and who has put a folio there
 * to write the page back; the swap cache lets in one of them at a time. See
 * docs/zswap.md.
 */
#ifndef SW_ZSWAP_H
#define SW_ZSWAP_H

#include "swap/swap.h"

struct sw_zswap;
struct sw_zswap_device;

struct sw_zswap_config {
	uint64_t size_bytes; /* the most memory it takes */
	const char *codec;
	const char *strong; /* for cold pages when idle, or NULL: none */
};

struct sw_zswap_stats {
	uint64_t pages;          /* held, same-filled ones included */
	uint64_t same_pages;     /* of these: a word each */
	uint64_t strong_pages;   /* of these: by the stronger codec */
	uint64_t compr_bytes;    /* sum of compressed sizes */
	uint64_t mem_bytes;      /* memory taken, descriptors included */
	uint64_t mem_bytes_peak; /* of the pages alone */
	uint64_t moved_objects;  /* by compaction */
};

/* NULL with errno ENOMEM, or EINVAL for a codec nobody knows, after a line. */
struct sw_zswap *sw_zswap_open(const struct sw_zswap_config *config);
/* All devices are off, and unwrapped. */
void sw_zswap_close(struct sw_zswap *zswap);

/*
 * What swapon() is given as `ops` and `store` in place of the device's own,
 * which stay the caller's, as does the order: swapon(), sw_zswap_device_on()
 * with the type that it said, swapoff(), sw_zswap_unwrap(). NULL with errno
 * after a line.
 *
 * The ops are those of the device with these differences. write: after an
 * error all its slots are empty. read: a page of the pool is compared with its
 * checksum; -EIO when it cannot be given back; -ENOMEM as store.h has it.
 * Pages that the device itself had are counted as pswpin and pswpout here.
 */
extern const struct swap_ops sw_zswap_ops;

struct sw_zswap_device *sw_zswap_wrap(struct sw_zswap *zswap,
				      const struct swap_ops *ops, void *store,
				      uint64_t max);
void sw_zswap_device_on(struct sw_zswap_device *dev, unsigned type);
void sw_zswap_unwrap(struct sw_zswap_device *dev);

/* Starts and stops the thread that writes cold pages back, keeps order in the
 * pool and compresses anew when there is nothing else to do. 0 or -errno. */
SW_MUST_CHECK int sw_zswap_start(struct sw_zswap *zswap);
void sw_zswap_stop(struct sw_zswap *zswap);

/* Another size, no larger than it was opened with: what is too much is written
 * back. Any thread, one at a time. */
void sw_zswap_set_limit(struct sw_zswap *zswap, uint64_t bytes);

/* Memory in use, in pages; takes no lock. `zswap` is a struct sw_zswap. */
uint64_t sw_zswap_pages(void *zswap);
/* Memory is short: the coldest `nr` pages should go, soon. Never waits. */
void sw_zswap_shrink(void *zswap, uint64_t nr);

void sw_zswap_stats(struct sw_zswap *zswap, struct sw_zswap_stats *stats);

/* ---- what the thread does, for it and for tests ---- */

/* Writes back the coldest `nr` pages, or drops them where a program has the
 * same; returns how many went. 0 at once when another thread is at it. */
unsigned sw_zswap_write_back(struct sw_zswap *zswap, unsigned nr);
/* Compresses up to `nr` cold pages anew; returns how many became smaller.
 * *more: not all have been looked at. For one thread at a time. */
unsigned sw_zswap_recompress(struct sw_zswap *zswap, unsigned nr, bool *more);
/* Gathers what lies sparsely; returns how many objects moved. */
uint64_t sw_zswap_compact(struct sw_zswap *zswap);
/* Full enough to write back; and empty enough to stop. */
bool sw_zswap_is_high(struct sw_zswap *zswap);
bool sw_zswap_is_low(struct sw_zswap *zswap);
/* Writes back until it is, and as much as the shrinker asked for; then stores
 * are taken again. False: no page goes any more, and it is not. */
bool sw_zswap_balance(struct sw_zswap *zswap);

/* Walks everything at a quiescent moment; returns how many invariants are
 * broken and prints each. */
unsigned sw_zswap_check(struct sw_zswap *zswap);

#endif

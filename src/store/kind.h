/*
 * kind.h - the kinds of swap devices, a row each: how a device of the kind is
 * asked for, and how its store is made. For sessions and for the library, each
 * of which reads its options in its own words.
 */
#ifndef SW_STORE_KIND_H
#define SW_STORE_KIND_H

#include "store/store.h"

/* When freed slots are discarded; a bit set. */
enum sw_discard {
	SW_DISCARD_ONCE = 1,  /* all of them, before the device is used */
	SW_DISCARD_PAGES = 2, /* while it is */
};

/* What a store is made from. */
struct sw_store_spec {
	const char *path;    /* NULL in memory */
	uint64_t size_bytes; /* 0 on a disk: what is there */
	bool encrypt;        /* on a disk, as is the next */
	unsigned discard;    /* of enum sw_discard */
};

struct sw_store_kind {
	const char *name;
	const char *form; /* for messages: how it is written */
	bool is_memory;   /* compressed: has a size in place of a path */
	bool has_size;    /* on a disk: may be given one */
	/* Makes the store, which is `on->store` then, and fills the rest of `on`
	 * but for its prio; the name is "zram", or that of `disk`, which is left
	 * alone in memory. 0, or -errno after a line. */
	int (*open)(const struct sw_store_spec *spec, struct swapon_spec *on,
		    struct sw_disk_info *disk);
	void (*stats)(void *store, struct sw_store_stats *stats);
	void (*close)(void *store);
};

/* By the `len` first bytes of `name`; NULL: there is no such kind. */
const struct sw_store_kind *sw_store_kind_lookup(const char *name, size_t len);
/* The forms of all kinds, as one text. */
const char *sw_store_kinds_known(char buf[256]);

#endif

/*
 * disk_crypt.h - encryption of a disk's pages, with a key that is made when
 * the store is opened, is never written anywhere, and is gone with it. Private
 * to disk.c.
 *
 * What it remembers of a slot says whether the bytes on the disk are those
 * that were written to this slot last: it stands in place of a checksum.
 */
#ifndef SW_STORE_DISK_CRYPT_H
#define SW_STORE_DISK_CRYPT_H

#include "base/base.h"

struct sw_crypt;

/* For slots 0 to nr_slots - 1, all empty. NULL with errno after a line that
 * begins with `name`. A child of fork() has no key, and may call nothing. */
struct sw_crypt *sw_crypt_open(uint64_t nr_slots, const char *name);
void sw_crypt_close(struct sw_crypt *crypt);

/*
 * Encrypts pages for `nr` empty slots from `slot` on: `sealed` gets what is to
 * be written there, and may be forgotten once it is. From now on the slots are
 * written; should the disk fail, forget them.
 */
void sw_crypt_seal(struct sw_crypt *crypt, uint64_t slot, unsigned nr,
		   const void *pages, void *sealed);

/*
 * Decrypts in place what was read from `nr` slots that are written. Gives the
 * number of pages before the first that is not what was written; `nr`: all
 * are. That page and those behind it are not to be looked at.
 */
SW_MUST_CHECK unsigned sw_crypt_unseal(const struct sw_crypt *crypt,
				       uint64_t slot, unsigned nr, void *pages);

bool sw_crypt_is_written(const struct sw_crypt *crypt, uint64_t slot);
/* How many of the slots were written; they are empty now. */
uint64_t sw_crypt_forget(struct sw_crypt *crypt, uint64_t slot, uint64_t nr);

/* Bytes of memory, once every slot was written. */
uint64_t sw_crypt_meta_bytes(const struct sw_crypt *crypt);

#endif

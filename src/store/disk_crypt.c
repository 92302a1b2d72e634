/*
 * disk_crypt.c - see disk_crypt.h. Above: disk.c. Below: libsodium.
 *
 * XChaCha20-Poly1305. Each write takes the next number of a counter for its
 * nonce, so no nonce is used twice with the one key there ever is, and the
 * slot goes into the tag. Number and tag stay in memory, 24 bytes a slot that
 * was written: what the disk gives back is accepted only if it is the last
 * write to this very slot. A number of 0 says that nothing was written.
 *
 * AES-256-GCM, where the CPU has it, would take 2.2 us a page in place of
 * 3.4. That is little beside a disk, and one cipher is one path to test.
 *
 * There is no lock: slots have nothing in common but the counter.
 */
#include "store/disk_crypt.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "store/sysmem.h"

#define TAG_BYTES   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES

struct record {
	uint64_t number; /* of the write; 0: none */
	unsigned char tag[TAG_BYTES];
};

struct sw_crypt {
	/* [const] In a page of its own: locked into memory, and left out of
	 * core dumps and of children. */
	unsigned char *key;
	uint64_t nr_slots;       /* [const] */
	uint64_t last;           /* [atomic] number that a write was given */
	struct record records[]; /* each its slot's one writer's */
};

static size_t crypt_bytes(uint64_t nr_slots)
{
	return sizeof(struct sw_crypt) + nr_slots * sizeof(struct record);
}

/* ---- the key ---- */

static void key_free(unsigned char *key)
{
	if (!key)
		return;
	(void)sodium_munlock(key, SW_PAGE_SIZE); /* wipes it */
	sw_sysmem_release(key, SW_PAGE_SIZE);
}

/* sodium_mlock() also keeps it out of core dumps. */
static unsigned char *key_new(const char *name)
{
	unsigned char *key = sw_sysmem_reserve(SW_PAGE_SIZE);

	if (!key) {
		sw_error("%s: no memory for its key", name);
		errno = ENOMEM;
		return NULL;
	}
	if (sodium_mlock(key, SW_PAGE_SIZE) ||
	    madvise(key, SW_PAGE_SIZE, MADV_DONTFORK)) {
		int err = errno;

		sw_error(
			"%s: its key cannot be locked into memory: %s; raise ulimit -l",
			name, strerror(err));
		key_free(key);
		errno = err;
		return NULL;
	}
	crypto_aead_xchacha20poly1305_ietf_keygen(key);
	return key;
}

/* ---- pages ---- */

/* The number makes it unlike any other; the rest is zeros. */
static void make_nonce(unsigned char nonce[NONCE_BYTES], uint64_t number)
{
	memset(nonce, 0, NONCE_BYTES);
	memcpy(nonce, &number, sizeof(number));
}

void sw_crypt_seal(struct sw_crypt *c, uint64_t slot, unsigned nr,
		   const void *pages, void *sealed)
{
	unsigned char nonce[NONCE_BYTES];
	uint64_t number = __atomic_fetch_add(&c->last, nr, __ATOMIC_RELAXED);
	const unsigned char *from = pages;
	unsigned char *to = sealed;

	SW_ASSERT(slot < c->nr_slots && nr <= c->nr_slots - slot);
	for (unsigned i = 0; i < nr; i++, slot++) {
		struct record *r = &c->records[slot];

		SW_ASSERT(!r->number);
		make_nonce(nonce, ++number);
		(void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
			to, r->tag, NULL, from, SW_PAGE_SIZE,
			(const unsigned char *)&slot, sizeof(slot), NULL, nonce,
			c->key);
		r->number = number;
		from += SW_PAGE_SIZE;
		to += SW_PAGE_SIZE;
	}
}

unsigned sw_crypt_unseal(const struct sw_crypt *c, uint64_t slot, unsigned nr,
			 void *pages)
{
	unsigned char nonce[NONCE_BYTES];
	unsigned char *page = pages;

	SW_ASSERT(slot < c->nr_slots && nr <= c->nr_slots - slot);
	for (unsigned i = 0; i < nr; i++, slot++, page += SW_PAGE_SIZE) {
		const struct record *r = &c->records[slot];

		SW_ASSERT(r->number);
		make_nonce(nonce, r->number);
		if (crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
			    page, NULL, page, SW_PAGE_SIZE, r->tag,
			    (const unsigned char *)&slot, sizeof(slot), nonce,
			    c->key))
			return i;
	}
	return nr;
}

bool sw_crypt_is_written(const struct sw_crypt *c, uint64_t slot)
{
	return c->records[slot].number;
}

uint64_t sw_crypt_forget(struct sw_crypt *c, uint64_t slot, uint64_t nr)
{
	uint64_t gone = 0;

	for (struct record *r = &c->records[slot]; nr; r++, nr--) {
		/* What was never written has no memory, and gets none here. */
		if (!r->number)
			continue;
		r->number = 0;
		gone++;
	}
	return gone;
}

/* ---- life ---- */

uint64_t sw_crypt_meta_bytes(const struct sw_crypt *c)
{
	return crypt_bytes(c->nr_slots);
}

void sw_crypt_close(struct sw_crypt *c)
{
	if (!c)
		return;
	key_free(c->key);
	sw_sysmem_release(c, crypt_bytes(c->nr_slots));
}

struct sw_crypt *sw_crypt_open(uint64_t nr_slots, const char *name)
{
	struct sw_crypt *c;
	int err;

	if (sodium_init() < 0) {
		sw_error("%s: libsodium cannot be used", name);
		errno = ENOSYS;
		return NULL;
	}
	c = sw_sysmem_reserve(crypt_bytes(nr_slots));
	if (!c) {
		sw_error("%s: no address space for its tags (see ulimit -v)",
			 name);
		errno = ENOMEM;
		return NULL;
	}
	c->nr_slots = nr_slots;
	c->key = key_new(name);
	if (c->key)
		return c;
	err = errno;
	sw_crypt_close(c);
	errno = err;
	return NULL;
}

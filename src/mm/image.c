/*
 * image.c - pages of a frozen session that are out, but in compressed memory,
 * are written to a disk and forgotten there. Above: freeze.c. Below: the swap
 * cache, hibernation slots, and the stores on both sides.
 *
 * A slot keeps its entry, its owners and its place in the swap layer; only its
 * bytes are elsewhere for a time. So the image has a count of each, and no slot
 * that it knows is given to another page; and since all faults are held, nobody
 * reads. Nothing is forgotten before all is written: until then to give up is
 * to free slots. As with every swap-in, bytes are read and put back with a
 * folio of ours on the slot. An image is not swap: it has slots of its own, one
 * by one and never in the cache, on one device, which cannot be switched off.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mm/mm_internal.h"

#define BATCH SW_WINDOW_PAGES

/* Pages on their way. */
struct batch {
	swp_entry_t entry[BATCH]; /* slots in compressed memory */
	uint64_t at[BATCH];       /* and in the image */
	unsigned nr;
	char *pages;
};

static bool is_in_memory(unsigned type)
{
	struct sw_swap_device_info info;

	return swap_device_info(type, &info) && info.flags & SWP_SYNCHRONOUS_IO;
}

/* ---- devices that are held ---- */

static int pin(struct sw_image *image, unsigned type)
{
	int err = swap_pin_hibernation(type);

	if (!err)
		image->pinned |= 1u << type;
	return err;
}

/* The one that gets the image, and those whose pages do. */
static int pin_devices(struct sw_image *image, unsigned image_type)
{
	struct sw_swap_device_info info;
	int err = pin(image, image_type);

	for (unsigned type = 0; !err && type < MAX_SWAPFILES; type++) {
		if (type == image_type || !is_in_memory(type) ||
		    !swap_device_info(type, &info))
			continue;
		err = pin(image, type);
		image->seen[type] = calloc(info.pages / 64 + 2, 8);
		if (!err && !image->seen[type])
			err = -ENOMEM;
	}
	return err;
}

/* ---- the store behind a slot ---- */

/* The device has not answered yet, or memory was short. */
static bool works_later(int err)
{
	return err == -EINPROGRESS || err == -ENOMEM;
}

static int move_bytes(swp_entry_t entry, unsigned nr, bool write, void *pages)
{
	struct swap_info_struct *si = get_swap_device(entry);
	const struct swap_ops *ops;
	void *store;
	int err;

	if (!si)
		return -EIO;
	ops = swap_device_ops(si, &store);
	err = write ? ops->write(store, swp_offset(entry), nr, pages)
		    : ops->read(store, swp_offset(entry), nr, pages);
	put_swap_device(si);
	if (err && write)
		sw_count(swap_write_error, 1);
	else if (err && !works_later(err))
		sw_count(swap_read_error, 1);
	return err;
}

static void forget_bytes(swp_entry_t entry)
{
	struct swap_info_struct *si = get_swap_device(entry);
	const struct swap_ops *ops;
	void *store;

	ops = swap_device_ops(si, &store);
	ops->slot_free(store, swp_offset(entry), 1);
	put_swap_device(si);
}

/* A folio of ours on the slot, locked, so that nobody else is at it. NULL:
 * somebody has its bytes in memory, or it has none. */
static struct folio *hold_slot(swp_entry_t entry, uint64_t *shadow)
{
	struct folio *folio;
	bool zero;
	int err;

	folio = swap_cache_alloc_folio(entry, 1, shadow, &zero, &err);
	if (!folio || !zero)
		return folio;
	swap_cache_del_folio(folio, *shadow);
	folio_unlock(folio);
	folio_put(folio);
	return NULL;
}

static void release_slot(struct folio *folio, uint64_t shadow)
{
	swap_cache_del_folio(folio, shadow);
	folio_unlock(folio);
	folio_put(folio);
}

/* ---- which pages ---- */

/* False: it was met before, in the words of another space. */
static bool meet(struct sw_image *image, swp_entry_t entry)
{
	uint64_t *bits = image->seen[swp_type(entry)];
	uint64_t offset = swp_offset(entry), bit = 1ull << offset % 64;

	if (bits[offset / 64] & bit)
		return false;
	bits[offset / 64] |= bit;
	return true;
}

/* The image becomes an owner of the slots that words from `at` on name, as many
 * as fit the batch. Returns where to go on, or UINT64_MAX. Space lock held. */
static uint64_t collect(struct sw_space *space, struct sw_image *image,
			struct batch *b, uint64_t at)
{
	struct sw_leaf *leaf = sw_pt_next(&space->pt, at);

	if (!leaf)
		return UINT64_MAX;
	at = sw_max(at, leaf->base);
	for (; at < leaf->base + SW_LEAF_BYTES && b->nr < BATCH;
	     at += SW_PAGE_SIZE) {
		uint64_t word = leaf->word[sw_leaf_index(at)];
		swp_entry_t entry = sw_word_entry(word);

		if (sw_word_kind(word) != SW_WORD_SWAP ||
		    !image->seen[swp_type(entry)] || !meet(image, entry))
			continue;
		/* Without memory for the count it stays where it is. */
		if (!swap_dup_entry_direct(entry))
			b->entry[b->nr++] = entry;
	}
	return at;
}

/* ---- out ---- */

/* Takes page k, which is not to be in the image, out of the batch. */
static void leave_out(struct batch *b, unsigned k)
{
	swap_put_entries_direct(b->entry[k], 1);
	b->nr--;
	memmove(&b->entry[k], &b->entry[k + 1],
		(b->nr - k) * sizeof(b->entry[0]));
}

/* Pages that cannot be read stay behind: who touches them will be told. */
static void read_batch(struct batch *b)
{
	for (unsigned k = 0; k < b->nr;) {
		uint64_t shadow;
		struct folio *folio = hold_slot(b->entry[k], &shadow);
		bool read;

		if (!folio) {
			leave_out(b, k);
			continue;
		}
		read = !move_bytes(b->entry[k], 1, false,
				   b->pages + k * SW_PAGE_SIZE);
		release_slot(folio, shadow);
		if (read)
			k++;
		else
			leave_out(b, k);
	}
}

/* False: there is no room for all of it. */
static bool find_room(struct sw_image *image, struct batch *b)
{
	unsigned got = 0;

	for (; got < b->nr; got++) {
		swp_entry_t entry = alloc_swapdev_block(&image->slots);

		if (!entry.val)
			break;
		b->at[got] = swp_offset(entry);
	}
	if (got == b->nr)
		return true;
	while (b->nr > got)
		leave_out(b, b->nr - 1);
	return false;
}

/* Pages from the kth on whose slots in the image follow each other. */
static unsigned run_of(const uint64_t *at, unsigned k, unsigned nr)
{
	unsigned n = 1;

	while (k + n < nr && at[k + n] == at[k] + n)
		n++;
	return n;
}

/* The bytes may reach the slots at any later time: they turn bad with the end
 * of the image. */
static void condemn(unsigned type, uint64_t at, unsigned nr)
{
	for (; nr; at++, nr--) {
		struct folio *folio;
		uint64_t shadow;

		while (!(folio = hold_slot(swp_entry(type, at), &shadow)))
			sched_yield(); /* out of memory, for the moment */
		folio_set(folio, SW_FOLIO_DIRTY);
		folio_condemn_slot(folio);
		sw_count(swap_condemned, 1);
		folio_unlock(folio);
		folio_put(folio); /* the cache's reference keeps it */
	}
}

static int write_batch(struct sw_image *image, const struct batch *b)
{
	unsigned n;
	int err = 0;

	for (unsigned k = 0; k < b->nr && !err; k += n) {
		n = run_of(b->at, k, b->nr);
		err = move_bytes(swp_entry(image->slots.type, b->at[k]), n,
				 true, b->pages + k * SW_PAGE_SIZE);
		if (err == -ETIMEDOUT)
			condemn(image->slots.type, b->at[k], n);
	}
	return err;
}

static int make_list_room(struct sw_image *image)
{
	uint64_t max = image->max ? 2 * image->max : 16 * BATCH;
	struct sw_image_page *page;

	if (image->nr + BATCH <= image->max)
		return 0;
	page = realloc(image->page, max * sizeof(*page));
	if (!page)
		return -ENOMEM;
	image->page = page;
	image->max = max;
	return 0;
}

/* Sets *full when the device has no room for more. */
static int save_batch(struct sw_image *image, struct batch *b, bool *full)
{
	int err;

	read_batch(b);
	*full = !find_room(image, b);
	/* In the list first: who gives up looks there for what is to be
	 * given back. */
	for (unsigned k = 0; k < b->nr; k++)
		image->page[image->nr++] = (struct sw_image_page){
			.of = b->entry[k],
			.at = b->at[k],
		};
	err = write_batch(image, b);
	b->nr = 0;
	return err;
}

static int save_space(struct sw_space *space, struct sw_image *image,
		      struct batch *b, const struct sw_freeze_spec *spec,
		      bool *full)
{
	uint64_t at = 0;
	int err = 0;

	while (!err && !*full && at != UINT64_MAX) {
		if (spec->goes_on && !spec->goes_on(spec->arg))
			return -ECANCELED;
		err = make_list_room(image);
		if (err)
			break;
		sw_space_lock(space);
		at = collect(space, image, b, at);
		sw_space_unlock(space);
		if (b->nr)
			err = save_batch(image, b, full);
	}
	return err;
}

static int save_all(struct sw_mm *mm, struct sw_image *image,
		    const struct sw_freeze_spec *spec)
{
	struct batch b = { .pages = aligned_alloc(SW_PAGE_SIZE,
						  BATCH * SW_PAGE_SIZE) };
	struct sw_space *space = NULL;
	bool full = false;
	int err = b.pages ? 0 : -ENOMEM;

	while ((space = sw_spaces_next(mm, space)))
		if (!err && !full)
			err = save_space(space, image, &b, spec, &full);
	free(b.pages);
	if (full)
		sw_warn("there is no room on the disk for all of the session: the rest stays in compressed memory");
	return err;
}

/* All is written: compressed memory need not have it any longer. */
static void forget_saved(struct sw_image *image)
{
	for (uint64_t i = 0; i < image->nr; i++) {
		struct sw_image_page *p = &image->page[i];
		uint64_t shadow;
		struct folio *folio = hold_slot(p->of, &shadow);

		if (!folio)
			continue;
		forget_bytes(p->of);
		p->dropped = true;
		release_slot(folio, shadow);
	}
}

int sw_image_make(struct sw_mm *mm, const struct sw_freeze_spec *spec)
{
	struct sw_image *image = &mm->freeze.image;
	int err;

	image->slots.type = spec->image_type;
	err = pin_devices(image, spec->image_type);
	if (!err)
		err = save_all(mm, image, spec);
	if (!err) {
		forget_saved(image);
		return 0;
	}
	if (err != -ECANCELED)
		sw_error(
			"the session's memory cannot be written to the disk: %s; it goes on as before",
			strerror(-err));
	sw_device_judge(mm, spec->image_type, err);
	sw_image_release(image);
	return err;
}

/* ---- back ---- */

/* The store has no room for it now: it waits in memory, as any page on its way
 * out. False: there is none. */
static bool stage(struct sw_mm *mm, struct folio *folio, const void *page)
{
	void *data = sw_buf_get(mm);

	if (!data)
		return false;
	memcpy(data, page, SW_PAGE_SIZE);
	folio->mapping = mm;
	folio->data = data;
	folio_set(folio, SW_FOLIO_UPTODATE | SW_FOLIO_DIRTY);
	sw_staging_add(mm, folio);
	folio_unlock(folio);
	folio_put(folio); /* the cache's reference keeps it */
	return true;
}

/* -ENOMEM: nothing has changed. */
static int put_back(struct sw_mm *mm, const struct sw_image_page *p,
		    const void *page)
{
	struct folio *folio;
	uint64_t shadow;

	folio = hold_slot(p->of, &shadow);
	if (!folio)
		return -ENOMEM; /* nobody else can be there */
	if (move_bytes(p->of, 1, true, (void *)page)) {
		if (stage(mm, folio, page))
			return 0;
		release_slot(folio, shadow);
		return -ENOMEM;
	}
	release_slot(folio, shadow);
	return 0;
}

/* The image's count is the last one: the program has given the page up. */
static bool is_wanted(const struct sw_image_page *p)
{
	return p->dropped && swp_swapcount(p->of) > 1;
}

/* Pages of the list, from the next one on, whose slots follow each other. */
static unsigned next_run(const struct sw_image *image)
{
	const struct sw_image_page *p = &image->page[image->loaded];
	uint64_t max = sw_min(image->nr - image->loaded, (uint64_t)BATCH);
	unsigned n = 1;

	while (n < max && p[n].at == p->at + n)
		n++;
	return n;
}

/* The next page, which may have been read already, back where it was. What
 * cannot be read is lost. Else -errno: try again. */
static int load_page(struct sw_mm *mm, struct sw_image *image, char *page,
		     bool read)
{
	const struct sw_image_page *p = &image->page[image->loaded];
	int err = 0;

	if (!is_wanted(p))
		return 0;
	if (!read)
		err = move_bytes(swp_entry(image->slots.type, p->at), 1, false,
				 page);
	if (err)
		return works_later(err) ? err : 0;
	return put_back(mm, p, page);
}

/* One that cannot be read must not cost the others. */
static int load_run(struct sw_mm *mm, struct sw_image *image, char *pages)
{
	const struct sw_image_page *first = &image->page[image->loaded];
	unsigned nr = next_run(image);
	int err = move_bytes(swp_entry(image->slots.type, first->at), nr, false,
			     pages);
	bool read = !err;

	if (works_later(err))
		return err;
	for (unsigned k = 0; k < nr; k++) {
		err = load_page(mm, image, pages + k * SW_PAGE_SIZE, read);
		if (err)
			return err;
		swap_put_entries_direct(image->page[image->loaded].of, 1);
		image->loaded++;
	}
	return 0;
}

int sw_image_load(struct sw_mm *mm)
{
	struct sw_image *image = &mm->freeze.image;
	char *pages = aligned_alloc(SW_PAGE_SIZE, BATCH * SW_PAGE_SIZE);
	int err = pages ? 0 : -ENOMEM;

	while (!err && image->loaded < image->nr)
		err = load_run(mm, image, pages);
	free(pages);
	return err;
}

void sw_image_release(struct sw_image *image)
{
	for (uint64_t i = image->loaded; i < image->nr; i++)
		swap_put_entries_direct(image->page[i].of, 1);
	free_all_swap_pages(&image->slots);
	for (unsigned type = 0; type < MAX_SWAPFILES; type++) {
		if (image->pinned >> type & 1)
			swap_unpin_hibernation(type);
		free(image->seen[type]);
	}
	free(image->page);
	*image = (struct sw_image){ 0 };
}

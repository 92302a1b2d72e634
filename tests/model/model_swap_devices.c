/*
 * model_swap_devices.c - operations of the model test on devices, on images
 * and on groups, and what the layer does behind its callers' backs.
 */
#include "model_swap.h"

#include <stdlib.h>
#include <string.h>

#include "swap/swap_mem.h"

/* ---- a store that remembers what it was told ---- */

static char stores[DEVICES]; /* their addresses are what matters */

static unsigned store_device(void *store)
{
	return (char *)store - stores;
}

/* Under the cluster lock: only take note. */
static void on_slot_free(void *store, uint64_t offset, unsigned nr)
{
	for (uint64_t o = offset; o < offset + nr && o < SLOTS; o++) {
		m.slots[store_device(store)][o].told++;
		m.devices[store_device(store)].touched[o / CL] = true;
	}
}

static int on_discard(void *store, uint64_t offset, uint64_t nr)
{
	struct m_device *dev = &m.devices[store_device(store)];

	if (!dev->up) { /* not yet */
		EXPECT_EQ(offset, 1);
		EXPECT_EQ(nr, dev->max - 1);
		m.area_trims++;
	} else {
		EXPECT_EQ(offset % CL, 0);
		EXPECT_EQ(nr, CL);
		EXPECT(!dev->trimmed[offset / CL]);
		dev->trimmed[offset / CL] = true;
	}
	return rnd(4) ? 0 : -EIO; /* costs only the hint */
}

static const struct swap_ops plain_ops = { .slot_free = on_slot_free };
static const struct swap_ops trim_ops = { .slot_free = on_slot_free,
					  .discard = on_discard };

/* ---- on ---- */

static uint64_t pick_max(void)
{
	switch (rnd(4)) {
	case 0:
		return (1 + rnd(CLUSTERS)) * CL;
	case 1:
		return 2 + rnd(CLUSTERS * 8 - 1); /* soon full */
	case 2:
		return 2 + rnd(3 * CL);
	default:
		return 2 + rnd(SLOTS - 1);
	}
}

static void set_up(unsigned d, const struct swapon_spec *spec)
{
	struct m_device *dev = &m.devices[d];
	uint64_t end = (spec->max + CL - 1) / CL * CL;

	dev->up = true;
	dev->prio = spec->prio;
	dev->pages = spec->max - 1 - spec->nr_bad;
	dev->flags = spec->flags | SWP_USED | SWP_WRITEOK;
	if (!spec->ops->discard)
		dev->flags &= ~(SWP_AREA_DISCARD | SWP_PAGE_DISCARD);
	dev->trims = dev->flags & SWP_PAGE_DISCARD;
	memset(dev->touched, true, sizeof(dev->touched));
	m.slots[d][0].bad = true;
	for (unsigned i = 0; i < spec->nr_bad; i++)
		m.slots[d][spec->bad[i]].bad = true;
	for (uint64_t o = spec->max; o < end; o++)
		m.slots[d][o].bad = true;
}

void op_swapon(void)
{
	static const int prios[] = { -1, 0, 1, 1, 5, 32767 };
	uint64_t bad[8], trims = m.area_trims;
	unsigned d = 0;
	struct swapon_spec spec = {
		.name = "model",
		.ops = rnd(2) ? &plain_ops : &trim_ops,
		.max = pick_max(),
		.prio = prios[rnd(SW_ARRAY_SIZE(prios))],
		.bad = bad,
	};
	int err;

	spec.flags |= rnd(4) ? SWP_SOLIDSTATE : 0;
	spec.flags |= rnd(2) ? SWP_PAGE_DISCARD : 0;
	spec.flags |= rnd(4) ? 0 : SWP_AREA_DISCARD;
	spec.flags |= rnd(2) ? SWP_CLUSTERED : 0;
	for (uint64_t o = 1 + rnd(2 * CL);
	     o < spec.max && spec.nr_bad < 8 && spec.nr_bad + 2 < spec.max;
	     o += 1 + rnd(CL))
		if (rnd(2))
			bad[spec.nr_bad++] = o;
	while (d < mood.devices && m.devices[d].up)
		d++;
	if (d == mood.devices)
		return;
	spec.store = &stores[d];
	m.devices[d].max = spec.max;
	say(" %u: %llu slots, %u bad, prio %d%s%s%s", d,
	    (unsigned long long)spec.max, spec.nr_bad, spec.prio,
	    spec.flags & SWP_SOLIDSTATE ? "" : ", rotating",
	    spec.ops == &trim_ops && spec.flags & SWP_PAGE_DISCARD
		    ? ", discards"
		    : "",
	    spec.ops == &trim_ops && spec.flags & SWP_AREA_DISCARD
		    ? ", discarded"
		    : "");
	err = swapon(&spec);
	say(" = %d", err);
	EXPECT_EQ(err, allocs_denied ? -ENOMEM : (int)d);
	if (err < 0) {
		m.devices[d].max = 0;
		EXPECT_EQ(m.area_trims, trims);
		return;
	}
	set_up(d, &spec);
	EXPECT_EQ(m.area_trims - trims,
		  !!(m.devices[d].flags & SWP_AREA_DISCARD));
}

/* ---- images ---- */

static void took_for_image(swp_entry_t e, bool listed)
{
	take_slot(e, 0);
	at(e)->count = 1;
	at(e)->image = true;
	at(e)->listed = listed;
}

/* Frees one slot of an image; the layer has been asked to already. */
static void image_slot_freed(swp_entry_t e)
{
	struct m_slot *s;

	if (!valid(e) || at(e)->count != 1) {
		m.bad_entry++;
		return;
	}
	s = at(e);
	s->count = 0;
	s->image = s->listed = false;
	if (s->folio < 0)
		forget_slot(e);
	else if (freeable(s->folio))
		reclaimed(s->folio);
}

/* Somebody got a slot and, for want of memory, gave it back: the store heard
 * of one more free than the model. */
static void note_given_back(unsigned d)
{
	unsigned n = 0;

	for (uint64_t o = 0; o < m.devices[d].max; o++) {
		swp_entry_t e = swp_entry(d, o);

		if (m.slots[d][o].told <= 0)
			continue;
		EXPECT_AT(e, m.slots[d][o].told, 1);
		take_slot(e, 0);
		forget_slot(e);
		n++;
	}
	EXPECT(n <= 1);
}

static void op_image_alloc(void)
{
	unsigned d = rnd(16) ? rnd(DEVICES + 1) : MAX_SWAPFILES;
	bool listed = rnd(2) && d < DEVICES, full = scarce();
	bool room;
	swp_entry_t e;

	say(" on %u%s", d, listed ? ", into extents" : "");
	hold_one();
	room = d < DEVICES && m.devices[d].used < m.devices[d].pages;
	e = listed ? alloc_swapdev_block(&m.devices[d].image)
		   : swap_alloc_hibernation_slot(d);
	say(" = " ENTRY_FMT, ENTRY_ARG(e));
	note_taken_back(full);
	note_trims();
	if (e.val) {
		EXPECT_EQ(swp_type(e), d);
		took_for_image(e, listed);
	} else {
		EXPECT(!room || allocs_denied);
		if (listed && allocs_denied)
			note_given_back(d);
	}
	let_go();
}

static void op_image_free(void)
{
	uint64_t start = rnd(DEVICES * SLOTS);
	swp_entry_t e = pick_any();
	unsigned nr = 0;

	for (uint64_t i = 0; rnd(8) && i < DEVICES * SLOTS; i++) {
		uint64_t n = (start + i) % (DEVICES * SLOTS);
		const struct m_slot *s = &m.slots[n / SLOTS][n % SLOTS];

		if (!s->image || s->listed)
			continue;
		e = swp_entry(n / SLOTS, n % SLOTS);
		break;
	}
	/* What has another owner, and only one, is not ours to free. */
	if (valid(e) && at(e)->count == 1 && (!at(e)->image || at(e)->listed))
		return;
	nr = valid(e) ? at(e)->count : 0;
	say(" " ENTRY_FMT " with %u owners", ENTRY_ARG(e), nr);
	hold_one();
	swap_free_hibernation_slot(e);
	image_slot_freed(e);
	let_go();
}

static void free_image(unsigned d)
{
	free_all_swap_pages(&m.devices[d].image);
	for (uint64_t o = 0; o < m.devices[d].max; o++) {
		struct m_slot *s = at(swp_entry(d, o));

		if (!s->listed)
			continue;
		image_slot_freed(swp_entry(d, o));
		/* It was refused: an owner like any other from now on. */
		s->image = s->listed = false;
	}
}

static void op_image_free_all(void)
{
	unsigned d = rnd(DEVICES);

	say(" on %u", d);
	hold_one();
	free_image(d);
	let_go();
}

static void op_image_pin(void)
{
	unsigned d = rnd(16) ? rnd(DEVICES + 1) : MAX_SWAPFILES;
	int err;

	say(" %u", d);
	if (d < DEVICES && m.devices[d].pinned && rnd(4)) {
		swap_unpin_hibernation(d);
		m.devices[d].pinned = false;
		return;
	}
	err = swap_pin_hibernation(d);
	say(" = %d", err);
	if (d >= DEVICES || !m.devices[d].up) {
		EXPECT_EQ(err, -EINVAL);
		return;
	}
	EXPECT_EQ(err, m.devices[d].pinned ? -EBUSY : 0);
	m.devices[d].pinned = true;
}

/* A list of its own, so that doubles can be tried. */
static void op_extents(void)
{
	static struct swsusp_extents x;
	static bool there[64];
	uint64_t o = rnd(64);
	size_t n = 0;
	int err;

	if (!rnd(100)) {
		say(" free");
		swap_free_mem(x.v);
		memset(&x, 0, sizeof(x));
		memset(there, 0, sizeof(there));
		return;
	}
	say(" insert %llu", (unsigned long long)o);
	err = swsusp_extents_insert(&x, o);
	say(" = %d", err);
	EXPECT_EQ(err, there[o] ? -EINVAL : allocs_denied ? -ENOMEM : 0);
	there[o] |= !err;
	for (o = 0; o < 64; o++) {
		uint64_t start = o;

		while (o < 64 && there[o])
			o++;
		if (o == start)
			continue;
		EXPECT_EQ(x.v[n].start, start);
		EXPECT_EQ(x.v[n].end, o - 1);
		n++;
	}
	EXPECT_EQ(x.nr, n);
}

static void op_suspend(void)
{
	if (m.suspended && (m.suspended == 2 || rnd(4))) {
		swap_resume_storage();
		m.suspended--;
	} else {
		swap_suspend_storage();
		m.suspended++;
	}
	say(" = %u", m.suspended);
}

/* ---- off ---- */

/* What only the cache holds goes first, mapped or not. */
static void swept(unsigned d)
{
	for (int f = 0; f < FOLIOS; f++)
		if (freeable(f) && swp_type(m.folios[f].entry) == d)
			reclaimed(f);
}

static int refuse_unuse(void *arg, unsigned d)
{
	swept(d);
	return -EINTR;
}

/* All owners let go, and writing ends. */
static int release_all(void *arg, unsigned d)
{
	unsigned *rounds = arg;

	swept(d);
	if ((*rounds)++) {
		/* Nothing but an image being written keeps slots. */
		EXPECT(m.suspended);
		return -EINTR;
	}
	for (int f = 0; f < FOLIOS; f++) {
		if (!m.folios[f].folio || !m.folios[f].writeback ||
		    swp_type(m.folios[f].entry) != d)
			continue;
		folio_clear(m.folios[f].folio, SW_FOLIO_WRITEBACK);
		m.folios[f].writeback = false;
	}
	free_image(d);
	for (uint64_t o = 1; o < m.devices[d].max; o++) {
		swp_entry_t e = swp_entry(d, o);

		/* One that refused to be freed has owners besides. */
		while (at(e)->count > 1 || (at(e)->count && !at(e)->image))
			put_direct(e, 1);
		if (!at(e)->image)
			continue;
		swap_free_hibernation_slot(e);
		image_slot_freed(e);
	}
	return 0;
}

static void try_off(unsigned d, int (*unuse)(void *arg, unsigned type))
{
	struct m_device *dev = &m.devices[d];
	unsigned rounds = 0;
	int err;

	if (dev->pinned) {
		EXPECT_EQ(swapoff(d, unuse, &rounds), -EBUSY);
		return;
	}
	dev->leaving = true;
	err = swapoff(d, unuse, &rounds);
	say(" = %d", err);
	swept(d);
	dev->leaving = false;
	EXPECT_EQ(err, !dev->used ? 0 : unuse ? -EINTR : -EBUSY);
	/* Jobs of others may have run before its own. */
	note_taken_back(!err);
	note_trims();
	if (err)
		return;
	for (uint64_t o = 0; o < SLOTS; o++) {
		EXPECT_AT(swp_entry(d, o), m.slots[d][o].told, 0);
		m.slots[d][o] = (struct m_slot){ .folio = -1 };
	}
	EXPECT_EQ(dev->image.nr, 0);
	*dev = (struct m_device){ .image = dev->image };
}

void switch_off(unsigned d)
{
	if (m.devices[d].pinned)
		swap_unpin_hibernation(d);
	m.devices[d].pinned = false;
	try_off(d, release_all);
	EXPECT(!m.devices[d].up);
}

static void op_swapoff(void)
{
	unsigned d = rnd(DEVICES);

	say(" %u", d);
	if (!m.devices[d].up) {
		EXPECT_EQ(swapoff(d, NULL, NULL), -EINVAL);
		return;
	}
	switch (rnd(3)) {
	case 0:
		say(" without help");
		try_off(d, NULL);
		break;
	case 1:
		say(" refused");
		try_off(d, refuse_unuse);
		break;
	default:
		try_off(d, release_all);
	}
}

/* ---- the rest ---- */

static void op_work(void)
{
	unsigned nr;

	hold_one();
	nr = swap_work_run_pending();
	say(" %u jobs", nr);
	note_taken_back(nr > 0);
	note_trims();
	/* Clusters that wait do so for a job. */
	for (unsigned d = 0; d < DEVICES; d++)
		for (unsigned c = 0; c < CLUSTERS; c++)
			EXPECT(!m.devices[d].waiting[c]);
	let_go();
}

static void op_group_max(void)
{
	unsigned g = 1 + rnd(GROUPS - 1);
	uint64_t max = rnd(3) ? rnd(SLOTS / 2) : UINT64_MAX;

	say(" %u: %lld", g, (long long)max);
	swap_group_set_max(g, max);
	m.groups[g].max = max;
}

static void op_device_info(void)
{
	unsigned d = rnd(MAX_SWAPFILES + 2);
	struct sw_swap_device_info info;
	const struct m_device *dev = &m.devices[d % DEVICES];
	bool there;

	if (rnd(4))
		d %= DEVICES;
	say(" %u", d);
	there = swap_device_info(d, &info);
	EXPECT_EQ(there, d < DEVICES && dev->up);
	if (!there)
		return;
	EXPECT_EQ(info.type, d);
	EXPECT_EQ(info.prio, dev->prio);
	EXPECT_EQ(info.pages, dev->pages);
	EXPECT_EQ(info.used, dev->used);
	EXPECT_EQ(info.flags & ~(SWP_OFFLIST | SWP_HIBERNATION), dev->flags);
	EXPECT_EQ(!!(info.flags & SWP_HIBERNATION), dev->pinned);
	if (info.flags & SWP_OFFLIST)
		EXPECT_EQ(info.used, info.pages);
}

/* Devices that cannot be. */
static void op_refused(void)
{
	uint64_t bad[2] = { 3, 5 };
	unsigned how = rnd(10), d = rnd(DEVICES), old = allocs_asked;
	int want = -EINVAL;
	struct swapon_spec spec = {
		.name = "refused", .ops = &plain_ops, .max = CL, .bad = bad
	};

	say(" %u", how);
	spec.prio = how == 0 ? -2 : how == 1 ? 32768 : 0;
	spec.ops = how == 2 ? NULL : &plain_ops;
	spec.max = how == 3 ? 1 : how == 4 ? SWAP_MAX_SLOTS + 1 : CL;
	spec.nr_bad = how >= 5 && how <= 7 ? 2 : 0;
	bad[0] = how == 5 ? 5 : how == 6 ? 0 : 3; /* twice, the header */
	bad[1] = how == 7 ? CL : 5;               /* beyond the end */
	if (how == 8) {                           /* no slot that is not bad */
		spec.max = 3;
		spec.nr_bad = 2;
		bad[0] = 1;
		bad[1] = 2;
	} else if (how == 9) { /* a store that is a device already */
		if (!m.devices[d].up)
			return;
		spec.store = &stores[d];
		want = -EBUSY;
	}
	EXPECT_EQ(swapon(&spec), want);
	EXPECT_EQ(allocs_asked, old);
	EXPECT_EQ(swapoff(MAX_SWAPFILES + rnd(99), NULL, NULL), -EINVAL);
}

const struct m_op device_ops[] = {
	{ "swapon", op_swapon, 10 },
	{ "swapoff", op_swapoff, 4 },
	{ "refused", op_refused, 3 },
	{ "device_info", op_device_info, 5 },
	{ "image_alloc", op_image_alloc, 40 },
	{ "image_free", op_image_free, 40 },
	{ "image_free_all", op_image_free_all, 3 },
	{ "image_pin", op_image_pin, 4 },
	{ "extents", op_extents, 10 },
	{ "suspend", op_suspend, 8 },
	{ "work", op_work, 20 },
	{ "group_max", op_group_max, 8 },
	{ 0 },
};

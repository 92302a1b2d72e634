/*
 * maps.c - which ranges of a process can be managed, and what is in them.
 *
 * Managed is private anonymous memory that is not executable: heap, mmap,
 * thread stacks, large .bss, a main stack that has grown large. Inaccessible reservations are taken along, since
 * mprotect() later makes memory of them without telling anybody; a range that
 * cost nothing so far costs nothing here (PAGEMAP_SCAN skips what was never
 * touched). Left alone: files, devices, and the agent's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "run/proc.h"

#define MIN_BYTES       (64 * 1024) /* below this a range is not worth an ioctl */
#define STACK_MIN_BYTES (1 << 20)   /* an ordinary main stack stays in place */

/* PAGEMAP_SCAN, Linux 6.7; newer than Debian 12's headers. */
struct page_region {
	uint64_t start, end, categories;
};

struct pm_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};

#define PAGEMAP_SCAN_IOC _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_PRESENT  (1ull << 3)
#define PAGE_IS_PFNZERO  (1ull << 5) /* the kernel's page of zeros */
#define SCAN_REGIONS     256
#define SCAN_TRIES       64
#define FORGET_TRIES     10

/* A look at a process' mappings. */
struct scan {
	const struct sw_agent_place *at;
	struct sw_remote *remote;
	struct sw_space *space;
	int pagemap; /* -1: what is present is not noted */
};

int sw_open_proc(pid_t pid, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool sw_page_is_present(pid_t pid, uint64_t addr)
{
	int fd = sw_open_proc(pid, "pagemap");
	uint64_t entry = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	n = pread(fd, &entry, 8, addr / SW_PAGE_SIZE * 8);
	close(fd);
	return n == 8 && entry >> 63;
}

/*
 * One range of a look at the page table. What was only read maps the kernel's
 * one page of zeros: there is no frame to take out, and none is counted; but
 * the first write would make one unseen, so it is made to tell us.
 *
 * The pages may be those of a new, unregistered mapping where an old one was:
 * moving such pages out would lose them, since touching them raises no fault.
 * Registering (again) after the look and before the epoch is compared makes
 * sure.
 */
static int note_region(const struct scan *sc, uint64_t epoch,
		       const struct page_region *found)
{
	struct sw_mmu *mmu = sw_remote_mmu(sc->remote);
	uint64_t nr = (found->end - found->start) / SW_PAGE_SIZE;

	if (sw_remote_register(sc->remote, found->start, found->end))
		return 0;
	if (found->categories & PAGE_IS_PFNZERO)
		return mmu->ops->protect(mmu, found->start, nr, true);
	return sw_space_note_present(sc->space, epoch, found->start,
				     found->end);
}

static int note_present(const struct scan *sc, uint64_t start, uint64_t end)
{
	struct page_region found[SCAN_REGIONS];
	unsigned max = SCAN_REGIONS, tries = SCAN_TRIES;
	int err = 0;

	while (start < end && !err) {
		uint64_t epoch = sw_space_epoch(sc->space);
		struct pm_scan_arg a = {
			.size = sizeof(a),
			.start = start,
			.end = end,
			.vec = (uint64_t)found,
			.vec_len = max,
			.category_mask = PAGE_IS_PRESENT,
			.return_mask = PAGE_IS_PRESENT | PAGE_IS_PFNZERO,
		};
		int n = ioctl(sc->pagemap, PAGEMAP_SCAN_IOC, &a);

		if (n < 0)
			return -errno;
		for (int i = 0; i < n && !err; i++)
			err = note_region(sc, epoch, &found[i]);
		/* A program that changes its layout all the time: less at once,
		 * until that fits between two changes. */
		if (err == -EAGAIN && tries) {
			tries--;
			max = sw_max(max / 4, 1u);
			err = 0;
			continue;
		}
		start = a.walk_end;
	}
	return err;
}

/* What we know of pages that are not registered was of other memory: shmat()
 * with SHM_REMAP takes the place of a mapping without an event. Once they are
 * registered it could not be told from what is true. */
static int forget_replaced(const struct scan *sc, uint64_t start, uint64_t end)
{
	int err = -EAGAIN;

	for (unsigned tries = 0; err == -EAGAIN && tries < FORGET_TRIES;
	     tries++)
		err = sw_space_forget(sc->space, start, end);
	return err;
}

static int add_range(const struct scan *sc, uint64_t start, uint64_t end)
{
	int err = 0;

	if (!sw_space_has_region(sc->space, start, end)) {
		uint64_t epoch = sw_space_epoch(sc->space);

		err = forget_replaced(sc, start, end);
		if (!err)
			err = sw_remote_register(sc->remote, start, end);
		if (!err)
			err = sw_space_add_region(sc->space, epoch, start, end);
	}
	if (err || sc->pagemap < 0)
		return err;
	/* Known ranges too: memory freed lazily and used again came back
         * without a word. */
	return note_present(sc, start, end);
}

/* Leaves out what belongs to the agent, then adds what is left. */
static int add_around(const struct scan *sc, uint64_t start, uint64_t end)
{
	uint64_t hole[2][2] = {
		{ sc->at->own_start, sc->at->own_end },
		{ sc->at->stage, sc->at->stage + SW_AREA_PAGES * SW_PAGE_SIZE },
	};

	if (start >= end)
		return 0;
	for (int i = 0; i < 2; i++) {
		int below, above;

		if (hole[i][0] >= end || hole[i][1] <= start)
			continue;
		below = add_around(sc, start, hole[i][0]);
		above = add_around(sc, hole[i][1], end);
		return below ? below : above;
	}
	return add_range(sc, start, end);
}

/* One line of /proc/PID/maps: is it ours to manage? */
static bool manageable(const char *line, uint64_t *start, uint64_t *end)
{
	char perms[8], name[128] = "";
	unsigned long s, e, offset, inode;
	unsigned major, minor;
	int n = sscanf(line, "%lx-%lx %7s %lx %x:%x %lu %127s", &s, &e, perms,
		       &offset, &major, &minor, &inode, name);

	if (n < 7 || inode || perms[3] != 'p' || perms[2] == 'x')
		return false;
	/* Read-only memory cannot be taken and is not going to grow. */
	if (perms[0] == 'r' && perms[1] != 'w')
		return false;
	if (name[0] && strcmp(name, "[heap]") && strcmp(name, "[stack]") &&
	    strncmp(name, "[anon", 5))
		return false;
	*start = s;
	*end = e;
	if (!strcmp(name, "[stack]"))
		return e - s >= STACK_MIN_BYTES;
	return e - s >= MIN_BYTES || !strcmp(name, "[heap]");
}

/* Adds every range of the process; what is in them only with a pagemap. */
static void add_ranges(const struct scan *sc, FILE *maps)
{
	char line[512];
	uint64_t start, end;

	rewind(maps);
	while (fgets(line, sizeof(line), maps)) {
		int err;

		if (!manageable(line, &start, &end))
			continue;
		err = add_around(sc, start, end);
		if (err)
			sw_debug(
				"process %d: range %#llx-%#llx is not managed: %s",
				sc->at->pid, (unsigned long long)start,
				(unsigned long long)end, strerror(-err));
	}
}

/* Registered first, for from then on it grows only as we let it. */
static int scan(struct scan *sc, bool note)
{
	int fd = sw_open_proc(sc->at->pid, "maps");
	FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");

	if (!maps) {
		if (fd >= 0)
			close(fd);
		return -ESRCH;
	}
	add_ranges(sc, maps);
	if (note)
		sc->pagemap = sw_open_proc(sc->at->pid, "pagemap");
	if (sc->pagemap >= 0) {
		add_ranges(sc, maps);
		close(sc->pagemap);
	}
	fclose(maps);
	return 0;
}

int sw_maps_register(const struct sw_agent_place *at, struct sw_remote *remote,
		     struct sw_space *space)
{
	struct scan sc = { at, remote, space, -1 };

	return scan(&sc, false);
}

int sw_proc_scan(struct sw_proc *p)
{
	struct scan sc = { &p->at, p->remote, p->space, -1 };

	return scan(&sc, true);
}

/* ---- what a forked child did not inherit ---- */

struct prune {
	struct sw_proc *p;
	FILE *maps;
	int err;
};

static void forget(struct prune *pr, uint64_t start, uint64_t end)
{
	if (start < end && !pr->err)
		pr->err = sw_space_forget(pr->p->space, start, end);
}

/* One region of ours against the child's mappings. */
static void prune_region(void *arg, uint64_t start, uint64_t end)
{
	struct prune *pr = arg;
	char line[512];

	rewind(pr->maps);
	while (start < end && fgets(line, sizeof(line), pr->maps)) {
		unsigned long s, e;

		if (sscanf(line, "%lx-%lx", &s, &e) != 2 || e <= start)
			continue;
		if (s >= end)
			break;
		forget(pr, start, s);
		start = sw_max(start, s);
		/* A mapping of its own, at the place of one it did not get? */
		forget(pr, start, sw_min(end, e));
		start = sw_min(end, e);
	}
	forget(pr, start, end);
}

int sw_proc_prune(struct sw_proc *p)
{
	struct prune pr = { .p = p };
	int fd = sw_open_proc(p->at.pid, "maps");

	pr.maps = fd < 0 ? NULL : fdopen(fd, "r");
	if (!pr.maps)
		return -ESRCH;
	for (int tries = 0; tries < FORGET_TRIES; tries++) {
		pr.err = 0;
		sw_space_for_each_region(p->space, prune_region, &pr);
		if (!pr.err)
			break;
	}
	fclose(pr.maps);
	return pr.err;
}

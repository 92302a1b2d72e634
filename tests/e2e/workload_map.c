/*
 * workload_map.c - mappings that move, shrink, split and vanish while their
 * pages are out.
 */
#include "workload.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WL_FILE 5

#define RW (PROT_READ | PROT_WRITE)

static void *map_at(void *addr, size_t n, int flags)
{
	return mmap(addr, n * WL_PAGE, RW,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

/* Moves or resizes the mapping of the first `from` pages at a->base. */
static void remap(struct wl_area *a, size_t from, size_t to, int flags,
		  void *addr)
{
	char *p = mremap(a->base, from * WL_PAGE, to * WL_PAGE, flags, addr);

	if (p == MAP_FAILED)
		wl_die("mremap of %zu to %zu pages, flags %d", from, to, flags);
	a->base = p;
}

static void grow_and_shrink(struct wl_area *a)
{
	size_t n = a->nr_pages;

	remap(a, n, n / 2, 0, NULL);
	wl_check(a, 0, n / 2);
	remap(a, n / 2, n, MREMAP_MAYMOVE, NULL);
	wl_check(a, 0, n / 2);
	wl_check_zero(a->base + n / 2 * WL_PAGE, n - n / 2);
	wl_fill(a, n / 2, n - n / 2, a->version[0] + 1);
	wl_check_all(a);
}

/* To an address of our choice, over a mapping with other pages in it. */
static void move_over(struct wl_area *a)
{
	struct wl_area other;
	char *target;

	wl_area_new(&other, a->nr_pages);
	wl_fill(&other, 0, other.nr_pages, 9);
	target = other.base;
	remap(a, a->nr_pages, a->nr_pages, MREMAP_MAYMOVE | MREMAP_FIXED,
	      target);
	wl_check_all(a);
	/* The area now lies where the other did; only its states go. */
	munmap(other.version, other.nr_pages * sizeof(*other.version));
	munmap(other.poke, other.nr_pages * sizeof(*other.poke));
}

/* The middle third goes away and comes back: the mapping splits and joins. */
static void move_middle(struct wl_area *a)
{
	size_t third = a->nr_pages / 3;
	struct wl_area middle = wl_area_part(a, third, third);
	char *home = middle.base;
	char *away = wl_map(third * WL_PAGE);

	remap(&middle, third, third, MREMAP_MAYMOVE | MREMAP_FIXED, away);
	wl_check_all(&middle);
	wl_check(a, 0, third);
	wl_check(a, 2 * third, a->nr_pages - 2 * third);
	wl_fill(&middle, 0, third / 2, middle.version[0] + 2);
	remap(&middle, third, third, MREMAP_MAYMOVE | MREMAP_FIXED, home);
	wl_check_all(a);
}

/* The pages leave, the old mapping stays and must read as zero. */
static void dont_unmap(struct wl_area *a)
{
	struct wl_area old = *a;
	struct wl_area fresh;

	remap(a, a->nr_pages, a->nr_pages, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
	      NULL);
	wl_check(a, 0, a->nr_pages / 2);
	wl_check_zero(old.base, old.nr_pages);
	wl_area_new(&fresh, old.nr_pages);
	if (munmap(fresh.base, fresh.nr_pages * WL_PAGE))
		wl_die("munmap");
	fresh.base = old.base;
	wl_fill(&fresh, 0, fresh.nr_pages, 21);
	wl_check_all(a);
	wl_check_all(&fresh);
	wl_area_free(&fresh);
}

int wl_mremap(void)
{
	struct wl_area a;

	wl_area_new(&a, wl_pages() / 3);
	wl_fill(&a, 0, a.nr_pages, 1);
	wl_background_start(wl_pages() / 3);
	for (unsigned round = 0; round < wl.rounds; round++) {
		grow_and_shrink(&a);
		move_over(&a);
		move_middle(&a);
		dont_unmap(&a);
	}
	wl_background_stop();
	wl_check_all(&a);
	wl_area_free(&a);
	return 0;
}

/* Four of every 32 pages vanish, and come back fresh. */
static void holes(struct wl_area *a)
{
	for (size_t i = 8; i + 4 <= a->nr_pages; i += 32)
		if (munmap(a->base + i * WL_PAGE, 4 * WL_PAGE))
			wl_die("munmap of a hole");
	for (size_t i = 12; i + 28 <= a->nr_pages; i += 32)
		wl_check(a, i, 28);
	for (size_t i = 8; i + 4 <= a->nr_pages; i += 32) {
		char *at = a->base + i * WL_PAGE;

		if (map_at(at, 4, MAP_FIXED_NOREPLACE) != at)
			wl_die("mmap into a hole");
		wl_check_zero(at, 4);
		wl_fill(a, i, 4, a->version[i] + 1);
	}
	wl_check_all(a);
	/* A fixed mapping over an old one unmaps it without a word. */
	if (map_at(a->base, 64, MAP_FIXED) != a->base)
		wl_die("mmap over a mapping");
	wl_check_zero(a->base, 64);
	wl_fill(a, 0, 64, 3);
}

struct race {
	struct wl_area a;
	unsigned turns;
	unsigned done; /* [atomic] turns the mapper has finished */
};

/* Takes the place as soon as it is free, perhaps within the munmap. Until it
 * has it, it maps nothing else: that might get a part of the place. */
static void *race_mapper(void *p)
{
	struct race *r = p;
	struct wl_area *a = &r->a;

	for (unsigned turn = 1; turn <= r->turns; turn++) {
		while (map_at(a->base, a->nr_pages, MAP_FIXED_NOREPLACE) ==
		       MAP_FAILED)
			if (errno != EEXIST)
				wl_die("mmap at a given address");
		wl_check_zero(a->base, a->nr_pages);
		wl_fill(a, 0, a->nr_pages, turn);
		wl_check_all(a);
		__atomic_store_n(&r->done, turn, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void unmap_race(void)
{
	struct race r = { .turns = 40 };
	pthread_t mapper;

	wl_area_new(&r.a, 256);
	memset(r.a.base, 0xee, r.a.nr_pages * WL_PAGE);
	errno = pthread_create(&mapper, NULL, race_mapper, &r);
	if (errno)
		wl_die("pthread_create");
	for (unsigned turn = 1; turn <= r.turns; turn++) {
		if (munmap(r.a.base, r.a.nr_pages * WL_PAGE))
			wl_die("munmap");
		while (__atomic_load_n(&r.done, __ATOMIC_ACQUIRE) < turn)
			;
	}
	pthread_join(mapper, NULL);
	wl_area_free(&r.a);
}

static void advise(struct wl_area *a, size_t from, size_t n, int advice)
{
	if (madvise(a->base + from * WL_PAGE, n * WL_PAGE, advice))
		wl_die("madvise %d", advice);
}

static void dropped(struct wl_area *a)
{
	size_t quarter = a->nr_pages / 4;

	/* Odd offsets and lengths, so that windows are cut. */
	for (size_t i = quarter + 3; i + 13 < 2 * quarter; i += 29) {
		advise(a, i, 13, MADV_DONTNEED);
		wl_check_zero(a->base + i * WL_PAGE, 13);
		wl_fill(a, i, 13, a->version[i] + 1);
	}
	advise(a, 2 * quarter, quarter, MADV_DONTNEED);
	wl_check_zero(a->base + 2 * quarter * WL_PAGE, quarter);
	wl_fill(a, 2 * quarter, quarter, 5);
	wl_check_all(a);
}

/* After MADV_FREE old bytes or zeros, until the next write settles it. */
static void freed(struct wl_area *a)
{
	size_t half = a->nr_pages / 2;

	advise(a, 0, half, MADV_FREE);
	wl_fill(a, 0, half / 2, 31);
	(void)wl_check_or_zero(a, half / 2, half - half / 2);
	wl_check(a, half, a->nr_pages - half);
	wl_check(a, 0, half / 2);
	wl_fill(a, half / 2, half - half / 2, 32);
	wl_check_all(a);
}

/* One word of each page is written after MADV_FREE: around it are the old bytes
 * or zeros, and that is settled: the page stays so, in memory or out. */
static void freed_and_written(struct wl_area *a)
{
	size_t n = a->nr_pages / 2;
	struct wl_area seen = wl_area_part(a, 0, n);
	char *copy = wl_map(n * WL_PAGE);

	wl_fill(a, 0, n, 41);
	wl_check(a, n, a->nr_pages - n);
	advise(a, 0, n, MADV_FREE);
	for (size_t i = 0; i < n; i++)
		((volatile uint64_t *)(a->base + i * WL_PAGE))[9] =
			wl_word(a->first + i, 9, 41);
	memcpy(copy, a->base, n * WL_PAGE);
	for (unsigned turn = 0; turn < 3; turn++) {
		wl_check(a, n, a->nr_pages - n);
		if (wl_sabotage(WL_SITE))
			a->base[n / 2 * WL_PAGE + 5] ^= 1;
		for (size_t i = 0; i < n; i++)
			if (memcmp(copy + i * WL_PAGE, a->base + i * WL_PAGE,
				   WL_PAGE))
				wl_wrong("page %zu changed after MADV_FREE", i);
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t *words = (uint64_t *)(copy + i * WL_PAGE);
		uint64_t mark = wl_word(a->first + i, 9, 41);

		if (words[9] != mark)
			wl_mismatch(&words[9], mark, words[9], "a write lost");
		words[9] = words[8] || words[10] ? mark : 0;
	}
	seen.base = copy;
	(void)wl_check_or_zero(&seen, 0, n);
	munmap(copy, n * WL_PAGE);
	wl_fill(a, 0, n, 42);
	wl_check_all(a);
}

/* Hints the kernel gives meaning to; contents must not care. */
static void hints(struct wl_area *a)
{
	size_t eighth = a->nr_pages / 8;

	advise(a, 0, eighth, MADV_COLD);
	advise(a, eighth, eighth, MADV_PAGEOUT);
	advise(a, 2 * eighth, eighth, MADV_WILLNEED);
	advise(a, 3 * eighth, eighth, MADV_SEQUENTIAL);
	advise(a, 4 * eighth, eighth, MADV_HUGEPAGE);
	if (mlock(a->base + 6 * eighth * WL_PAGE, 16 * WL_PAGE) == 0) {
		wl_check(a, 6 * eighth, 16);
		munlock(a->base + 6 * eighth * WL_PAGE, 16 * WL_PAGE);
	}
	wl_check_all(a);
}

static sigjmp_buf trap;
static volatile sig_atomic_t trap_code;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	trap_code = info->si_code;
	siglongjmp(trap, 1);
}

/* Touches one byte and returns the si_code of the signal, 0 for none. */
static int touch(volatile char *p, bool write)
{
	trap_code = 0;
	if (sigsetjmp(trap, 1) == 0) {
		if (write)
			*p = *p;
		else
			(void)*p;
	}
	return trap_code;
}

static void protect(struct wl_area *a, size_t from, size_t n, int prot)
{
	if (mprotect(a->base + from * WL_PAGE, n * WL_PAGE, prot))
		wl_die("mprotect");
}

static void protections(struct wl_area *a)
{
	struct sigaction act = { .sa_sigaction = on_segv,
				 .sa_flags = SA_SIGINFO };
	struct sigaction old;
	size_t half = a->nr_pages / 2;
	size_t quarter = half / 2;
	char *gone;
	int code;

	sigaction(SIGSEGV, &act, &old);
	protect(a, 0, half, PROT_READ);
	for (size_t i = 0; i < half; i += 101) {
		code = touch(a->base + i * WL_PAGE, true);
		if (code != SEGV_ACCERR)
			wl_wrong("write to a read-only page: code %d", code);
	}
	protect(a, half, quarter, PROT_NONE);
	code = touch(a->base + half * WL_PAGE, false);
	if (code != SEGV_ACCERR)
		wl_wrong("read of a PROT_NONE page: code %d", code);
	wl_check(a, half + quarter, a->nr_pages - half - quarter);
	protect(a, half, quarter, RW);
	wl_check(a, half, quarter);
	for (size_t i = 1; i < half; i += 2)
		protect(a, i, 1, RW);
	for (size_t i = 1; i < half; i += 2)
		wl_poke(a, i);
	protect(a, 0, half, RW);
	wl_check_all(a);
	gone = wl_map(WL_PAGE);
	*gone = 1;
	munmap(gone, WL_PAGE);
	if (wl.threads == 1 && touch(gone, false) != SEGV_MAPERR)
		wl_wrong("an unmapped page could be read");
	sigaction(SIGSEGV, &old, NULL);
}

int wl_unmap(void)
{
	struct wl_area a;

	wl_area_new(&a, wl_pages() / 2);
	wl_fill(&a, 0, a.nr_pages, 1);
	wl_background_start(wl_pages() / 2);
	for (unsigned round = 0; round < wl.rounds; round++) {
		holes(&a);
		unmap_race();
		dropped(&a);
		freed(&a);
		freed_and_written(&a);
		hints(&a);
		protections(&a);
	}
	wl_background_stop();
	wl_check_all(&a);
	wl_area_free(&a);
	return 0;
}

#define RUN 16ul /* pages touched together */

/*
 * 8 TiB, of which runs of 16 pages are used, spread over all of it. Nothing
 * may cost per reserved page, so this must be quick.
 */
int wl_reserve(void)
{
	size_t bytes = 8ul << 40;
	size_t runs = wl_pages() / RUN;
	size_t step = bytes / runs / WL_PAGE;
	struct wl_area pages;
	struct wl_area at;
	pid_t child;
	char *base = mmap(NULL, bytes, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		wl_die("mmap of 8 TiB");
	if (mprotect(base, bytes / 2, RW))
		wl_die("mprotect of 4 TiB");
	wl_area_new(&pages, runs * RUN);
	wl_background_start(wl_pages() / 4);
#define AT(r)                                     \
	(at = wl_area_part(&pages, (r)*RUN, RUN), \
	 at.base = base + (r)*step * WL_PAGE, &at)
	for (size_t r = 0; r < runs; r++) {
		if (r >= runs / 2 &&
		    mprotect(base + r * step * WL_PAGE, RUN * WL_PAGE, RW))
			wl_die("mprotect of a run");
		wl_fill(AT(r), 0, RUN, 1);
	}
	for (size_t r = 0; r < runs; r++)
		wl_check(AT(r), 0, RUN);
	child = wl_fork();
	if (child == 0) {
		for (size_t r = 0; r < runs; r += 3)
			wl_check(AT(r), 0, RUN);
		_exit(0);
	}
	wl_reap(child, 0);
	if (madvise(base, bytes / 4, MADV_DONTNEED))
		wl_die("madvise of 2 TiB");
	for (size_t r = 0; r < runs / 4; r++)
		wl_check_zero(base + r * step * WL_PAGE, RUN);
	for (size_t r = runs / 4; r < runs; r++)
		wl_check(AT(r), 0, RUN);
	if (munmap(base, bytes))
		wl_die("munmap of 8 TiB");
	wl_background_stop();
	wl_area_free(&pages);
	return 0;
}

/*
 * workload_shared.c - memory that several own, beside private memory that is
 * paged: shared anonymous, memfd and System V memory, written by parent and
 * children through mappings and through the descriptor, punched, cut off and
 * moved over private memory.
 */
#include "workload.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#define WL_FILE 9

#define RW (PROT_READ | PROT_WRITE)

struct kinds {
	struct wl_area anon, memfd, sysv;
	int fd;
};

/* What another process has written: its notes are not ours. */
static void expect(struct wl_area *a, unsigned version)
{
	for (size_t i = 0; i < a->nr_pages; i++) {
		a->version[i] = version;
		a->poke[i] = 0;
	}
}

static void map_over(struct wl_area *a, int flags, int fd)
{
	if (mmap(a->base, a->nr_pages * WL_PAGE, RW, flags | MAP_FIXED, fd,
		 0) != a->base)
		wl_die("mmap of shared memory");
}

static void unmap(struct wl_area *a)
{
	if (munmap(a->base, a->nr_pages * WL_PAGE))
		wl_die("munmap");
}

/* In the place of what is there. Nobody finds the segment but who inherits it,
 * and it ends with the last of them, however that ends. */
static void attach_segment(struct wl_area *a)
{
	int id = shmget(IPC_PRIVATE, a->nr_pages * WL_PAGE, 0600);
	char *at = shmat(id, a->base, SHM_REMAP);

	shmctl(id, IPC_RMID, NULL);
	if (at != a->base)
		wl_die("shmat");
}

static void kinds_new(struct kinds *k, size_t nr_pages)
{
	k->fd = memfd_create("workload", MFD_CLOEXEC);
	if (k->fd < 0 || ftruncate(k->fd, nr_pages * WL_PAGE))
		wl_die("memfd_create");
	wl_area_new(&k->anon, nr_pages);
	wl_area_new(&k->memfd, nr_pages);
	wl_area_new(&k->sysv, nr_pages);
	map_over(&k->anon, MAP_SHARED | MAP_ANONYMOUS, -1);
	map_over(&k->memfd, MAP_SHARED, k->fd);
	attach_segment(&k->sysv);
}

static void kinds_free(struct kinds *k)
{
	wl_area_free(&k->anon);
	wl_area_free(&k->memfd);
	wl_area_free(&k->sysv);
	close(k->fd);
}

static void fill_parity(struct wl_area *a, unsigned parity, unsigned version)
{
	for (size_t i = parity; i < a->nr_pages; i += 2)
		wl_fill(a, i, 1, version);
}

static void child(struct kinds *k, struct wl_area *own, unsigned id,
		  unsigned version)
{
	fill_parity(&k->anon, id, version);
	for (size_t i = id; i < own->nr_pages; i += 3)
		wl_poke(own, i);
	fill_parity(&k->memfd, id, version);
	fill_parity(&k->sysv, id, version);
	wl_check_all(own);
	_exit(0);
}

/* Two children write every second page each, of what is shared and of what is
 * theirs alone. */
static void by_children(struct kinds *k, struct wl_area *own, unsigned version)
{
	pid_t pid[2];

	for (unsigned c = 0; c < 2; c++) {
		pid[c] = wl_fork();
		if (pid[c] == 0)
			child(k, own, c, version);
	}
	for (size_t i = 0; i < own->nr_pages; i += 2)
		wl_poke(own, i);
	wl_reap(pid[0], 0);
	wl_reap(pid[1], 0);
	expect(&k->anon, version);
	expect(&k->memfd, version);
	expect(&k->sysv, version);
	wl_check_all(&k->anon);
	wl_check_all(&k->memfd);
	wl_check_all(&k->sysv);
	wl_check_all(own);
}

/* Private pages, out or not, into the file and back by system calls. */
static void by_descriptor(struct kinds *k, struct wl_area *own)
{
	size_t n = k->memfd.nr_pages;
	struct wl_area part = wl_area_part(own, 0, n);
	struct wl_area seen = part;

	seen.base = k->memfd.base;
	if (pwrite(k->fd, part.base, n * WL_PAGE, 0) != (ssize_t)(n * WL_PAGE))
		wl_die("pwrite to a memfd");
	wl_check_all(&seen);
	wl_fill(&k->memfd, 0, n, 40);
	if (pread(k->fd, part.base, n * WL_PAGE, 0) != (ssize_t)(n * WL_PAGE))
		wl_die("pread of a memfd");
	seen = k->memfd;
	seen.base = part.base;
	wl_check_all(&seen);
	wl_fill(own, 0, n, 2);
}

/* A private mapping of the file: what it has written is its own, and stays
 * when the page below it goes. */
static void private_mapping(struct kinds *k)
{
	size_t n = k->memfd.nr_pages;
	struct wl_area copy, seen = k->memfd;
	pid_t pid;

	wl_area_new(&copy, n);
	map_over(&copy, MAP_PRIVATE, k->fd);
	seen.base = copy.base;
	wl_check_all(&seen);
	wl_fill(&copy, 0, n / 2, 50);
	wl_check_all(&k->memfd);
	wl_fill(&k->memfd, 0, n, 51);
	pid = wl_fork();
	if (pid == 0) {
		wl_fill(&copy, n / 4, n / 2, 52);
		wl_check(&copy, 0, n / 2);
		_exit(0);
	}
	wl_reap(pid, 0);
	wl_check_all(&k->memfd);
	if (fallocate(k->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      n * WL_PAGE))
		wl_die("fallocate");
	wl_check_zero(k->memfd.base, n);
	wl_check(&copy, 0, n / 2);
	wl_area_free(&copy);
}

static void cut_and_grown(struct kinds *k)
{
	size_t n = k->memfd.nr_pages, half = n / 2;

	wl_fill(&k->memfd, 0, n, 60);
	if (ftruncate(k->fd, half * WL_PAGE) || ftruncate(k->fd, n * WL_PAGE))
		wl_die("ftruncate");
	wl_check(&k->memfd, 0, half);
	wl_check_zero(k->memfd.base + half * WL_PAGE, n - half);
	wl_fill(&k->anon, 0, n, 61);
	if (madvise(k->anon.base, half * WL_PAGE, MADV_REMOVE) ||
	    madvise(k->anon.base + half * WL_PAGE, half * WL_PAGE,
		    MADV_DONTNEED))
		wl_die("madvise of shared memory");
	wl_check_zero(k->anon.base, half);
	wl_check(&k->anon, half, n - half);
	wl_fill(&k->memfd, 0, n, 62);
	wl_fill(&k->anon, 0, n, 62);
}

/* Shared memory takes the place of private memory, and leaves it again: each
 * time the place begins anew. */
static void change_places(struct kinds *k)
{
	size_t n = k->anon.nr_pages;
	char *home = k->anon.base;
	struct wl_area place;

	wl_area_new(&place, n);
	wl_fill(&place, 0, n, 70);
	wl_check_all(&place);
	if (mremap(home, n * WL_PAGE, n * WL_PAGE,
		   MREMAP_MAYMOVE | MREMAP_FIXED, place.base) == MAP_FAILED)
		wl_die("mremap of shared memory");
	k->anon.base = place.base;
	wl_check_all(&k->anon);
	place.base = home;
	map_over(&place, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	wl_check_zero(home, n);
	wl_fill(&place, 0, n, 71);
	wl_check_all(&place);
	wl_area_free(&place);
	wl_check_all(&k->anon);
}

/* A segment takes the place of private memory, which is the one way to do that
 * without an event. Later that place is a part of new private memory: nothing
 * of the old may be left. */
static void replace_unseen(struct wl_area *own)
{
	size_t half = own->nr_pages / 2;
	struct wl_area place, first, second;

	wl_area_new(&place, 2 * half);
	first = wl_area_part(&place, 0, half);
	second = wl_area_part(&place, half, half);
	map_over(&first, MAP_SHARED | MAP_ANONYMOUS, -1);
	wl_fill(&second, 0, half, 80);
	wl_check_all(own);
	attach_segment(&second);
	if (shmdt(second.base))
		wl_die("shmdt");
	unmap(&first);
	map_over(&place, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (unsigned version = 81; version < 85; version++) {
		wl_fill(&first, 0, half, version);
		wl_check_all(own);
	}
	wl_check_zero(second.base, half);
	wl_check_all(&first);
	wl_area_free(&place);
}

int wl_shared(void)
{
	struct wl_area own;
	struct kinds k;

	wl_area_new(&own, wl_pages() / 2);
	wl_fill(&own, 0, own.nr_pages, 1);
	kinds_new(&k, wl_pages() / 12);
	wl_background_start(wl_pages() / 4);
	for (unsigned round = 0; round < wl.rounds; round++) {
		by_children(&k, &own, 10 + round);
		by_descriptor(&k, &own);
		private_mapping(&k);
		cut_and_grown(&k);
		change_places(&k);
		replace_unseen(&own);
		by_children(&k, &own, 11 + round);
	}
	wl_background_stop();
	kinds_free(&k);
	wl_check_all(&own);
	wl_area_free(&own);
	return 0;
}

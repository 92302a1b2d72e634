/*
 * workload.h - what the parts of the verifying workload share.
 *
 * Memory is checked, never trusted: each 8-byte word of each page follows a
 * formula of (page number, word, version), so a page that comes back as
 * zeros, in an older state or in another page's place is seen at its first
 * wrong word. Page numbers are unique over all areas of a run.
 *
 * A check that fails prints one MISMATCH line and ends its process with
 * WL_MISMATCH; a parent that reaps such a child ends likewise.
 *
 * Each place that calls wl_check() and its relatives is a numbered site.
 * `--sites` prints the sites a run passed, `--self-test SITE` breaks one word
 * just before that site looks, and must make the run fail. A site is
 * 1000 * the WL_FILE of its source + the line.
 */
#ifndef E2E_WORKLOAD_H
#define E2E_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WL_PAGE  4096ul
#define WL_WORDS (WL_PAGE / 8)

enum {
	WL_USAGE = 2,    /* the command line makes no sense */
	WL_MISMATCH = 3, /* memory did not hold what was put there */
	WL_SYSCALL = 4,  /* a system call failed that should not */
	WL_WRONG = 5,    /* the environment is not what it should be */
};

struct wl_options {
	const char *name;   /* subcommand */
	const char *self;   /* absolute path of this program */
	const char *dir;    /* where scratch files may be made */
	size_t size_mib;    /* about how much memory to use */
	unsigned threads;   /* how many threads touch it */
	unsigned rounds;    /* how often to do it all */
	double seconds;     /* churn: how long */
	const char *expect; /* invisible: names of expected variables */
	unsigned self_test; /* site to break, or 0 */
	bool sites;         /* print the sites passed */
	int argc;           /* operands after the subcommand */
	char **argv;
};

extern struct wl_options wl;

/*
 * A run of pages with the state each should be in. Two areas may share
 * `version` and `poke` when the same content is expected at two places.
 */
struct wl_area {
	char *base;
	size_t nr_pages;
	uint64_t first;    /* number of the first page */
	uint16_t *version; /* of the whole page */
	uint16_t *poke;    /* how often one word of it was changed alone */
};

/* Checks are numbered by file and line; each .c file defines WL_FILE. */
#define WL_SITE (WL_FILE * 1000u + __LINE__)

void wl_area_new(struct wl_area *a, size_t nr_pages);
void wl_area_free(struct wl_area *a);
struct wl_area wl_area_part(const struct wl_area *a, size_t from, size_t n);
/* How many of its pages are in memory. */
size_t wl_area_present(const struct wl_area *a);

/* Writes pages [from, from + n) in the given version, pokes back to zero. */
void wl_fill(struct wl_area *a, size_t from, size_t n, unsigned version);

/* Changes one word of page i, leaving the others. */
void wl_poke(struct wl_area *a, size_t i);

void wl_check_at(const struct wl_area *a, size_t from, size_t n, unsigned site);
void wl_check_zero_at(const void *mem, size_t n, unsigned site);

/* Each page is either all zero or as it was; returns how many were zero. */
size_t wl_check_or_zero_at(const struct wl_area *a, size_t from, size_t n,
			   unsigned site);

#define wl_check(a, from, n)         wl_check_at(a, from, n, WL_SITE)
#define wl_check_all(a)              wl_check_at(a, 0, (a)->nr_pages, WL_SITE)
#define wl_check_zero(mem, n)        wl_check_zero_at(mem, n, WL_SITE)
#define wl_check_or_zero(a, from, n) wl_check_or_zero_at(a, from, n, WL_SITE)

/* Plants a fault once if the run was asked to break this site. */
bool wl_sabotage(unsigned site);

/* A word of the formula without a page: objects smaller than one use it. */
uint64_t wl_word(uint64_t page, unsigned word, unsigned version);

uint64_t wl_random(uint64_t *state);
double wl_now(void);
size_t wl_pages(void); /* the size asked for, in pages */

void wl_die(const char *what, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
void wl_wrong(const char *what, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
void wl_mismatch(const void *addr, uint64_t expected, uint64_t found,
		 const char *why) __attribute__((noreturn));

void *wl_map(size_t bytes);
pid_t wl_fork(void);               /* dies when it fails */
void wl_reap(pid_t pid, int code); /* and demands this exit code */
void wl_in_threads(unsigned n, void (*fn)(unsigned id, void *arg), void *arg);

/*
 * Threads that write and check areas of their own until stopped, so that
 * whatever the caller does happens amid paging. None with --threads 1.
 */
void wl_background_start(size_t nr_pages);
void wl_background_stop(void);

int wl_basic(void);
int wl_forks(void);
int wl_manyforks(void);
int wl_lastfork(void);
int wl_churn(void);
int wl_dropped(void);
int wl_spawn(void);
int wl_child(void);
int wl_exit(void);
int wl_sigwait(void);
int wl_lost(void);
int wl_mremap(void);
int wl_unmap(void);
int wl_reserve(void);
int wl_io(void);
int wl_shared(void);
int wl_lock(void);
int wl_advice(void);
int wl_huge(void);
int wl_hold(void);
int wl_stack(void);
int wl_heap(void);
int wl_invisible(void);
int wl_fingerprint(void);

#endif

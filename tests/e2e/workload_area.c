/*
 * workload_area.c - areas, their formula, and the checks; threads and
 * processes in the few shapes the subcommands need.
 *
 * Of each 64 bytes 16 are random and 48 repeat, so that a page compresses to
 * somewhat under half: neither a page of zeros nor noise.
 */
#include "workload.h"

#define WL_FILE 1
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POKE_STEP 0x9e3779b97f4a7c15ull

/* What all processes of a run share: which sites were passed or broken. */
struct shared {
	unsigned char passed[16000];
	int broken;
};

static struct shared *shared;

/* Where this thread is checking, for the message. */
static _Thread_local unsigned current_site;

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static uint64_t page_seed(uint64_t page, unsigned version)
{
	return mix((page + 1) * 0x9e3779b97f4a7c15ull + version);
}

static uint64_t seed_word(uint64_t seed, unsigned word)
{
	if ((word & 7) < 2)
		return mix(seed + word + 1);
	return seed + (word >> 3);
}

uint64_t wl_word(uint64_t page, unsigned word, unsigned version)
{
	return seed_word(page_seed(page, version), word);
}

uint64_t wl_random(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ull;
	return mix(*state);
}

double wl_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

size_t wl_pages(void)
{
	return (wl.size_mib << 20) / WL_PAGE;
}

/* One write(2), so that lines of several processes do not mix. */
static void say(const char *kind, const char *format, va_list args)
{
	char line[600];
	int n = snprintf(line, sizeof(line), "workload %s: %s: ", wl.name,
			 kind);

	n += vsnprintf(line + n, sizeof(line) - n - 1, format, args);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		_exit(WL_SYSCALL);
}

void wl_die(const char *what, ...)
{
	int e = errno;
	char text[400];
	va_list args;

	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	dprintf(STDERR_FILENO, "workload %s: FAILED: %s: %s\n", wl.name, text,
		strerror(e));
	_exit(WL_SYSCALL);
}

void wl_wrong(const char *what, ...)
{
	va_list args;

	va_start(args, what);
	say("WRONG", what, args);
	va_end(args);
	_exit(WL_WRONG);
}

static void say_mismatch(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("MISMATCH", format, args);
	va_end(args);
}

void wl_mismatch(const void *addr, uint64_t expected, uint64_t found,
		 const char *why)
{
	say_mismatch("pid %d, site %u: at %p expected %016llx found %016llx "
		     "(%s)",
		     (int)getpid(), current_site, addr,
		     (unsigned long long)expected, (unsigned long long)found,
		     why);
	_exit(WL_MISMATCH);
}

void *wl_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		wl_die("mmap of %zu bytes", bytes);
	return p;
}

/* Before any fork, so that children count into the same table. */
static void __attribute__((constructor)) shared_init(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		wl_die("mmap of the shared table");
}

bool wl_sabotage(unsigned site)
{
	current_site = site;
	__atomic_store_n(&shared->passed[site], 1, __ATOMIC_RELAXED);
	return site == wl.self_test &&
	       !__atomic_exchange_n(&shared->broken, 1, __ATOMIC_RELAXED);
}

/* Runs at exit of the first process only: children leave by _exit(). */
static void __attribute__((destructor)) shared_print(void)
{
	if (!wl.sites)
		return;
	for (unsigned i = 0; i < sizeof(shared->passed); i++)
		if (shared->passed[i])
			printf("site %u\n", i);
	fflush(stdout);
}

void wl_area_new(struct wl_area *a, size_t nr_pages)
{
	static uint64_t next_first = 1ull << 32;

	a->nr_pages = nr_pages;
	a->first =
		__atomic_fetch_add(&next_first, 1ull << 32, __ATOMIC_RELAXED);
	a->base = wl_map(nr_pages * WL_PAGE);
	a->version = wl_map(nr_pages * sizeof(*a->version));
	a->poke = wl_map(nr_pages * sizeof(*a->poke));
}

void wl_area_free(struct wl_area *a)
{
	if (munmap(a->base, a->nr_pages * WL_PAGE) ||
	    munmap(a->version, a->nr_pages * sizeof(*a->version)) ||
	    munmap(a->poke, a->nr_pages * sizeof(*a->poke)))
		wl_die("munmap of an area");
}

struct wl_area wl_area_part(const struct wl_area *a, size_t from, size_t n)
{
	struct wl_area part = {
		.base = a->base + from * WL_PAGE,
		.nr_pages = n,
		.first = a->first + from,
		.version = a->version + from,
		.poke = a->poke + from,
	};

	return part;
}

#define PAGEMAP_PRESENT (1ull << 63)

size_t wl_area_present(const struct wl_area *a)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t present = 0;

	if (fd < 0)
		wl_die("open of pagemap");
	for (size_t i = 0; i < a->nr_pages; i++) {
		uint64_t entry;
		off_t at = ((uintptr_t)a->base / WL_PAGE + i) * sizeof(entry);

		if (pread(fd, &entry, sizeof(entry), at) != sizeof(entry))
			wl_die("pread of pagemap");
		present += !!(entry & PAGEMAP_PRESENT);
	}
	close(fd);
	return present;
}

/* The word a poke changes: another one in each page. */
static unsigned poke_word(uint64_t page)
{
	return page * 37 % WL_WORDS;
}

static uint64_t *page_words(const struct wl_area *a, size_t i)
{
	return (uint64_t *)(a->base + i * WL_PAGE);
}

void wl_fill(struct wl_area *a, size_t from, size_t n, unsigned version)
{
	for (size_t i = from; i < from + n; i++) {
		uint64_t *words = page_words(a, i);
		uint64_t seed = page_seed(a->first + i, (uint16_t)version);

		for (unsigned k = 0; k < WL_WORDS; k++)
			words[k] = seed_word(seed, k);
		a->version[i] = version;
		a->poke[i] = 0;
	}
}

void wl_poke(struct wl_area *a, size_t i)
{
	page_words(a, i)[poke_word(a->first + i)] += POKE_STEP;
	a->poke[i]++;
}

/* Says what a wrong word looks like. */
static const char *explain_word(uint64_t page, unsigned word, unsigned version,
				uint64_t found)
{
	static _Thread_local char text[100];

	if (found == 0)
		return "zero";
	for (unsigned v = 0; v < 70000; v++)
		if (wl_word(page, word, v) == found) {
			snprintf(text, sizeof(text),
				 "this page in version %u, not %u", v, version);
			return text;
		}
	for (int d = -4096; d <= 4096; d++)
		for (unsigned v = 0; v <= 64; v++)
			if (wl_word(page + d, word, v) == found) {
				snprintf(text, sizeof(text),
					 "the page %+d away, version %u", d, v);
				return text;
			}
	return word == poke_word(page) ? "poked word, perhaps a lost write"
				       : "unknown";
}

/* The same with how much of the page is wrong, which tells where to look for
 * the bug. */
static const char *explain(const struct wl_area *a, size_t i, unsigned word,
			   uint64_t found)
{
	static _Thread_local char text[200];
	const volatile uint64_t *words = page_words(a, i);
	uint64_t seed = page_seed(a->first + i, a->version[i]);
	unsigned wrong = 0, zero = 0;

	for (unsigned k = 0; k < WL_WORDS; k++) {
		wrong += words[k] != seed_word(seed, k) &&
			 k != poke_word(a->first + i);
		zero += words[k] == 0;
	}
	snprintf(text, sizeof(text),
		 "%s; %u words wrong, %u zero; version %u, poked %u times",
		 explain_word(a->first + i, word, a->version[i], found), wrong,
		 zero, a->version[i], a->poke[i]);
	return text;
}

static void check_page(const struct wl_area *a, size_t i)
{
	const volatile uint64_t *words = page_words(a, i);
	uint64_t page = a->first + i;
	uint64_t seed = page_seed(page, a->version[i]);
	unsigned poked = poke_word(page);

	for (unsigned k = 0; k < WL_WORDS; k++) {
		uint64_t want = seed_word(seed, k);
		uint64_t found = words[k];

		if (k == poked)
			want += a->poke[i] * POKE_STEP;
		if (found != want)
			wl_mismatch((const void *)&words[k], want, found,
				    explain(a, i, k, found));
	}
}

/* Breaks the middle page of the range in a word of its own. */
static void sabotage(const struct wl_area *a, size_t from, size_t n)
{
	size_t i = from + n / 2;

	page_words(a, i)[(i * 11 + 5) % WL_WORDS] ^= 1ull << 40;
}

void wl_check_at(const struct wl_area *a, size_t from, size_t n, unsigned site)
{
	if (wl_sabotage(site))
		sabotage(a, from, n);
	for (size_t i = from; i < from + n; i++)
		check_page(a, i);
}

static bool page_is_zero(const void *mem)
{
	const uint64_t *words = mem;
	uint64_t any = 0;

	for (unsigned k = 0; k < WL_WORDS; k++)
		any |= words[k];
	return any == 0;
}

void wl_check_zero_at(const void *mem, size_t n, unsigned site)
{
	const volatile uint64_t *words = mem;

	if (wl_sabotage(site))
		((uint64_t *)mem)[n / 2 * WL_WORDS + 77] = 1;
	for (size_t k = 0; k < n * WL_WORDS; k++) {
		uint64_t found = words[k];

		if (found)
			wl_mismatch((const void *)&words[k], 0, found,
				    "should be fresh");
	}
}

size_t wl_check_or_zero_at(const struct wl_area *a, size_t from, size_t n,
			   unsigned site)
{
	size_t zeros = 0;

	if (wl_sabotage(site))
		sabotage(a, from, n);
	for (size_t i = from; i < from + n; i++) {
		if (page_is_zero(page_words(a, i)))
			zeros++;
		else
			check_page(a, i);
	}
	return zeros;
}

pid_t wl_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		wl_die("fork");
	return pid;
}

void wl_reap(pid_t pid, int code)
{
	int status;
	pid_t got;

	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	if (got != pid)
		wl_die("waitpid(%d)", (int)pid);
	if (WIFSIGNALED(status))
		wl_wrong("child %d died of signal %d", (int)pid,
			 WTERMSIG(status));
	if (WEXITSTATUS(status) == WL_MISMATCH && code != WL_MISMATCH)
		_exit(WL_MISMATCH);
	if (WEXITSTATUS(status) != code)
		wl_wrong("child %d ended with %d, not %d", (int)pid,
			 WEXITSTATUS(status), code);
}

struct thread_start {
	void (*fn)(unsigned id, void *arg);
	void *arg;
	unsigned id;
};

static void *thread_main(void *p)
{
	struct thread_start *start = p;

	start->fn(start->id, start->arg);
	return NULL;
}

void wl_in_threads(unsigned n, void (*fn)(unsigned id, void *arg), void *arg)
{
	pthread_t threads[64];
	struct thread_start starts[64];

	if (n == 1) {
		fn(0, arg);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		starts[i] = (struct thread_start){ fn, arg, i };
		errno = pthread_create(&threads[i], NULL, thread_main,
				       &starts[i]);
		if (errno)
			wl_die("pthread_create");
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static struct {
	pthread_t threads[64];
	unsigned n;
	size_t nr_pages;
	pthread_barrier_t mapped;
	int stop;
} background;

static void *background_main(void *p)
{
	uint64_t random = (uintptr_t)p + 1;
	struct wl_area a;

	wl_area_new(&a, background.nr_pages);
	pthread_barrier_wait(&background.mapped);
	wl_fill(&a, 0, a.nr_pages, 1);
	while (!__atomic_load_n(&background.stop, __ATOMIC_ACQUIRE)) {
		size_t i = wl_random(&random) % a.nr_pages;

		wl_check(&a, i, 1);
		if (i & 1)
			wl_poke(&a, i);
		else if ((i & 15) == 0)
			wl_fill(&a, i, 1, a.version[i] + 1);
	}
	wl_check_all(&a);
	wl_area_free(&a);
	return NULL;
}

void wl_background_start(size_t nr_pages)
{
	background.n = wl.threads - 1;
	background.stop = 0;
	if (background.n == 0)
		return;
	background.nr_pages = nr_pages / background.n + 1;
	pthread_barrier_init(&background.mapped, NULL, background.n + 1);
	for (unsigned i = 0; i < background.n; i++) {
		errno = pthread_create(&background.threads[i], NULL,
				       background_main, (void *)(uintptr_t)i);
		if (errno)
			wl_die("pthread_create");
	}
	/* From here on nobody maps anything behind the caller's back, into a
	 * hole that he has just made. */
	pthread_barrier_wait(&background.mapped);
}

void wl_background_stop(void)
{
	if (background.n == 0)
		return;
	__atomic_store_n(&background.stop, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < background.n; i++)
		pthread_join(background.threads[i], NULL);
	pthread_barrier_destroy(&background.mapped);
	background.n = 0;
}

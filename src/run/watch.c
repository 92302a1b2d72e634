/*
 * watch.c - the look at the tree that the loop takes every few milliseconds:
 * how much memory it uses, and what follows. Near the budget looks come
 * often, far from it seldom; a process is managed from the moment memory gets
 * scarce, and new memory of a managed one is found by its growth.
 *
 * Above: session.c. Below: measure.c, shared.c, attach.c, maps.c, own.c,
 * stalls.c, bury.c.
 */
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "run/session_internal.h"

#define TICK_HURRY_NS   300000 /* while memory that is not ours grows */
#define HURRY_PAGES     64     /* in one look: that is growing */
#define HURRY_LOOKS     32     /* so many follow quickly */
#define LOOK_COST_RATIO 20     /* looks may take 5 % of a CPU, */
#define SCAN_COST_RATIO 5      /* scans for new memory a fifth */
#define NEAR_PERCENT    85     /* of the budget: looks come faster */
#define TICK_NEAR_NS    500000
#define TICK_MIN_NS     1000000   /* looks at the tree near the budget */
#define TICK_MAX_NS     20000000  /* and far from it */
#define FILL_PAGES_MS   1500      /* how fast a CPU may fill memory unseen */
#define SLOW_TICK_NS    100000000 /* strangers in the tree, exec, statistics */
#define SLOW_COST_RATIO 50        /* these may take 2 % of a CPU */
#define PSS_COST_RATIO  25        /* exact measuring may take 4 % of a CPU, */
#define PSS_MIN_NS      20000000
#define PSS_MAX_NS      200000000 /* but is never put off for longer */
#define PREPARE_PERCENT 40 /* of the budget: agents make themselves ready */
#define ATTACH_PERCENT  60 /* of the budget: from here on we manage */
#define CLAIM_NS        100000000 /* a forked space is found sooner than this */
#define ATTACH_MIN      256       /* pages; smaller processes are left alone */
#define RESCAN_PAGES    256       /* unmanaged growth that is worth a look */

/* ---- strangers ---- */

/* Is the process in the tree by its own word, or an agent there? */
static bool is_known(struct session *s, pid_t pid)
{
	struct sw_proc *p;

	sw_list_for_each(p, &s->procs, node)
		if (p->at.pid == pid || p->at.helper == pid)
			return true;
	return false;
}

static bool was_seen(struct session *s, pid_t pid)
{
	for (unsigned i = 0; i < s->nr_known; i++)
		if (s->known[i] == pid)
			return true;
	return false;
}

static bool is_managed(struct session *s, pid_t pid)
{
	struct sw_proc *p;

	sw_list_for_each(p, &s->procs, node)
		if (p->at.pid == pid)
			return p->space;
	return false;
}

static void count_stranger(void *arg, pid_t pid)
{
	struct session *s = arg;
	pid_t parent;

	if (pid == s->keeper.pid || is_known(s, pid))
		return;
	sw_keeper_add(&s->keeper, pid);
	if (s->nr_seen < MAX_STRANGERS)
		s->seen[s->nr_seen++] = pid;
	/* A vfork child lives in its parent's memory, which is counted; what a
	 * managed process forks has words before it says hello. Forked
	 * processes share much with who is counted. */
	parent = sw_parent_of(pid);
	if (is_managed(s, parent) && !was_seen(s, pid))
		return;
	if (sw_shares_memory(parent, pid) != 1) {
		struct sw_pss pss = sw_measure_pss(pid);

		s->strangers_now += pss.anon;
		s->strangers_shmem += pss.shmem;
	}
}

/* Strangers of the last look that are no more must not be killed one day
 * under a pid that is somebody else's by then. */
static void forget_strangers(struct session *s)
{
	for (unsigned i = 0; i < s->nr_known; i++) {
		pid_t pid = s->known[i];
		unsigned k = 0;

		while (k < s->nr_seen && s->seen[k] != pid)
			k++;
		if (k == s->nr_seen && pid != s->command && !is_known(s, pid))
			sw_keeper_del(&s->keeper, pid);
	}
	sw_mutex_lock(&s->procs_lock);
	memcpy(s->known, s->seen, s->nr_seen * sizeof(s->seen[0]));
	s->nr_known = s->nr_seen;
	sw_mutex_unlock(&s->procs_lock);
}

/* Everything of the tree that no agent told us of. */
void sw_session_look_for_strangers(struct session *s)
{
	sw_session_accept(s); /* whoever waits at the door is no stranger */
	s->nr_seen = 0;
	s->strangers_now = s->strangers_shmem = 0;
	sw_for_each_descendant(getpid(), count_stranger, s);
	s->strangers = s->strangers_now;
	forget_strangers(s);
}

/* ---- measuring and managing ---- */

/* A process that lost most of its memory at once has a new one (it executed a
 * program), and its old one lives until we let go of it. */
static bool is_another(const struct sw_proc *p, uint64_t known)
{
	return p->anon_pages < known / 2 &&
	       sw_shares_memory(p->at.pid, p->at.helper) != 1;
}

/* A forked process may have a space that we cannot tell is its own yet, or
 * whose birth is an event that nobody has read: the words are there. */
static bool has_words(struct session *s, const struct sw_proc *p)
{
	return p->born_managed && (sw_now_ns() - p->hello_ns < CLAIM_NS ||
				   !sw_list_empty(&s->children));
}

/* What the kernel counts for a managed process that we know of. */
static uint64_t known_pages(const struct sw_proc *p)
{
	if (!p->space)
		return 0;
	return sw_space_resident(p->space) + sw_remote_staged(p->remote);
}

/* Pages that no word of ours speaks of: what each process has beyond its
 * words, and whoever we cannot manage. Less than nothing where words speak of
 * pages that are gone. */
static int64_t unknown_pages(struct session *s, uint64_t *rss)
{
	int64_t pages = s->strangers;
	struct sw_proc *p;

	*rss = pages;
	sw_list_for_each(p, &s->procs, node) {
		uint64_t known = known_pages(p);

		p->anon_pages = sw_measure_rss_again(p->at.pid, &p->statm);
		*rss += p->anon_pages;
		if (!p->space && has_words(s, p))
			continue;
		if (!is_another(p, known))
			pages += (int64_t)(p->anon_pages - known);
	}
	return pages;
}

static uint64_t changes(struct session *s)
{
	return s->changes + sw_mm_generation(s->mm);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* All that the tree has, frames shared by fork counted once; false: it changed
 * while we looked, or some of it cannot be seen right now. */
static bool exact_pages(struct session *s, uint64_t *pages)
{
	uint64_t before = changes(s);
	struct sw_proc *p;

	if (!sw_list_empty(&s->children) || !sw_list_empty(&s->orphans) ||
	    __atomic_load_n(&s->bury.pending, __ATOMIC_ACQUIRE))
		return false;
	*pages = s->strangers;
	sw_list_for_each(p, &s->procs, node) {
		uint64_t pss = sw_measure_pss(p->at.pid).anon;

		if (!pss && p->space)
			return false; /* it has just ended */
		*pages += pss;
	}
	return changes(s) == before;
}

/*
 * Books and looks err where forked processes share frames: ones shared before
 * we managed them count too often, copies made before they were armed not at
 * all. So now and then all is measured exactly, and what that differs by is
 * added from then on, as far as it can be believed (correction.h).
 */
static void correct(struct session *s, uint64_t rss)
{
	uint64_t now = sw_now_ns(), cpu = cpu_ns(), pages;
	struct sw_mm_usage u;
	bool forked = false;
	struct sw_proc *p;

	sw_list_for_each(p, &s->procs, node)
		forked |= p->forked;
	sw_mm_usage(s->mm, &u);
	if (!forked || rss * 2 < u.budget_pages) {
		s->correction.pages = 0;
		return;
	}
	if (now < s->pss_ns)
		return;
	if (exact_pages(s, &pages)) {
		s->unknown = unknown_pages(s, &rss);
		sw_mm_usage(s->mm, &u);
		sw_correction_measured(&s->correction, changes(s),
				       (int64_t)(pages - u.managed_pages) -
					       s->unknown);
	}
	s->pss_ns = now + sw_max((uint64_t)PSS_MIN_NS,
				 sw_min((cpu_ns() - cpu) * PSS_COST_RATIO,
					(uint64_t)PSS_MAX_NS));
}

/* Returns the pages in use. */
static uint64_t measure(struct session *s)
{
	int64_t last = s->unknown;
	uint64_t rss, cpu = cpu_ns();
	struct sw_mm_usage u;

	s->unknown = unknown_pages(s, &rss);
	s->look_ns = cpu_ns() - cpu;
	if (s->unknown > last + HURRY_PAGES)
		s->hurry = HURRY_LOOKS;
	correct(s, rss);
	sw_mm_set_unmanaged(s->mm, s->unknown + sw_correction_of(&s->correction,
								 changes(s)));
	sw_mm_usage(s->mm, &u);
	return u.used_pages;
}

/* 0 or -errno, after a line. */
static int prepare(struct sw_proc *p)
{
	int err = p->uffd >= 0 ? 0 : sw_proc_prepare(p);

	if (err)
		sw_proc_give_up(p, err);
	return err;
}

static void attach(struct session *s, struct sw_proc *p)
{
	int err;

	if (prepare(p))
		return;
	err = sw_proc_attach_new(p, s->mm);
	if (err) {
		sw_proc_give_up(p, err);
		return;
	}
	s->attached = true;
	sw_session_show(s, p);
	sw_debug("process %d is managed", p->at.pid);
}

/* New memory of a managed process is found by its growth. To register it is
 * quick, and ends that growth; to note every page that is in it already may
 * take longer, and can wait. */
static void rescan(struct sw_proc *p)
{
	uint64_t known = known_pages(p);
	uint64_t rest = p->anon_pages - sw_min(p->anon_pages, known);
	uint64_t now = sw_now_ns(), cpu = cpu_ns();

	p->scan_rest = sw_min(p->scan_rest, rest);
	if (rest < p->scan_rest + RESCAN_PAGES)
		return;
	if (now >= p->scan_ns) {
		sw_proc_scan(p);
		p->scan_ns = now + (cpu_ns() - cpu) * SCAN_COST_RATIO;
		known = known_pages(p);
		p->scan_rest = p->anon_pages - sw_min(p->anon_pages, known);
	} else if (now >= p->register_ns) {
		sw_maps_register(&p->at, p->remote, p->space);
		p->register_ns = now + (cpu_ns() - cpu) * SCAN_COST_RATIO;
	}
}

static void manage(struct session *s, uint64_t used)
{
	uint64_t percent = used * 100 * SW_PAGE_SIZE / sw_session_budget(s);
	struct sw_proc *p;

	if (__atomic_load_n(&s->eager, __ATOMIC_RELAXED))
		percent = 100;

	sw_session_claim(s);
	/* Whoever is not registered grows while others' pages are noted. */
	sw_list_for_each(p, &s->procs, node) {
		if (p->remote || p->failed || p->anon_pages < ATTACH_MIN ||
		    percent < PREPARE_PERCENT || has_words(s, p))
			continue;
		if (percent >= ATTACH_PERCENT)
			attach(s, p);
		else
			prepare(p);
	}
	sw_list_for_each(p, &s->procs, node) {
		if (p->remote) {
			sw_proc_complete(p);
			rescan(p);
			sw_remote_look(p->remote);
		}
	}
}

/* Time to the next look once somebody is managed: unregistered memory may grow
 * beside him. */
static uint64_t attached_pace(struct session *s, bool near)
{
	uint64_t ns = near ? TICK_NEAR_NS : TICK_MIN_NS;

	if (s->hurry) {
		s->hurry--;
		ns = TICK_HURRY_NS;
	}
	return sw_max(ns, s->look_ns * LOOK_COST_RATIO);
}

/* The next look comes before the tree can have grown past the point where
 * it would have to be managed. */
static void set_timer(struct session *s, uint64_t used)
{
	uint64_t budget = sw_session_budget(s) / SW_PAGE_SIZE;
	uint64_t mark = budget * ATTACH_PERCENT / 100;
	uint64_t ns = TICK_MIN_NS;
	struct itimerspec t = { 0 };

	if (used < mark)
		ns = (mark - used) * 1000000 / (FILL_PAGES_MS * s->nr_cpus);
	ns = sw_max((uint64_t)TICK_MIN_NS, sw_min(ns, (uint64_t)TICK_MAX_NS));
	if (s->attached)
		ns = attached_pace(s, used * 100 > budget * NEAR_PERCENT);
	t.it_value.tv_nsec = ns;
	timerfd_settime(s->timer, 0, &t, NULL);
}

/* Most of it is to read /proc, where a machine may have thousands of processes
 * that are not ours. */
static void slow_tick(struct session *s)
{
	uint64_t now = sw_now_ns(), cpu = cpu_ns();

	sw_session_drop_execed(s);
	sw_session_look_for_strangers(s);
	sw_session_look_at_shared(s);
	sw_devices_sample(&s->devices);
	sw_session_look_at_stalls(s);
	sw_session_measure_own(s);
	s->slow_ns = now + sw_max((uint64_t)SLOW_TICK_NS,
				  (cpu_ns() - cpu) * SLOW_COST_RATIO);
}

void sw_session_tick(struct session *s)
{
	uint64_t used;

	if (sw_now_ns() >= s->slow_ns)
		slow_tick(s);
	sw_bury_gone(&s->bury, &s->children);
	sw_bury_gone(&s->bury, &s->orphans);
	sw_drain_look(s);
	used = measure(s);
	manage(s, used);
	set_timer(s, used);
	__atomic_fetch_add(&s->looks, 1, __ATOMIC_RELEASE);
}

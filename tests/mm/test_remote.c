/*
 * test_remote.c - what the supervisor makes of an agent that dies, and what it
 * hears of the advice that a program leaves. The agent is played by the test, at
 * the other end of the socket; its staging area is memory of the test itself.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "mmu/remote.h"

struct stage {
	struct sw_remote *remote;
	struct sw_mmu *mmu;
	struct sw_agent_ctl *ctl;
	char *area;
	int agent; /* the agent's end */
};

static void no_lock(void *space)
{
	(void)space;
}

#define HEARD_MAX 4096

static struct {
	uint64_t start, end;
	enum sw_advice advice;
} heard[HEARD_MAX];

static unsigned nr_heard; /* [atomic] */

/* By the event thread. */
static void hear(void *space, uint64_t start, uint64_t end,
		 enum sw_advice advice)
{
	unsigned n = nr_heard;

	(void)space;
	assert_true(n < HEARD_MAX);
	heard[n].start = start;
	heard[n].end = end;
	heard[n].advice = advice;
	__atomic_store_n(&nr_heard, n + 1, __ATOMIC_RELEASE);
}

static uint64_t nothing_to_settle(void *space)
{
	(void)space;
	return 0;
}

static const struct sw_mmu_client client = { .lock = no_lock,
					     .unlock = no_lock,
					     .advise = hear,
					     .settle = nothing_to_settle };

static int set_up(void **state)
{
	static struct stage s;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -1;
	s.area =
		mmap(NULL, SW_AREA_PAGES * SW_PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	s.ctl = mmap(NULL, SW_PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	s.remote = sw_remote_new(-1, getpid(), &client, NULL);
	if (s.area == MAP_FAILED || s.ctl == MAP_FAILED || !s.remote)
		return -1;
	madvise(s.area, SW_AREA_PAGES * SW_PAGE_SIZE, MADV_NOHUGEPAGE);
	s.mmu = sw_remote_mmu(s.remote);
	s.agent = pair[1];
	sw_remote_set_agent(s.remote,
			    &(struct sw_agent_place){
				    .pid = getpid(),
				    .helper = getpid(),
				    .stage = (uint64_t)s.area,
			    },
			    pair[0], s.ctl);
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	sw_remote_stop(s->remote);
	sw_remote_free(s->remote);
	if (s->agent >= 0)
		close(s->agent);
	return munmap(s->area, SW_AREA_PAGES * SW_PAGE_SIZE);
}

static void die(struct stage *s)
{
	close(s->agent);
	s->agent = -1;
}

static int take(struct stage *s, uint8_t *page)
{
	struct sw_agent_run run = { .addr = 1ull << 30, .nr = 4, .at = 0 };

	return s->mmu->ops->take(s->mmu, &run, 1, s->mmu->epoch, page);
}

/* Lets the agent answer one TAKE, before it was asked. */
static void agent_takes_two_pages(struct stage *s)
{
	struct sw_agent_taken taken = { .op = SW_AGENT_TAKEN };

	taken.page[0] = taken.page[1] = SW_PAGE_TAKEN;
	s->ctl->batch++;
	s->area[0] = s->area[SW_PAGE_SIZE] = 'x';
	assert_int_equal(send(s->agent, &taken, sizeof(taken), 0),
			 sizeof(taken));
}

static void pages_of_the_last_batch_are_not_taken_again(void **state)
{
	struct stage *s = *state;
	uint8_t page[SW_MMU_BATCH];

	agent_takes_two_pages(s);
	assert_int_equal(take(s, page), 0);
	assert_int_equal(page[0], SW_PAGE_TAKEN);
	assert_int_equal(page[2], SW_PAGE_HOLE);
	/* It dies before it could drop them or begin another batch. */
	s->mmu->ops->drop_staged(s->mmu);
	die(s);
	assert_int_equal(take(s, page), -ESRCH);
	assert_false(s->mmu->can_take);
}

static void a_batch_that_was_begun_is_found_in_the_staging_area(void **state)
{
	struct stage *s = *state;
	uint8_t page[SW_MMU_BATCH];

	agent_takes_two_pages(s);
	assert_int_equal(take(s, page), 0);
	madvise(s->area, 2 * SW_PAGE_SIZE, MADV_DONTNEED);
	/* Begun, one page moved, dead. */
	s->ctl->batch++;
	s->area[3 * SW_PAGE_SIZE] = 'y';
	die(s);
	assert_int_equal(take(s, page), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(page[i],
				 i == 3 ? SW_PAGE_TAKEN : SW_PAGE_STALE);
	assert_int_equal(take(s, page), -ESRCH);
}

static void a_huge_page_is_found_in_the_area_for_those(void **state)
{
	struct sw_agent_run run = { .addr = 1ull << 30, .nr = SW_HUGE_PAGES };
	struct stage *s = *state;
	uint8_t page[SW_MMU_BATCH];

	s->ctl->batch++;
	s->area[0] = 'x'; /* of somebody else */
	memset(s->area + SW_HUGE_PAGE * SW_PAGE_SIZE, 'y',
	       SW_HUGE_PAGES * SW_PAGE_SIZE);
	die(s);
	assert_int_equal(
		s->mmu->ops->take(s->mmu, &run, 1, s->mmu->epoch, page), 0);
	for (unsigned i = 0; i < SW_HUGE_PAGES; i++)
		assert_int_equal(page[i], SW_PAGE_TAKEN);
}

/* ---- bringing huge pages ---- */

static char huge[SW_HUGE_PAGES * SW_PAGE_SIZE];

static char *bring_area(struct stage *s)
{
	return s->area + SW_BRING_PAGE * SW_PAGE_SIZE;
}

/* The agent: moves the first 100 pages and dies, or answers that it moved all. */
static void *dying_agent(void *arg)
{
	struct sw_agent_bring b;
	struct stage *s = arg;

	recv(s->agent, &b, sizeof(b), 0);
	madvise(bring_area(s), 100 * SW_PAGE_SIZE, MADV_DONTNEED);
	die(s);
	return NULL;
}

static void *good_agent(void *arg)
{
	struct sw_agent_taken done = { .op = SW_AGENT_BROUGHT, .huge = 1 };
	struct sw_agent_bring b;
	struct stage *s = arg;

	recv(s->agent, &b, sizeof(b), 0);
	if (b.op == SW_AGENT_BRING && b.addr == 1ull << 30 &&
	    !memcmp(bring_area(s), huge, sizeof(huge)))
		memset(done.page, SW_PAGE_TAKEN, sizeof(done.page));
	send(s->agent, &done, sizeof(done), 0);
	return NULL;
}

static int bring(struct stage *s, void *(*agent)(void *arg), uint8_t *page)
{
	pthread_t t;
	int ret;

	for (unsigned i = 0; i < SW_HUGE_PAGES; i++)
		huge[i * SW_PAGE_SIZE] = i % 100 + 1;
	assert_int_equal(pthread_create(&t, NULL, agent, s), 0);
	ret = s->mmu->ops->bring(s->mmu, 1ull << 30, huge, page);
	pthread_join(t, NULL);
	return ret;
}

static void what_is_brought_was_in_the_agents_area(void **state)
{
	struct stage *s = *state;
	uint8_t page[SW_MMU_BATCH];

	assert_int_equal(bring(s, good_agent, page), 1);
	for (unsigned i = 0; i < SW_HUGE_PAGES; i++)
		assert_int_equal(page[i], SW_PAGE_TAKEN);
}

static void what_a_dying_agent_moved_is_brought(void **state)
{
	struct stage *s = *state;
	uint8_t page[SW_MMU_BATCH];

	assert_int_equal(bring(s, dying_agent, page), 0);
	for (unsigned i = 0; i < SW_HUGE_PAGES; i++)
		assert_int_equal(page[i],
				 i < 100 ? SW_PAGE_TAKEN : SW_PAGE_STALE);
	assert_false(s->mmu->can_take);
	assert_int_equal(s->mmu->ops->bring(s->mmu, 1ull << 30, huge, page),
			 -ESRCH);
}

/* ---- advice ---- */

/* As the preloaded object does it. */
static void leave(struct stage *s, uint64_t word)
{
	s->ctl->advice[s->ctl->next_advice++ % SW_ADVICE_SLOTS] = word;
	__atomic_fetch_add(&s->ctl->advised, 1, __ATOMIC_RELEASE);
}

static void wait_until_heard(struct stage *s, unsigned nr)
{
	while (__atomic_load_n(&nr_heard, __ATOMIC_ACQUIRE) < nr) {
		sw_remote_look(s->remote);
		sched_yield();
	}
}

static void advice_is_heard_in_order(void **state)
{
	struct stage *s = *state;

	nr_heard = 0;
	assert_int_equal(sw_remote_start(s->remote), 0);
	for (unsigned round = 0; round < 10; round++) {
		uint64_t at = 1ull << 46 | round << 20;

		leave(s, sw_advice_word(at, 1, SW_ADVICE_COLD));
		leave(s, sw_advice_word(at, SW_ADVICE_MAX_PAGES,
					SW_ADVICE_WILLNEED));
		wait_until_heard(s, 2 * round + 2);
		assert_int_equal(nr_heard, 2 * round + 2);
		assert_int_equal(heard[2 * round].start, at);
		assert_int_equal(heard[2 * round].end, at + SW_PAGE_SIZE);
		assert_int_equal(heard[2 * round].advice, SW_ADVICE_COLD);
		assert_int_equal(heard[2 * round + 1].end,
				 at + SW_ADVICE_MAX_PAGES * SW_PAGE_SIZE);
		assert_int_equal(heard[2 * round + 1].advice,
				 SW_ADVICE_WILLNEED);
	}
	for (unsigned k = 0; k < SW_ADVICE_SLOTS; k++)
		assert_int_equal(s->ctl->advice[k], 0);
}

/* Whatever is in the page: each slot is looked at once, and what is passed on
 * makes some sense. */
static void nonsense_is_no_advice(void **state)
{
	struct stage *s = *state;
	uint64_t random = 1;

	nr_heard = 0;
	for (unsigned k = 0; k < SW_ADVICE_SLOTS; k++) {
		random = random * 6364136223846793005ull + 1442695040888963407;
		s->ctl->advice[k] = k % 4 ? random : k % 8 ? ~0ull : 1;
	}
	s->ctl->advice[5] = sw_advice_word(1ull << 40, 0, SW_ADVICE_COLD);
	s->ctl->advice[6] = random & ~3ull;
	s->ctl->next_advice = UINT32_MAX - 3;
	assert_int_equal(sw_remote_start(s->remote), 0);
	leave(s, sw_advice_word(1ull << 40, 3, SW_ADVICE_PAGEOUT));
	wait_until_heard(s, 1);
	sw_remote_stop(s->remote);
	assert_in_range(nr_heard, 1, SW_ADVICE_SLOTS);
	for (unsigned n = 0; n < nr_heard; n++) {
		assert_true(heard[n].start < heard[n].end);
		assert_true(heard[n].start < SW_ADVICE_MAX_ADDR);
		assert_in_range(heard[n].advice, 1, SW_NR_ADVICE - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			pages_of_the_last_batch_are_not_taken_again, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_batch_that_was_begun_is_found_in_the_staging_area,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_huge_page_is_found_in_the_area_for_those, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_brought_was_in_the_agents_area, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			what_a_dying_agent_moved_is_brought, set_up, tear_down),
		cmocka_unit_test_setup_teardown(advice_is_heard_in_order,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(nonsense_is_no_advice, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

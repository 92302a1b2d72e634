/*
 * own.h - what the files of the helper share: its memory, and the few calls
 * between them. For the helper alone.
 */
#ifndef SW_AGENT_OWN_H
#define SW_AGENT_OWN_H

#include "agent/sys.h"
#include "mmu/protocol.h"

#define PAGE         4096ul
#define STAGE_BYTES  (SW_STAGE_PAGES * PAGE)
#define HUGE_BYTES   (SW_HUGE_PAGES * PAGE)
#define AREA_BYTES   (SW_AREA_PAGES * PAGE)
#define MINOR_STACK  4096
#define HELPER_STACK (32 * 1024)

#define PAGEMAP_OCCUPIED (3ull << 62) /* present, or swapped out by the host */

/* Everything the helper writes to. Page-aligned and page-sized, so that no
 * variable of the program shares a page with it. */
struct agent_own {
	char helper_stack[HELPER_STACK];
	char minor_stack[MINOR_STACK];
	char socket_name[108];
	unsigned socket_name_len;
	int pid;
	int forked;
	int sock;
	int pidfd; /* the target, to be killed when the supervisor dies */
	uint64_t pid_ino; /* of that, 0: not known; and of no other process */
	int uffd;         /* the program's memory; moves go into `stage` */
	int dropfd;       /* event-free; for what is to be dropped */
	char *stage;      /* all areas: protocol.h */
	struct sw_agent_ctl *ctl;

	union {
		uint32_t op;
		struct sw_agent_attach attach;
		struct sw_agent_take take;
		struct sw_agent_unshare unshare;
		struct sw_agent_bring bring;
	} msg;
	struct sw_agent_taken taken;
	uint64_t entry[SW_HUGE_PAGES]; /* of /proc/self/pagemap */
	int pagemap;
	int huge;    /* the last batch was a huge page, in the area for those */
	int unclean; /* somebody (a debugger) touched the staging area */
	int broken;  /* staging could not be emptied: take nothing till then */
	int recv_fd[SW_AGENT_FDS];
} __attribute__((aligned(4096)));

extern struct agent_own own;

/* Where the batch that was taken last is. */
static inline char *agent_staged(void)
{
	return own.stage + (own.huge ? SW_HUGE_PAGE * PAGE : 0);
}

/* ---- agent.c ---- */
long agent_send(const void *msg, unsigned len, int fd);
void agent_unlock_areas(void);
/* Pagemap entries of `nr` pages. 0, or -errno. */
int agent_read_pagemap(uint64_t addr, uint64_t *entry, unsigned nr);
/* Moves pages dst <- src; returns bytes moved (maybe less than len), or
 * -errno when not even the first page could be moved. */
long agent_move(int uffd, char *dst, uint64_t src, uint64_t len, uint64_t mode);

/* ---- huge.c ---- */

/* Moves a huge page, if it still is one, into the area for those; or says of all
 * its pages why not. */
void agent_take_huge(const struct sw_agent_run *run, uint64_t epoch);
/* Answers the request to bring one. */
void agent_bring(void);

#endif

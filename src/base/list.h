/*
 * list.h - circular doubly linked lists with the node inside the object. A
 * node that is on no list points to itself, so sw_list_empty() on the node
 * answers "is it on a list?". No locks: the list's owner has one.
 */
#ifndef SW_LIST_H
#define SW_LIST_H

#include "base/base.h"

struct sw_list {
	struct sw_list *next, *prev;
};

#define SW_LIST_INIT(name)       \
	{                        \
		&(name), &(name) \
	}

static inline void sw_list_init(struct sw_list *l)
{
	l->next = l->prev = l;
}

static inline bool sw_list_empty(const struct sw_list *l)
{
	return l->next == l;
}

static inline void sw_list_insert_between(struct sw_list *n,
					  struct sw_list *prev,
					  struct sw_list *next)
{
	n->prev = prev;
	n->next = next;
	prev->next = n;
	next->prev = n;
}

static inline void sw_list_add(struct sw_list *head, struct sw_list *n)
{
	sw_list_insert_between(n, head, head->next);
}

static inline void sw_list_add_tail(struct sw_list *head, struct sw_list *n)
{
	sw_list_insert_between(n, head->prev, head);
}

static inline void sw_list_del(struct sw_list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	sw_list_init(n);
}

#define sw_list_entry(node, type, member) sw_container_of(node, type, member)
#define sw_list_first(head, type, member) \
	sw_list_entry((head)->next, type, member)

/* By address alone: at the end of a list `pos` is no entry. */
#define sw_list_node(pos, member)           \
	((struct sw_list *)((char *)(pos) + \
			    offsetof(__typeof__(*(pos)), member)))

#define sw_list_for_each(pos, head, member)                               \
	for (pos = sw_list_entry((head)->next, __typeof__(*pos), member); \
	     sw_list_node(pos, member) != (head);                         \
	     pos = sw_list_entry(pos->member.next, __typeof__(*pos), member))

/* `tmp` is a second cursor: the body may unlink `pos`. */
#define sw_list_for_each_safe(pos, tmp, head, member)                        \
	for (pos = sw_list_entry((head)->next, __typeof__(*pos), member),    \
	    tmp = sw_list_entry(pos->member.next, __typeof__(*pos), member); \
	     sw_list_node(pos, member) != (head); pos = tmp,                 \
	    tmp = sw_list_entry(tmp->member.next, __typeof__(*pos), member))

#endif

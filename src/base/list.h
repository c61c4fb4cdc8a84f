/*
 * Intrusive doubly linked list. The head is a struct list that points at itself when empty; a member that
 * is on no list points at itself too, so that list_remove may be called twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define LIST_ENTRY(at, type, member) ((type *)(void *)((char *)(at)-offsetof(type, member)))
#define LIST_EACH(at, head)          for (struct list *at = (head)->next; at != (head); at = at->next)
/* Safe when the body removes `at` (and only it). */
#define LIST_EACH_SAFE(at, head)                                                                   \
	for (struct list *at = (head)->next, *at##_next = at->next; at != (head);                  \
	     at = at##_next, at##_next = at->next)

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_append(struct list *head, struct list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

static inline void list_remove(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

/* The first member, removed; NULL when empty. */
static inline struct list *list_shift(struct list *head)
{
	struct list *first = head->next;

	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

/*
 * A person's mailboxes in memory: struct mail_store with all its calls, for engines' tests. Deterministic: modseqs, UIDs and threads follow from the order of what is done.
 */
#pragma once

#include "base/buf.h"
#include "mail/store.h"

enum { MEM_BOXES = 40, MEM_SETTINGS = 20 };

struct mem_message {
	struct buf text;
	enum mail_form form;
	uint64_t thread;
};

struct mem_entry {
	uint64_t box;
	struct mail_entry e; /* keywords stand in words */
	char words[200];
	uint64_t made; /* modseq */
	bool is_gone;
};

struct mem_box {
	uint64_t id, made, changed, counted; /* modseqs: of the list's entry, of its counters */
	char name[MAIL_BOX_NAME_BYTES + 1];
	enum mail_special special;
	uint32_t uidnext;
	bool is_subscribed, is_gone;
};

struct mail_mem {
	struct mail_store store;
	struct mem_message *messages; /* number is the index plus 1 */
	size_t messages_n, messages_cap;
	struct mem_entry *entries; /* in the order they were made */
	size_t entries_n, entries_cap;
	struct mem_box boxes[MEM_BOXES];
	size_t boxes_n;
	uint64_t modseq, told_from, submissions, last_thread;
	struct {
		char name[64], value[512];
	} settings[MEM_SETTINGS];
	size_t settings_n;
	struct { /* by them: from anna@example.com to b@example.org, who was not there */
		char id[40];
		uint64_t number;
	} sent[4];
	size_t sent_n;

	bool has_index; /* search answers: every second message, the others are not indexed yet */
	bool is_broken; /* every read says LATER */
	size_t read_piece; /* bytes of a body at a time; 0: as asked */
	unsigned open_bodies, reads, places_asked, entries_told;
	struct digest_maker *maker;
	uint64_t clock_us; /* of the next message */
};

void mail_mem_init(struct mail_mem *m);
void mail_mem_fini(struct mail_mem *m); /* nothing is open any more */
struct mem_box *mail_mem_add_box(struct mail_mem *m, const char *name, enum mail_special special);
struct mem_box *mail_mem_box(struct mail_mem *m, const char *name);
/* thread 0: a new one. Its number. */
uint64_t mail_mem_add_message(struct mail_mem *m, struct span text, uint64_t thread);
struct mem_entry *mail_mem_put(struct mail_mem *m, const char *box, uint64_t number, uint32_t flags,
			       const char *keywords);
/* Entries change by hand: this gives one its new modseq, and its mailbox and the account. */
void mail_mem_touch(struct mail_mem *m, struct mem_entry *e);
void mail_mem_remove(struct mail_mem *m, struct mem_entry *e);

/* The account's mailboxes as a tree: IMAP's names have their levels divided by "/", JMAP has a parent and a name. */
#pragma once

#include "jmap/internal.h"

struct jmap_box {
	struct mail_box box; /* name is copied */
	struct span name;    /* the last level */
	ssize_t parent;	     /* index; -1: none */
	struct span key;     /* name folded, for sorting and looking */
};

struct jmap_boxes {
	struct jmap_box *all; /* as each_box gives them: INBOX first, then by name */
	size_t n;
};

/* In the call's arena. False: the call has failed. */
bool jmap_boxes_read(struct jmap_call *c, struct jmap_boxes *out);
ssize_t jmap_boxes_find(const struct jmap_boxes *b, uint64_t id); /* -1: none */
const char *jmap_role(enum mail_special special);		  /* NULL: none */
int jmap_sort_order(enum mail_special special);
json_t *jmap_mailbox_rights(enum mail_special special);

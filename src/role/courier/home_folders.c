/*
 * Which mailbox of the primary stands for one of ours: INBOX for INBOX; a special one by its attribute (RFC 6154), else by
 * the names that mail programs give it; any other by its name, with the server's delimiter and the person's namespace.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "role/courier/home.h"

void home_folders_add(struct home_folders *f, const struct imap_client_box *box)
{
	if (f->n == HOME_BOXES_LIMIT || box->name.n >= HOME_PATH_BYTES)
		return;
	if (f->n == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 32;
		f->boxes = realloc(f->boxes, f->cap * sizeof *f->boxes);
		must(f->boxes);
	}
	f->boxes[f->n] = (struct home_box){.delimiter = box->delimiter, .flags = box->flags};
	f->boxes[f->n].name = must_alloc(box->name.n + 1);
	memcpy(f->boxes[f->n].name, box->name.p, box->name.n);
	f->boxes[f->n++].name[box->name.n] = '\0';
	if (box->delimiter && !f->delimiter)
		f->delimiter = box->delimiter;
}

void home_folders_fini(struct home_folders *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->boxes[i].name);
	free(f->boxes);
	*f = (struct home_folders){0};
}

uint32_t home_special_flag(enum mail_special special)
{
	switch (special) {
	case MAIL_PLAIN:
	case MAIL_INBOX:
		return 0;
	case MAIL_SENT:
		return IMAP_CLIENT_BOX_SENT;
	case MAIL_DRAFTS:
		return IMAP_CLIENT_BOX_DRAFTS;
	case MAIL_ARCHIVE:
		return IMAP_CLIENT_BOX_ARCHIVE;
	case MAIL_TRASH:
		return IMAP_CLIENT_BOX_TRASH;
	case MAIL_JUNK:
		return IMAP_CLIENT_BOX_JUNK;
	}
	return 0;
}

/* The first name is what is created when there is none. */
static const char *const usual_names[][5] = {
	[MAIL_SENT] = {"Sent", "Sent Items", "Sent Messages", "Sent Mail"},
	[MAIL_DRAFTS] = {"Drafts", "Draft"},
	[MAIL_ARCHIVE] = {"Archive", "Archives"},
	[MAIL_TRASH] = {"Trash", "Deleted Items", "Deleted Messages", "Bin"},
	[MAIL_JUNK] = {"Junk", "Spam", "Junk E-mail", "Junk Email"},
};

static void full_name(const struct home_folders *f, struct span name, char out[HOME_PATH_BYTES])
{
	char d = f->delimiter ? f->delimiter : '/';
	size_t n;

	/* What stands below INBOX here stands there too, whatever the prefix is. */
	bool below_inbox = span_starts(name, SPAN_LIT("INBOX/"));

	(void)snprintf(out, HOME_PATH_BYTES, "%s%.*s", below_inbox ? "" : f->prefix,
		       SPAN_FMT(name));
	n = below_inbox ? 0 : strlen(f->prefix);
	for (; out[n]; n++) {
		if (out[n] == d && d != '/')
			out[n] = '_'; /* it would be another level */
		else if (out[n] == '/')
			out[n] = d;
	}
}

static const struct home_box *box_named(const struct home_folders *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++) {
		if (span_eq_nocase(span_str(f->boxes[i].name), span_str(name)) &&
		    !(f->boxes[i].flags & IMAP_CLIENT_BOX_NOSELECT))
			return &f->boxes[i];
	}
	return NULL;
}

bool home_folder_for(const struct home_folders *f, enum mail_special special, struct span name,
		     char out[HOME_PATH_BYTES])
{
	uint32_t flag = home_special_flag(special);
	const struct home_box *found;

	if (special == MAIL_INBOX) {
		(void)snprintf(out, HOME_PATH_BYTES, "INBOX");
		return true;
	}
	for (size_t i = 0; flag && i < f->n; i++) {
		if ((f->boxes[i].flags & flag) && !(f->boxes[i].flags & IMAP_CLIENT_BOX_NOSELECT)) {
			(void)snprintf(out, HOME_PATH_BYTES, "%s", f->boxes[i].name);
			return true;
		}
	}
	for (size_t i = 0; flag && usual_names[special][i]; i++) {
		full_name(f, span_str(usual_names[special][i]), out);
		found = box_named(f, out);
		if (found) {
			(void)snprintf(out, HOME_PATH_BYTES, "%s", found->name);
			return true;
		}
	}
	full_name(f, flag ? span_str(usual_names[special][0]) : name, out);
	return box_named(f, out) != NULL;
}

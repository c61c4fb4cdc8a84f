/*
 * The lane of auth: an account's or alias's DIRECTORY record and the ACT that says who did it, one group for each change.
 * Why file first: the file is what logins go by, and it says `pending` until the ledger has the records. A kill between
 * both leaves the mark, and the start after it appends them (with the same id); a kill between the append and the
 * clearing of the mark appends them twice, which changes nothing: they replace what they say.
 */
#include "role/auth/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"

struct entry {
	struct auth *auth;
	bool is_alias, is_alone;
	char name[LOGIN_NAME_LIMIT_BYTES + 1], id[33];
	books_done *on_done;
	void *arg;
	struct buf metas[2];
	size_t n;
};

bool books_open(struct auth *a, struct fault *why)
{
	static const struct durable_options options = {.segment_bytes = 1 << 20,
						       .condition = "serving logins"};

	if (durable_open(a->role, &options, &a->durable, why) != OK)
		return false;
	a->lane = durable_lane(a->durable);
	return true;
}

void books_close(struct auth *a)
{
	struct durable *d = a->durable;

	a->durable = NULL;
	durable_close(d);
	a->lane = NULL;
}

void books_mark(struct auth *a, struct account_pending *p, const char *verb, struct span argument,
		const char *actor, bool has_directory)
{
	unsigned char id[16];

	os_random(a->os, id, sizeof id);
	hex_encode(p->id, span_of(id, sizeof id));
	(void)snprintf(p->verb, sizeof p->verb, "%s", verb);
	(void)snprintf(p->argument, sizeof p->argument, "%.*s",
		       SPAN_FMT(span_first(argument, sizeof p->argument - 1)));
	(void)snprintf(p->actor, sizeof p->actor, "%s", actor);
	p->has_directory = has_directory;
}

static void clear_mark(struct auth *a, const struct entry *e)
{
	struct member *m = e->is_alias ? NULL : member_find(a, span_str(e->name));
	struct alias *x = e->is_alias ? alias_find(a, span_str(e->name)) : NULL;

	/* A later change has a mark of its own. */
	if (m && m->account.is_pending && strcmp(m->account.pending.id, e->id) == 0)
		account_recorded(a, m);
	if (x && x->is_pending && strcmp(x->pending.id, e->id) == 0)
		alias_recorded(a, x);
}

static void on_written(void *arg, const struct lane_result *result)
{
	struct entry *e = arg;
	struct auth *a = e->auth;
	bool ok = result->rc == OK;

	if (ok && !e->is_alone)
		clear_mark(a, e);
	if (!ok) {
		say(SAY_ERROR, "act.unwritten", "result", SAY_STR(rc_name(result->rc)), "name",
		    SAY_STR(e->name), NULL);
		if (!a->is_stopping)
			loop_timer_set(a->pending_at, AUTH_SECOND_US);
	}
	if (e->on_done)
		e->on_done(e->arg, ok);
	for (size_t i = 0; i < e->n; i++)
		buf_fini(&e->metas[i]);
	free(e);
}

static void append(struct auth *a, struct entry *e, const struct msg_directory_meta *directory,
		   const struct account_pending *p, struct span object)
{
	struct msg_act_meta act = {.id = span_str(p->id),
				   .verb = span_str(p->verb),
				   .object = object,
				   .argument = span_str(p->argument),
				   .actor = span_str(p->actor),
				   .confidence = 100};
	struct record_new records[2] = {0};
	uint64_t now = auth_wall(a);

	if (directory) {
		msg_directory_meta_encode(&e->metas[e->n], directory);
		records[e->n].type = RECORD_DIRECTORY;
		e->n++;
	}
	msg_act_meta_encode(&e->metas[e->n], &act);
	records[e->n].type = RECORD_ACT;
	e->n++;
	for (size_t i = 0; i < e->n; i++) {
		records[i].received_us = now;
		records[i].meta = buf_span(&e->metas[i]);
	}
	(void)snprintf(e->id, sizeof e->id, "%s", p->id);
	if (a->lane) {
		lane_append(a->lane, records, e->n, 0, false, on_written, e);
		return;
	}
	on_written(e, &(struct lane_result){.rc = LATER});
}

static struct entry *entry_new(struct auth *a, const char *name, books_done *on_done, void *arg)
{
	struct entry *e = must_alloc(sizeof *e);

	e->auth = a;
	(void)snprintf(e->name, sizeof e->name, "%s", name);
	e->on_done = on_done;
	e->arg = arg;
	return e;
}

void books_account(struct auth *a, struct member *m, books_done *on_done, void *arg)
{
	const struct account *account = &m->account;
	struct msg_fact facts[] = {
		{SPAN_LIT("state"), span_str(account_state_name(account->state))},
		{SPAN_LIT("name"), span_str(account->display)},
		{SPAN_LIT("admin"), SPAN_LIT("yes")}, /* told of those alone */
	};
	struct msg_directory_meta directory = {.kind = SPAN_LIT("account"),
					       .scope = span_str(account->name),
					       .replaces = true,
					       .facts = facts,
					       .facts_n = account->is_admin ? 3 : 2,
					       .source = SPAN_LIT("auth")};

	append(a, entry_new(a, account->name, on_done, arg),
	       account->pending.has_directory ? &directory : NULL, &account->pending,
	       span_str(account->name));
}

void books_alias(struct auth *a, struct alias *x, books_done *on_done, void *arg)
{
	struct msg_fact *facts = must_alloc((x->targets_n + 1) * sizeof *facts);
	struct msg_directory_meta directory = {.kind = SPAN_LIT("alias"),
					       .scope = span_str(x->address),
					       .replaces = true,
					       .facts = facts,
					       .facts_n = x->targets_n,
					       .source = SPAN_LIT("auth")};
	struct entry *e = entry_new(a, x->address, on_done, arg);
	struct account_pending act = x->pending;
	size_t n = 0;

	e->is_alias = true;
	act.argument[0] = '\0';
	for (size_t i = 0; i < x->targets_n; i++) {
		facts[i] = (struct msg_fact){SPAN_LIT("target"), span_str(x->targets[i])};
		if (n < sizeof act.argument - 1)
			n += (size_t)snprintf(act.argument + n, sizeof act.argument - n, "%s%s",
					      n ? " " : "", x->targets[i]);
	}
	append(a, e, &directory, &act, span_str(x->address));
	free(facts);
}

void books_act(struct auth *a, const char *verb, struct span object, struct span argument,
	       const char *actor, books_done *on_done, void *arg)
{
	struct account_pending p = {0};
	struct entry *e = entry_new(a, "", on_done, arg);

	e->is_alone = true;
	books_mark(a, &p, verb, argument, actor, false);
	append(a, e, NULL, &p, object);
}

/* Lists, not the maps: clearing a mark changes them, but only when the lane has answered, from the loop. */
void books_finish_pending(struct auth *a)
{
	if (!a->lane)
		return;
	LIST_EACH (l, &a->pending_members)
		books_account(a, LIST_ENTRY(l, struct member, on_pending), NULL, NULL);
	LIST_EACH (l, &a->pending_aliases)
		books_alias(a, LIST_ENTRY(l, struct alias, on_pending), NULL, NULL);
}

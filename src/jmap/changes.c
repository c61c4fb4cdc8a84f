/* Email/changes, Mailbox/changes, Thread/changes (RFC 8620 s5.2, RFC 8621 s2.2, s3.2, s4.3). */
#include "jmap/changes.h"

#include <stdlib.h>

#include "base/must.h"

/* ---- reading them ---- */

struct gather {
	struct jmap_changes *to;
	size_t cap, most;
};

static bool on_change(void *arg, const struct mail_change *c)
{
	struct gather *g = arg;
	struct jmap_changes *to = g->to;

	if (to->n == g->most + 1) {
		to->is_more = true;
		return false;
	}
	if (to->n == g->cap) {
		g->cap = g->cap ? 2 * g->cap : 64;
		to->all = reallocarray(to->all, g->cap, sizeof *to->all);
		must(to->all);
	}
	to->all[to->n++] = *c;
	return true;
}

static bool cannot(struct jmap_call *c)
{
	return jmap_fail(c, "cannotCalculateChanges",
			 "It cannot be told any more what changed since then");
}

bool jmap_changes_read(struct jmap_call *c, jmap_changes_call ask, uint64_t since, size_t most,
		       struct jmap_changes *out)
{
	struct gather g = {.to = out, .most = most};
	struct fault why = {0};
	enum rc rc;

	*out = (struct jmap_changes){0};
	rc = ask(c->j->person->store.arg, since, on_change, &g, &why);
	if (out->n > most)
		out->is_more = true;
	if (rc == LATER)
		return cannot(c);
	return rc == OK || jmap_store_failed(c, rc, &why);
}

void jmap_changes_fini(struct jmap_changes *ch)
{
	free(ch->all);
	*ch = (struct jmap_changes){0};
}

bool jmap_since(struct jmap_call *c, const char *name, const struct mail_state *now, uint64_t *out)
{
	struct span text = SPAN_NONE;

	if (!jmap_arg_text(c, name, &text))
		return false;
	if (!text.p)
		return jmap_bad_argument(c, name, "must be given");
	if (!jmap_state_of(text, out) || *out > now->modseq || *out < now->told_from)
		return cannot(c);
	return true;
}

bool jmap_changes_limit(struct jmap_call *c, uint64_t *out)
{
	const json_t *given = json_object_get(c->args, "maxChanges");

	*out = 0;
	if (!jmap_arg_uint(c, "maxChanges", out))
		return false;
	if (given && !json_is_null(given) && *out == 0)
		return jmap_bad_argument(c, "maxChanges", "must be more than 0");
	return true;
}

/* ---- telling them ---- */

struct told {
	json_t *created, *updated, *destroyed;
	bool counts_only;
};

static void put(struct told *t, const struct mail_change *ch,
		json_t *(*id_of)(const struct mail_change *))
{
	json_t *to = ch->kind == MAIL_MADE   ? t->created
		     : ch->kind == MAIL_GONE ? t->destroyed
					     : t->updated;

	if (ch->kind == MAIL_CHANGED)
		t->counts_only &= ch->counts_only;
	(void)json_array_append_new(to, id_of(ch));
}

/* How many fit: those of one modseq stay together, because a state lies between modseqs. */
static size_t fitting(const struct jmap_changes *ch, size_t most)
{
	size_t n = most;

	if (ch->n <= most)
		return ch->n;
	while (n && ch->all[n - 1].modseq == ch->all[n].modseq)
		n--;
	return n;
}

static bool tell(struct jmap_call *c, jmap_changes_call ask,
		 json_t *(*id_of)(const struct mail_change *), bool is_of_boxes)
{
	struct told t = {.counts_only = true};
	struct mail_state now;
	struct jmap_changes ch;
	uint64_t since, most;
	size_t n;

	if (!jmap_args_known(c, "sinceState maxChanges") || !jmap_state(c, &now) ||
	    !jmap_changes_limit(c, &most) || !jmap_since(c, "sinceState", &now, &since))
		return false;
	most = most && most < JMAP_CHANGES_MOST ? most : JMAP_CHANGES_MOST;
	if (!jmap_changes_read(c, ask, since, (size_t)most, &ch)) {
		jmap_changes_fini(&ch);
		return false;
	}
	n = fitting(&ch, (size_t)most);
	t.created = json_array();
	t.updated = json_array();
	t.destroyed = json_array();
	for (size_t i = 0; i < n; i++)
		put(&t, &ch.all[i], id_of);
	(void)json_object_set_new(c->answer, "oldState", jmap_state_id(since));
	(void)json_object_set_new(c->answer, "newState",
				  jmap_state_id(n == ch.n ? now.modseq
						: n	  ? ch.all[n - 1].modseq
							  : since));
	(void)json_object_set_new(c->answer, "hasMoreChanges", json_boolean(n < ch.n));
	(void)json_object_set_new(c->answer, "created", t.created);
	(void)json_object_set_new(c->answer, "updated", t.updated);
	(void)json_object_set_new(c->answer, "destroyed", t.destroyed);
	if (is_of_boxes)
		(void)json_object_set_new(c->answer, "updatedProperties",
					  t.counts_only && json_array_size(t.updated)
						  ? json_pack("[s,s,s,s]", "totalEmails",
							      "unreadEmails", "totalThreads",
							      "unreadThreads")
						  : json_null());
	if (n == 0 && ch.n)
		(void)cannot(c);
	jmap_changes_fini(&ch);
	return c->error == NULL;
}

bool jmap_changes_unkept(struct jmap_call *c, uint64_t state)
{
	static const char *const names[] = {"created", "updated", "destroyed"};
	struct span since = SPAN_NONE;
	uint64_t was, most;

	if (!jmap_args_known(c, "sinceState maxChanges") ||
	    !jmap_arg_text(c, "sinceState", &since) || !jmap_changes_limit(c, &most))
		return false;
	if (!since.p)
		return jmap_bad_argument(c, "sinceState", "must be given");
	if (!jmap_state_of(since, &was) || was != state)
		return cannot(c);
	(void)json_object_set_new(c->answer, "oldState", jmap_state_id(state));
	(void)json_object_set_new(c->answer, "newState", jmap_state_id(state));
	(void)json_object_set_new(c->answer, "hasMoreChanges", json_false());
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		(void)json_object_set_new(c->answer, names[i], json_array());
	return true;
}

static json_t *email_id(const struct mail_change *ch)
{
	return jmap_email_id(ch->id, ch->form);
}

static json_t *box_id(const struct mail_change *ch)
{
	return jmap_box_id(ch->id);
}

static json_t *thread_id(const struct mail_change *ch)
{
	return jmap_thread_id(ch->id);
}

static bool emails(struct jmap_call *c)
{
	return tell(c, c->j->person->store.ops->changed_emails, email_id, false);
}

static bool boxes(struct jmap_call *c)
{
	return tell(c, c->j->person->store.ops->changed_boxes, box_id, true);
}

static bool threads(struct jmap_call *c)
{
	return tell(c, c->j->person->store.ops->changed_threads, thread_id, false);
}

static enum jmap_step step(struct jmap_call *c)
{
	(void)c;
	return JMAP_DONE;
}

const struct jmap_method jmap_email_changes = {"Email/changes", JMAP_CAN_MAIL, emails, step, NULL};
const struct jmap_method jmap_mailbox_changes = {"Mailbox/changes", JMAP_CAN_MAIL, boxes, step,
						 NULL};
const struct jmap_method jmap_thread_changes = {"Thread/changes", JMAP_CAN_MAIL, threads, step,
						NULL};

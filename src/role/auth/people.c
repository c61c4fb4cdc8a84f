/*
 * Who orders something of auth: the command line at the socket data/run/people.sock (role/common/clients.h), people by desk
 * (self.c) and administrators by the console (admin.c); and what desks and submission are told of a change. An import may
 * take minutes, so no answer has a deadline.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "ipc/stream_frame.h"
#include "role/auth/internal.h"

#define ASKER_OF(l) LIST_ENTRY(l, struct asker, on_auth)

struct asker *asker_new(struct auth *a, const char *who)
{
	struct asker *c = must_alloc(sizeof *c);

	c->auth = a;
	c->number = ++a->last_asker;
	c->is_in_call = true;
	c->reason = "";
	(void)snprintf(c->who, sizeof c->who, "%s", who);
	list_init(&c->on_auth);
	list_append(&a->askers, &c->on_auth);
	return c;
}

static void asker_free(struct asker *c)
{
	list_remove(&c->on_auth);
	free(c);
}

static bool is_there(const struct asker *c)
{
	return c->client ? clients_find(c->auth->people, c->client) != NULL
			 : auth_peer(c->auth, c->peer) != NULL;
}

struct asker *asker_find(struct auth *a, uint64_t number)
{
	LIST_EACH (l, &a->askers) {
		struct asker *c = ASKER_OF(l);

		if (c->number != number)
			continue;
		if (is_there(c))
			return c;
		if (!c->is_in_call)
			asker_free(c);
		return NULL;
	}
	return NULL;
}

void asker_done(struct asker *c, bool is_malformed)
{
	c->is_in_call = false;
	if (c->is_answered || is_malformed)
		asker_free(c);
}

/* ---- answers ---- */

static void answer_client(struct asker *c, bool ok, const char *text, struct span json)
{
	struct client *client = clients_find(c->auth->people, c->client);
	struct msg_people_answer m = {ok, span_str(text), json};
	struct buf body = {0};

	msg_people_answer_encode(&body, &m);
	if (client)
		client_answer(client, MSG_PEOPLE_ANSWER, buf_span(&body));
	secret_wipe_buf(&body);
}

/* What they had ended with what they ordered: here is another. None, if the disk does not take it: they log in anew. */
static void renew(struct asker *c, struct msg_order_answer *out,
		  char secret[SESSION_TEXT_BYTES + 1])
{
	struct member *m = member_find(c->auth, span_str(c->account));

	if (m && m->account.state == ACCOUNT_ACTIVE &&
	    session_begin(c->auth, m, &c->wish, secret, &out->session_until_us))
		out->session = span_of(secret, SESSION_TEXT_BYTES);
}

static void answer_peer(struct asker *c, bool ok, const char *text, struct span json)
{
	struct peer *p = auth_peer(c->auth, c->peer);
	char secret[SESSION_TEXT_BYTES + 1] = "";
	struct msg_order_answer m = {.id = c->id,
				     .ok = ok,
				     .text = span_str(text),
				     .json = json,
				     .verdict = (uint8_t)c->verdict,
				     .delay_ms = c->delay_ms,
				     .reason = span_str(c->reason)};
	struct buf body = {0};

	if (!p)
		return;
	if (ok && c->renews)
		renew(c, &m, secret);
	msg_order_answer_encode(&body, &m);
	if (link_send(p->link, MSG_ORDER_ANSWER, buf_span(&body)) != OK)
		say(SAY_WARNING, "link.not_sent", "type", SAY_U64(MSG_ORDER_ANSWER), NULL);
	secret_wipe_buf(&body);
	secret_wipe(secret, sizeof secret);
}

void people_answer(struct asker *c, bool ok, const char *text, const struct buf *json)
{
	struct span more = json ? buf_span(json) : SPAN_NONE;

	if (!c)
		return;
	if (c->client)
		answer_client(c, ok, text, more);
	else
		answer_peer(c, ok, text, more);
	c->is_answered = true;
	if (!c->is_in_call)
		asker_free(c);
}

void people_refuse(struct asker *c, const char *reason, const char *text)
{
	if (c)
		c->reason = reason;
	people_answer(c, false, text, NULL);
}

/* ---- the socket ---- */

/* The one dispatcher: people_user knows the rest. */
static bool on_request(void *arg, struct client *client, struct arena *m, unsigned type,
		       struct span body)
{
	struct asker *c = asker_new(arg, client_who(client));
	bool ok;

	c->client = client_id(client);
	ok = people_user(c, m, type, body);
	asker_done(c, !ok);
	return ok;
}

void people_prepare(struct auth *a)
{
	list_init(&a->askers);
	a->people_options = (struct clients_options){
		.name = "people",
		.request_bytes = STREAM_FRAME_HEADER_BYTES + STREAM_FRAME_LIMIT_BYTES,
		.arena_bytes = 4 << 20,
		.clients = 32,
		.on_request = on_request,
		.arg = a,
	};
	a->people = clients_new(a->role, &a->people_options);
}

void people_stop(struct auth *a)
{
	while (!list_is_empty(&a->askers))
		asker_free(ASKER_OF(a->askers.next));
}

void people_changed(struct auth *a, struct span account)
{
	struct msg_accounts_changed m = {.accounts = &account, .accounts_n = 1};
	struct buf body = {0};

	msg_accounts_changed_encode(&body, &m);
	LIST_EACH (l, &a->peers) {
		struct peer *p = LIST_ENTRY(l, struct peer, on_auth);

		if (p->role != ROLE_COURIER && p->role != ROLE_CONSOLE)
			(void)link_send(p->link, MSG_ACCOUNTS_CHANGED, buf_span(&body));
	}
	buf_fini(&body);
}

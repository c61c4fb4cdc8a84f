/*
 * The socket data/run/people.sock: requests of the command line (role/common/clients.h), and what desks and submission are
 * told of a change. An import may take minutes, so no answer has a deadline.
 */
#include "role/auth/internal.h"

#include "ipc/stream_frame.h"

/* The one dispatcher: people_user knows the rest. */
static bool on_request(void *arg, struct client *c, struct arena *m, unsigned type,
		       struct span body)
{
	(void)arg;
	return people_user(c, m, type, body);
}

void people_prepare(struct auth *a)
{
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

void people_answer(struct client *c, bool ok, const char *text, const struct buf *json)
{
	struct msg_people_answer m = {ok, span_str(text), json ? buf_span(json) : SPAN_NONE};
	struct buf body = {0};

	if (!c)
		return;
	msg_people_answer_encode(&body, &m);
	client_answer(c, MSG_PEOPLE_ANSWER, buf_span(&body));
	secret_wipe_buf(&body);
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

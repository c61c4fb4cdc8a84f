/*
 * Messages that the engine makes: put into a mailbox, by the intake and our lane (append.c), or sent, by submission (submit.c).
 * One at a time of a request.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "role/desk/jmap.h"

enum { FIRST_ROOM = 8 << 10 };

static const char too_big[] = "The message is larger than is taken here";

/* ---- into a mailbox ---- */

/* All of it is here and its chunks are durable. */
static void store(struct desk_request *r)
{
	const struct jmap_message *m = jmap_message(r->jmap);
	struct desk_actor actor = desk_request_actor(r);

	if (intake_rc(r->intake) == OK && desk_can_act(r->desk)) {
		desk_request_ask(r, m->id);
		desk_append_store(r->desk, &actor, SPAN_NONE, r->intake, &m->act, r->ask);
	} else {
		desk_request_lost(r, true, desk_not_now);
	}
	desk_message_drop(r);
}

static void on_chunked(void *arg)
{
	struct desk_request *r = arg;

	store(r);
	desk_request_go_on(r);
}

static void begin_append(struct desk_request *r)
{
	struct desk *d = r->desk;

	if (lane_is_below_reserve(d->lane))
		desk_request_lost(r, true,
				  "No disk space for new messages at the moment; try again later");
	else if (!desk_can_act(d))
		desk_request_lost(r, true, desk_not_now);
	else
		r->intake = intake_new(&d->hall, FIRST_ROOM, SPAN_NONE, on_chunked, r);
}

/* ---- to be sent ---- */

static void on_submit_room(void *arg)
{
	desk_request_go_on(arg);
}

static void on_submit_answer(void *arg, const struct jmap_submitted *answer, bool is_sure)
{
	struct desk_request *r = arg;

	r->submit = NULL;
	if (answer)
		jmap_submitted(r->jmap, r->message, answer);
	else if (is_sure)
		desk_request_lost(r, true, "Mail cannot be sent at the moment; try again soon");
	else
		desk_request_lost(
			r, false,
			"No word yet of whether it was sent; it may have been. Look before "
			"you try again");
	desk_request_go_on(r);
}

static void begin_submit(struct desk_request *r, const struct jmap_message *m)
{
	static const struct desk_submit_ops ops = {on_submit_room, on_submit_answer};

	if (m->bytes_most > r->desk->policy->message_bytes) {
		jmap_submitted(r->jmap, r->message,
			       &(struct jmap_submitted){.code = 552,
							.enhanced = SPAN_LIT("5.3.4"),
							.text = span_str(too_big)});
		return;
	}
	r->submit = desk_submit_new(r->desk, &r->person, exchange_ask(r->x)->peer, m, &ops, r);
	if (!r->submit)
		desk_request_lost(r, true, "Mail cannot be sent at the moment; try again soon");
}

/* ---- both ---- */

void desk_message_begin(struct desk_request *r)
{
	const struct jmap_message *m = jmap_message(r->jmap);

	must(!r->intake && !r->submit);
	r->message = m->id;
	r->bytes = 0;
	if (m->is_submission)
		begin_submit(r, m);
	else
		begin_append(r);
}

bool desk_message_piece(struct desk_request *r, struct span piece)
{
	r->bytes += piece.n;
	if (r->bytes > r->desk->policy->message_bytes) {
		desk_message_drop(r);
		desk_request_lost(r, true, too_big);
		return true;
	}
	if (r->submit) {
		desk_submit_piece(r->submit, piece);
		return !r->submit || desk_submit_has_room(r->submit);
	}
	if (!r->intake)
		return true;
	intake_piece(r->intake, piece);
	if (!intake_is_hungry(r->intake))
		return true;
	list_append(&r->desk->hungry_requests, &r->hunger);
	return false;
}

void desk_message_end(struct desk_request *r)
{
	if (r->submit) {
		desk_submit_end(r->submit);
	} else if (r->intake) {
		intake_end(r->intake);
		if (intake_is_settled(r->intake))
			store(r);
	}
}

void desk_message_drop(struct desk_request *r)
{
	intake_drop(r->intake);
	r->intake = NULL;
	desk_submit_drop(r->submit);
	r->submit = NULL;
	list_remove(&r->hunger);
}

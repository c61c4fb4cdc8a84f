/*
 * Push by EventSource (RFC 8620 s7.3): GET /jmap/events?types=...&closeafter=state|no&ping=SECONDS. Two kinds of events:
 *
 *   state  StateChange of what has moved of the types asked for; all of them at the beginning (but with closeafter=state).
 *          Its id holds the states: who comes back with Last-Event-ID hears what has moved since
 *   now    the object of /api/now when it has become another one (and at the beginning)
 *
 * A stream holds no queue: what it has not been told yet is two flags, and when its client reads again it is told what is newest.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "role/desk/http.h"
#include "role/desk/internal.h"

enum {
	PING_LEAST_S = 5,
	PING_USUAL_S = 30,
	PING_MOST_S = 300,
	STREAMS_OF_ACCOUNT = 50, /* further ones are refused: a program that has gone mad */
	NOW_LOOK_TICKS = 2,
};

struct stream {
	struct list link; /* desk.streams */
	struct http_exchange *x;
	uint64_t account_id;
	struct span account;   /* of the exchange */
	struct jmap_push push; /* as told last */
	struct buf now;
	bool owes_state, owes_now, closes;
	bool waits; /* for a change: the present state is not told */
};

/* ---- telling ---- */

static void remember(struct buf *last, const struct buf *text)
{
	buf_clear(last);
	(void)buf_append(last, buf_span(text));
}

static void tell_state(struct desk *d, struct stream *s)
{
	struct buf text = {0};
	char id[JMAP_PUSH_ID_BYTES];

	if (desk_jmap_changed(d, s->account, &s->push, &text)) {
		s->owes_state = false; /* there is room: tell_all */
		if (text.n && !s->waits) {
			jmap_push_id(&s->push, id);
			(void)exchange_event(s->x, "state", id, buf_span(&text));
			if (s->closes)
				exchange_end(s->x);
		}
		s->waits = false;
	}
	buf_fini(&text);
}

static void tell_now(struct desk *d, struct stream *s)
{
	struct buf text = {0};

	if (desk_now(d, s->account, &text)) {
		s->owes_now = false;
		if (!span_eq(buf_span(&s->now), buf_span(&text)))
			(void)exchange_event(s->x, "now", NULL, buf_span(&text));
		remember(&s->now, &text);
	}
	buf_fini(&text);
}

static void tell_all(struct desk *d, struct stream *s)
{
	if (s->owes_state && exchange_has_room(s->x))
		tell_state(d, s);
	if (s->owes_now && exchange_has_room(s->x))
		tell_now(d, s);
}

/* Not all in one go: each stream has its turn. */
void desk_http_changed(struct desk *d, uint64_t account_id)
{
	LIST_EACH (at, &d->streams) {
		struct stream *s = LIST_ENTRY(at, struct stream, link);

		if (account_id && s->account_id && s->account_id != account_id)
			continue;
		s->owes_state = true;
		exchange_turn(s->x);
	}
}

void desk_http_tick(struct desk *d)
{
	static unsigned ticks;

	if (++ticks % NOW_LOOK_TICKS || !desk_now_look(d))
		return;
	LIST_EACH (at, &d->streams) {
		struct stream *s = LIST_ENTRY(at, struct stream, link);

		s->owes_now = true;
		exchange_turn(s->x);
	}
}

/* ---- the exchange ---- */

static void on_turn(struct http_exchange *x)
{
	tell_all(http_host_arg(exchange_host(x)), exchange_arg(x));
}

static void on_over(struct http_exchange *x, bool is_complete)
{
	struct desk *d = http_host_arg(exchange_host(x));
	struct stream *s = exchange_arg(x);

	(void)is_complete;
	if (!s)
		return;
	list_remove(&s->link);
	d->streams_n--;
	buf_fini(&s->now);
	free(s);
}

static uint64_t ping_of(struct span query)
{
	struct span value;
	uint64_t s = PING_USUAL_S;

	if (http_query_find(query, "ping", &value) && !span_to_u64(value, 86400, &s))
		s = PING_USUAL_S;
	if (s == 0)
		return 0;
	s = s < PING_LEAST_S ? PING_LEAST_S : s > PING_MOST_S ? PING_MOST_S : s;
	return s * 1000000;
}

static unsigned types_of(struct span query)
{
	struct buf text = {.limit = 1024};
	struct span value;
	unsigned types = JMAP_TYPES_ALL;

	if (http_query_find(query, "types", &value) && http_decode(&text, value, true) && text.n)
		types = jmap_push_types(buf_span(&text));
	buf_fini(&text);
	return types;
}

static bool has_too_many(const struct desk *d, uint64_t account_id)
{
	size_t n = 0;

	LIST_EACH (at, &d->streams)
		n += LIST_ENTRY(at, struct stream, link)->account_id == account_id;
	return n >= STREAMS_OF_ACCOUNT;
}

static void on_events(struct http_exchange *x, const struct http_ask *ask)
{
	struct desk *d = http_host_arg(exchange_host(x));
	struct span closeafter = SPAN_NONE;
	uint64_t account_id = 0;
	struct fault why = {0};
	struct stream *s;

	if (desk_store_account(d, ask->person->account, &account_id, &why) != OK) {
		exchange_problem(x, 503, "unavailable",
				 "Mailboxes are being made; come back in a moment");
		return;
	}
	if (has_too_many(d, account_id)) {
		exchange_problem(x, 429, "too-many-streams",
				 "Too many open pages of this account; close some first");
		return;
	}
	(void)http_query_find(ask->query, "closeafter", &closeafter);
	s = must_alloc(sizeof *s);
	s->x = x;
	s->account_id = account_id;
	s->account = ask->person->account;
	s->push.types = types_of(ask->query);
	s->closes = span_eq(closeafter, SPAN_LIT("state"));
	s->owes_state = s->owes_now = true;
	if (!jmap_push_from(&s->push, exchange_field(x, "last-event-id")))
		s->waits = s->closes;
	list_append(&d->streams, &s->link);
	d->streams_n++;
	exchange_set_arg(x, s);
	exchange_stream(x, ping_of(ask->query));
	tell_all(d, s);
}

const struct http_route desk_event_routes[] = {
	{.method = "GET",
	 .path = "/jmap/events",
	 .access = HTTP_PERSON,
	 .on_request = on_events,
	 .on_room = on_turn,
	 .on_turn = on_turn,
	 .on_over = on_over},
	{0},
};

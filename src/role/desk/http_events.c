/*
 * Push by EventSource (RFC 8620 s7.3): GET /jmap/events?types=...&closeafter=state|no&ping=SECONDS. Two kinds of events:
 *
 *   state  StateChange, at the beginning (but with closeafter=state, or when Last-Event-ID says that it is known) and with each
 *          change that moves one of the types asked for
 *   now    the object of /api/now when it has become another one (and at the beginning)
 *
 * A stream holds no queue: what it has not been told yet is two flags, and when its client reads again it is told what is newest.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
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
	struct span account, types; /* of the exchange */
	struct buf state, now;	    /* as told last */
	struct span seen;	    /* Last-Event-ID: what the client knew when it came */
	bool owes_state, owes_now, closes, is_new;
};

/* ---- telling ---- */

static void remember(struct buf *last, const struct buf *text)
{
	buf_clear(last);
	(void)buf_append(last, buf_span(text));
}

static void id_of(const struct buf *text, char out[16])
{
	(void)snprintf(out, 16, "%08x", crc32c(0, buf_span(text)));
}

/* A client that says what it knew hears only what is new; one that wants its stream to end with a state waits for a change. */
static bool is_news(struct stream *s, const struct buf *text, const char *id)
{
	bool is_new = s->is_new;

	s->is_new = false;
	if (is_new && s->seen.n)
		return !span_eq(s->seen, span_str(id));
	if (is_new)
		return !s->closes;
	return !span_eq(buf_span(&s->state), buf_span(text));
}

static void tell_state(struct desk *d, struct stream *s)
{
	struct buf text = {0};
	char id[16];

	if (desk_jmap_states(d, s->account, s->types, &text)) {
		id_of(&text, id);
		s->owes_state = false; /* there is room: tell_all */
		if (is_news(s, &text, id)) {
			(void)exchange_event(s->x, "state", id, buf_span(&text));
			if (s->closes)
				exchange_end(s->x);
		}
		remember(&s->state, &text);
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
	buf_fini(&s->state);
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

static struct span types_of(struct http_exchange *x, struct span query)
{
	struct buf text = {.limit = 1024};
	struct span value, types = SPAN_LIT("*");

	if (http_query_find(query, "types", &value) && http_decode(&text, value, true) && text.n)
		types = arena_span(exchange_arena(x), buf_span(&text));
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
	s->types = types_of(x, ask->query);
	s->closes = span_eq(closeafter, SPAN_LIT("state"));
	s->owes_state = s->owes_now = s->is_new = true;
	s->seen = exchange_field(x, "last-event-id");
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

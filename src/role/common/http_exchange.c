/*
 * One request and its answer, as a handler sees it (E1 to E4 in http_host.h). An exchange outlives its connection until on_over
 * has been called, which is always done from the loop: nothing that a handler calls frees what it is working with.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "role/common/http_internal.h"

/* ---- life ---- */

static struct span copy(struct http_exchange *x, struct span s)
{
	return s.n ? arena_span(&x->arena, s) : SPAN_NONE;
}

static void copy_head(struct http_exchange *x, const struct http_request *r)
{
	struct http_field *fields = arena_array(&x->arena, r->fields_n + 1, sizeof *fields);

	x->head = *r;
	x->head.method = copy(x, r->method);
	x->head.path = copy(x, r->path);
	x->head.query = copy(x, r->query);
	x->head.host = copy(x, r->host);
	x->head.target = SPAN_NONE;
	x->head.fields = fields;
	for (size_t i = 0; i < r->fields_n; i++) {
		fields[i].name = copy(x, r->fields[i].name);
		fields[i].value = copy(x, r->fields[i].value);
	}
}

static struct span lower(struct http_exchange *x, struct span text)
{
	unsigned char *p = arena_alloc(&x->arena, text.n + 1);

	for (size_t i = 0; i < text.n; i++)
		p[i] = text.p[i] >= 'A' && text.p[i] <= 'Z' ? (unsigned char)(text.p[i] + 32)
							    : text.p[i];
	return span_of(p, text.n);
}

static void fill_ask(struct http_exchange *x)
{
	const struct http_request *r = &x->head;

	x->ask = (struct http_ask){
		.method = r->is_head ? SPAN_LIT("GET") : r->method,
		.path = r->path,
		.query = r->query,
		.type = lower(x, http_type_of(http_request_field(r, "content-type"))),
		.host = r->host,
		.agent = span_first(http_request_field(r, "user-agent"), 200),
		.peer = arena_str(&x->arena, span_str(x->c->door.peer)),
		.bytes = r->bytes,
		.is_head = r->is_head,
		.is_secure = conn_is_tls(x->c->conn),
		.has_body = r->has_body,
	};
}

void http_exchange_new(struct http_conn *c)
{
	struct http_exchange *x = must_alloc(sizeof *x);

	must(!c->x);
	c->x = x;
	x->c = c;
	x->host = c->host;
	list_init(&x->link);
	list_init(&x->stream);
	list_init(&x->wait);
	arena_init(&x->arena, HTTP_EXCHANGE_BYTES); /* a head is far smaller: it always fits */
	copy_head(x, http_server_request(c->engine));
	fill_ask(x);
	http_count(HTTP_REQUESTS, 1);
	http_route_find(x);
}

void http_exchange_free(struct http_exchange *x)
{
	list_remove(&x->link);
	list_remove(&x->stream);
	http_person_forget(x);
	http_ask_cancel(x);
	http_person_drop(x->person);
	x->host->whole_bytes -= x->whole.n;
	if (x->whole.p)
		explicit_bzero(x->whole.p, x->whole.cap); /* passwords */
	buf_fini(&x->whole);
	buf_fini(&x->tail_owned);
	arena_fini(&x->arena);
	free(x);
}

/* All is said, or nobody listens any more. */
static void retire(struct http_exchange *x)
{
	struct http_host *h = x->host;

	if (x->stage == STAGE_OVER)
		return;
	if (x->c) {
		x->c->x = NULL;
		http_conn_go_on(x->c);
	}
	x->c = NULL;
	x->stage = STAGE_OVER;
	x->tail = SPAN_NONE;
	if (x->ping_us)
		http_count(HTTP_STREAMS, UINT64_MAX); /* one less */
	x->ping_us = 0;
	list_remove(&x->stream);
	list_remove(&x->link);
	http_person_forget(x);
	http_ask_cancel(x);
	list_append(&h->over, &x->link);
	http_host_wake(h);
}

void http_exchange_lost(struct http_exchange *x)
{
	retire(x);
}

static void take_turn(struct http_exchange *x);

void http_exchange_run(struct http_host *h)
{
	struct list *at;

	for (unsigned i = 0; i < HTTP_TURNS && (at = list_shift(&h->turns)) != NULL; i++)
		take_turn(LIST_ENTRY(at, struct http_exchange, link));
	if (!list_is_empty(&h->turns))
		http_host_wake(h); /* when what has come meanwhile was looked at */
	while ((at = list_shift(&h->over)) != NULL) {
		struct http_exchange *x = LIST_ENTRY(at, struct http_exchange, link);

		if (x->was_open && x->route->on_over)
			x->route->on_over(x, x->is_complete);
		http_exchange_free(x);
	}
}

/* ---- what handlers look at ---- */

const struct http_ask *exchange_ask(const struct http_exchange *x)
{
	return &x->ask;
}

struct span exchange_field(const struct http_exchange *x, const char *name)
{
	return http_request_field(&x->head, name);
}

void *exchange_arg(const struct http_exchange *x)
{
	return x->arg;
}

void exchange_set_arg(struct http_exchange *x, void *arg)
{
	x->arg = arg;
}

struct http_host *exchange_host(const struct http_exchange *x)
{
	return x->host;
}

struct arena *exchange_arena(struct http_exchange *x)
{
	return &x->arena;
}

/* ---- bodies ---- */

static void refuse_size(struct http_exchange *x)
{
	if (x->has_responded)
		exchange_break(x);
	else
		exchange_problem(x, 413, "too-large", "What was sent is too large");
}

static void collect(struct http_exchange *x, struct span piece)
{
	struct http_host *h = x->host;

	/* A small one is always taken: those who send large ones slowly stand in each other's way alone. */
	if (x->whole.n + piece.n > HTTP_SMALL_BYTES &&
	    h->whole_bytes + piece.n > HTTP_WHOLE_BYTES) {
		exchange_problem(x, 503, "busy", "Too much to do at the moment; try again soon");
		return;
	}
	h->whole_bytes += piece.n;
	(void)buf_append(&x->whole, piece);
}

void http_exchange_piece(struct http_exchange *x, struct span piece)
{
	if (!x || x->stage == STAGE_OVER)
		return;
	x->body_bytes += piece.n;
	if (x->body_bytes > x->route->body_bytes)
		refuse_size(x);
	else if (x->stage == STAGE_COLLECTING)
		collect(x, piece);
	else
		x->route->on_piece(x, piece);
}

void http_exchange_body_end(struct http_exchange *x)
{
	if (!x || x->stage == STAGE_OVER)
		return;
	if (x->stage != STAGE_COLLECTING) {
		if (x->route->on_body_end)
			x->route->on_body_end(x);
		return;
	}
	x->ask.body = buf_span(&x->whole);
	x->stage = STAGE_OPEN;
	x->was_open = true;
	x->route->on_request(x, &x->ask);
}

static void take_body(struct http_exchange *x)
{
	http_server_take_body(x->c->engine);
	http_conn_flush(x->c);
	http_conn_go_on(x->c);
}

void http_exchange_open(struct http_exchange *x)
{
	const struct http_route *r = x->route;

	if (x->ask.bytes > 0 && (uint64_t)x->ask.bytes > r->body_bytes) {
		refuse_size(x);
		return;
	}
	if ((r->flags & HTTP_ROUTE_WHOLE) && x->ask.has_body) {
		x->stage = STAGE_COLLECTING;
		take_body(x);
		return;
	}
	x->stage = STAGE_OPEN;
	x->was_open = true;
	r->on_request(x, &x->ask);
	if (x->c && r->on_piece) {
		take_body(x);
	}
}

void exchange_pause(struct http_exchange *x)
{
	if (!x->c)
		return;
	http_server_hold_body(x->c->engine, true);
}

void exchange_resume(struct http_exchange *x)
{
	if (!x->c)
		return;
	http_server_hold_body(x->c->engine, false);
	http_conn_go_on(x->c);
}

/* ---- answers ---- */

bool exchange_has_room(const struct http_exchange *x)
{
	return x->c && !x->c->is_deaf;
}

void exchange_respond(struct http_exchange *x, const struct http_response *r)
{
	if (!x->c)
		return;
	x->has_responded = true;
	http_server_respond(x->c->engine, r);
	http_conn_flush(x->c);
}

bool exchange_send(struct http_exchange *x, struct span bytes)
{
	if (!x->c)
		return false;
	http_server_send(x->c->engine, bytes);
	http_conn_flush(x->c);
	return !x->c->is_deaf;
}

void exchange_end(struct http_exchange *x)
{
	if (!x->c)
		return;
	http_server_end(x->c->engine);
	http_conn_flush(x->c);
	x->is_complete = true;
	retire(x);
}

void exchange_break(struct http_exchange *x)
{
	struct http_conn *c = x->c;

	if (!c)
		return;
	http_server_break(c->engine);
	retire(x);
	http_conn_drop(c);
}

/* Goes on with an answer whose client was busy. */
static void send_tail(struct http_exchange *x)
{
	while (x->c && (!x->c->is_deaf || !x->tail.n)) {
		struct span slice = span_first(x->tail, HTTP_SLICE_BYTES);

		x->tail = span_from(x->tail, slice.n);
		http_server_send(x->c->engine, slice);
		http_conn_flush(x->c);
		if (x->tail.n == 0) {
			exchange_end(x);
			return;
		}
	}
}

static void answer(struct http_exchange *x, const struct http_response *r, struct span body)
{
	struct http_response whole = *r;

	if (!x->c)
		return;
	whole.bytes = (int64_t)body.n;
	exchange_respond(x, &whole);
	x->tail = x->ask.is_head ? SPAN_NONE : body;
	x->is_answering = true;
	send_tail(x);
}

void http_exchange_answer_static(struct http_exchange *x, const struct http_response *r,
				 struct span body)
{
	answer(x, r, body);
}

void exchange_answer(struct http_exchange *x, const struct http_response *r, struct span body)
{
	size_t sent;

	answer(x, r, body);
	if (!x->tail.n)
		return;
	sent = body.n - x->tail.n;
	(void)buf_append(&x->tail_owned, span_from(body, sent));
	x->tail = buf_span(&x->tail_owned);
}

static void queue_turn(struct http_exchange *x)
{
	if (!list_is_empty(&x->link))
		return;
	list_append(&x->host->turns, &x->link);
	http_host_wake(x->host);
}

/* Not at once: who reads fast has no more than his turn. */
void http_exchange_has_read(struct http_exchange *x)
{
	x->wants_room = true;
	queue_turn(x);
}

void exchange_turn(struct http_exchange *x)
{
	if (!x->c || x->wants_turn || x->stage != STAGE_OPEN)
		return;
	x->wants_turn = true;
	if (!x->c->is_deaf) /* else when it has read */
		queue_turn(x);
}

static void take_turn(struct http_exchange *x)
{
	bool has_room = x->wants_room, wants_turn = x->wants_turn;

	x->wants_room = x->wants_turn = false;
	if (has_room && x->is_answering)
		send_tail(x);
	else if (has_room && x->stage == STAGE_OPEN && x->has_responded && x->route->on_room)
		x->route->on_room(x);
	if (wants_turn && x->c && x->route->on_turn)
		x->route->on_turn(x);
}

void exchange_json(struct http_exchange *x, unsigned status, struct span json)
{
	const struct http_response r = {.status = status, .type = SPAN_LIT("application/json")};

	exchange_answer(x, &r, json);
}

void exchange_none(struct http_exchange *x)
{
	const struct http_response r = {.status = 204};

	exchange_answer(x, &r, SPAN_NONE);
}

/* What a title says may come from a client, or from a file's name. */
static void put_title(struct buf *out, const char *title)
{
	for (; *title; title++) {
		unsigned char c = (unsigned char)*title;

		if (c == '"' || c == '\\')
			(void)buf_append_byte(out, '\\');
		(void)buf_append_byte(out, c < ' ' || c == 127 ? ' ' : c);
	}
}

void exchange_problem(struct http_exchange *x, unsigned status, const char *type, const char *title)
{
	const struct http_field again = {SPAN_LIT("Retry-After"),
					 status == 429 ? SPAN_LIT("30") : SPAN_LIT("3")};
	const struct http_response r = {.status = status,
					.type = SPAN_LIT("application/problem+json"),
					.fields = &again,
					.fields_n = status == 429 || status == 503};
	struct buf body = {0};

	(void)buf_printf(&body, "{\"type\":\"%s\",\"status\":%u,\"title\":\"", type, status);
	put_title(&body, title);
	(void)buf_append(&body, SPAN_LIT("\"}"));
	exchange_answer(x, &r, buf_span(&body));
	buf_fini(&body);
}

/* ---- streams ---- */

void exchange_stream(struct http_exchange *x, uint64_t ping_us)
{
	const struct http_response r = {
		.status = 200, .type = SPAN_LIT("text/event-stream"), .bytes = HTTP_ANY_BYTES};

	exchange_respond(x, &r);
	if (!x->c)
		return;
	http_count(HTTP_STREAMS, 1);
	x->ping_us = ping_us ? ping_us : UINT64_MAX;
	x->ping_at_us = ping_us ? loop_now_us(x->host->loop) + ping_us : UINT64_MAX;
	list_append(&x->host->streams, &x->stream);
}

bool exchange_event(struct http_exchange *x, const char *event, const char *id, struct span data)
{
	struct buf out = {0};
	bool has_room;

	if (!exchange_has_room(x))
		return false;
	must(span_chr(data, '\n') < 0 && span_chr(data, '\r') < 0);
	if (event)
		(void)buf_printf(&out, "event: %s\n", event);
	if (id)
		(void)buf_printf(&out, "id: %s\n", id);
	(void)buf_append(&out, SPAN_LIT("data: "));
	(void)buf_append(&out, data);
	(void)buf_append(&out, SPAN_LIT("\n\n"));
	(void)exchange_send(x, buf_span(&out));
	has_room = x->c != NULL;
	buf_fini(&out);
	if (x->ping_us != UINT64_MAX)
		x->ping_at_us = loop_now_us(x->host->loop) + x->ping_us;
	return has_room;
}

/* True: the session of this stream's person has ended (H-24). */
static bool is_past(struct http_exchange *x, uint64_t wall_us)
{
	struct http_person *newest;

	if (!x->person || x->person->is_over)
		return x->person != NULL;
	if (!x->person->until_us || wall_us < x->person->until_us)
		return false;
	newest = http_person_newest(x->host, x->person);
	if (!newest)
		return true;
	http_person_drop(x->person);
	x->person = newest;
	x->ask.person = newest;
	return newest->until_us && wall_us >= newest->until_us;
}

void http_exchange_tick(struct http_host *h)
{
	uint64_t now_us = loop_now_us(h->loop), wall_us = os_wall_us(h->os);
	char ping[48];

	LIST_EACH_SAFE (at, &h->streams) {
		struct http_exchange *x = LIST_ENTRY(at, struct http_exchange, stream);

		if (is_past(x, wall_us)) {
			exchange_end(x);
		} else if (now_us >= x->ping_at_us && exchange_has_room(x)) {
			(void)snprintf(ping, sizeof ping, "{\"interval\":%llu}",
				       (unsigned long long)(x->ping_us / 1000000));
			(void)exchange_event(x, "ping", NULL, span_str(ping));
		}
	}
}

/* ---- cookies ---- */

struct span exchange_cookie(struct http_exchange *x, const char *name, struct span value,
			    uint64_t max_age_s)
{
	struct buf b = {0};
	struct span out;

	(void)buf_printf(&b, "%s=%.*s; Path=/; Secure; HttpOnly; SameSite=Strict", name,
			 SPAN_FMT(value));
	if (!value.n)
		(void)buf_append(&b, SPAN_LIT("; Max-Age=0"));
	else if (max_age_s)
		(void)buf_printf(&b, "; Max-Age=%llu", (unsigned long long)max_age_s);
	out = arena_span(&x->arena, buf_span(&b));
	buf_fini(&b);
	return out;
}

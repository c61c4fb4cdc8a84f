/*
 * Requests of JMAP: an exchange's body becomes a struct jmap, which is stepped by turns; what it asks goes to the clerk
 * (act.c), into the lane or to submission (jmap_message.c). One step reads one moment of the mailboxes.
 */
#include "role/desk/jmap.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "os/os.h"

/* ---- who ---- */

static void fill(struct desk *d, struct desk_person *p)
{
	desk_store(&p->reader, &p->jmap.store);
	p->jmap.uploads = &desk_upload_ops;
	p->jmap.uploads_arg = &p->reader;
	p->service = d->policy->jmap;
}

static bool find_account(struct desk *d, struct span name, struct desk_person *p)
{
	struct fault why = {0};

	*p = (struct desk_person){.reader = {.desk = d}};
	if (desk_store_account(d, name, &p->reader.account_id, &why) != OK)
		return false;
	p->jmap.account = p->reader.account_id;
	p->jmap.name = name;
	fill(d, p);
	return true;
}

static void refuse_unknown(struct http_exchange *x)
{
	exchange_problem(x, 503, "unavailable", "Mailboxes are being made; come back in a moment");
}

bool desk_person_fill(struct http_exchange *x, struct desk_person *p)
{
	struct desk *d = http_host_arg(exchange_host(x));
	const struct http_person *who = exchange_ask(x)->person;

	if (!find_account(d, who->account, p)) {
		refuse_unknown(x);
		return false;
	}
	p->jmap.person = who->name;
	p->jmap.send_as = who->send_as;
	p->jmap.send_as_n = who->send_as_n;
	/* the policy may be replaced while the exchange lives */
	p->service.node = arena_span(exchange_arena(x), p->service.node);
	return true;
}

/* ---- answers ---- */

bool desk_send_rest(struct http_exchange *x, struct span all, size_t *sent)
{
	enum { PIECE = 32 << 10 };

	while (*sent < all.n) {
		struct span piece = span_first(span_from(all, *sent), PIECE);

		*sent += piece.n;
		if (!exchange_send(x, piece) && *sent < all.n)
			return false;
	}
	exchange_end(x);
	return true;
}

void desk_jmap_problem(struct http_exchange *x, unsigned status, const char *type,
		       const char *detail, const char *limit)
{
	struct buf out = {0};

	jmap_problem(status, type, detail, limit, &out);
	exchange_answer(x,
			&(struct http_response){.status = status,
						.type = SPAN_LIT("application/problem+json"),
						.bytes = (int64_t)out.n},
			buf_span(&out));
	buf_fini(&out);
}

/* ---- GET /.well-known/jmap ---- */

static void answer_session(struct http_exchange *x, const struct desk_person *p)
{
	const struct http_ask *ask = exchange_ask(x);
	struct buf base = {0}, out = {0};

	(void)buf_printf(&base, "%s://%.*s", ask->is_secure ? "https" : "http",
			 SPAN_FMT(ask->host));
	jmap_session(&p->service, &p->jmap, buf_span(&base), &out);
	exchange_json(x, 200, buf_span(&out));
	buf_fini(&base);
	buf_fini(&out);
}

/* Auth may know an account before the clerk has applied its record: who asks for the first time waits here. */
struct wait {
	struct http_exchange *x;
	struct loop_timer *timer;
	uint64_t until_us;
};

static void look_again(void *arg)
{
	struct wait *w = arg;
	struct desk *d = http_host_arg(exchange_host(w->x));
	struct desk_person p;

	if (find_account(d, exchange_ask(w->x)->person->account, &p)) {
		(void)desk_person_fill(w->x, &p);
		answer_session(w->x, &p);
	} else if (loop_now_us(d->loop) < w->until_us) {
		loop_timer_set(w->timer, DESK_ENTER_AGAIN_US);
	} else {
		refuse_unknown(w->x);
	}
}

static void on_session(struct http_exchange *x, const struct http_ask *ask)
{
	struct desk *d = http_host_arg(exchange_host(x));
	struct wait *w = must_alloc(sizeof *w);

	(void)ask;
	w->x = x;
	w->until_us = loop_now_us(d->loop) + DESK_ENTER_US;
	w->timer = loop_timer_new(d->loop, look_again, w);
	exchange_set_arg(x, w);
	look_again(w);
}

static void on_session_over(struct http_exchange *x, bool is_complete)
{
	struct wait *w = exchange_arg(x);

	(void)is_complete;
	if (w)
		loop_timer_free(w->timer);
	free(w);
}

/* ---- POST /jmap/api: what a request asks ---- */

struct desk_actor desk_request_actor(const struct desk_request *r)
{
	return (struct desk_actor){r->person.jmap.name, "jmap", exchange_ask(r->x)->peer};
}

void desk_request_lost(struct desk_request *r, bool is_sure, const char *text)
{
	jmap_lost(r->jmap, r->message, is_sure, span_str(text));
}

static void on_fate(void *arg, uint64_t engine_ask, enum desk_fate fate,
		    const struct mail_verdict *v)
{
	struct desk_request *r = arg;

	r->ask = 0;
	switch (fate) {
	case DESK_JUDGED:
		jmap_verdict(r->jmap, engine_ask, v);
		break;
	case DESK_NOT_RECORDED:
		jmap_lost(r->jmap, engine_ask, true, span_str(desk_not_now));
		break;
	case DESK_UNKNOWN:
		jmap_lost(r->jmap, engine_ask, false, span_str(desk_unknown_fate));
		break;
	}
	desk_request_go_on(r);
}

void desk_request_ask(struct desk_request *r, uint64_t engine_ask)
{
	must(r->ask == 0);
	r->ask = desk_ask_new(r->desk, engine_ask, on_fate, r);
}

static void act(struct desk_request *r)
{
	const struct jmap_ask *asked = jmap_asked(r->jmap);
	struct desk_actor actor = desk_request_actor(r);

	if (!desk_can_act(r->desk)) {
		jmap_lost(r->jmap, asked->id, true, span_str(desk_not_now));
		return;
	}
	desk_request_ask(r, asked->id);
	desk_act(r->desk, &actor, r->ask, asked->act);
}

static void respond(struct desk_request *r)
{
	unsigned status = jmap_status(r->jmap);
	struct span body = jmap_response(r->jmap);

	r->is_done = true;
	exchange_respond(r->x, &(struct http_response){
				       .status = status,
				       .type = status == 200 ? SPAN_LIT("application/json")
							     : SPAN_LIT("application/problem+json"),
				       .bytes = (int64_t)body.n,
			       });
	(void)desk_send_rest(r->x, body, &r->sent);
}

/* One step; false: it is somebody else's turn. */
static bool step(struct desk_request *r, bool *out_is_work)
{
	struct span piece = SPAN_NONE;
	enum jmap_step asked;

	desk_store_step(r->desk);
	asked = jmap_step(r->jmap, &piece);
	desk_store_rest(r->desk);
	*out_is_work = asked == JMAP_AGAIN || asked == JMAP_MESSAGE_PIECE;
	switch (asked) {
	case JMAP_AGAIN:
		return true;
	case JMAP_WAIT:
		return false;
	case JMAP_ACT:
		act(r);
		return true;
	case JMAP_MESSAGE_BEGIN:
		desk_message_begin(r);
		return true;
	case JMAP_MESSAGE_PIECE:
		return desk_message_piece(r, piece);
	case JMAP_MESSAGE_END:
		desk_message_end(r);
		return true;
	case JMAP_MESSAGE_DROP:
		desk_message_drop(r);
		return true;
	case JMAP_DONE:
		respond(r);
		return false;
	}
	return false;
}

static void pump(struct desk_request *r)
{
	unsigned steps = 0;
	bool is_work = false;

	if (r->is_pumping || r->is_done)
		return;
	r->is_pumping = true;
	while (steps < DESK_STEPS && step(r, &is_work))
		steps += is_work;
	r->is_pumping = false;
	if (steps >= DESK_STEPS)
		exchange_turn(r->x);
}

void desk_request_go_on(struct desk_request *r)
{
	exchange_turn(r->x);
}

void desk_jmap_feed(struct desk *d)
{
	struct list *at, waiting;

	list_init(&waiting);
	while ((at = list_shift(&d->hungry_requests)) != NULL)
		list_append(&waiting, at);
	while ((at = list_shift(&waiting)) != NULL) {
		struct desk_request *r = LIST_ENTRY(at, struct desk_request, hunger);

		if (intake_is_hungry(r->intake))
			list_append(&d->hungry_requests, at);
		else
			desk_request_go_on(r);
	}
}

/* ---- its life ---- */

static unsigned *running_of(struct desk *d, uint64_t account)
{
	unsigned *n = map_get(&d->running, map_key_u64(&account));

	if (!n) {
		n = must_alloc(sizeof *n);
		(void)map_put(&d->running, map_key_u64(&account), n);
	}
	return n;
}

static void on_api(struct http_exchange *x, const struct http_ask *ask)
{
	struct desk *d = http_host_arg(exchange_host(x));
	struct desk_request *r = must_alloc(sizeof *r);
	struct jmap_request request = {.body = ask->body, .now_us = os_wall_us(d->os)};
	unsigned *running;

	list_init(&r->hunger);
	r->x = x;
	r->desk = d;
	if (!desk_person_fill(x, &r->person)) {
		free(r);
		return;
	}
	running = running_of(d, r->person.jmap.account);
	if (*running >= r->person.service.limits.concurrent_requests) {
		desk_jmap_problem(x, 400, "urn:ietf:params:jmap:error:limit",
				  "Too many requests of yours at once", "maxConcurrentRequests");
		free(r);
		return;
	}
	++*running;
	request.content_type = exchange_field(x, "Content-Type");
	os_random(d->os, request.random, sizeof request.random);
	r->jmap = jmap_new(&r->person.service, &r->person.jmap, &request);
	exchange_set_arg(x, r);
	desk_count(METRIC_JMAP, 1);
	pump(r);
}

static void on_turn(struct http_exchange *x)
{
	struct desk_request *r = exchange_arg(x);

	if (r)
		pump(r);
}

static void on_room(struct http_exchange *x)
{
	struct desk_request *r = exchange_arg(x);

	if (r && r->is_done)
		(void)desk_send_rest(x, jmap_response(r->jmap), &r->sent);
}

static void on_over(struct http_exchange *x, bool is_complete)
{
	struct desk_request *r = exchange_arg(x);
	unsigned *running;

	(void)is_complete;
	if (!r)
		return;
	running = running_of(r->desk, r->person.jmap.account);
	if (--*running == 0)
		free(map_remove(&r->desk->running, map_key_u64(&r->person.jmap.account)));
	if (r->ask)
		desk_ask_forget(r->desk, r->ask);
	desk_message_drop(r);
	list_remove(&r->hunger);
	jmap_free(r->jmap);
	free(r);
}

/* ---- push ---- */

bool desk_jmap_changed(struct desk *d, struct span account, struct jmap_push *push, struct buf *out)
{
	struct desk_person p;
	struct fault why = {0};
	enum rc rc;

	if (!find_account(d, account, &p))
		return false;
	desk_store_step(d);
	rc = jmap_push_next(push, &p.jmap, out, &why);
	desk_store_rest(d);
	return rc == OK;
}

const struct http_route desk_jmap_routes[] = {
	{"GET", "/.well-known/jmap", HTTP_PERSON, .on_request = on_session,
	 .on_over = on_session_over},
	{"POST", "/jmap/api", HTTP_PERSON, HTTP_ROUTE_WHOLE, DESK_JMAP_REQUEST_BYTES,
	 .on_request = on_api, .on_turn = on_turn, .on_room = on_room, .on_over = on_over},
	{"POST", "/jmap/upload/", HTTP_PERSON, HTTP_ROUTE_ANY_TYPE, DESK_UPLOAD_BYTES,
	 .on_request = desk_upload, .on_piece = desk_upload_piece, .on_body_end = desk_upload_end,
	 .on_over = desk_upload_over},
	{"GET", "/jmap/download/", HTTP_PERSON, .on_request = desk_download,
	 .on_room = desk_download_room, .on_turn = desk_download_room,
	 .on_over = desk_download_over},
	{0},
};

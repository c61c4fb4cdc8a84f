/*
 * Questions to scout. All have the same time to be answered, so the oldest is first in the list and
 * one timer serves all. A question that was not answered in time opens the breaker: until scout
 * says anything again, questions are not waited for (one a second is still sent, as a feeler). So a
 * scout that hangs or is away delays nobody (P2).
 */
#include <stdlib.h>

#include "base/must.h"
#include "role/edge/internal.h"

enum { FEELER_EVERY_US = 1000000, OPEN_MOST = 100000 };

struct scout_question {
	struct list link;
	struct scout *scout;
	uint64_t id, until_us;
	unsigned answer_type;
	scout_on_answer *on_answer; /* NULL: nobody waits */
	void *arg;
};

struct scout {
	struct role *role;
	struct link *link;
	unsigned instance;
	struct loop_timer *timer;
	struct list open; /* by age */
	struct map by_id;
	uint64_t last_id, felt_at_us;
	bool is_broken; /* the breaker */
	struct arena scratch;
	struct buf frame;
};

static void on_time(void *arg);

struct scout *scout_new(struct role *r)
{
	struct scout *s = must_alloc(sizeof *s);

	s->role = r;
	s->timer = loop_timer_new(role_loop(r), on_time, s);
	list_init(&s->open);
	map_init(&s->by_id);
	arena_init(&s->scratch, 1 << 20);
	return s;
}

static void end(struct scout_question *q, const struct scout_answer *answer)
{
	scout_on_answer *on_answer = q->on_answer;
	void *arg = q->arg;

	list_remove(&q->link);
	(void)map_remove(&q->scout->by_id, map_key_u64(&q->id));
	free(q);
	if (on_answer)
		on_answer(arg, answer);
}

static void end_all(struct scout *s)
{
	static const struct scout_answer missing = {.is_missing = true};

	while (!list_is_empty(&s->open))
		end(LIST_ENTRY(s->open.next, struct scout_question, link), &missing);
}

static void set_broken(struct scout *s, bool is_broken, const char *why)
{
	if (s->is_broken == is_broken)
		return;
	s->is_broken = is_broken;
	say(is_broken ? SAY_WARNING : SAY_NOTICE, is_broken ? "scout.away" : "scout.back", "why",
	    SAY_STR(why), NULL);
}

static void arm(struct scout *s)
{
	uint64_t now_us = loop_now_us(role_loop(s->role)), until_us;

	if (list_is_empty(&s->open)) {
		loop_timer_clear(s->timer);
		return;
	}
	until_us = LIST_ENTRY(s->open.next, struct scout_question, link)->until_us;
	loop_timer_set(s->timer, until_us > now_us ? until_us - now_us : 1);
}

static void on_time(void *arg)
{
	static const struct scout_answer missing = {.is_missing = true};
	struct scout *s = arg;
	uint64_t now_us = loop_now_us(role_loop(s->role));

	while (!list_is_empty(&s->open)) {
		struct scout_question *q = LIST_ENTRY(s->open.next, struct scout_question, link);

		if (q->until_us > now_us)
			break;
		edge_count(METRIC_SCOUT_MISSED, 1);
		set_broken(s, true,
			   "no answer in time: recipients by map and policy, nothing is looked up");
		end(q, &missing);
	}
	arm(s);
}

/* The question an answer belongs to; NULL: too late, or never asked. */
static struct scout_question *question_of(struct scout *s, uint64_t id, unsigned type)
{
	struct scout_question *q = map_get(&s->by_id, map_key_u64(&id));

	return q && q->answer_type == type ? q : NULL;
}

static bool take_answer(struct scout *s, unsigned type, struct span body)
{
	struct msg_connection_answer c;
	struct msg_sender_answer f;
	struct msg_recipient_answer r;
	struct scout_answer answer = {0};
	struct scout_question *q;
	uint64_t id;

	if (type == MSG_CONNECTION_ANSWER && msg_connection_answer_decode(&s->scratch, body, &c)) {
		answer.connection = &c;
		id = c.id;
	} else if (type == MSG_SENDER_ANSWER && msg_sender_answer_decode(&s->scratch, body, &f)) {
		answer.sender = &f;
		id = f.id;
	} else if (type == MSG_RECIPIENT_ANSWER &&
		   msg_recipient_answer_decode(&s->scratch, body, &r)) {
		answer.recipient = &r;
		id = r.id;
	} else {
		return false;
	}
	set_broken(s, false, "answers again");
	q = question_of(s, id, type);
	if (q)
		end(q, &answer);
	return true;
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct scout *s = arg;
	bool is_good = take_answer(s, type, body);

	(void)l;
	arena_reset(&s->scratch);
	arm(s);
	return is_good;
}

static void on_closed(void *arg, struct link *l)
{
	struct scout *s = arg;

	(void)l;
	s->link = NULL;
	role_link_lost(s->role, ROLE_SCOUT, s->instance);
	end_all(s);
	arm(s);
}

void scout_link(struct scout *s, unsigned instance, int fd)
{
	static const struct link_ops ops = {.on_message = on_message, .on_closed = on_closed};

	link_close(s->link);
	s->link = NULL;
	end_all(s);
	s->instance = instance;
	s->link = link_new(role_loop(s->role), fd, &ops, s);
	s->is_broken = false;
	arm(s);
}

/* A question with a fresh id; NULL when there is nobody to ask. With the breaker open it is a
 * feeler: nobody waits. */
static struct scout_question *begin(struct scout *s, unsigned answer_type)
{
	uint64_t now_us = loop_now_us(role_loop(s->role));
	struct scout_question *q;

	if (!s->link || s->by_id.n >= OPEN_MOST ||
	    (s->is_broken && now_us - s->felt_at_us < FEELER_EVERY_US))
		return NULL;
	s->felt_at_us = now_us;
	q = must_alloc(sizeof *q);
	q->scout = s;
	q->id = ++s->last_id;
	q->until_us = now_us + EDGE_QUESTION_US;
	q->answer_type = answer_type;
	list_append(&s->open, &q->link);
	(void)map_put(&s->by_id, map_key_u64(&q->id), q);
	buf_clear(&s->frame);
	return q;
}

static struct scout_question *finish(struct scout *s, struct scout_question *q, unsigned type,
				     scout_on_answer *on_answer, void *arg)
{
	static const struct scout_answer missing = {.is_missing = true};
	bool is_feeler = s->is_broken;

	if (link_send(s->link, type, buf_span(&s->frame)) != OK) {
		end(q, &missing);
		return NULL;
	}
	arm(s);
	if (is_feeler)
		return NULL;
	q->on_answer = on_answer;
	q->arg = arg;
	return q;
}

struct scout_question *scout_ask_connection(struct scout *s, const char *address,
					    const struct span *zones, size_t n,
					    scout_on_answer *on_answer, void *arg)
{
	struct scout_question *q = begin(s, MSG_CONNECTION_ANSWER);
	struct msg_ask_connection m;

	if (!q)
		return NULL;
	m = (struct msg_ask_connection){.id = q->id, .address = span_str(address), .dnsbl_n = n};
	m.dnsbl = must_alloc((n + 1) * sizeof *m.dnsbl);
	for (size_t i = 0; i < n; i++)
		m.dnsbl[i] = zones[i];
	msg_ask_connection_encode(&s->frame, &m);
	free(m.dnsbl);
	return finish(s, q, MSG_ASK_CONNECTION, on_answer, arg);
}

struct scout_question *scout_ask_sender(struct scout *s, const char *address, struct span helo,
					struct span sender, scout_on_answer *on_answer, void *arg)
{
	struct scout_question *q = begin(s, MSG_SENDER_ANSWER);

	if (!q)
		return NULL;
	msg_ask_sender_encode(&s->frame, &(struct msg_ask_sender){
						 .id = q->id,
						 .address = span_str(address),
						 .helo = helo,
						 .sender = sender,
					 });
	return finish(s, q, MSG_ASK_SENDER, on_answer, arg);
}

struct scout_question *scout_ask_recipient(struct scout *s, struct span site, struct span address,
					   scout_on_answer *on_answer, void *arg)
{
	struct scout_question *q = begin(s, MSG_RECIPIENT_ANSWER);

	if (!q)
		return NULL;
	msg_ask_recipient_encode(&s->frame, &(struct msg_ask_recipient){
						    .id = q->id, .site = site, .address = address});
	return finish(s, q, MSG_ASK_RECIPIENT, on_answer, arg);
}

void scout_forget(struct scout_question *q)
{
	if (q)
		q->on_answer = NULL;
}

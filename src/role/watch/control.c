/*
 * What operators ask: the command line by the control socket (role/common/clients.h), administrators by the console's link.
 * Both say the same messages; the console names the administrator, who is the actor of what is recorded.
 *
 * An act is answered only when it is on disk. The answer's act_id lets the command line wait in the views for what
 * the clerk made of it. A client that has gone meanwhile changes nothing: its act stands.
 */
#include "role/watch/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"
#include "queue/match.h"

#define LEASE_DEFAULT (24 * 3600 * WATCH_SECOND_US)
#define LEASE_LONGEST (366 * LEASE_DEFAULT)

#define CONSOLE_BIT (1ull << 63) /* of a reload's number: asked for by the console */

enum { CONSOLE_PIECE_BYTES = 96 << 10, REQUEST_BYTES = 16 << 10, REASON_BYTES = 200 };

/* Who asks, and where the answer goes: a client of the socket, or a question of the console (client 0). */
struct asker {
	struct watch *watch;
	uint64_t client, question;
	char who[160];
};

/* What an operator waits for while the disk works. */
struct pending {
	struct asker asker;
	void (*put_back)(struct watch *w, struct span target); /* NULL: nothing to be taken back */
	char target[WATCH_NAME_BYTES];
	char text[480], id[33];
};

/* ---- answers ---- */

/* A status of many sites is longer than a frame. */
static void to_console(const struct asker *a, unsigned type, struct span body)
{
	bool more;

	do {
		struct msg_console_answer m = {a->question, (uint16_t)type,
					       span_first(body, CONSOLE_PIECE_BYTES),
					       body.n > CONSOLE_PIECE_BYTES};
		struct buf b = {0};

		more = m.more;
		body = span_from(body, m.body.n);
		msg_console_answer_encode(&b, &m);
		if (!a->watch->console ||
		    link_send(a->watch->console, MSG_CONSOLE_ANSWER, buf_span(&b)) != OK)
			more = false; /* the console gives the question up */
		buf_fini(&b);
	} while (more);
}

static void send_answer(const struct asker *a, unsigned type, struct buf *body)
{
	struct client *c = a->client ? clients_find(a->watch->control, a->client) : NULL;

	if (!a->client)
		to_console(a, type, buf_span(body));
	else if (c && client_waits(c))
		client_answer(c, type, buf_span(body));
	buf_fini(body);
}

static void answer(const struct asker *a, bool ok, const char *text, const char *id)
{
	struct msg_control_answer m = {ok, span_str(text), span_str(id ? id : "")};
	struct buf body = {0};

	msg_control_answer_encode(&body, &m);
	send_answer(a, MSG_CONTROL_ANSWER, &body);
}

static void answer_json(const struct asker *a, unsigned type, struct buf *json)
{
	struct msg_status_answer status = {buf_span(json)};
	struct msg_timeline_answer timeline = {buf_span(json)};
	struct buf body = {0};

	if (type == MSG_STATUS_ANSWER)
		msg_status_answer_encode(&body, &status);
	else
		msg_timeline_answer_encode(&body, &timeline);
	send_answer(a, type, &body);
}

static struct pending *pending_new(const struct asker *a)
{
	struct pending *p = must_alloc(sizeof *p);
	unsigned char id[16];

	p->asker = *a;
	os_random(a->watch->os, id, sizeof id);
	hex_encode(p->id, span_of(id, sizeof id));
	return p;
}

static void on_recorded(void *arg, bool is_recorded)
{
	struct pending *p = arg;
	struct watch *w = p->asker.watch;

	if (!is_recorded && p->put_back && !w->is_stopping)
		p->put_back(w, span_str(p->target));
	if (is_recorded && p->put_back && !w->is_stopping)
		site_publish(w);
	if (is_recorded)
		answer(&p->asker, true, p->text, p->id);
	else
		answer(&p->asker, false,
		       "the ledger cannot be written at the moment: nothing was changed", NULL);
	free(p);
}

/* ---- requests ---- */

static void reason_of(struct span given, char out[REASON_BYTES])
{
	size_t n = given.n < REASON_BYTES - 1 ? given.n : REASON_BYTES - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = given.p[i] < 32 || given.p[i] == 127 ? ' ' : (char)given.p[i];
	out[n] = 0;
}

static void time_text(uint64_t wall_us, char out[40])
{
	time_t t = (time_t)(wall_us / WATCH_SECOND_US);
	struct tm tm;

	out[0] = 0;
	if (gmtime_r(&t, &tm))
		strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void target_of(struct watch *w, struct span given, char out[WATCH_NAME_BYTES])
{
	snprintf(out, WATCH_NAME_BYTES, "%.*s", SPAN_FMT(given));
	if (site_find(w, given))
		return;
	for (char *c = out; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
}

static void no_target(const struct asker *c, const char *target)
{
	char text[WATCH_NAME_BYTES + 80];

	snprintf(text, sizeof text, "there is no site or domain \"%s\" in the configuration",
		 target);
	answer(c, false, text, NULL);
}

static uint64_t lease_of(uint64_t for_ms)
{
	uint64_t longest_ms = LEASE_LONGEST / 1000;

	return for_ms == 0 ? LEASE_DEFAULT : (for_ms > longest_ms ? longest_ms : for_ms) * 1000;
}

/* hold and continuity: the same words, checked alike. */
struct order {
	const char *noun;
	struct span target, mode, reason;
	uint64_t for_ms;
	void (*set)(struct watch *w, struct span target, enum health_hold mode, uint64_t for_us,
		    const char *by, const char *reason, const char *id, struct job *j);
	void (*put_back)(struct watch *w, struct span target);
};

static void give_order(const struct asker *asker, const struct order *o)
{
	struct watch *w = asker->watch;
	char reason[REASON_BYTES], until[40], text[80];
	enum health_hold mode;
	struct pending *p;
	uint64_t for_us;

	if (!health_hold_parse(o->mode, &mode)) {
		snprintf(text, sizeof text, "%s is on, off or auto", o->noun);
		answer(asker, false, text, NULL);
		return;
	}
	p = pending_new(asker);
	target_of(w, o->target, p->target);
	if (!hold_is_target(w, span_str(p->target))) {
		no_target(asker, p->target);
		free(p);
		return;
	}
	for_us = mode == HOLD_AUTO ? 0 : lease_of(o->for_ms);
	reason_of(o->reason, reason);
	time_text(os_wall_us(w->os) + for_us, until);
	if (mode == HOLD_AUTO)
		snprintf(p->text, sizeof p->text, "%s is automatic again for %s", o->noun,
			 p->target);
	else
		snprintf(p->text, sizeof p->text, "%s is %s for %s until %s", o->noun,
			 health_hold_name(mode), p->target, until);
	p->put_back = o->put_back;
	o->set(w, span_str(p->target), mode, for_us, asker->who, reason, p->id,
	       job_new(true, on_recorded, p));
}

static bool ask_hold(const struct asker *asker, struct arena *a, struct span body)
{
	struct msg_hold_set m;

	if (!msg_hold_set_decode(a, body, &m))
		return false;
	give_order(asker, &(struct order){"hold", m.target, m.mode, m.reason, m.for_ms, hold_set,
					  hold_put_back});
	return true;
}

static bool ask_continuity(const struct asker *asker, struct arena *a, struct span body)
{
	struct msg_continuity_set m;

	if (!msg_continuity_set_decode(a, body, &m))
		return false;
	give_order(asker, &(struct order){"continuity", m.target, m.mode, m.reason, m.for_ms,
					  continuity_set, continuity_put_back});
	return true;
}

static bool is_verb(struct span verb)
{
	static const char *const verbs[] = {"retry", "release", "discard", "redirect"};

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (span_eq(verb, span_str(verbs[i])))
			return true;
	}
	return false;
}

/* Who retries or releases what is held for a site says that its primary is repaired: a stopped drain goes on. */
static void resume(const struct asker *c, struct span verb, const struct queue_match *match)
{
	struct site *s =
		match->flags & QUEUE_MATCH_SITE ? site_find(c->watch, span_str(match->site)) : NULL;
	struct health_observation o = {.sight = SIGHT_RESUME, .hold.who = span_str(c->who)};

	if (s && (span_eq(verb, SPAN_LIT("release")) || span_eq(verb, SPAN_LIT("retry"))))
		site_see(s, &o);
}

static bool ask_queue(const struct asker *c, struct arena *a, struct span body)
{
	char reason[REASON_BYTES], verb[32], argument[400];
	struct fault why = {""};
	struct queue_match match;
	struct msg_queue_act m;
	struct pending *p;
	struct job *j;

	if (!msg_queue_act_decode(a, body, &m))
		return false;
	if (!is_verb(m.verb)) {
		answer(c, false, "a queue act is retry, release, discard or redirect", NULL);
		return true;
	}
	if (queue_match_parse(m.match, &match, &why) != OK) {
		answer(c, false, why.text, NULL);
		return true;
	}
	if (span_eq(m.verb, SPAN_LIT("redirect")) == span_is_empty(m.argument) ||
	    m.argument.n >= sizeof argument) {
		answer(c, false, "redirect needs an address or a host, and no other act takes one",
		       NULL);
		return true;
	}
	p = pending_new(c);
	reason_of(m.reason, reason);
	snprintf(verb, sizeof verb, "queue.%.*s", SPAN_FMT(m.verb));
	snprintf(argument, sizeof argument, "%.*s", SPAN_FMT(m.argument));
	snprintf(p->text, sizeof p->text, "%s is recorded", verb);
	j = job_new(true, on_recorded, p);
	{
		struct act act = {.verb = verb,
				  .object = m.match,
				  .argument = argument,
				  .reason = reason,
				  .actor = c->who,
				  .confidence = 100};

		memcpy(act.id, p->id, sizeof act.id);
		job_act(c->watch, j, &act);
	}
	books_begin(c->watch);
	books_write(c->watch, j);
	resume(c, m.verb, &match);
	books_commit(c->watch);
	return true;
}

/* The supervisor's answer names the asker by one number. */
static uint64_t reload_id(const struct asker *a)
{
	return a->client ? a->client : a->question | CONSOLE_BIT;
}

static void on_reload_recorded(void *arg, bool is_recorded)
{
	struct pending *p = arg;
	struct msg_reload_request m = {.id = reload_id(&p->asker)};
	struct buf b = {0};

	msg_reload_request_encode(&b, &m);
	if (!is_recorded)
		answer(&p->asker, false,
		       "the ledger cannot be written at the moment: nothing was changed", NULL);
	else if (role_tell_super(p->asker.watch->role, MSG_RELOAD_REQUEST, buf_span(&b)) != OK)
		answer(&p->asker, false, "the supervisor does not listen", NULL);
	buf_fini(&b);
	free(p);
}

void control_reloaded(struct watch *w, const struct msg_reload_result *m)
{
	struct asker a = {.watch = w};
	char text[480];

	snprintf(text, sizeof text, "%.*s", SPAN_FMT(m->text));
	if (m->id & CONSOLE_BIT)
		a.question = m->id & ~CONSOLE_BIT;
	else
		a.client = m->id;
	answer(&a, m->ok, text, NULL);
}

static void ask_reload(const struct asker *c)
{
	struct pending *p = pending_new(c);
	struct act act = {.verb = "config.reload", .actor = c->who, .confidence = 100};
	struct job *j = job_new(true, on_reload_recorded, p);

	memcpy(act.id, p->id, sizeof act.id);
	job_act(c->watch, j, &act);
	books_write(c->watch, j);
}

static bool ask_timeline(const struct asker *c, struct arena *a, struct span body)
{
	struct msg_timeline_ask m;
	struct buf json = {0};
	struct site *s;

	if (!msg_timeline_ask_decode(a, body, &m))
		return false;
	s = site_find(c->watch, m.site);
	if (s)
		timeline_json(s, m.from_us, &json);
	else
		buf_printf(&json, "{\"ok\":false,\"text\":\"there is no such site\"}");
	answer_json(c, MSG_TIMELINE_ANSWER, &json);
	buf_fini(&json);
	return true;
}

/* Somebody looks at what is other people's: recorded before it is shown. */
static bool ask_look(const struct asker *c, struct arena *a, struct span body)
{
	char reason[REASON_BYTES], argument[400], verb[40];
	struct act act = {.verb = verb,
			  .argument = argument,
			  .reason = reason,
			  .actor = c->who,
			  .confidence = 100};
	struct msg_audit_note m;
	struct pending *p;
	struct job *j;

	if (!msg_audit_note_decode(a, body, &m))
		return false;
	if (!span_eq(m.verb, SPAN_LIT("trace")) && !span_starts(m.verb, SPAN_LIT("people."))) {
		answer(c, false, "nothing that is noted here", NULL);
		return true;
	}
	p = pending_new(c);
	reason_of(m.reason, reason);
	snprintf(verb, sizeof verb, "%s%.*s", span_eq(m.verb, SPAN_LIT("trace")) ? "mail." : "",
		 SPAN_FMT(span_first(m.verb, 30)));
	snprintf(argument, sizeof argument, "%.*s", SPAN_FMT(m.argument));
	snprintf(p->text, sizeof p->text, "noted");
	act.object = span_first(m.object, 300);
	memcpy(act.id, p->id, sizeof act.id);
	j = job_new(true, on_recorded, p);
	job_act(c->watch, j, &act);
	books_write(c->watch, j);
	return true;
}

static bool take(const struct asker *c, struct arena *a, unsigned type, struct span body)
{
	struct msg_history_ask history;
	struct msg_status_ask status;
	struct msg_reload reload;
	struct buf json = {0};

	switch (type) {
	case MSG_HOLD_SET:
		return ask_hold(c, a, body);
	case MSG_QUEUE_ACT:
		return ask_queue(c, a, body);
	case MSG_CONTINUITY_SET:
		return ask_continuity(c, a, body);
	case MSG_TIMELINE_ASK:
		return ask_timeline(c, a, body);
	case MSG_AUDIT_NOTE:
		return ask_look(c, a, body);
	case MSG_STATUS_ASK:
		if (!msg_status_ask_decode(a, body, &status))
			return false;
		status_json(c->watch, &json);
		break;
	case MSG_HISTORY_ASK:
		if (!msg_history_ask_decode(a, body, &history))
			return false;
		history_json(c->watch, history.last, &json);
		break;
	case MSG_RELOAD:
		if (!msg_reload_decode(a, body, &reload))
			return false;
		ask_reload(c);
		return true;
	default:
		return false;
	}
	answer_json(c, MSG_STATUS_ANSWER, &json);
	buf_fini(&json);
	return true;
}

/* ---- the socket ---- */

static bool on_request(void *arg, struct client *c, struct arena *a, unsigned type,
		       struct span body)
{
	struct asker asker = {.watch = arg, .client = client_id(c)};

	snprintf(asker.who, sizeof asker.who, "%s", client_who(c));
	return take(&asker, a, type, body);
}

void control_prepare(struct watch *w)
{
	w->control_options = (struct clients_options){
		.name = "control",
		.request_bytes = REQUEST_BYTES,
		.arena_bytes = REQUEST_BYTES * 4,
		.clients = WATCH_CONTROL_CLIENTS,
		.answer_us = 30 * WATCH_SECOND_US,
		.on_request = on_request,
		.arg = w,
	};
	w->control = clients_new(w->role, &w->control_options);
}

/* ---- the console ---- */

/* Who it is stands in the record, so it is an address and nothing else. */
static bool is_word(struct span s, size_t most)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' || s.p[i] == 127 || s.p[i] == '(' || s.p[i] == ')')
			return false;
	}
	return s.n >= 3 && s.n <= most;
}

static bool is_asker(const struct msg_console_order *m)
{
	return is_word(m->account, 100) && span_chr(m->account, '@') > 0 && is_word(m->source, 45);
}

static bool on_console(void *arg, struct link *l, unsigned type, struct span body)
{
	struct asker asker = {.watch = arg};
	struct msg_console_order m;
	struct arena a;
	bool ok;

	(void)l;
	if (type != MSG_CONSOLE_ORDER)
		return false;
	arena_init(&a, REQUEST_BYTES * 8);
	ok = msg_console_order_decode(&a, body, &m) && m.body.n <= REQUEST_BYTES &&
	     !(m.id & CONSOLE_BIT) && is_asker(&m);
	if (ok) {
		asker.question = m.id;
		snprintf(asker.who, sizeof asker.who, "administrator %.*s (%.*s)",
			 SPAN_FMT(m.account), SPAN_FMT(m.source));
		ok = take(&asker, &a, m.type, m.body);
	}
	arena_fini(&a);
	return ok;
}

static void on_console_closed(void *arg, struct link *l)
{
	struct watch *w = arg;

	if (w->console != l)
		return;
	w->console = NULL;
	role_link_lost(w->role, ROLE_CONSOLE, 0);
}

void control_console(struct watch *w, unsigned instance, int fd)
{
	static const struct link_ops ops = {on_console, on_console_closed, NULL};

	(void)instance;
	link_close(w->console);
	w->console = link_new(w->loop, fd, &ops, w);
}

void control_stop(struct watch *w)
{
	clients_stop(w->control);
	link_close(w->console);
	w->console = NULL;
}

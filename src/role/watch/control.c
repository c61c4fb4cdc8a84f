/*
 * The control socket: the command line's requests (role/common/clients.h).
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

enum { REQUEST_BYTES = 16 << 10, REASON_BYTES = 200 };

/* What an operator waits for while the disk works. */
struct pending {
	struct watch *watch;
	uint64_t client, reload;
	bool is_hold;
	char target[WATCH_NAME_BYTES];
	char text[480], id[33];
};

static struct watch *watch_of(const struct client *c)
{
	return client_arg(c);
}

/* ---- answers ---- */

static void answer(struct client *c, bool ok, const char *text, const char *id)
{
	struct msg_control_answer m = {ok, span_str(text), span_str(id ? id : "")};
	struct buf body = {0};

	msg_control_answer_encode(&body, &m);
	client_answer(c, MSG_CONTROL_ANSWER, buf_span(&body));
	buf_fini(&body);
}

static void answer_json(struct client *c, struct buf *json)
{
	struct msg_status_answer m = {buf_span(json)};
	struct buf body = {0};

	msg_status_answer_encode(&body, &m);
	client_answer(c, MSG_STATUS_ANSWER, buf_span(&body));
	buf_fini(&body);
}

static struct pending *pending_new(struct client *c)
{
	struct pending *p = must_alloc(sizeof *p);
	unsigned char id[16];

	p->watch = watch_of(c);
	p->client = client_id(c);
	os_random(watch_of(c)->os, id, sizeof id);
	hex_encode(p->id, span_of(id, sizeof id));
	return p;
}

static void on_recorded(void *arg, bool is_recorded)
{
	struct pending *p = arg;
	struct watch *w = p->watch;
	struct client *c = clients_find(w->control, p->client);

	if (!is_recorded && p->is_hold && !w->is_stopping)
		hold_put_back(w, span_str(p->target));
	if (is_recorded && p->is_hold && !w->is_stopping)
		site_publish(w);
	if (c && is_recorded)
		answer(c, true, p->text, p->id);
	else if (c)
		answer(c, false, "the ledger cannot be written at the moment: nothing was changed",
		       NULL);
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

static void no_target(struct client *c, const char *target)
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

static bool ask_hold(struct client *c, struct arena *a, struct span body)
{
	struct watch *w = watch_of(c);
	char reason[REASON_BYTES], until[40];
	enum health_hold mode;
	struct msg_hold_set m;
	struct pending *p;
	uint64_t for_us;

	if (!msg_hold_set_decode(a, body, &m))
		return false;
	if (!health_hold_parse(m.mode, &mode)) {
		answer(c, false, "a hold is on, off or auto", NULL);
		return true;
	}
	p = pending_new(c);
	target_of(w, m.target, p->target);
	if (!hold_is_target(w, span_str(p->target))) {
		no_target(c, p->target);
		free(p);
		return true;
	}
	for_us = mode == HOLD_AUTO ? 0 : lease_of(m.for_ms);
	reason_of(m.reason, reason);
	time_text(os_wall_us(w->os) + for_us, until);
	if (mode == HOLD_AUTO)
		snprintf(p->text, sizeof p->text, "hold is automatic again for %s", p->target);
	else
		snprintf(p->text, sizeof p->text, "hold is %s for %s until %s",
			 health_hold_name(mode), p->target, until);
	p->is_hold = true;
	hold_set(w, span_str(p->target), mode, for_us, client_who(c), reason, p->id,
		 job_new(true, on_recorded, p));
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
static void resume(struct client *c, struct span verb, const struct queue_match *match)
{
	struct site *s = match->flags & QUEUE_MATCH_SITE
				 ? site_find(watch_of(c), span_str(match->site))
				 : NULL;
	struct health_observation o = {.sight = SIGHT_RESUME, .hold.who = span_str(client_who(c))};

	if (s && (span_eq(verb, SPAN_LIT("release")) || span_eq(verb, SPAN_LIT("retry"))))
		site_see(s, &o);
}

static bool ask_queue(struct client *c, struct arena *a, struct span body)
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
				  .actor = client_who(c),
				  .confidence = 100};

		memcpy(act.id, p->id, sizeof act.id);
		job_act(watch_of(c), j, &act);
	}
	books_begin(watch_of(c));
	books_write(watch_of(c), j);
	resume(c, m.verb, &match);
	books_commit(watch_of(c));
	return true;
}

static bool ask_continuity(struct client *c, struct arena *a, struct span body)
{
	struct watch *w = watch_of(c);
	struct act act = {.verb = "continuity.set", .actor = client_who(c), .confidence = 100};
	struct msg_continuity_set m;
	enum health_hold mode;
	struct pending *p;
	struct job *j;

	if (!msg_continuity_set_decode(a, body, &m))
		return false;
	if (!health_hold_parse(m.mode, &mode)) {
		answer(c, false, "continuity is on, off or auto", NULL);
		return true;
	}
	p = pending_new(c);
	target_of(w, m.target, p->target);
	if (!hold_is_target(w, span_str(p->target))) {
		no_target(c, p->target);
		free(p);
		return true;
	}
	act.object = span_str(p->target);
	act.argument = health_hold_name(mode);
	act.class = site_find(w, act.object) ? "site" : "domain";
	act.until_us = mode == HOLD_AUTO ? 0 : os_wall_us(w->os) + lease_of(m.for_ms);
	memcpy(act.id, p->id, sizeof act.id);
	snprintf(p->text, sizeof p->text,
		 "continuity %s for %s is recorded; this version has no portal yet, so nothing "
		 "else changes",
		 act.argument, p->target);
	j = job_new(true, on_recorded, p);
	job_act(w, j, &act);
	books_write(w, j);
	return true;
}

static void on_reload_recorded(void *arg, bool is_recorded)
{
	struct pending *p = arg;
	struct msg_reload_request m = {.id = p->client};
	struct client *c = clients_find(p->watch->control, p->client);
	struct buf b = {0};

	msg_reload_request_encode(&b, &m);
	if (!c) {
	} else if (!is_recorded) {
		answer(c, false, "the ledger cannot be written at the moment: nothing was changed",
		       NULL);
	} else if (role_tell_super(p->watch->role, MSG_RELOAD_REQUEST, buf_span(&b)) != OK) {
		answer(c, false, "the supervisor does not listen", NULL);
	}
	buf_fini(&b);
	free(p);
}

void control_reloaded(struct watch *w, const struct msg_reload_result *m)
{
	struct client *c = clients_find(w->control, m->id);
	char text[480];

	snprintf(text, sizeof text, "%.*s", SPAN_FMT(m->text));
	if (c && client_waits(c))
		answer(c, m->ok, text, NULL);
}

static void ask_reload(struct client *c)
{
	struct pending *p = pending_new(c);
	struct act act = {.verb = "config.reload", .actor = client_who(c), .confidence = 100};
	struct job *j = job_new(true, on_reload_recorded, p);

	memcpy(act.id, p->id, sizeof act.id);
	job_act(watch_of(c), j, &act);
	books_write(watch_of(c), j);
}

static bool on_request(void *arg, struct client *c, struct arena *a, unsigned type,
		       struct span body)
{
	struct msg_history_ask history;
	struct msg_status_ask status;
	struct msg_reload reload;
	struct buf json = {0};

	(void)arg;
	switch (type) {
	case MSG_HOLD_SET:
		return ask_hold(c, a, body);
	case MSG_QUEUE_ACT:
		return ask_queue(c, a, body);
	case MSG_CONTINUITY_SET:
		return ask_continuity(c, a, body);
	case MSG_STATUS_ASK:
		if (!msg_status_ask_decode(a, body, &status))
			return false;
		status_json(watch_of(c), &json);
		break;
	case MSG_HISTORY_ASK:
		if (!msg_history_ask_decode(a, body, &history))
			return false;
		history_json(watch_of(c), history.last, &json);
		break;
	case MSG_RELOAD:
		if (!msg_reload_decode(a, body, &reload))
			return false;
		ask_reload(c);
		return true;
	default:
		return false;
	}
	answer_json(c, &json);
	buf_fini(&json);
	return true;
}

/* ---- the socket ---- */

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

/*
 * What courier says to clerk, scout, watch and sequencer, and hears from them. All of them are
 * treated as hostile: a message that does not decode, or is not theirs to send, ends the link.
 *
 * A lost link: clerk - no further dots, leases given up (design section 6); scout - last good
 * addresses; watch - evidence is not sent; sequencer - its new link begins with Durable.
 */
#include "role/courier/home.h"

#include <stdio.h>

#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "ipc/link.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/common/role.h"
#include "say/say.h"

#define EVIDENCE_US 1000000u

bool links_send(struct link *l, unsigned type, struct buf *body)
{
	bool sent = l && link_send(l, type, buf_span(body)) == OK;

	if (l && !sent)
		say(SAY_WARNING, "link.not_sent", "type", SAY_U64(type), NULL);
	buf_fini(body);
	return sent;
}

/* ---- to the clerk ---- */

static uint32_t room(const struct courier *c)
{
	if (c->is_stopping || c->jobs.n >= COURIER_JOBS)
		return 0;
	return (uint32_t)(COURIER_JOBS - c->jobs.n);
}

static void say_hello(struct courier *c)
{
	struct msg_courier_hello m = {
		.courier = span_str(role_full_name(c->role)),
		.room = room(c),
		.lane = span_str(lane_name(c->lane)),
		.lane_seq = lane_durable(c->lane).seq,
	};
	struct buf body = {0};
	size_t cursor = 0;
	struct span key;
	void *value;

	m.leases = must_alloc((c->jobs.n + 1) * sizeof *m.leases);
	while (map_next(&c->jobs, &cursor, &key, &value))
		m.leases[m.leases_n++] = ((struct job *)value)->lease.lease;
	msg_courier_hello_encode(&body, &m);
	free(m.leases);
	(void)links_send(c->clerk, MSG_COURIER_HELLO, &body);
}

void tell_lease_done(struct courier *c, const struct job *j, const char *reason)
{
	const struct msg_lease_done m = {.lease = j->lease.lease,
					 .had_intent = j->had_intent,
					 .recorded = j->recorded,
					 .reason = span_str(reason)};
	struct buf body = {0};

	if (!c->clerk)
		return;
	msg_lease_done_encode(&body, &m);
	(void)links_send(c->clerk, MSG_LEASE_DONE, &body);
}

static void tell_room(void *arg)
{
	struct courier *c = arg;
	struct buf body = {0};

	c->is_room_due = false;
	if (!c->clerk)
		return;
	msg_room_encode(&body, &(struct msg_room){.room = room(c)});
	(void)links_send(c->clerk, MSG_ROOM, &body);
}

void tell_room_soon(struct courier *c)
{
	if (c->is_room_due || !c->clerk)
		return;
	c->is_room_due = true;
	loop_defer(c->loop, tell_room, c);
}

void tell_limits(struct site *s, const struct smtp_capabilities *caps)
{
	struct msg_site_limits now = {.site = span_str(s->name),
				      .size = caps->size_bytes,
				      .smtputf8 = caps->smtputf8,
				      .eightbit = caps->eightbit};
	struct buf body = {0};

	if (s->is_redirect || !s->c->watch)
		return;
	if (s->told.site.n && s->told.size == now.size && s->told.smtputf8 == now.smtputf8 &&
	    s->told.eightbit == now.eightbit)
		return;
	s->told = now;
	msg_site_limits_encode(&body, &now);
	(void)links_send(s->c->watch, MSG_SITE_LIMITS, &body);
}

static bool on_clerk(void *arg, struct link *l, unsigned type, struct span body)
{
	struct courier *c = arg;
	struct msg_stop_site stop;
	struct arena a;
	bool ok;

	(void)l;
	if (type == MSG_LEASE) {
		job_new(c, body);
		return true;
	}
	if (type == MSG_HOME_LEASE) {
		home_new(c, body);
		return true;
	}
	if (type != MSG_STOP_SITE)
		return false;
	arena_init(&a, 4096);
	ok = msg_stop_site_decode(&a, body, &stop);
	if (ok)
		site_stop(c, stop.site);
	arena_fini(&a);
	return ok;
}

static void on_clerk_closed(void *arg, struct link *l)
{
	struct courier *c = arg;

	if (l != c->clerk)
		return;
	c->clerk = NULL;
	role_link_lost(c->role, ROLE_CLERK, 0);
	say(SAY_NOTICE, "clerk.away", "leases", SAY_U64(c->jobs.n), NULL);
	sites_clerk_gone(c);
	home_clerk_gone(c);
}

/* ---- to the others ---- */

static void send_evidence(struct site *s, struct msg_delivery_evidence *m)
{
	struct courier *c = s->c;
	struct buf body = {0};

	if (!c->watch || s->is_redirect)
		return;
	m->site = span_str(s->name);
	m->at_us = os_wall_us(c->os);
	msg_delivery_evidence_encode(&body, m);
	(void)links_send(c->watch, MSG_DELIVERY_EVIDENCE, &body);
}

void note_result(const struct job *j, const char *host, enum attempt attempt, bool known_good)
{
	unsigned at = j->lease.phase <= PHASE_UP ? j->lease.phase : PHASE_DOWN;
	struct site *s = j->site;

	s->untold[at].accepted += attempt == ATTEMPT_ACCEPTED;
	s->untold[at].refused_good += attempt == ATTEMPT_5XX && known_good;
	s->untold[at].refused_unknown += attempt == ATTEMPT_5XX && !known_good;
	s->untold[at].deferred += attempt == ATTEMPT_4XX;
	if (!s->untold[at].granted_us || j->granted_us < s->untold[at].granted_us)
		s->untold[at].granted_us = j->granted_us;
	(void)snprintf(s->answered_by, sizeof s->answered_by, "%s", host);
}

static void tell_phase(struct site *s, unsigned phase)
{
	struct msg_delivery_evidence m = {.host = span_str(s->answered_by),
					  .stage = SPAN_LIT("dot"),
					  .accepted = s->untold[phase].accepted,
					  .refused_good = s->untold[phase].refused_good,
					  .refused_unknown = s->untold[phase].refused_unknown,
					  .deferred = s->untold[phase].deferred,
					  .phase = (uint8_t)phase,
					  .granted_us = s->untold[phase].granted_us};

	if (!m.accepted && !m.refused_good && !m.refused_unknown && !m.deferred)
		return;
	memset(&s->untold[phase], 0, sizeof s->untold[phase]);
	m.attempt = m.accepted				  ? ATTEMPT_ACCEPTED
		    : m.refused_good || m.refused_unknown ? ATTEMPT_5XX
							  : ATTEMPT_4XX;
	send_evidence(s, &m);
}

static void tell_all(void *arg)
{
	struct site *s = arg;

	s->results_told_us = loop_now_us(s->c->loop);
	for (unsigned phase = PHASE_DOWN; phase <= PHASE_UP; phase++)
		tell_phase(s, phase);
}

void tell_results(struct site *s)
{
	uint64_t past_us = loop_now_us(s->c->loop) - s->results_told_us;

	tell_phase(s, PHASE_PROBATION);
	if (!s->results_told_us || past_us >= EVIDENCE_US)
		tell_all(s);
	else
		loop_timer_set(s->tell_rest, EVIDENCE_US - past_us);
}

void results_init(struct site *s)
{
	s->tell_rest = loop_timer_new(s->c->loop, tell_all, s);
}

void results_fini(struct site *s)
{
	loop_timer_free(s->tell_rest);
}

void tell_evidence(struct site *s, const char *host, enum attempt attempt, const char *stage,
		   unsigned code, const char *text)
{
	struct msg_delivery_evidence m = {.host = span_str(host),
					  .attempt = (uint8_t)attempt,
					  .stage = span_str(stage),
					  .code = (uint16_t)code,
					  .text = span_str(text),
					  .at_connection =
						  attempt == ATTEMPT_UNREACHED || code == 421};

	send_evidence(s, &m);
}

static bool on_scout(void *arg, struct link *l, unsigned type, struct span body)
{
	struct msg_resolve_answer answer;
	struct msg_mx_answer mx;
	struct arena a;
	bool ok = false;

	(void)l;
	arena_init(&a, 256 << 10);
	if (type == MSG_RESOLVE_ANSWER && msg_resolve_answer_decode(&a, body, &answer)) {
		resolve_answer(arg, &answer);
		ok = true;
	} else if (type == MSG_MX_ANSWER && msg_mx_answer_decode(&a, body, &mx)) {
		world_answer(arg, &mx);
		ok = true;
	}
	arena_fini(&a);
	return ok;
}

static void on_scout_closed(void *arg, struct link *l)
{
	struct courier *c = arg;

	if (l != c->scout)
		return;
	c->scout = NULL;
	role_link_lost(c->role, ROLE_SCOUT, 0);
	resolve_scout_gone(c);
	world_scout_gone(c);
}

static bool on_auth(void *arg, struct link *l, unsigned type, struct span body)
{
	struct msg_credential_answer answer;
	struct msg_signers signers;
	struct msg_sign_answer signature;
	struct arena a;
	bool ok = true;

	(void)l;
	arena_init(&a, 64 << 10);
	if (type == MSG_CREDENTIAL_ANSWER && msg_credential_answer_decode(&a, body, &answer)) {
		if (!world_credential(arg, &answer))
			home_credential(arg, &answer);
	} else if (type == MSG_SIGNERS && msg_signers_decode(&a, body, &signers))
		sign_signers(arg, &signers);
	else if (type == MSG_SIGN_ANSWER && msg_sign_answer_decode(&a, body, &signature))
		sign_answer(arg, &signature);
	else
		ok = false;
	arena_fini(&a);
	return ok;
}

static void on_auth_closed(void *arg, struct link *l)
{
	struct courier *c = arg;

	if (l != c->auth)
		return;
	c->auth = NULL;
	role_link_lost(c->role, ROLE_AUTH, 0);
	home_auth_gone(c);
	sign_auth_gone(c);
}

static bool on_nothing(void *arg, struct link *l, unsigned type, struct span body)
{
	(void)arg, (void)l, (void)type, (void)body;
	return false; /* watch has nothing to say to us */
}

static void on_watch_closed(void *arg, struct link *l)
{
	struct courier *c = arg;

	if (l != c->watch)
		return;
	c->watch = NULL;
	role_link_lost(c->role, ROLE_WATCH, 0);
}

/* ---- new links ---- */

static void replace(struct courier *c, struct link **at, const struct link_ops *ops, int fd)
{
	link_close(*at);
	*at = link_new(c->loop, fd, ops, c);
}

void links_accept(struct courier *c, unsigned peer_role, unsigned instance, int fd)
{
	static const struct link_ops clerk = {.on_message = on_clerk, .on_closed = on_clerk_closed};
	static const struct link_ops scout = {.on_message = on_scout, .on_closed = on_scout_closed};
	static const struct link_ops auth = {.on_message = on_auth, .on_closed = on_auth_closed};
	static const struct link_ops watch = {.on_message = on_nothing,
					      .on_closed = on_watch_closed};

	if (peer_role == ROLE_CLERK) {
		if (c->clerk) { /* another one knows nothing of what the last one granted */
			sites_clerk_gone(c);
			home_clerk_gone(c);
		}
		replace(c, &c->clerk, &clerk, fd);
		say_hello(c);
	} else if (peer_role == ROLE_SCOUT) {
		replace(c, &c->scout, &scout, fd);
	} else if (peer_role == ROLE_WATCH) {
		replace(c, &c->watch, &watch, fd);
		sites_watch_new(c);
	} else if (peer_role == ROLE_AUTH) {
		replace(c, &c->auth, &auth, fd);
	} else if (peer_role == ROLE_SEQUENCER) {
		durable_link(c->durable, instance, fd);
	} else {
		(void)close(fd);
	}
}

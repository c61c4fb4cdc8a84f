/*
 * INTENT before the dot, OUTCOME after the answer. An OUTCOME is appended until the disk takes it:
 * what the primary said is known nowhere else, and without it a delivered message would be sent
 * again as UNSURE.
 *
 * One OUTCOME record speaks of one stage, so that a refusal of an address at RCPT is not mixed up
 * with one of the message; all of them and the notifications they call for are one group (L7).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "mail/dsn.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/common/role.h"
#include "role/courier/courier.h"
#include "say/say.h"

#define RETRY_US 1000000u
#define DELAY_S	 (4 * 3600)

/* ---- INTENT ---- */

static void on_intent(void *arg, const struct lane_result *result)
{
	struct job *j = arg;

	j->awaited--;
	j->had_intent |= result->rc == OK;
	if (--j->intents_out == 0 && j->intent == INTENT_PENDING)
		j->intent = result->rc == OK ? INTENT_DURABLE : INTENT_FAILED;
	if (j->session)
		session_drive(j->session);
	else
		job_settle(j);
}

void record_intent(struct job *j, const char *host)
{
	struct courier *c = j->c;
	uint32_t rcpts[COURIER_RCPTS];
	struct msg_intent_meta meta = {
		.lease = j->lease.lease,
		.number = j->lease.number,
		.rcpts = rcpts,
		.rcpts_n = j->batch,
		.host = span_str(host),
		.courier = span_str(role_full_name(c->role)),
	};
	struct record_new record = {.type = RECORD_INTENT, .received_us = os_wall_us(c->os)};
	struct buf body = {0};

	must(j->batch <= COURIER_RCPTS);
	for (size_t i = 0; i < j->batch; i++)
		rcpts[i] = j->lease.rcpts[j->first + i].rcpt;
	msg_intent_meta_encode(&body, &meta);
	record.meta = buf_span(&body);
	j->intent = INTENT_PENDING;
	j->owes_outcome = true;
	j->intents_out++;
	j->awaited++;
	lane_append(c->lane, &record, 1, 0, false, on_intent, j);
	buf_fini(&body);
}

/* ---- OUTCOME ---- */

struct outcome_record {
	enum record_type type;
	struct buf meta, body;
};

struct outcome {
	struct job *job;
	struct loop_timer *again;
	struct outcome_record *records;
	size_t n, cap;
};

static void append_outcome(struct outcome *o);

static void outcome_free(struct outcome *o)
{
	for (size_t i = 0; i < o->n; i++) {
		buf_fini(&o->records[i].meta);
		buf_fini(&o->records[i].body);
	}
	free(o->records);
	loop_timer_free(o->again);
	free(o);
}

static void on_again(void *arg)
{
	append_outcome(arg);
}

static void on_outcome(void *arg, const struct lane_result *result)
{
	struct outcome *o = arg;
	struct job *j = o->job;

	if (result->rc != OK) {
		say(SAY_ERROR, "outcome.not_recorded", "lease", SAY_U64(j->lease.lease), "result",
		    SAY_STR(rc_name(result->rc)), NULL);
		loop_timer_set(o->again, RETRY_US);
		return;
	}
	j->awaited--;
	j->recorded = true;
	outcome_free(o);
	job_settle(j);
}

static void append_outcome(struct outcome *o)
{
	struct record_new *records = must_alloc(o->n * sizeof *records);
	uint64_t now = os_wall_us(o->job->c->os);

	for (size_t i = 0; i < o->n; i++) {
		records[i] = (struct record_new){.type = o->records[i].type,
						 .received_us = now,
						 .meta = buf_span(&o->records[i].meta)};
		buf_append(&records[i].body, buf_span(&o->records[i].body));
	}
	lane_append(o->job->c->lane, records, o->n, 0, false, on_outcome, o);
	free(records);
}

static struct outcome_record *add_record(struct outcome *o, enum record_type type)
{
	if (o->n == o->cap) {
		o->cap = o->cap ? 2 * o->cap : 4;
		o->records = realloc(o->records, o->cap * sizeof *o->records);
		must(o->records);
	}
	o->records[o->n] = (struct outcome_record){.type = type};
	return &o->records[o->n++];
}

/* ---- what became of one recipient ---- */

static enum attempt attempt_of(enum smtp_result result)
{
	switch (result) {
	case SMTP_RESULT_ACCEPTED:
		return ATTEMPT_ACCEPTED;
	case SMTP_RESULT_4XX:
		return ATTEMPT_4XX;
	case SMTP_RESULT_5XX:
		return ATTEMPT_5XX;
	case SMTP_RESULT_UNREACHED:
		return ATTEMPT_UNREACHED;
	case SMTP_RESULT_LOST:
		return ATTEMPT_LOST;
	}
	return ATTEMPT_LOST;
}

/* Our own refusal says nothing a sender could mend: the site's limits are the operator's to look at. */
static enum disposition dispose_own(enum site_phase phase)
{
	return phase == PHASE_UP	  ? DISPOSE_DECIDE
	       : phase == PHASE_PROBATION ? DISPOSE_RETRY
					  : DISPOSE_HOLD;
}

static enum disposition dispose(const struct job *j, const struct msg_lease_rcpt *r,
				const struct smtp_rcpt_result *result, const struct job_end *end)
{
	enum site_phase phase =
		j->lease.phase <= PHASE_UP ? (enum site_phase)j->lease.phase : PHASE_DOWN;
	enum attempt attempt = attempt_of(result->result);
	const struct verdict_in in = {
		.phase = phase,
		.known = r->known_good ? KNOWN_GOOD : KNOWN_NOT,
		.attempt = attempt,
		.sender_verified = j->lease.sender_verified,
		.wants_no_dsn =
			!j->lease.sender.n || (r->notify & 1) || (r->notify && !(r->notify & 4)),
		.refusals_24h = r->refusals_24h + (attempt == ATTEMPT_5XX),
		.lifetime_over = j->lease.lifetime_over,
		.is_world = world_is_destination(j->lease.site),
		.unsure_before = r->unsure_before,
	};

	if (end->set_aside || end->damage)
		return result->result == SMTP_RESULT_ACCEPTED ? DISPOSE_DELIVERED : DISPOSE_DECIDE;
	return result->is_local && !in.is_world ? dispose_own(phase) : verdict(&in);
}

static void count(enum disposition d, enum attempt attempt)
{
	switch (d) {
	case DISPOSE_DELIVERED:
		say_count(&courier_metric_delivered, 1);
		return;
	case DISPOSE_HOLD:
		say_count(attempt == ATTEMPT_UNREACHED ? &courier_metric_unreached
						       : &courier_metric_deferred,
			  1);
		return;
	case DISPOSE_RETRY:
		say_count(&courier_metric_deferred, 1);
		return;
	case DISPOSE_DECIDE:
	case DISPOSE_DSN:
		say_count(&courier_metric_refused, 1);
		return;
	case DISPOSE_UNSURE:
		say_count(&courier_metric_unsure, 1);
		return;
	}
}

/* RFC 3461 s5.2.2: a wanted success notice is ours when the next server does not know DSN. No backscatter either way. */
static bool wants_relayed(const struct job *j, const struct msg_lease_rcpt *r,
			  const struct job_end *end)
{
	return (r->notify & 2) && !(r->notify & 1) && j->lease.sender.n &&
	       j->lease.sender_verified && end->client && smtp_client_dsn_passed_on(end->client);
}

/* RFC 5321 s4.5.4.1: an author hears once that it takes long. */
static bool is_delay_due(const struct job *j, const struct msg_lease_rcpt *r)
{
	uint64_t now_us = os_wall_us(j->c->os), delay_us = DELAY_S * 1000000ull;

	return world_is_destination(j->lease.site) && j->lease.sender_verified &&
	       j->lease.sender.n && !r->delay_told && !(r->notify & 1) &&
	       (!r->notify || (r->notify & 8)) && j->lease.received_us &&
	       now_us > j->lease.received_us && now_us - j->lease.received_us >= delay_us;
}

/* ---- the group ---- */

struct line {
	struct msg_rcpt_outcome outcome;
	enum smtp_stage stage;
};

/* True when the notification is part of the group; without one a DSN disposition must not stand. */
static bool add_notice(struct outcome *o, struct job *j, const struct msg_lease_rcpt *rcpt,
		       const struct smtp_rcpt_result *result, const char *host, bool is_delay)
{
	const struct notice_facts facts = {
		.rcpt = rcpt,
		.action = is_delay				   ? DSN_DELAYED
			  : result->result != SMTP_RESULT_ACCEPTED ? DSN_FAILED
								   : DSN_RELAYED,
		.code = result->code,
		.enhanced = result->enhanced,
		.text = result->text,
		.host = host,
	};
	struct buf meta = {0}, body = {0};
	struct outcome_record *r;

	if (!notice_make(j, &facts, &meta, &body)) {
		buf_fini(&meta);
		buf_fini(&body);
		return false;
	}
	r = add_record(o, RECORD_MESSAGE);
	r->meta = meta;
	r->body = body;
	say_count(&courier_metric_notices, 1);
	return true;
}

static struct smtp_rcpt_result result_of(const struct job_end *end, size_t at)
{
	struct smtp_rcpt_result r = end->client ? smtp_client_result(end->client, at) : end->all;

	if (end->damage && r.result == SMTP_RESULT_UNREACHED) {
		r.result = SMTP_RESULT_5XX;
		r.code = 0;
		r.enhanced = "";
		r.text = end->damage;
		r.is_local = true;
	}
	return r;
}

static void add_line(struct outcome *o, struct job *j, const struct job_end *end, size_t at,
		     struct line *out)
{
	const struct msg_lease_rcpt *rcpt = &j->lease.rcpts[j->first + at];
	struct smtp_rcpt_result r = result_of(end, at);
	enum attempt attempt = attempt_of(r.result);
	enum disposition d = dispose(j, rcpt, &r, end);
	bool is_delay = d == DISPOSE_RETRY && is_delay_due(j, rcpt);
	bool notify = is_delay || d == DISPOSE_DSN ||
		      (d == DISPOSE_DELIVERED && wants_relayed(j, rcpt, end));

	if (notify && !add_notice(o, j, rcpt, &r, end->host, is_delay) && d == DISPOSE_DSN)
		d = DISPOSE_DECIDE;
	count(d, attempt);
	if (end->client && !end->set_aside && !end->damage && !r.is_local)
		note_result(j, end->host, attempt, rcpt->known_good);
	out->stage = r.stage;
	out->outcome = (struct msg_rcpt_outcome){
		.rcpt = rcpt->rcpt,
		.attempt = (uint8_t)attempt,
		.disposition = (uint8_t)d,
		.code = r.code,
		.enhanced = span_str(r.enhanced),
		.text = span_str(r.text),
		.queue_id = attempt == ATTEMPT_ACCEPTED && end->client
				    ? span_str(smtp_client_queue_id(end->client))
				    : SPAN_NONE,
	};
}

/* One OUTCOME for all recipients whose answer belongs to this stage. */
static void add_stage(struct outcome *o, const struct job *j, const struct job_end *end,
		      const struct line *lines, enum smtp_stage stage)
{
	struct msg_rcpt_outcome rcpts[COURIER_RCPTS];
	struct msg_outcome_meta meta = {
		.lease = j->lease.lease,
		.number = j->lease.number,
		.rcpts = rcpts,
		.host = span_str(end->host),
		.stage = span_str(smtp_stage_name(stage)),
		.phase = j->lease.phase,
		.courier = span_str(role_full_name(j->c->role)),
	};

	for (size_t i = 0; i < j->batch; i++) {
		if (lines[i].stage == stage)
			rcpts[meta.rcpts_n++] = lines[i].outcome;
	}
	if (meta.rcpts_n)
		msg_outcome_meta_encode(&add_record(o, RECORD_OUTCOME)->meta, &meta);
}

void record_outcome(struct job *j, const struct job_end *end)
{
	struct outcome *o = must_alloc(sizeof *o);
	struct line lines[COURIER_RCPTS];

	must(j->batch && j->batch <= COURIER_RCPTS);
	j->owes_outcome = false;
	o->job = j;
	o->again = loop_timer_new(j->c->loop, on_again, o);
	for (size_t i = 0; i < j->batch; i++)
		add_line(o, j, end, i, &lines[i]);
	for (unsigned stage = SMTP_STAGE_CONNECT; stage <= SMTP_STAGE_QUIT; stage++)
		add_stage(o, j, end, lines, (enum smtp_stage)stage);
	j->awaited++;
	append_outcome(o);
}

/*
 * A job is one lease from the clerk's message to LeaseDone. It ends when all its recipients were
 * offered and all its records are durable; or it lapses, when nothing was offered.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "role/common/role.h"
#include "role/courier/courier.h"
#include "say/say.h"

static struct span job_key(const struct job *j)
{
	return map_key_u64(&j->lease.lease);
}

static void job_free(struct job *j)
{
	list_remove(&j->at);
	(void)map_remove(&j->c->jobs, job_key(j));
	say_set(&courier_metric_leases, j->c->jobs.n);
	tell_room_soon(j->c);
	courier_check_end(j->c);
	sign_forget(j);
	buf_fini(&j->signatures);
	arena_fini(&j->arena);
	free(j);
}

void job_lapse(struct job *j, const char *reason)
{
	must(!j->awaited && !j->session);
	tell_lease_done(j->c, j, reason);
	job_free(j);
}

/* Records the same end for every recipient that has none yet. */
static void end_rest(struct job *j, const struct job_end *end)
{
	/* All of them, batch by batch: job_end_batch does not put a job without a site back. */
	j->site = NULL;
	while (j->first < j->lease.rcpts_n) {
		size_t rest = j->lease.rcpts_n - j->first;

		j->batch = rest < COURIER_RCPTS ? rest : COURIER_RCPTS;
		record_outcome(j, end);
		j->first += j->batch;
	}
}

static void end_unoffered(struct job *j, const char *set_aside, const char *damage)
{
	const struct job_end end = {
		.all = {.result = set_aside ? SMTP_RESULT_5XX : SMTP_RESULT_UNREACHED,
			.stage = SMTP_STAGE_CONNECT,
			.is_local = true,
			.enhanced = "",
			.text = set_aside ? set_aside : ""},
		.host = "",
		.damage = damage,
		.set_aside = set_aside,
	};

	end_rest(j, &end);
}

void job_give_back(struct job *j, const char *reason)
{
	const struct job_end end = {
		.all = {.result = SMTP_RESULT_UNREACHED,
			.stage = SMTP_STAGE_CONNECT,
			.enhanced = "",
			.text = reason},
		.host = "",
	};

	must(!j->session);
	if (j->owes_outcome)
		end_rest(j, &end);
	else if (!j->awaited)
		job_lapse(j, reason);
}

void job_end_unsent(struct job *j, const struct smtp_rcpt_result *all, const char *host)
{
	const struct job_end end = {.all = *all, .host = host};

	must(!j->session);
	if (job_open(j))
		end_rest(j, &end);
}

void job_settle(struct job *j)
{
	if (j->awaited || j->session || !list_is_empty(&j->at))
		return;
	if (j->owes_outcome)
		job_give_back(j, "the connection was lost before the message was sent");
	else
		job_lapse(j, j->recorded ? "" : "nothing was offered");
}

static bool lease_is_good(const struct courier *c, const struct job *j)
{
	return j->lease.rcpts_n && !map_get(&c->jobs, job_key(j)) && c->jobs.n < 4 * COURIER_JOBS;
}

/* The lease's bytes die with the message: decode a copy. */
static bool read_lease(struct job *j, struct span body)
{
	struct span copy = arena_span(&j->arena, body);

	return copy.p && msg_lease_decode(&j->arena, copy, &j->lease);
}

void job_new(struct courier *c, struct span lease_body)
{
	struct job *j = must_alloc(sizeof *j);
	char text[300];

	j->c = c;
	j->granted_us = loop_now_us(c->loop);
	list_init(&j->at);
	arena_init(&j->arena, 8 << 20);
	if (!read_lease(j, lease_body) || !lease_is_good(c, j)) {
		say(SAY_WARNING, "lease.refused", "lease", SAY_U64(j->lease.lease), NULL);
		tell_lease_done(c, j, "the courier has no room");
		arena_fini(&j->arena);
		free(j);
		return;
	}
	(void)map_put(&c->jobs, job_key(j), j);
	say_set(&courier_metric_leases, c->jobs.n);
	if (j->lease.set_aside.n) {
		(void)snprintf(text, sizeof text, "%.*s",
			       SPAN_FMT(span_first(j->lease.set_aside, sizeof text - 1)));
		end_unoffered(j, text, NULL);
		return;
	}
	j->site = c->is_stopping ? NULL : site_for_lease(c, &j->lease);
	if (!j->site) {
		job_lapse(j, c->is_stopping ? "the courier is stopping"
					    : "the site is not in the configuration");
		return;
	}
	if (!j->site->is_world)
		site_put(j->site, j);
	else if (!job_open(j))
		return; /* damaged: taken care of */
	else if (sign_is_needed(j))
		sign_start(j);
	else
		site_put(j->site, j);
}

/* The bytes are not there or not what was stored: an operator must know; never bad bytes (K4). */
static void job_damaged(struct job *j, const char *why)
{
	char text[600];

	say_count(&courier_metric_damaged, 1);
	say(SAY_ERROR, "message.damaged", "id", SAY_SPAN(j->lease.id), "number",
	    SAY_U64(j->lease.number), "why", SAY_STR(why), NULL);
	(void)snprintf(text, sizeof text, "the stored message cannot be read: %s", why);
	end_unoffered(j, NULL, text);
}

bool job_open(struct job *j)
{
	const struct record_ref ref = {j->lease.lane_id, j->lease.segment, j->lease.offset};
	struct fault why = {0};
	struct record record;
	struct span meta;
	enum rc rc;

	if (j->is_open)
		return true;
	rc = ledger_read(j->c->reader, ref, &record, &why);
	if (rc == OK && record.type != RECORD_MESSAGE) {
		fault_set(&why, "the record at this place is no message");
		rc = REFUSED;
	}
	if (rc == OK) {
		meta = arena_span(&j->arena, record.meta);
		if (!meta.p || !msg_message_meta_decode(&j->arena, meta, &j->meta)) {
			fault_set(&why, "its envelope does not decode");
			rc = REFUSED;
		}
	}
	if (rc != OK) {
		job_damaged(j, why.text);
		return false;
	}
	j->lease.body_bytes = record.body_bytes;
	j->is_open = true;
	return true;
}

void job_intend(struct job *j, const char *host)
{
	record_intent(j, host);
}

void job_end_batch(struct job *j, const struct job_end *end)
{
	j->session = NULL;
	record_outcome(j, end);
	j->first += j->batch;
	j->batch = 0;
	j->intent = INTENT_NONE;
	if (j->first < j->lease.rcpts_n && !j->c->is_stopping && j->c->clerk)
		site_put_back(j->site, j);
}

/*
 * What stands in the lane of going home: ACT records with verb "home" and a HomeStep. An intent that the disk refuses keeps
 * the APPEND from being sent; results are appended until the disk takes them, as outcomes are.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/common/role.h"
#include "role/courier/home.h"
#include "say/say.h"

#define RETRY_US 1000000u

struct step_record {
	struct home *home;
	struct buf meta;
	struct loop_timer *again;
	bool intends;
};

static void step_free(struct step_record *s)
{
	loop_timer_free(s->again);
	buf_fini(&s->meta);
	free(s);
}

static void on_done(void *arg, const struct lane_result *result);

static void append(void *arg)
{
	struct step_record *s = arg;
	struct record_new record = {.type = RECORD_ACT,
				    .received_us = os_wall_us(s->home->c->os),
				    .meta = buf_span(&s->meta)};

	lane_append(s->home->c->lane, &record, 1, 0, false, on_done, s);
}

static void on_done(void *arg, const struct lane_result *result)
{
	struct step_record *s = arg;
	struct home *h = s->home;

	if (!s->intends && result->rc != OK && !h->c->is_ending) {
		say(SAY_WARNING, "home.result_not_recorded", "result", SAY_STR(rc_name(result->rc)),
		    NULL);
		if (!s->again)
			s->again = loop_timer_new(h->c->loop, append, s);
		loop_timer_set(s->again, RETRY_US);
		return;
	}
	h->awaited--;
	h->recorded |= result->rc == OK;
	if (s->intends)
		h->work.intend = result->rc == OK ? INTEND_OK : INTEND_FAILED;
	step_free(s);
	home_drive(h);
}

static void encode_step(struct home *h, struct msg_home_result *results, size_t n, bool intends,
			struct buf *out)
{
	const struct msg_home_step step = {.lease = h->lease.lease,
					   .account = h->lease.account,
					   .name = h->lease.name,
					   .site = h->lease.site,
					   .intends = intends,
					   .courier = span_str(role_full_name(h->c->role)),
					   .results = results,
					   .results_n = n};
	struct buf detail = {0};
	struct msg_act_meta act = {
		.verb = SPAN_LIT("home"), .object = h->lease.name, .argument = h->lease.site};

	msg_home_step_encode(&detail, &step);
	act.actor = step.courier;
	act.detail = buf_span(&detail);
	msg_act_meta_encode(out, &act);
	buf_fini(&detail);
}

static void record(struct home *h, struct msg_home_result *results, size_t n, bool intends)
{
	struct step_record *s = must_alloc(sizeof *s);

	s->home = h;
	s->intends = intends;
	encode_step(h, results, n, intends, &s->meta);
	h->awaited++;
	append(s);
}

/* ---- the notice ---- */

static void on_notice(void *arg, const struct lane_result *result)
{
	struct home *h = arg;

	h->awaited--;
	h->recorded |= result->rc == OK;
	home_end(h, result->rc == OK ? 0 : 2,
		 result->rc == OK ? "" : "the disk did not take the message");
	home_drive(h);
}

void home_record_notice(struct home *h)
{
	uint64_t now_us = os_wall_us(h->c->os);
	struct record_new records[2] = {{.type = RECORD_MESSAGE, .received_us = now_us},
					{.type = RECORD_ACT, .received_us = now_us}};
	struct msg_home_result *results =
		arena_array(&h->arena, h->lease.items_n + 1, sizeof *results);
	struct buf meta = {0}, body = {0}, step = {0};

	must(results);
	home_notice_make(h, &meta, &body);
	for (size_t i = 0; i < h->lease.items_n; i++) {
		const struct msg_home_item *item = &h->lease.items[i];

		results[i] = (struct msg_home_result){
			.number = item->number,
			.form = item->form,
			.copy = item->copy,
			.version = item->version,
			.result = HOME_DONE,
			.did = HOME_DID_MAIL,
			.text = SPAN_LIT("sent to the person as a message")};
	}
	encode_step(h, results, h->lease.items_n, false, &step);
	records[0].meta = buf_span(&meta);
	records[0].body = body;
	records[1].meta = buf_span(&step);
	h->awaited++;
	lane_append(h->c->lane, records, 2, 0, true, on_notice, h);
	buf_fini(&meta);
	buf_fini(&step);
}

static struct msg_home_result result_of(const struct home *h)
{
	const struct msg_home_item *i = &h->lease.items[h->item];

	return (struct msg_home_result){.number = i->number,
					.form = i->form,
					.copy = i->copy,
					.version = i->version,
					.to_box = i->to_box};
}

void home_record_intent(struct home *h)
{
	struct msg_home_result r = result_of(h);

	h->work.intend = INTEND_PENDING;
	record(h, &r, 1, true);
}

void home_record_result(struct home *h, enum home_result result, uint32_t uidvalidity, uint32_t uid,
			const char *text)
{
	struct msg_home_result r = result_of(h);

	r.result = (uint8_t)result;
	r.did = h->work.did;
	r.retry_ms = result == HOME_LATER ? home_retry_ms(h->lease.items[h->item].tries) : 0;
	r.folder =
		arena_span(&h->arena, span_str(h->work.target[0] ? h->work.target : h->selected));
	r.uidvalidity = uidvalidity;
	r.uid = uid;
	r.text = arena_span(&h->arena, span_str(text));
	if (result != HOME_DONE)
		say(SAY_INFO, "home.not_done", "account", SAY_SPAN(h->lease.name), "number",
		    SAY_U64(r.number), "why", SAY_STR(text), NULL);
	h->results[h->results_n++] = r;
	if (h->results_n == HOME_RESULTS_BATCH)
		home_record_flush(h);
}

void home_record_flush(struct home *h)
{
	if (h->results_n)
		record(h, h->results, h->results_n, false);
	h->results_n = 0;
}

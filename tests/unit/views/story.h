/*
 * A ledger in memory for the tests of the views: records are written down as a story, then applied in batches of any
 * size, to any number of databases.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../scratch.h"
#include "base/must.h"
#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "os/os.h"
#include "views/apply.h"

enum {
	STORY_MAX = 4096,
	STORY_ROOM = 40100,
	LANE_EDGE = 11,
	LANE_COURIER = 22,
	LANE_COURIER_2 = 33,
	LANE_WATCH = 44
};

struct story {
	struct {
		struct order_entry e;
		enum record_type type;
		uint64_t at_us, body_bytes;
		struct buf meta;
	} records[STORY_ROOM];
	size_t n;
	uint64_t now_us;
};

static const uint64_t SECOND = 1000000;

static inline struct story *story_new(void)
{
	struct story *s = must_alloc(sizeof *s);

	s->now_us = 1700000000 * SECOND;
	return s;
}

static inline void story_free(struct story *s)
{
	for (size_t i = 0; i < s->n; i++)
		buf_fini(&s->records[i].meta);
	free(s);
}

/* Takes meta over. The number of the record. */
static inline uint64_t story_add(struct story *s, uint32_t lane, enum record_type type,
				 struct buf meta, uint64_t body_bytes)
{
	size_t i = s->n++;

	must(i < STORY_ROOM);
	s->now_us += SECOND / 100;
	s->records[i].type = type;
	s->records[i].at_us = s->now_us;
	s->records[i].body_bytes = body_bytes;
	s->records[i].meta = meta;
	s->records[i].e =
		(struct order_entry){.number = i,
				     .type = type,
				     .seq = i,
				     .ref = {.lane_id = lane, .segment = 1, .offset = i * 4096}};
	return i;
}

static inline void story_id(uint64_t number, char out[33])
{
	snprintf(out, 33, "%016llx%016llx", (unsigned long long)queue_mix(number + 1),
		 (unsigned long long)number);
}

/* Recipients: "a@x.example" strings, NULL at the end. All of this site. */
static inline uint64_t story_message(struct story *s, const char *site, const char *sender,
				     uint64_t bytes, ...)
{
	struct msg_rcpt rcpts[8] = {0};
	struct msg_message_meta m = {.sender = span_str(sender), .rcpts = rcpts};
	struct buf b = {0};
	char id[33];
	const char *to;
	va_list list;

	va_start(list, bytes);
	while ((to = va_arg(list, const char *)) != NULL) {
		struct span address = span_str(to);

		rcpts[m.rcpts_n++] = (struct msg_rcpt){
			.address = address,
			.site = span_str(site),
			.domain = span_from(address, (size_t)span_rchr(address, '@') + 1)};
	}
	va_end(list);
	story_id(s->n, id);
	m.id = span_str(id);
	m.subject = SPAN_LIT("hello");
	m.trace = SPAN_LIT("Received: from x\r\n");
	msg_message_meta_encode(&b, &m);
	return story_add(s, LANE_EDGE, RECORD_MESSAGE, b, bytes);
}

/* A copy (origin 4), or what a person put into a mailbox (2), for one recipient of the site. */
static inline uint64_t story_kept(struct story *s, const char *site, uint8_t origin,
				  const char *rcpt)
{
	struct msg_rcpt r = {
		.address = span_str(rcpt), .domain = SPAN_LIT("x.example"), .site = span_str(site)};
	struct msg_message_meta m = {.id = SPAN_LIT("00000000000000000000000000000c0b"),
				     .rcpts = &r,
				     .rcpts_n = 1,
				     .origin = origin};
	struct buf b = {0};

	msg_message_meta_encode(&b, &m);
	return story_add(s, LANE_EDGE, RECORD_MESSAGE, b, 100);
}

static inline uint64_t story_act(struct story *s, const char *id, const char *verb,
				 const char *object, const char *argument)
{
	struct msg_act_meta m = {.id = span_str(id),
				 .verb = span_str(verb),
				 .object = span_str(object),
				 .argument = span_str(argument),
				 .reason = SPAN_LIT("because"),
				 .actor = SPAN_LIT("test")};
	struct buf b = {0};

	msg_act_meta_encode(&b, &m);
	return story_add(s, LANE_WATCH, RECORD_ACT, b, 0);
}

static inline uint64_t story_site(struct story *s, const char *site, const char *state)
{
	return story_act(s, "", "site.state", site, state);
}

static inline uint64_t story_intent(struct story *s, uint32_t lane, uint64_t lease, uint64_t number,
				    uint32_t rcpt)
{
	struct msg_intent_meta m = {.lease = lease,
				    .number = number,
				    .rcpts = &rcpt,
				    .rcpts_n = 1,
				    .host = SPAN_LIT("mx")};
	struct buf b = {0};

	msg_intent_meta_encode(&b, &m);
	return story_add(s, lane, RECORD_INTENT, b, 0);
}

static inline uint64_t story_outcome(struct story *s, uint32_t lane, uint64_t lease,
				     uint64_t number, uint32_t rcpt, enum attempt attempt,
				     enum disposition disposition)
{
	static const uint16_t codes[] = {[ATTEMPT_ACCEPTED] = 250,
					 [ATTEMPT_4XX] = 451,
					 [ATTEMPT_5XX] = 550,
					 [ATTEMPT_UNREACHED] = 0,
					 [ATTEMPT_LOST] = 0};
	struct msg_rcpt_outcome o = {.rcpt = rcpt,
				     .attempt = (uint8_t)attempt,
				     .disposition = (uint8_t)disposition,
				     .code = codes[attempt],
				     .enhanced = SPAN_LIT("5.1.1"),
				     .text = SPAN_LIT("so it says")};
	struct msg_outcome_meta m = {.lease = lease,
				     .number = number,
				     .rcpts = &o,
				     .rcpts_n = 1,
				     .host = SPAN_LIT("mx.x.example"),
				     .stage = SPAN_LIT("rcpt"),
				     .phase = PHASE_UP,
				     .courier = SPAN_LIT("courier-0")};
	struct buf b = {0};

	msg_outcome_meta_encode(&b, &m);
	return story_add(s, lane, RECORD_OUTCOME, b, 0);
}

static inline uint64_t story_fact(struct story *s, const char *kind, const char *scope,
				  const char *key, const char *value)
{
	struct msg_fact fact = {.key = span_str(key), .value = span_str(value)};
	struct msg_directory_meta m = {.kind = span_str(kind),
				       .scope = span_str(scope),
				       .facts = &fact,
				       .facts_n = 1,
				       .source = SPAN_LIT("configuration")};
	struct buf b = {0};

	msg_directory_meta_encode(&b, &m);
	return story_add(s, LANE_WATCH, RECORD_DIRECTORY, b, 0);
}

/* Applies up to and not including `until`, in batches of at most `batch`. */
static inline void story_apply(const struct story *s, struct views *v, size_t until, size_t batch)
{
	struct fault why = {0};

	while (views_next(v) < until) {
		assert_int_equal(views_begin(v, &why), OK);
		for (size_t i = 0; i < batch && views_next(v) < until; i++) {
			size_t at = (size_t)views_next(v);
			struct record r = {.type = s->records[at].type,
					   .ref = s->records[at].e.ref,
					   .seq = s->records[at].e.seq,
					   .received_us = s->records[at].at_us,
					   .body_bytes = s->records[at].body_bytes,
					   .meta = buf_span(&s->records[at].meta)};

			if (views_apply(v, &s->records[at].e, &r, &why) != OK)
				fail_msg("record %zu: %s", at, why.text);
		}
		if (views_commit(v, &why) != OK)
			fail_msg("commit: %s", why.text);
	}
	if (views_check(v, &why) != OK)
		fail_msg("%s", why.text);
}

/* A folder of its own for a database. */
static inline char *story_dir(void)
{
	char *dir = must_strdup("/tmp/hf-views-XXXXXX");

	must(mkdtemp(dir));
	scratch_remember(dir);
	return dir;
}

static inline void story_rm(char *dir)
{
	char command[256];

	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	must(system(command) == 0);
	free(dir);
}

static inline struct views *story_open(const char *dir, bool *out_is_new)
{
	static struct queue_schedule schedule;
	struct fault why = {0};
	struct views *v = NULL;
	bool is_new;

	queue_schedule_default(&schedule);
	if (views_open_write(os_real(), dir, &schedule, NULL, &v, &is_new, &why) != OK)
		fail_msg("open: %s", why.text);
	if (out_is_new)
		*out_is_new = is_new;
	assert_int_equal(views_publish(v, os_real(), &why), OK);
	return v;
}

static inline char *story_dump(struct views *v)
{
	struct buf b = {0};
	struct fault why = {0};
	char *text;

	assert_int_equal(views_dump(v, &b, &why), OK);
	text = must_strdup(buf_cstr(&b));
	buf_fini(&b);
	return text;
}

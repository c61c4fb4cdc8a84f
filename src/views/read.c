/* What others ask: sites, history, verdicts. */
#include "views/internal.h"

static void drain_from(sqlite3_stmt *q, int c, struct views_drain *d)
{
	d->is_open = views_int(q, c) != 0;
	d->began_us = (uint64_t)views_int(q, c + 1);
	d->total = (uint64_t)views_int(q, c + 2);
	d->handed_back = (uint64_t)views_int(q, c + 3);
	d->unsure = (uint64_t)views_int(q, c + 4);
	d->decide = (uint64_t)views_int(q, c + 5);
	d->deferred = (uint64_t)views_int(q, c + 6);
	d->returned = (uint64_t)views_int(q, c + 7);
	d->discarded = (uint64_t)views_int(q, c + 8);
	d->receipt = views_text(q, c + 9);
}

enum rc views_each_site(struct views *v, bool (*on_site)(void *arg, const struct views_site *s),
			void *arg, struct fault *why)
{
	/* Oldest: the heads of the indexes by state; only what is deferred or offered has to be looked through. */
	sqlite3_stmt *q = views_sql(
		v,
		"SELECT id, name, kind, phase, state, since_us, reason, stopped, up_us, ready, "
		"offered, deferred,"
		" decide, bytes, done, o_open, o_began_us, o_total, o_handed, o_unsure, "
		"o_decide, o_deferred,"
		" o_returned, o_discarded, o_receipt, (SELECT received_us FROM message WHERE "
		"number = (SELECT min(n)"
		" FROM (SELECT min(number) n FROM delivery WHERE site = t.id AND state = 0"
		" UNION ALL SELECT min(number) FROM delivery WHERE site = t.id AND state = 2"
		" UNION ALL SELECT min(number) FROM delivery WHERE site = t.id AND state = 3"
		" UNION ALL SELECT min(number) FROM delivery INDEXED BY delivery_offered"
		"  WHERE state = 1 AND site = t.id)))"
		" FROM site t WHERE (kind IN (0, 2) OR ready + offered + deferred + decide > 0)"
		" AND (kind = 0 OR ready + offered + deferred + decide > 0) ORDER BY kind, name");

	while (views_row(v, q)) {
		struct views_site s = {
			.name = views_text(q, 1),
			.is_redirect =
				views_int(q, 2) == SITE_REDIRECT || views_int(q, 2) == SITE_WORLD,
			.phase = (enum site_phase)views_int(q, 3),
			.state = views_text(q, 4),
			.since_us = (uint64_t)views_int(q, 5),
			.reason = views_text(q, 6),
			.stopped = views_text(q, 7),
			.ready = (uint64_t)views_int(q, 9),
			.offered = (uint64_t)views_int(q, 10),
			.deferred = (uint64_t)views_int(q, 11),
			.decide = (uint64_t)views_int(q, 12),
			.held_bytes = (uint64_t)views_int(q, 13),
			.done = (uint64_t)views_int(q, 14),
			.oldest_us = (uint64_t)views_int(q, 25),
		};

		s.held = s.ready + s.offered + s.deferred + s.decide;
		drain_from(q, 15, &s.drain);
		s.drain.up_us = (uint64_t)views_int(q, 8);
		if (!on_site(arg, &s))
			break;
	}
	views_done(q);
	return views_end(v, why);
}

enum rc views_continuity(struct views *v, struct span domain, struct views_continuity *out,
			 struct fault *why)
{
	/* A site may have the name of its domain: then both orders are of the site's. */
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT f.value, g.value FROM fact f JOIN fact g ON g.kind = f.kind AND g.scope ="
		" f.scope AND g.key = 'since' WHERE f.kind = 'continuity' AND f.key = 'state' AND"
		" f.scope IN (?1, (SELECT site FROM domain WHERE name = ?1))"
		" ORDER BY f.scope != ?1 LIMIT 1",
		"s", domain);

	*out = (struct views_continuity){0};
	if (views_row(v, q)) {
		out->is_on = span_eq(views_text(q, 0), SPAN_LIT("on"));
		(void)span_to_u64(views_text(q, 1), INT64_MAX, &out->since_us);
	}
	views_done(q);
	return views_end(v, why);
}

void views_act_from(sqlite3_stmt *q, struct views_act *a)
{
	*a = (struct views_act){
		.number = (uint64_t)views_int(q, 0),
		.at_us = (uint64_t)views_int(q, 1),
		.id = views_text(q, 2),
		.verb = views_text(q, 3),
		.object = views_text(q, 4),
		.argument = views_text(q, 5),
		.reason = views_text(q, 6),
		.actor = views_text(q, 7),
		.class = views_text(q, 8),
		.until_us = (uint64_t)views_int(q, 9),
		.confidence = (uint32_t)views_int(q, 10),
		.is_judged = views_int(q, 11) != 0,
		.ok = views_int(q, 12) != 0,
		.count = (uint64_t)views_int(q, 13),
		.result = views_text(q, 14),
	};
}

enum rc views_history(struct views *v, uint32_t last,
		      bool (*on_act)(void *arg, const struct views_act *a), void *arg,
		      struct fault *why)
{
	sqlite3_stmt *q =
		views_bind(v,
			   "SELECT * FROM (SELECT " HISTORY_COLUMNS ", line FROM history"
			   " ORDER BY number DESC, line DESC LIMIT ?) ORDER BY number, line",
			   "i", I(last));

	while (views_row(v, q)) {
		struct views_act a;

		views_act_from(q, &a);
		if (!on_act(arg, &a))
			break;
	}
	views_done(q);
	return views_end(v, why);
}

enum rc views_act_result(struct views *v, struct span act_id,
			 bool (*on_act)(void *arg, const struct views_act *a), void *arg,
			 struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v, "SELECT " HISTORY_COLUMNS " FROM history WHERE id = ? AND id != '' LIMIT 1", "s",
		act_id);
	struct views_act a;
	enum rc rc;

	if (!views_row(v, q)) {
		rc = views_end(v, why);
		return rc == OK ? MORE : rc;
	}
	views_act_from(q, &a);
	(void)on_act(arg, &a);
	views_done(q);
	return views_end(v, why);
}

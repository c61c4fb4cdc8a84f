/*
 * The sites in memory, and their rows. A row stays for ever, so that ids do; what is in memory follows what is open: a
 * destination of the world, or a host mail was redirected to, is forgotten at the commit that finds nothing open there,
 * and read again when a record names it. So the content is the same whoever is in memory (V1).
 */
#include <stdlib.h>

#include "base/must.h"
#include "views/internal.h"

void site_text(char **where, struct span text)
{
	char *copy = must_alloc(text.n + 1);

	if (text.n)
		memcpy(copy, text.p, text.n);
	free(*where);
	*where = copy;
}

#define IS_OPEN                                                                                    \
	"kind IN (0, 2) OR ready + offered + deferred + decide > 0" /* as the index site_open */

static struct site *known(const struct views *v, uint64_t id)
{
	return map_get(&v->site_by_id, map_key_u64(&id));
}

static struct site *add(struct views *v, uint32_t id, struct span name, enum site_kind kind)
{
	struct site *s = must_alloc(sizeof *s);
	uint64_t key = id;

	s->id = id;
	s->kind = kind;
	site_text(&s->name, name);
	site_text(&s->state, SPAN_LIT("unknown"));
	site_text(&s->reason, SPAN_NONE);
	site_text(&s->stopped, SPAN_NONE);
	site_text(&s->receipt, SPAN_NONE);
	v->sites = realloc(v->sites, (v->sites_n + 1) * sizeof *v->sites);
	must(v->sites);
	v->sites[v->sites_n++] = s;
	map_put(&v->site_by_name, span_str(s->name), s);
	map_put(&v->site_by_id, map_key_u64(&key), s);
	return s;
}

static struct site *from_row(struct views *v, sqlite3_stmt *q)
{
	struct site *s = add(v, (uint32_t)views_int(q, 0), views_text(q, 1),
			     (enum site_kind)views_int(q, 2));
	int c = 3;

	s->phase = (enum site_phase)views_int(q, c++);
	site_text(&s->state, views_text(q, c++));
	s->since_us = (uint64_t)views_int(q, c++);
	site_text(&s->reason, views_text(q, c++));
	site_text(&s->stopped, views_text(q, c++));
	s->up_us = (uint64_t)views_int(q, c++);
	s->up_number = (uint64_t)views_int(q, c++);
	for (int i = 0; i <= QUEUE_DECIDE; i++)
		s->open[i] = views_int(q, c++);
	s->bytes = views_int(q, c++);
	s->done = views_int(q, c++);
	s->o_open = views_int(q, c++) != 0;
	s->o_began_us = (uint64_t)views_int(q, c++);
	s->o_began_number = (uint64_t)views_int(q, c++);
	s->o_total = views_int(q, c++);
	s->o_handed = views_int(q, c++);
	s->o_unsure = views_int(q, c++);
	s->o_decide = views_int(q, c++);
	s->o_deferred = views_int(q, c++);
	s->o_returned = views_int(q, c++);
	s->o_discarded = views_int(q, c++);
	site_text(&s->receipt, views_text(q, c++));
	return s;
}

/* It was forgotten and is wanted again. */
static struct site *read_again(struct views *v, sqlite3_stmt *q)
{
	struct site *s;

	if (!views_row(v, q))
		return NULL;
	s = from_row(v, q);
	views_done(q);
	if (v->ops.on_site)
		v->ops.on_site(v->ops.arg, s->id);
	return s;
}

struct site *site_by_id(struct views *v, uint32_t id)
{
	struct site *s = known(v, id);

	if (!s)
		s = read_again(v, views_bind(v, "SELECT * FROM site WHERE id = ?", "i", I(id)));
	if (s)
		return s;
	views_fail(v, SQLITE_CORRUPT, "a site is not there");
	return add(v, id, SPAN_NONE, SITE_NONE); /* to go on with until the call ends */
}

struct site *site_of(struct views *v, struct span name, enum site_kind kind)
{
	struct site *s = map_get(&v->site_by_name, name);

	if (!s && (kind == SITE_WORLD || kind == SITE_REDIRECT))
		s = read_again(v, views_bind(v, "SELECT * FROM site WHERE name = ?", "s", name));
	if (s)
		return s;
	views_run(v,
		  "INSERT INTO site VALUES (NULL, ?, ?, 0, 'unknown', 0, '', '', 0, 0, 0, 0, 0, 0, "
		  "0, 0, 0, 0, 0,"
		  " 0, 0, 0, 0, 0, 0, 0, '')",
		  "si", name, I(kind));
	s = add(v, (uint32_t)sqlite3_last_insert_rowid(v->db), name, kind);
	if (kind == SITE_REDIRECT ||
	    kind == SITE_WORLD) { /* no health state: an operator, or an author, said so */
		s->phase = PHASE_UP;
		site_text(&s->state, SPAN_LIT("up"));
		s->is_dirty = true;
	}
	if (v->ops.on_site)
		v->ops.on_site(v->ops.arg, s->id);
	return s;
}

bool sites_load(struct views *v)
{
	sqlite3_stmt *q = views_sql(v, "SELECT * FROM site WHERE " IS_OPEN " ORDER BY id");

	while (views_row(v, q))
		(void)from_row(v, q);
	return v->rc == OK;
}

void sites_save(struct views *v)
{
	for (size_t i = 0; i < v->sites_n; i++) {
		struct site *s = v->sites[i];

		if (!s->is_dirty)
			continue;
		views_run(v,
			  "UPDATE site SET phase = ?2, state = ?3, since_us = ?4, reason = ?5, "
			  "stopped = ?6,"
			  " up_us = ?7, up_number = ?8, ready = ?9, offered = ?10, deferred = ?11,"
			  " decide = ?12, bytes = ?13, done = ?14, o_open = ?15, o_began_us = ?16,"
			  " o_began_number = ?17, o_total = ?18, o_handed = ?19, o_unsure = ?20,"
			  " o_decide = ?21, o_deferred = ?22, o_returned = ?23, o_discarded = ?24,"
			  " o_receipt = ?25 WHERE id = ?1",
			  "iizizziiiiiiiiiiiiiiiiiiz", I(s->id), I(s->phase), s->state,
			  I(s->since_us), s->reason, s->stopped, I(s->up_us), I(s->up_number),
			  s->open[QUEUE_READY], s->open[QUEUE_OFFERED], s->open[QUEUE_DEFERRED],
			  s->open[QUEUE_DECIDE], s->bytes, s->done, I(s->o_open), I(s->o_began_us),
			  I(s->o_began_number), s->o_total, s->o_handed, s->o_unsure, s->o_decide,
			  s->o_deferred, s->o_returned, s->o_discarded, s->receipt);
		s->is_dirty = false;
	}
}

static void site_free(struct site *s)
{
	free(s->name);
	free(s->state);
	free(s->reason);
	free(s->stopped);
	free(s->receipt);
	free(s);
}

static bool is_empty(const struct site *s)
{
	if ((s->kind != SITE_WORLD && s->kind != SITE_REDIRECT) || s->is_dirty || s->stopped[0])
		return false;
	for (int i = 0; i <= QUEUE_DECIDE; i++)
		if (s->open[i])
			return false;
	return true;
}

void sites_forget(struct views *v)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->sites_n; i++) {
		struct site *s = v->sites[i];
		uint64_t key = s->id;

		if (!is_empty(s)) {
			v->sites[kept++] = s;
			continue;
		}
		if (v->ops.on_site_empty)
			v->ops.on_site_empty(v->ops.arg, s->id);
		map_remove(&v->site_by_id, map_key_u64(&key));
		map_remove(&v->site_by_name, span_str(s->name));
		site_free(s);
	}
	v->sites_n = kept;
}

void sites_free(struct views *v)
{
	for (size_t i = 0; i < v->sites_n; i++)
		site_free(v->sites[i]);
	map_fini(&v->site_by_name, NULL);
	map_fini(&v->site_by_id, NULL);
	free(v->sites);
	v->sites = NULL;
	v->sites_n = 0;
}

size_t views_sites(const struct views *v)
{
	return v->sites_n;
}

void views_site_at(const struct views *v, size_t i, struct views_site_now *out)
{
	const struct site *s;

	must(i < v->sites_n);
	s = v->sites[i];
	*out = (struct views_site_now){
		.id = s->id,
		.name = span_str(s->name),
		.phase = s->phase,
		.is_redirect = s->kind == SITE_REDIRECT,
		.is_world = s->kind == SITE_WORLD,
		.is_stopped = s->stopped[0] != '\0',
		.up_number = s->up_number,
		.ready = (uint64_t)s->open[QUEUE_READY],
		.offered = (uint64_t)s->open[QUEUE_OFFERED],
		.deferred = (uint64_t)s->open[QUEUE_DEFERRED],
		.decide = (uint64_t)s->open[QUEUE_DECIDE],
		.bytes = (uint64_t)s->bytes,
	};
}

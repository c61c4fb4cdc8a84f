/*
 * DIRECTORY records: the clerk knows domains, sites and recipients by them alone. Two sources:
 *
 *   configuration   sets of facts, each of a kind and a scope, written as a whole (`replaces`) when it differs from what
 *                   the lane said last. To see that, a set is folded into a hash, of the configuration and, while
 *                   the lane is read at start, of its records; only hashes are kept.
 *
 *     kind       scope      facts
 *     domain     ""         domain -> site
 *     policy     domain     mode, unknown, learn
 *     recipient  domain     address -> good; "@domain" -> good for a catch-all
 *     site       site       "host:port" -> "priority weight"; tls, concurrency, rate_per_minute, rate_per_hour; imap -> yes,
 *                           no: whether people's changes can go home
 *     limits     ""         queue_lifetime_ms
 *
 *   call-ahead      one fact at a time, from scout: kept once each, at most LEARN_PER_SECOND of them (a dictionary
 *                   attack makes thousands of bad ones), at most WATCH_LEARNED in all.
 */
#include "role/watch/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/must.h"
#include "loop/loop.h"

enum {
	FACTS_OF_RECORD = 2000,
	BYTES_OF_RECORD = 256 << 10,
	LEARN_PER_SECOND = 50,
	LEARN_BURST = 500,
	LEARN_BATCH = 500,
};

struct say_metric watch_learned = {"holdfast_watch_recipients_learned_total",
				   "Recipients learned from the primaries", SAY_COUNTER, 0};
struct say_metric watch_dropped = {"holdfast_watch_recipients_dropped_total",
				   "Recipients not learned: too many at once", SAY_COUNTER, 0};

struct past_set {
	uint64_t hash;
	bool is_asked_for; /* the configuration has this set */
	size_t facts;
};

struct fact {
	struct list on_queue;
	bool is_good;
	size_t n;
	char address[];
};

struct directory {
	struct map sets;      /* "kind\0scope" -> struct past_set */
	struct map known;     /* address -> verdict, as a pointer */
	struct list learning; /* struct fact, to be written soon */
	size_t learning_n;
	uint64_t tokens, filled_us;
	struct loop_timer *timer;
};

/* A set of the configuration under construction: one record at a time. */
struct set {
	struct arena arena;
	struct span kind, scope;
	struct msg_fact *facts;
	size_t n, cap;
};

/* ---- hashes ---- */

static uint64_t fold(uint64_t hash, const struct msg_fact *f)
{
	hash = (hash ^ map_hash(f->key)) * 0x9e3779b97f4a7c15ull;
	return (hash ^ map_hash(f->value)) * 0xc2b2ae3d27d4eb4full;
}

static struct span set_key(struct span kind, struct span scope, char *room, size_t n)
{
	int k = snprintf(room, n, "%.*s%c%.*s", SPAN_FMT(span_first(kind, 32)), 0,
			 SPAN_FMT(span_first(scope, WATCH_NAME_BYTES)));

	return span_of(room, (size_t)k < n ? (size_t)k : n - 1);
}

static struct past_set *set_of(struct directory *d, struct span kind, struct span scope)
{
	char room[WATCH_NAME_BYTES + 40];
	struct span key = set_key(kind, scope, room, sizeof room);
	struct past_set *s = map_get(&d->sets, key);

	if (!s) {
		s = must_alloc(sizeof *s);
		map_put(&d->sets, key, s);
	}
	return s;
}

static void *as_value(bool is_good)
{
	static char good, bad;

	return is_good ? &good : &bad;
}

void directory_past(struct watch *w, const struct msg_directory_meta *m)
{
	struct directory *d = w->directory;
	struct past_set *s;

	if (span_eq(m->kind, SPAN_LIT("limits")) && span_eq(m->source, SPAN_LIT("delivery"))) {
		learned_past(w, m);
		return;
	}
	if (!span_eq(m->source, SPAN_LIT("configuration"))) {
		for (size_t i = 0; i < m->facts_n && d->known.n < WATCH_LEARNED; i++)
			map_put(&d->known, m->facts[i].key,
				as_value(span_eq(m->facts[i].value, SPAN_LIT("good"))));
		return;
	}
	s = set_of(d, m->kind, m->scope);
	if (m->replaces)
		*s = (struct past_set){0};
	s->facts += m->facts_n;
	for (size_t i = 0; i < m->facts_n; i++)
		s->hash = fold(s->hash, &m->facts[i]);
}

/* ---- the configuration's sets ---- */

static void set_begin(struct set *s, struct span kind, struct span scope)
{
	*s = (struct set){.kind = kind, .scope = scope};
	arena_init(&s->arena, 0);
}

static void set_add(struct set *s, struct span key, struct span value)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct msg_fact *more = arena_array(&s->arena, cap, sizeof *more);

		if (s->n)
			memcpy(more, s->facts, s->n * sizeof *more);
		s->facts = more;
		s->cap = cap;
	}
	s->facts[s->n++] = (struct msg_fact){key, value};
}

static void set_add_number(struct set *s, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	set_add(s, span_str(key), arena_span(&s->arena, span_str(text)));
}

static size_t part_of(const struct set *s, size_t from)
{
	size_t n = 0, bytes = 0;

	while (from + n < s->n && n < FACTS_OF_RECORD && bytes < BYTES_OF_RECORD) {
		bytes += s->facts[from + n].key.n + s->facts[from + n].value.n + 16;
		n++;
	}
	return n;
}

/* Writes the set when the lane says something else; ends it. */
static void set_end(struct watch *w, struct set *s)
{
	struct past_set *past = set_of(w->directory, s->kind, s->scope);
	uint64_t hash = 0;
	size_t at = 0;

	for (size_t i = 0; i < s->n; i++)
		hash = fold(hash, &s->facts[i]);
	past->is_asked_for = true;
	if (past->hash != hash || past->facts != s->n) {
		do {
			size_t n = part_of(s, at);
			struct msg_directory_meta m = {.kind = s->kind,
						       .scope = s->scope,
						       .replaces = at == 0,
						       .facts = s->facts + at,
						       .facts_n = n,
						       .source = SPAN_LIT("configuration")};
			struct job *j = job_new(false, NULL, NULL);

			if (s->n == 0)
				m.facts = NULL;
			job_fact(j, &m);
			books_write(w, j);
			at += n;
		} while (at < s->n);
		past->hash = hash;
		past->facts = s->n;
	}
	arena_fini(&s->arena);
}

static void write_domain(struct watch *w, const struct msg_domain *d)
{
	struct set s;

	set_begin(&s, SPAN_LIT("policy"), d->name);
	set_add(&s, SPAN_LIT("mode"), d->mode);
	set_add(&s, SPAN_LIT("unknown"), d->unknown);
	set_add(&s, SPAN_LIT("learn"), d->learn ? SPAN_LIT("yes") : SPAN_LIT("no"));
	set_end(w, &s);
	set_begin(&s, SPAN_LIT("recipient"), d->name);
	for (size_t i = 0; i < d->recipients_n; i++)
		set_add(&s, d->recipients[i], SPAN_LIT("good"));
	for (size_t i = 0; i < d->recipient_files_n; i++) {
		struct span rest = d->recipient_files[i];

		while (rest.n) {
			struct span line = span_trim(span_cut(&rest, '\n'));

			if (line.n)
				set_add(&s, line, SPAN_LIT("good"));
		}
	}
	if (span_eq(d->catch_all, SPAN_LIT("yes"))) {
		char all[WATCH_NAME_BYTES];

		snprintf(all, sizeof all, "@%.*s", SPAN_FMT(d->name));
		set_add(&s, arena_span(&s.arena, span_str(all)), SPAN_LIT("good"));
	}
	set_end(w, &s);
}

static void write_site(struct watch *w, const struct msg_site *m)
{
	char text[WATCH_HOST_BYTES + 16];
	struct set s;

	set_begin(&s, SPAN_LIT("site"), m->name);
	for (size_t i = 0; i < m->primaries_n; i++) {
		const struct msg_primary *p = &m->primaries[i];
		struct span key;

		snprintf(text, sizeof text, "%.*s:%u", SPAN_FMT(p->host), p->port);
		key = arena_span(&s.arena, span_str(text));
		snprintf(text, sizeof text, "%u %u", p->priority, p->weight);
		set_add(&s, key, arena_span(&s.arena, span_str(text)));
	}
	set_add(&s, SPAN_LIT("tls"), m->tls);
	set_add(&s, SPAN_LIT("imap"), m->imap_n ? SPAN_LIT("yes") : SPAN_LIT("no"));
	set_add_number(&s, "concurrency", m->concurrency);
	set_add_number(&s, "rate_per_minute", m->rate_per_minute);
	set_add_number(&s, "rate_per_hour", m->rate_per_hour);
	set_end(w, &s);
}

static void empty_gone_sets(struct watch *w)
{
	struct directory *d = w->directory;
	struct past_set *past;
	size_t cursor = 0;
	struct span key;
	void *value;

	while (map_next(&d->sets, &cursor, &key, &value)) {
		ssize_t at = span_chr(key, 0);
		struct set s;

		past = value;
		if (!past->is_asked_for && past->facts && at > 0) {
			set_begin(&s, span_first(key, (size_t)at), span_from(key, (size_t)at + 1));
			set_end(w, &s);
		}
		past->is_asked_for = false; /* for the next configuration */
	}
}

void directory_write(struct watch *w)
{
	const struct msg_config *c = w->config;
	struct set s;

	set_begin(&s, SPAN_LIT("domain"), SPAN_NONE);
	for (size_t i = 0; i < c->domains_n; i++)
		set_add(&s, c->domains[i].name, c->domains[i].site);
	set_end(w, &s);
	for (size_t i = 0; i < c->sites_n; i++)
		write_site(w, &c->sites[i]);
	for (size_t i = 0; i < c->domains_n; i++)
		write_domain(w, &c->domains[i]);
	set_begin(&s, SPAN_LIT("limits"), SPAN_NONE);
	set_add_number(&s, "queue_lifetime_ms", c->queue_lifetime_ms);
	set_end(w, &s);
	empty_gone_sets(w);
}

/* ---- learned recipients ---- */

static void write_learned(void *arg)
{
	struct watch *w = arg;
	struct directory *d = w->directory;
	struct list *l;

	while ((l = list_shift(&d->learning))) {
		struct fact *f = LIST_ENTRY(l, struct fact, on_queue);
		struct span address = span_of(f->address, f->n);
		struct msg_fact fact = {address, f->is_good ? SPAN_LIT("good") : SPAN_LIT("bad")};
		struct msg_directory_meta m = {
			.kind = SPAN_LIT("recipient"),
			.scope = span_from(address, (size_t)span_rchr(address, '@') + 1),
			.facts = &fact,
			.facts_n = 1,
			.source = SPAN_LIT("call-ahead")};
		struct job *j = job_new(false, NULL, NULL);

		job_fact(j, &m);
		books_write(w, j);
		free(f);
	}
	d->learning_n = 0;
}

static bool take_token(struct watch *w)
{
	struct directory *d = w->directory;
	uint64_t now = loop_now_us(w->loop),
		 more = (now - d->filled_us) * LEARN_PER_SECOND / WATCH_SECOND_US;

	if (more) {
		d->tokens = d->tokens + more > LEARN_BURST ? LEARN_BURST : d->tokens + more;
		d->filled_us = now;
	}
	if (!d->tokens)
		return false;
	d->tokens--;
	return true;
}

static bool is_our_domain(struct watch *w, struct span domain)
{
	for (size_t i = 0; i < w->config->domains_n; i++) {
		if (span_eq(domain, w->config->domains[i].name))
			return true;
	}
	return false;
}

static void learn(struct watch *w, struct span address, bool is_good)
{
	struct directory *d = w->directory;
	struct fact *f;

	if (map_get(&d->known, address) == as_value(is_good))
		return;
	if (d->known.n >= WATCH_LEARNED || d->learning_n >= LEARN_BATCH ||
	    books_waiting(w) > WATCH_JOBS / 2 || !take_token(w)) {
		say_count(&watch_dropped, 1);
		return;
	}
	map_put(&d->known, address, as_value(is_good));
	f = must_alloc(sizeof *f + address.n + 1);
	f->is_good = is_good;
	f->n = address.n;
	memcpy(f->address, address.p, address.n);
	list_init(&f->on_queue);
	list_append(&d->learning, &f->on_queue);
	if (d->learning_n++ == 0)
		loop_timer_set(d->timer, WATCH_SECOND_US / 5);
	say_count(&watch_learned, 1);
}

void directory_learned(struct watch *w, const struct msg_learned *m)
{
	ssize_t at = span_rchr(m->address, '@');
	char all[WATCH_NAME_BYTES + 1];
	struct span domain;

	if (at < 1 || m->address.n > 600)
		return;
	domain = span_from(m->address, (size_t)at + 1);
	if (!is_our_domain(w, domain))
		return;
	if (m->catch_all) {
		snprintf(all, sizeof all, "@%.*s",
			 SPAN_FMT(span_first(domain, WATCH_NAME_BYTES - 2)));
		learn(w, span_str(all), true);
	} else if (m->verdict == 1 || m->verdict == 2) { /* enum publish_recipient: good, bad */
		learn(w, m->address, m->verdict == 1);
	}
}

void directory_start(struct watch *w)
{
	struct directory *d = must_alloc(sizeof *d);

	map_init(&d->sets);
	map_init(&d->known);
	list_init(&d->learning);
	d->tokens = LEARN_BURST;
	d->timer = loop_timer_new(w->loop, write_learned, w);
	w->directory = d;
}

void directory_stop(struct watch *w)
{
	write_learned(w);
	map_fini(&w->directory->sets, free);
	map_fini(&w->directory->known, NULL);
	loop_timer_free(w->directory->timer);
	free(w->directory);
	w->directory = NULL;
}

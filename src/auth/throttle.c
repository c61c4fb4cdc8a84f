#include "auth/throttle.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/login.h"
#include "base/list.h"
#include "base/map.h"
#include "base/must.h"

#define SECOND_US UINT64_C(1000000)
#define DAY_US	  (86400 * SECOND_US)
#define GOOD_US	  (90 * DAY_US)

enum { USUAL_ENTRIES = 32768, TAGS = 4, SOURCE_BYTES = 64, KEY_BYTES = 480, GOOD_FACTOR = 2 };

enum kind { BY_ACCOUNT, BY_SOURCE, BY_PAIR, GOOD, KINDS };

static const struct {
	char letter;
	uint32_t free, in_flight; /* failures that cost nothing; tries at once until then */
	uint64_t longest_us;
	uint32_t limit; /* 0: none */
} rules[KINDS] = {
	[BY_ACCOUNT] = {'a', 10, 16, 3600 * SECOND_US, THROTTLE_DAY_LIMIT},
	[BY_SOURCE] = {'s', 30, 64, 900 * SECOND_US, 0},
	[BY_PAIR] = {'p', 5, 16, 900 * SECOND_US, THROTTLE_DAY_LIMIT},
	[GOOD] = {'g', 0, 0, 0, 0},
};

struct count {
	struct list by_use;
	struct span key; /* behind the struct */
	uint32_t failures, in_flight;
	uint64_t last_us, not_before_us;
	unsigned char tags[TAGS][8]; /* pairs: of passwords that were wrong lately */
	unsigned tags_n;
};

struct throttle {
	struct map by[KINDS];
	struct list lru[KINDS]; /* the longest unused first */
	size_t entries;
	bool is_dirty;
};

#define COUNT_OF(l) LIST_ENTRY(l, struct count, by_use)

struct throttle *throttle_new(size_t entries)
{
	struct throttle *t = must_alloc(sizeof *t);

	t->entries = entries ? entries : USUAL_ENTRIES;
	for (unsigned k = 0; k < KINDS; k++) {
		map_init(&t->by[k]);
		list_init(&t->lru[k]);
	}
	return t;
}

void throttle_free(struct throttle *t)
{
	if (!t)
		return;
	for (unsigned k = 0; k < KINDS; k++)
		map_fini(&t->by[k], free);
	free(t);
}

/* ---- keys ---- */

/* "192.0.2.1", also for ::ffff:192.0.2.1; "2001:db8:1:2::" for the /64; anything else as it is. */
static void source_of(struct span text, char out[SOURCE_BYTES])
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	unsigned char address[16];

	(void)snprintf(out, SOURCE_BYTES, "%.*s", SPAN_FMT(span_first(text, SOURCE_BYTES - 1)));
	if (inet_pton(AF_INET6, out, address) != 1)
		return;
	if (memcmp(address, mapped, sizeof mapped) == 0) {
		(void)inet_ntop(AF_INET, address + 12, out, SOURCE_BYTES);
		return;
	}
	memset(address + 8, 0, 8);
	(void)inet_ntop(AF_INET6, address, out, SOURCE_BYTES);
}

struct key {
	char text[KEY_BYTES];
	struct span s;
};

/* What a client sends as a name may be anything; a line of the file must stay one. */
static void tame(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = '?';
	}
}

static void key_of(enum kind kind, const struct throttle_try *who, struct key *out)
{
	struct span account = span_first(who->account, LOGIN_NAME_LIMIT_BYTES);
	char source[SOURCE_BYTES];

	source_of(who->source, source);
	switch (kind) {
	case BY_ACCOUNT:
		(void)snprintf(out->text, sizeof out->text, "%.*s", SPAN_FMT(account));
		break;
	case BY_SOURCE:
		(void)snprintf(out->text, sizeof out->text, "%s", source);
		break;
	case BY_PAIR:
	case GOOD:
		(void)snprintf(out->text, sizeof out->text, "%s|%.*s", source, SPAN_FMT(account));
		break;
	case KINDS:
		break;
	}
	tame(out->text);
	out->s = span_str(out->text);
}

static void drop(struct throttle *t, enum kind kind, struct count *c)
{
	(void)map_remove(&t->by[kind], c->key);
	list_remove(&c->by_use);
	free(c);
}

static struct count *count_get(const struct throttle *t, enum kind kind,
			       const struct throttle_try *who)
{
	struct key key;

	key_of(kind, who, &key);
	return map_get(&t->by[kind], key.s);
}

static struct count *count_put(struct throttle *t, enum kind kind, struct span key)
{
	struct count *c = map_get(&t->by[kind], key);

	if (c) {
		list_remove(&c->by_use);
		list_append(&t->lru[kind], &c->by_use);
		return c;
	}
	if (t->by[kind].n >= t->entries * (kind == GOOD ? GOOD_FACTOR : 1))
		drop(t, kind, COUNT_OF(t->lru[kind].next));
	c = must_alloc(sizeof *c + key.n);
	memcpy(c + 1, key.p, key.n);
	c->key = span_of(c + 1, key.n);
	list_init(&c->by_use);
	list_append(&t->lru[kind], &c->by_use);
	(void)map_put(&t->by[kind], c->key, c);
	return c;
}

static struct count *count_of(struct throttle *t, enum kind kind, const struct throttle_try *who)
{
	struct key key;

	key_of(kind, who, &key);
	return count_put(t, kind, key.s);
}

/* ---- asking ---- */

static uint64_t since(uint64_t now_us, uint64_t then_us)
{
	return now_us > then_us ? now_us - then_us : 0;
}

static bool may_go(struct count *c, enum kind kind, uint64_t now_us)
{
	if (c->failures && since(now_us, c->last_us) >= DAY_US)
		c->failures = 0;
	if (c->failures < rules[kind].free)
		return c->in_flight < rules[kind].in_flight;
	if (rules[kind].limit && c->failures >= rules[kind].limit)
		return false;
	/* A clock that was set back must not keep anybody out for longer than the longest pause. */
	return c->in_flight == 0 &&
	       (now_us >= c->not_before_us || c->not_before_us - now_us > rules[kind].longest_us);
}

static bool is_good(const struct throttle *t, uint64_t now_us, const struct throttle_try *who)
{
	const struct count *c = count_get(t, GOOD, who);

	return c && since(now_us, c->last_us) < GOOD_US;
}

enum throttle_says throttle_ask(struct throttle *t, uint64_t now_us, const struct throttle_try *who,
				bool *out_known_good)
{
	struct count *of[3];
	bool good = is_good(t, now_us, who), account_is_open;

	for (unsigned k = BY_ACCOUNT; k <= BY_PAIR; k++)
		of[k] = count_of(t, (enum kind)k, who);
	*out_known_good = good;
	if (!may_go(of[BY_PAIR], BY_PAIR, now_us) ||
	    (!good && !may_go(of[BY_SOURCE], BY_SOURCE, now_us)))
		return THROTTLE_WAIT;
	account_is_open = good || may_go(of[BY_ACCOUNT], BY_ACCOUNT, now_us);
	for (unsigned k = BY_ACCOUNT; k <= BY_PAIR; k++)
		of[k]->in_flight++;
	return account_is_open ? THROTTLE_GO : THROTTLE_CODES_ONLY;
}

/* ---- how it ended ---- */

static void land(struct throttle *t, const struct throttle_try *who)
{
	for (unsigned k = BY_ACCOUNT; k <= BY_PAIR; k++) {
		struct count *c = count_get(t, (enum kind)k, who);

		if (c && c->in_flight)
			c->in_flight--;
	}
}

void throttle_undecided(struct throttle *t, uint64_t now_us, const struct throttle_try *who)
{
	(void)now_us;
	land(t, who);
}

static bool was_seen(struct count *pair, const unsigned char tag[8])
{
	for (unsigned i = 0; i < pair->tags_n && i < TAGS; i++) {
		if (memcmp(pair->tags[i], tag, 8) == 0)
			return true;
	}
	memcpy(pair->tags[pair->tags_n % TAGS], tag, 8);
	pair->tags_n = pair->tags_n + 1 >= 2 * TAGS ? TAGS : pair->tags_n + 1;
	return false;
}

static void add_failure(struct count *c, enum kind kind, uint64_t now_us)
{
	uint64_t pause = SECOND_US;

	c->failures++;
	c->last_us = now_us;
	if (c->failures < rules[kind].free)
		return;
	for (uint32_t n = rules[kind].free; n < c->failures && pause < rules[kind].longest_us; n++)
		pause *= 2;
	c->not_before_us =
		now_us + (pause < rules[kind].longest_us ? pause : rules[kind].longest_us);
}

uint32_t throttle_failed(struct throttle *t, uint64_t now_us, const struct throttle_try *who)
{
	static const uint32_t wait_ms[] = {0, 500, 1000, 2000, 4000};
	struct count *pair = count_of(t, BY_PAIR, who);
	uint32_t n;

	land(t, who);
	if (!was_seen(pair, who->tag)) {
		for (unsigned k = BY_ACCOUNT; k <= BY_PAIR; k++)
			add_failure(count_of(t, (enum kind)k, who), (enum kind)k, now_us);
		t->is_dirty = true;
	}
	n = pair->failures;
	return wait_ms[n < sizeof wait_ms / sizeof *wait_ms ? n
							    : sizeof wait_ms / sizeof *wait_ms - 1];
}

void throttle_passed(struct throttle *t, uint64_t now_us, const struct throttle_try *who)
{
	bool was_good = is_good(t, now_us, who);
	struct count *c;

	land(t, who);
	c = count_get(t, BY_PAIR, who);
	if (c)
		c->failures = 0;
	c = count_get(t, BY_ACCOUNT, who);
	if (c && !was_good)
		c->failures = 0;
	c = count_of(t, GOOD, who);
	if (!c->last_us || since(now_us, c->last_us) > DAY_US || now_us < c->last_us)
		t->is_dirty = true;
	c->last_us = now_us;
}

/* "source|account": of this account? */
static bool is_of(struct span key, struct span account)
{
	ssize_t bar = span_chr(key, '|');

	return bar >= 0 && span_eq(span_from(key, (size_t)bar + 1), account);
}

void throttle_forget(struct throttle *t, struct span account, bool forget_good)
{
	struct count *c = map_get(&t->by[BY_ACCOUNT], account);

	if (c)
		c->failures = 0;
	LIST_EACH (l, &t->lru[BY_PAIR]) {
		if (is_of(COUNT_OF(l)->key, account))
			COUNT_OF(l)->failures = COUNT_OF(l)->tags_n = 0;
	}
	LIST_EACH_SAFE (l, &t->lru[GOOD]) {
		if (forget_good && is_of(COUNT_OF(l)->key, account))
			drop(t, GOOD, COUNT_OF(l));
	}
	t->is_dirty = true;
}

uint32_t throttle_failures(const struct throttle *t, struct span account)
{
	const struct count *c = map_get(&t->by[BY_ACCOUNT], account);

	return c ? c->failures : 0;
}

/* ---- over a restart: "letter failures last not-before key" ---- */

bool throttle_is_dirty(const struct throttle *t)
{
	return t->is_dirty;
}

void throttle_save(struct throttle *t, struct buf *out)
{
	for (unsigned k = 0; k < KINDS; k++) {
		LIST_EACH (l, &t->lru[k]) {
			const struct count *c = COUNT_OF(l);

			if (!c->failures && k != GOOD)
				continue;
			buf_printf(out, "%c %u %llu %llu %.*s\n", rules[k].letter, c->failures,
				   (unsigned long long)c->last_us,
				   (unsigned long long)c->not_before_us, SPAN_FMT(c->key));
		}
	}
	t->is_dirty = false;
}

/* As tame() leaves them. */
static bool is_tame(struct span key)
{
	for (size_t i = 0; i < key.n; i++) {
		if (key.p[i] < ' ' || key.p[i] == 127)
			return false;
	}
	return key.n > 0 && key.n < KEY_BYTES;
}

static bool load_line(struct throttle *t, struct span line)
{
	struct span letter = span_cut(&line, ' '), failures = span_cut(&line, ' ');
	struct span last = span_cut(&line, ' '), not_before = span_cut(&line, ' ');
	uint64_t f, l, n;

	if (letter.n != 1 || !is_tame(line) || !span_to_u64(failures, UINT32_MAX, &f) ||
	    !span_to_u64(last, UINT64_MAX, &l) || !span_to_u64(not_before, UINT64_MAX, &n))
		return false;
	for (unsigned k = 0; k < KINDS; k++) {
		if (letter.p[0] == (unsigned char)rules[k].letter) {
			struct count *c = count_put(t, (enum kind)k, line);

			c->failures = (uint32_t)f;
			c->last_us = l;
			c->not_before_us = n;
			return true;
		}
	}
	return false;
}

size_t throttle_load(struct throttle *t, struct span bytes)
{
	size_t bad = 0;

	while (bytes.n) {
		struct span line = span_cut(&bytes, '\n');

		bad += line.n && !load_line(t, line);
	}
	return bad;
}

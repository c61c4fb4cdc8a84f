/*
 * Passwords that were right a moment ago, so that a mail program that connects every minute costs no Argon2id (H-20):
 * keys are HMAC(process's own key, account, epoch, password), values the time. The epoch is new with each change of the
 * account, so an entry of before can never match again; entries are of one account by construction.
 */
#include "role/auth/internal.h"

#include <stdlib.h>

#include "base/must.h"

#define KEPT_US (900 * AUTH_SECOND_US)

enum { ENTRIES = 20000 };

struct seen {
	struct list by_age;
	unsigned char key[SECRET_HASH_BYTES];
	uint64_t at_us;
};

#define SEEN_OF(l) LIST_ENTRY(l, struct seen, by_age)

static void key_of(const struct auth *a, const struct member *m, const struct password *w,
		   unsigned char out[SECRET_HASH_BYTES])
{
	const struct span parts[] = {SPAN_LIT("login"), span_str(m->account.name),
				     span_of(&m->epoch, sizeof m->epoch), password_span(w)};

	secret_hmac_parts(span_of(a->run_key, sizeof a->run_key), parts, 4, out);
}

static void forget(struct auth *a, struct seen *s)
{
	(void)map_remove(&a->cache, span_of(s->key, sizeof s->key));
	list_remove(&s->by_age);
	free(s);
}

static void forget_old(struct auth *a)
{
	uint64_t now = auth_mono(a);

	while (!list_is_empty(&a->cache_by_age)) {
		struct seen *s = SEEN_OF(a->cache_by_age.next);

		if (now - s->at_us < KEPT_US && a->cache.n <= ENTRIES)
			return;
		forget(a, s);
	}
}

bool cache_has(struct auth *a, const struct member *m, const struct password *w)
{
	unsigned char key[SECRET_HASH_BYTES];

	forget_old(a);
	key_of(a, m, w, key);
	return map_get(&a->cache, span_of(key, sizeof key)) != NULL;
}

void cache_add(struct auth *a, const struct member *m, const struct password *w)
{
	struct seen *s = must_alloc(sizeof *s), *was;

	key_of(a, m, w, s->key);
	s->at_us = auth_mono(a);
	list_init(&s->by_age);
	was = map_put(&a->cache, span_of(s->key, sizeof s->key), s);
	list_append(&a->cache_by_age, &s->by_age);
	if (was) {
		list_remove(&was->by_age);
		free(was);
	}
	forget_old(a);
}

void cache_free(struct auth *a)
{
	while (!list_is_empty(&a->cache_by_age))
		forget(a, SEEN_OF(a->cache_by_age.next));
	map_fini(&a->cache, NULL);
}

/*
 * Leases of going home: one account at a time to one courier, once its site is up and the lane of whoever had it before has
 * been applied. What is due the views say (views/home.c); this is only who works on it and who has to wait.
 *
 *   An ended lease (HomeDone) frees its account when the courier's lane has been applied up to its last result. One whose
 *   courier was lost: when that courier is back and settled, or is gone for good. An account that could not be worked for
 *   (no credential, no connection, login refused) waits a while, longer each time; OwnCredential ends the wait.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "os/os.h"
#include "role/clerk/internal.h"

enum {
	LEASES_MAX = 64,
	LEASES_OF_SITE = 4,
	ITEMS_MAX = 50,
	WAITS_MAX = 4096,
	ARENA_BYTES = 8 << 20,
};
static const uint64_t FIRST_WAIT_US = 3000000, NO_CREDENTIAL_US = 20000000,
		      LONGEST_WAIT_US = 300000000;
static const uint64_t BY_MAIL_US = 3 * 86400ull * 1000000;

struct home_lease {
	uint64_t id, account, lane_seq;
	unsigned courier, epoch;
	char site[128];
	bool is_done; /* reported; waits for the lane */
};

struct home_wait {
	uint64_t account, until_us;
	unsigned fails;
	bool has_no_credential; /* not: could not be reached, was refused */
	char why[200];
};

struct homes {
	struct home_lease leases[LEASES_MAX];
	size_t leases_n;
	struct home_wait *waits;
	size_t waits_n;
	uint64_t next;
	struct arena arena;
};

void homes_init(struct clerk *c)
{
	c->homes = must_alloc(sizeof *c->homes);
	os_random(c->os, &c->homes->next, sizeof c->homes->next);
	c->homes->next >>= 1;
	c->homes->waits = must_alloc(WAITS_MAX * sizeof *c->homes->waits);
	arena_init(&c->homes->arena, ARENA_BYTES);
}

void homes_free(struct clerk *c)
{
	if (!c->homes)
		return;
	arena_fini(&c->homes->arena);
	free(c->homes->waits);
	free(c->homes);
}

/* ---- who has to wait ---- */

static struct home_wait *wait_of(struct homes *h, uint64_t account)
{
	for (size_t i = 0; i < h->waits_n; i++) {
		if (h->waits[i].account == account)
			return &h->waits[i];
	}
	return NULL;
}

static void wait_end(struct homes *h, uint64_t account)
{
	struct home_wait *w = wait_of(h, account);

	if (w)
		*w = h->waits[--h->waits_n];
}

static void wait_begin(struct clerk *c, uint64_t account, const struct msg_home_done *m)
{
	struct homes *h = c->homes;
	struct home_wait *w = wait_of(h, account);
	uint64_t wait_us = m->why == 1 ? NO_CREDENTIAL_US : FIRST_WAIT_US;

	if (!w) {
		if (h->waits_n == WAITS_MAX)
			return;
		w = &h->waits[h->waits_n++];
		*w = (struct home_wait){.account = account};
	}
	for (unsigned i = 0; i < w->fails && wait_us < LONGEST_WAIT_US; i++)
		wait_us *= 2;
	w->fails++;
	w->has_no_credential = m->why == 1;
	w->until_us = clerk_mono_us(c) + (wait_us < LONGEST_WAIT_US ? wait_us : LONGEST_WAIT_US);
	(void)snprintf(w->why, sizeof w->why, "%.*s",
		       SPAN_FMT(span_first(m->reason, sizeof w->why - 1)));
}

static void wait_for_days(struct clerk *c, uint64_t account)
{
	struct homes *h = c->homes;
	struct home_wait *w = wait_of(h, account);

	if (!w && h->waits_n == WAITS_MAX)
		return;
	if (!w)
		w = &h->waits[h->waits_n++];
	*w = (struct home_wait){.account = account, .until_us = clerk_mono_us(c) + LONGEST_WAIT_US};
}

void home_credential_came(struct clerk *c, struct span name)
{
	struct views_account a;
	struct fault why = {0};

	if (!name.n) /* a master user's: for everybody */
		c->homes->waits_n = 0;
	else if (views_account_by_name(c->views, name, &a, &why) == OK)
		wait_end(c->homes, a.id);
}

/* ---- the end of leases ---- */

static void drop(struct homes *h, size_t i)
{
	h->leases[i] = h->leases[--h->leases_n];
}

static bool is_certain(struct clerk *c, const struct home_lease *l)
{
	const struct clerk_courier *w = &c->couriers[l->courier];

	if (l->is_done)
		return views_lane_next(c->views, w->lane_id) >= l->lane_seq;
	if (w->epoch == l->epoch)
		return false;
	return w->is_settled || (!w->link && !w->lost_us);
}

static void look_at_leases(struct clerk *c)
{
	for (size_t i = c->homes->leases_n; i-- > 0;) {
		if (is_certain(c, &c->homes->leases[i]))
			drop(c->homes, i);
	}
}

bool home_on_done(struct clerk *c, unsigned courier, struct span body)
{
	struct msg_home_done m;

	if (!msg_home_done_decode(&c->arena, body, &m))
		return false;
	for (size_t i = 0; i < c->homes->leases_n; i++) {
		struct home_lease *l = &c->homes->leases[i];

		if (l->id != m.lease || l->courier != courier ||
		    l->epoch != c->couriers[courier].epoch)
			continue;
		l->is_done = true;
		l->lane_seq = m.lane_seq;
		if (m.why) {
			say(SAY_INFO, "home.waits", "account", SAY_U64(l->account), "why",
			    SAY_SPAN(m.reason), NULL);
			wait_begin(c, l->account, &m);
		} else {
			wait_end(c->homes, l->account);
		}
		return true;
	}
	return true; /* of the clerk before us */
}

/* ---- granting ---- */

static size_t leases_with(const struct homes *h, unsigned courier, struct span site)
{
	size_t n = 0;

	for (size_t i = 0; i < h->leases_n; i++)
		n += site.n ? span_eq(span_str(h->leases[i].site), site)
			    : h->leases[i].courier == courier;
	return n;
}

static bool is_leased(const struct homes *h, uint64_t account)
{
	for (size_t i = 0; i < h->leases_n; i++) {
		if (h->leases[i].account == account)
			return true;
	}
	return false;
}

/* The settled courier with the fewest of them; -1: none. */
static int courier_for(const struct clerk *c)
{
	int best = -1;
	size_t least = 0;

	for (unsigned i = 0; i < QUEUE_COURIERS_MAX; i++) {
		size_t n = leases_with(c->homes, i, SPAN_NONE);

		if (!c->couriers[i].link || !c->couriers[i].is_settled || (best >= 0 && n >= least))
			continue;
		best = (int)i;
		least = n;
	}
	return best;
}

static bool is_up(const struct clerk *c, struct span site)
{
	for (size_t i = 0; i < views_sites(c->views); i++) {
		struct views_site_now s;

		views_site_at(c->views, i, &s);
		if (span_eq(s.name, site))
			return s.phase == PHASE_UP && !s.is_stopped;
	}
	return false;
}

static const struct msg_site *site_of(const struct clerk *c, struct span name)
{
	for (size_t i = 0; i < c->config->sites_n; i++) {
		if (span_eq(c->config->sites[i].name, name))
			return &c->config->sites[i];
	}
	return NULL;
}

struct candidate {
	uint64_t account;
	struct span name, site;
	bool is_by_mail; /* the site has no IMAP: there is no other way */
};
struct candidates {
	struct clerk *c;
	struct candidate at[LEASES_MAX];
	size_t n;
};

static bool on_account(void *arg, uint64_t account, struct span name, struct span site)
{
	struct candidates *k = arg;
	struct homes *h = k->c->homes;
	const struct home_wait *w = wait_of(h, account);
	const struct msg_site *s = site_of(k->c, site);

	if (!s || is_leased(h, account) || (w && w->until_us > clerk_mono_us(k->c)) ||
	    !is_up(k->c, site))
		return true;
	k->at[k->n++] = (struct candidate){account, arena_span(&h->arena, name),
					   arena_span(&h->arena, site), s->imap_n == 0};
	return k->n < LEASES_MAX;
}

/*
 * Nobody can log in for this person, and it has been so for days: what they sent goes to them as a message. Only that; marks
 * and moves wait for a login. False: nothing of the lease is that old.
 */
static bool make_by_mail(struct clerk *c, struct msg_home_lease *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->items_n; i++) {
		const struct msg_home_item *item = &m->items[i];

		if (item->action == HOME_APPEND && item->to_special == MAIL_SENT && !item->copy &&
		    item->changed_us + BY_MAIL_US < clerk_age_now_us(c))
			m->items[n++] = *item;
	}
	if (!n)
		return false;
	m->items_n = n;
	m->by_mail = true;
	return true;
}

/* True: granted. */
static bool grant(struct clerk *c, const struct candidate *k, unsigned courier)
{
	struct homes *h = c->homes;
	struct home_lease *l = &h->leases[h->leases_n];
	struct msg_home_lease m = {.account = k->account, .name = k->name, .site = k->site};
	const struct home_wait *w = wait_of(h, k->account);
	struct fault why = {0};
	struct buf body = {0};
	bool sent;

	if (!clerk_ok(c,
		      views_home_lease(c->views, k->account, clerk_wall_us(c), ITEMS_MAX, &h->arena,
				       &m, &why),
		      &why) ||
	    !m.items_n)
		return false;
	if (((w && w->has_no_credential) || k->is_by_mail) && !make_by_mail(c, &m) &&
	    k->is_by_mail) {
		wait_for_days(c, k->account);
		return false;
	}
	m.lease = ++h->next;
	msg_home_lease_encode(&body, &m);
	sent = courier_send(c, courier, MSG_HOME_LEASE, buf_span(&body)) == OK;
	buf_fini(&body);
	if (!sent)
		return false;
	*l = (struct home_lease){.id = m.lease,
				 .account = k->account,
				 .courier = courier,
				 .epoch = c->couriers[courier].epoch};
	(void)snprintf(l->site, sizeof l->site, "%.*s", SPAN_FMT(k->site));
	h->leases_n++;
	say(SAY_INFO, "home.leased", "account", SAY_SPAN(k->name), "items", SAY_U64(m.items_n),
	    NULL);
	return true;
}

void homes_look(struct clerk *c)
{
	struct candidates k = {.c = c};
	struct fault why = {0};

	if (!c->is_current || c->is_broken || !c->may_grant)
		return;
	look_at_leases(c);
	arena_reset(&c->homes->arena);
	if (!clerk_ok(c, views_home_accounts(c->views, clerk_wall_us(c), on_account, &k, &why),
		      &why))
		return;
	for (size_t i = 0; i < k.n && c->homes->leases_n < LEASES_MAX && !c->is_broken; i++) {
		int courier = courier_for(c);

		if (courier < 0)
			return;
		if (leases_with(c->homes, 0, k.at[i].site) < LEASES_OF_SITE)
			(void)!grant(c, &k.at[i], (unsigned)courier);
	}
}

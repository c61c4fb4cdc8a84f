/*
 * holdfast-auth: glue. What comes over links and from the supervisor is handed to the part it is for; internal.h has
 * the invariants, README.md the map.
 */
#include "role/auth/internal.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"

#define THROTTLE_EVERY_US (2 * AUTH_SECOND_US)

uint64_t auth_wall(const struct auth *a)
{
	return os_wall_us(a->os);
}

uint64_t auth_mono(const struct auth *a)
{
	return os_mono_us(a->os);
}

uint64_t auth_verifier_age_us(const struct auth *a)
{
	return (a->config->verifier_age_ms ? a->config->verifier_age_ms : 90ull * 86400000) * 1000;
}

struct peer *auth_peer(const struct auth *a, uint64_t number)
{
	LIST_EACH (l, &a->peers) {
		if (LIST_ENTRY(l, struct peer, on_auth)->number == number)
			return LIST_ENTRY(l, struct peer, on_auth);
	}
	return NULL;
}

const struct msg_domain *auth_domain_of(const struct auth *a, struct span address)
{
	ssize_t at = span_rchr(address, '@');
	struct span domain = span_from(address, at < 0 ? address.n : (size_t)at + 1);

	for (size_t i = 0; i < a->config->domains_n; i++) {
		if (span_eq_nocase(a->config->domains[i].name, domain))
			return &a->config->domains[i];
	}
	return NULL;
}

const struct msg_site *auth_site_of(const struct auth *a, struct span address)
{
	const struct msg_domain *d = auth_domain_of(a, address);

	for (size_t i = 0; d && i < a->config->sites_n; i++) {
		if (span_eq(a->config->sites[i].name, d->site))
			return &a->config->sites[i];
	}
	return NULL;
}

/* ---- desks, console, submission, couriers ---- */

static bool from_portal(struct peer *p, struct arena *m, unsigned type, struct span body)
{
	struct msg_factor_use factor;
	struct msg_session_ask ask;
	struct msg_session_end end;
	struct msg_invite_use invite;
	struct msg_self_order self;
	struct msg_admin_order admin;

	switch (type) {
	case MSG_FACTOR_USE:
		if (!msg_factor_use_decode(m, body, &factor))
			return false;
		factor_use(p, &factor);
		return true;
	case MSG_SESSION_ASK:
		if (!msg_session_ask_decode(m, body, &ask))
			return false;
		session_ask(p, &ask);
		return true;
	case MSG_SESSION_END:
		if (!msg_session_end_decode(m, body, &end))
			return false;
		session_end(p, end.session);
		return true;
	case MSG_INVITE_USE:
		if (p->role != ROLE_DESK || !msg_invite_use_decode(m, body, &invite))
			return false;
		invite_use(p, &invite);
		return true;
	case MSG_SELF_ORDER:
		if (!msg_self_order_decode(m, body, &self))
			return false;
		self_order(p, &self);
		return true;
	case MSG_ADMIN_ORDER:
		if (p->role != ROLE_CONSOLE || !msg_admin_order_decode(m, body, &admin))
			return false;
		admin_order(p, m, &admin);
		return true;
	default:
		return false;
	}
}

/* Desk, console, submission: all of them log people in; only the first two have sessions. */
static bool from_door(struct peer *p, struct arena *m, unsigned type, struct span body)
{
	struct msg_sasl_start start;
	struct msg_sasl_more more;
	struct msg_sasl_cancel cancel;

	switch (type) {
	case MSG_SASL_START:
		if (!msg_sasl_start_decode(m, body, &start))
			return false;
		login_start(p, &start);
		return true;
	case MSG_SASL_MORE:
		return msg_sasl_more_decode(m, body, &more) && login_more(p, &more);
	case MSG_SASL_CANCEL:
		if (!msg_sasl_cancel_decode(m, body, &cancel))
			return false;
		login_cancel(p, cancel.id);
		return true;
	case MSG_MECHANISMS_ASK:
		login_mechanisms(p);
		return true;
	default:
		return p->role != ROLE_SUBMISSION && from_portal(p, m, type, body);
	}
}

static bool from_courier(struct peer *p, struct arena *m, unsigned type, struct span body)
{
	struct msg_credential_ask ask;
	struct msg_signers_ask signers;
	struct msg_sign_ask sign;

	switch (type) {
	case MSG_CREDENTIAL_ASK:
		if (!msg_credential_ask_decode(m, body, &ask))
			return false;
		credential_answer(p, &ask);
		return true;
	case MSG_SIGNERS_ASK:
		if (!msg_signers_ask_decode(m, body, &signers))
			return false;
		dkim_signers(p, &signers);
		return true;
	case MSG_SIGN_ASK:
		if (!msg_sign_ask_decode(m, body, &sign))
			return false;
		dkim_sign(p, &sign);
		return true;
	default:
		return false;
	}
}

static bool on_peer(void *arg, struct link *l, unsigned type, struct span body)
{
	struct peer *p = arg;
	struct arena m;
	bool ok;

	(void)l;
	arena_init(&m, LINK_FRAME_LIMIT_BYTES);
	ok = p->role == ROLE_COURIER ? from_courier(p, &m, type, body)
				     : from_door(p, &m, type, body);
	arena_fini(&m);
	return ok;
}

static void peer_free(struct peer *p)
{
	login_drop(p);
	list_remove(&p->on_auth);
	free(p);
}

static void on_peer_closed(void *arg, struct link *l)
{
	struct peer *p = arg;

	(void)l;
	role_link_lost(p->auth->role, p->role, p->instance);
	peer_free(p);
}

static void peer_new(struct auth *a, enum role_id role, unsigned instance, int fd)
{
	static const struct link_ops ops = {on_peer, on_peer_closed, NULL};
	struct peer *p = must_alloc(sizeof *p);

	p->auth = a;
	p->number = ++a->last_peer;
	p->role = role;
	p->instance = instance;
	list_init(&p->attempts);
	list_init(&p->on_auth);
	list_append(&a->peers, &p->on_auth);
	p->link = link_new(a->loop, fd, &ops, p);
}

/* ---- scout and clerk ---- */

static bool on_scout(void *arg, struct link *l, unsigned type, struct span body)
{
	struct msg_resolve_answer answer;
	struct arena m;
	bool ok;

	(void)l;
	if (type != MSG_RESOLVE_ANSWER)
		return false;
	arena_init(&m, LINK_FRAME_LIMIT_BYTES);
	ok = msg_resolve_answer_decode(&m, body, &answer);
	if (ok)
		primaries_resolved(arg, &answer);
	arena_fini(&m);
	return ok;
}

static void on_scout_closed(void *arg, struct link *l)
{
	struct auth *a = arg;

	if (a->scout != l)
		return;
	a->scout = NULL;
	role_link_lost(a->role, ROLE_SCOUT, 0);
	primaries_scout_gone(a);
}

static bool on_clerk(void *arg, struct link *l, unsigned type, struct span body)
{
	(void)arg, (void)l, (void)type, (void)body;
	return false; /* it has nothing to say to us */
}

static void on_clerk_closed(void *arg, struct link *l)
{
	struct auth *a = arg;

	if (a->clerk != l)
		return;
	a->clerk = NULL;
	role_link_lost(a->role, ROLE_CLERK, 0);
}

static void on_link(struct role *r, enum role_id peer, unsigned instance, int fd)
{
	static const struct link_ops scout = {on_scout, on_scout_closed, NULL};
	static const struct link_ops clerk = {on_clerk, on_clerk_closed, NULL};
	struct auth *a = role_state(r);

	if (a->is_stopping) {
		(void)close(fd);
	} else if (peer == ROLE_SEQUENCER) {
		durable_link(a->durable, instance, fd);
	} else if (peer == ROLE_SCOUT) {
		link_close(a->scout);
		a->scout = link_new(a->loop, fd, &scout, a);
	} else if (peer == ROLE_CLERK) {
		link_close(a->clerk);
		a->clerk = link_new(a->loop, fd, &clerk, a);
		credential_tell_all(a);
	} else if (peer == ROLE_DESK || peer == ROLE_CONSOLE || peer == ROLE_SUBMISSION ||
		   peer == ROLE_COURIER) {
		peer_new(a, peer, instance, fd);
	} else {
		(void)close(fd);
	}
}

/* ---- what was failed, over a restart ---- */

static void load_throttle(struct auth *a)
{
	struct buf text = {0};
	size_t bad;

	a->throttle = throttle_new(0);
	if (!store_read(a, "throttle", &text, 64 << 20))
		return;
	bad = throttle_load(a->throttle, buf_span(&text));
	if (bad)
		say(SAY_WARNING, "throttle.unreadable_lines", "lines", SAY_U64(bad), NULL);
	buf_fini(&text);
}

static void save_throttle(struct auth *a)
{
	struct fault why = {""};
	struct buf text = {0};

	if (!throttle_is_dirty(a->throttle))
		return;
	throttle_save(a->throttle, &text);
	if (!store_write(a, "throttle", buf_span(&text), &why))
		say(SAY_WARNING, "throttle.not_saved", "why", SAY_STR(why.text), NULL);
	buf_fini(&text);
}

static void on_throttle_time(void *arg)
{
	struct auth *a = arg;

	save_throttle(a);
	loop_timer_set(a->throttle_at, THROTTLE_EVERY_US);
}

/* ---- life ---- */

/* A verifier nobody knows the password of: what unknown names are compared with (H-17). */
static bool make_dummy(struct auth *a, struct fault *why)
{
	struct password w = {.n = 32};

	os_random(a->os, w.p, w.n);
	for (size_t i = 0; i < w.n; i++)
		w.p[i] |= 1; /* no NUL */
	if (password_hash(&w, a->dummy) == OK)
		return true;
	fault_set(why, "Argon2id needs %u KiB of memory and did not get it", PASSWORD_KIB);
	return false;
}

/* Kept in a file: what it hides must look the same after a restart. */
static bool load_key(struct auth *a, struct fault *why)
{
	struct buf text = {0};
	bool ok = store_read(a, "key", &text, sizeof a->key) && text.n == sizeof a->key;

	if (ok) {
		memcpy(a->key, text.p, sizeof a->key);
	} else {
		os_random(a->os, a->key, sizeof a->key);
		ok = store_write(a, "key", span_of(a->key, sizeof a->key), why);
	}
	secret_wipe_buf(&text);
	return ok;
}

static void on_pending_time(void *arg)
{
	books_finish_pending(arg);
}

static bool on_start(struct role *r, struct fault *why)
{
	struct auth *a = must_alloc(sizeof *a);

	role_set_state(r, a);
	a->role = r;
	a->loop = role_loop(r);
	a->os = role_os(r);
	a->config = role_config(r);
	list_init(&a->peers);
	list_init(&a->pending_members);
	list_init(&a->pending_aliases);
	list_init(&a->cache_by_age);
	if (!secret_prepare()) {
		fault_set(why, "libsodium did not start");
		return false;
	}
	os_random(a->os, a->run_key, sizeof a->run_key);
	if (!store_open(a, why) || !load_key(a, why) || !make_dummy(a, why) ||
	    !session_open(a, why) || !books_open(a, why))
		return false;
	load_throttle(a);
	dkim_load(a);
	people_prepare(a);
	a->primaries = primaries_new(a);
	a->gate = gate_new(a);
	a->throttle_at = loop_timer_new(a->loop, on_throttle_time, a);
	a->pending_at = loop_timer_new(a->loop, on_pending_time, a);
	return true;
}

static void on_ready(struct role *r)
{
	struct auth *a = role_state(r);

	loop_timer_set(a->throttle_at, THROTTLE_EVERY_US);
	books_finish_pending(a);
	login_mechanisms_changed(a);
}

static void on_listen(struct role *r, const char *service, int fd)
{
	if (strcmp(service, "people") == 0)
		clients_listen(((struct auth *)role_state(r))->people, fd);
	else
		(void)close(fd);
}

static void on_reload(struct role *r, const struct msg_config *was)
{
	struct auth *a = role_state(r);

	(void)was;
	if (a->is_stopping)
		return;
	a->config = role_config(r);
	primaries_configured(a);
	dkim_load(a);
	login_mechanisms_changed(a);
}

/* The loop has seen the ends of all connections by now. */
static void finish(void *arg)
{
	struct auth *a = arg;
	struct role *r = a->role;

	loop_timer_free(a->end_at);
	people_stop(a);
	clients_free(a->people);
	primaries_free(a->primaries);
	cache_free(a);
	credential_free_all(a);
	session_free(a);
	store_free(a);
	dkim_forget();
	throttle_free(a->throttle);
	secret_wipe(a, sizeof *a);
	free(a);
	role_end(r);
}

static void on_stop(struct role *r)
{
	struct auth *a = role_state(r);

	a->is_stopping = true;
	clients_stop(a->people);
	while (!list_is_empty(&a->peers)) {
		struct peer *p = LIST_ENTRY(a->peers.next, struct peer, on_auth);

		link_close(p->link);
		peer_free(p);
	}
	primaries_stop(a);
	gate_free(a->gate);
	a->gate = NULL;
	books_close(a);
	save_throttle(a);
	session_stop(a);
	link_close(a->clerk);
	link_close(a->scout);
	a->clerk = a->scout = NULL;
	loop_timer_free(a->throttle_at);
	loop_timer_free(a->pending_at);
	a->end_at = loop_timer_new(a->loop, finish, a);
	loop_timer_set(a->end_at, 1000);
}

int main(int argc, char **argv)
{
	static const char *const written[] = {"ledger/lane-%", "ledger/lane-%.*", "secrets/auth",
					      "secrets/dkim", NULL};
	static const struct role_sandbox sandbox = {
		.network_client = true, .threads = true, .write_below = written};
	static struct say_metric *const metrics[] = {
		&auth_verdicts[LOGIN_FINE], &auth_verdicts[LOGIN_REFUSED],
		&auth_verdicts[LOGIN_LATER], &auth_verdicts[LOGIN_THROTTLED]};
	static const struct role_ops ops = {
		.id = ROLE_AUTH,
		.sandbox = &sandbox,
		.metrics = metrics,
		.metrics_n = sizeof metrics / sizeof *metrics,
		.on_start = on_start,
		.on_ready = on_ready,
		.on_link = on_link,
		.on_listen = on_listen,
		.on_reload = on_reload,
		.on_stop = on_stop,
	};

	return role_main(argc, argv, &ops);
}

/*
 * Who asks: credentials of a request, what auth said of them, kept by a hash. See http_person.h.
 *
 *   - A session is known by SHA-256 of its secret, as auth names it in SessionsEnded; a password by a keyed hash.
 *   - Only what is good is kept. What auth says is over is over at once, for requests and for streams.
 *   - While auth is away, what was kept goes on for its minute. When it is back all is asked anew.
 */
#include <sodium.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/base64.h"
#include "base/must.h"
#include "role/common/http_internal.h"

struct http_known {
	struct http_person p; /* first */
	struct list all;
	struct http_host *host;
	unsigned refs;
	bool is_newest; /* the map has it, which is a ref */
	uint64_t kept_until_us;
	unsigned char key[HTTP_KEY_BYTES];
	struct arena arena;
};

struct http_lookup {
	struct http_host *host;
	struct list waiting; /* exchanges; empty: nobody asks any more */
	unsigned char key[HTTP_KEY_BYTES];
	struct buf session; /* "" for a password */
};

enum kind { KIND_SESSION = 's', KIND_PASSWORD = 'p' };

static struct http_known *known_of(const struct http_person *p)
{
	return (struct http_known *)(uintptr_t)p;
}

static struct span key_span(const unsigned char key[HTTP_KEY_BYTES])
{
	return span_of(key, HTTP_KEY_BYTES);
}

/* ---- life ---- */

void http_person_hold(struct http_person *p)
{
	known_of(p)->refs++;
}

void http_person_drop(struct http_person *p)
{
	struct http_known *k = known_of(p);

	if (!k || --k->refs)
		return;
	list_remove(&k->all);
	arena_fini(&k->arena);
	free(k);
}

static void unmap(struct http_known *k)
{
	if (!k->is_newest)
		return;
	k->is_newest = false;
	(void)map_remove(&k->host->people, key_span(k->key));
	http_person_drop(&k->p);
}

static void end(struct http_known *k)
{
	k->p.is_over = true;
	unmap(k);
}

/* A fresh one in the map; the one before is kept by those who hold it. */
static struct http_known *known_new(struct http_host *h, const unsigned char key[HTTP_KEY_BYTES])
{
	struct http_known *k = must_alloc(sizeof *k), *was = map_get(&h->people, key_span(key));

	if (was)
		unmap(was);
	arena_init(&k->arena, 0);
	k->host = h;
	memcpy(k->key, key, HTTP_KEY_BYTES);
	k->refs = 1;
	k->is_newest = true;
	k->kept_until_us = loop_now_us(h->loop) + HTTP_PERSON_KEPT_US;
	list_append(&h->known, &k->all);
	(void)map_put(&h->people, key_span(key), k);
	return k;
}

static const struct span *copy_spans(struct arena *a, const struct span *from, size_t n)
{
	struct span *to = arena_array(a, n + 1, sizeof *to);

	for (size_t i = 0; i < n; i++)
		to[i] = arena_span(a, from[i]);
	return to;
}

struct http_person *http_person_newest(struct http_host *h, const struct http_person *p)
{
	struct http_known *k = map_get(&h->people, key_span(known_of(p)->key));

	if (!k)
		return NULL;
	http_person_hold(&k->p);
	return &k->p;
}

/* ---- what was sent ---- */

void http_person_token(struct span session, char out[HTTP_TOKEN_BYTES + 1])
{
	static const unsigned char before[] = "holdfast csrf";
	unsigned char hash[crypto_hash_sha256_BYTES];
	char text[sodium_base64_ENCODED_LEN(sizeof hash, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
	crypto_hash_sha256_state s;

	(void)crypto_hash_sha256_init(&s);
	(void)crypto_hash_sha256_update(&s, before, sizeof before - 1);
	(void)crypto_hash_sha256_update(&s, session.p, session.n);
	(void)crypto_hash_sha256_final(&s, hash);
	(void)sodium_bin2base64(text, sizeof text, hash, sizeof hash,
				sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	memcpy(out, text, HTTP_TOKEN_BYTES);
	out[HTTP_TOKEN_BYTES] = '\0';
}

static bool is_session(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return false;
	}
	return s.n == HTTP_SESSION_BYTES;
}

static void session_key(struct span session, unsigned char key[HTTP_KEY_BYTES])
{
	key[0] = KIND_SESSION;
	(void)crypto_hash_sha256(key + 1, session.p, session.n);
}

static void password_key(const struct http_host *h, struct span plain,
			 unsigned char key[HTTP_KEY_BYTES])
{
	key[0] = KIND_PASSWORD;
	(void)crypto_generichash(key + 1, HTTP_KEY_BYTES - 1, plain.p, plain.n, h->key,
				 sizeof h->key);
}

/* base64url without padding, as bearer tokens are, or base64 with. */
static bool decode_any(struct buf *out, struct span text)
{
	unsigned char *p;
	size_t n = 0;
	bool is_fine;

	if (text.n == 0 || text.n > 2 * LOGIN_SASL_LIMIT_BYTES)
		return false;
	p = must_alloc(text.n);
	is_fine = sodium_base642bin(p, text.n, (const char *)text.p, text.n, NULL, &n, NULL,
				    sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 ||
		  sodium_base642bin(p, text.n, (const char *)text.p, text.n, NULL, &n, NULL,
				    sodium_base64_VARIANT_ORIGINAL) == 0;
	if (is_fine)
		(void)buf_append(out, span_of(p, n));
	explicit_bzero(p, text.n);
	free(p);
	return is_fine;
}

/*
 * Authorization as a message of SASL PLAIN: NUL, name, NUL, password. RFC 7617: the name ends at the first colon. Ours: the token
 * is base64url(name NUL app password). False: it is neither.
 */
static bool plain_of(struct span authorization, struct buf *out)
{
	struct span text = authorization, scheme = span_cut(&text, ' ');
	bool is_basic = span_eq_nocase(scheme, SPAN_LIT("Basic"));
	struct buf pair = {0};
	ssize_t at = -1;

	if ((is_basic || span_eq_nocase(scheme, SPAN_LIT("Bearer"))) &&
	    decode_any(&pair, span_trim(text)))
		at = span_chr(buf_span(&pair), is_basic ? ':' : 0);
	if (at > 0 && (!is_basic || span_chr(buf_span(&pair), 0) < 0)) {
		pair.p[at] = 0;
		(void)buf_append_byte(out, 0);
		(void)buf_append(out, buf_span(&pair));
	}
	if (pair.p)
		explicit_bzero(pair.p, pair.cap);
	buf_fini(&pair);
	return out->n > 0;
}

/* ---- looking up ---- */

static void lookup_free(struct http_lookup *l)
{
	(void)map_remove(&l->host->lookups, key_span(l->key));
	if (l->session.p)
		explicit_bzero(l->session.p, l->session.cap);
	buf_fini(&l->session);
	free(l);
}

static struct http_lookup *lookup_new(struct http_host *h, const unsigned char key[HTTP_KEY_BYTES])
{
	struct http_lookup *l = must_alloc(sizeof *l);

	l->host = h;
	list_init(&l->waiting);
	memcpy(l->key, key, HTTP_KEY_BYTES);
	(void)map_put(&h->lookups, key_span(l->key), l);
	return l;
}

static enum http_knock wait_for(struct http_exchange *x, struct http_lookup *l)
{
	list_append(&l->waiting, &x->wait);
	return KNOCK_ASKED;
}

/* secret: the session, or the message of PLAIN. */
static enum http_knock look_up(struct http_exchange *x, const unsigned char key[HTTP_KEY_BYTES],
			       struct span secret)
{
	struct http_host *h = x->host;
	struct http_lookup *l = map_get(&h->lookups, key_span(key));
	bool is_asked;

	if (l)
		return wait_for(x, l);
	l = lookup_new(h, key);
	if (key[0] == KIND_SESSION) {
		(void)buf_append(&l->session, secret);
		is_asked = http_ask_session(l, h, secret, x->ask.peer);
	} else {
		is_asked = http_ask_password(l, h, secret, &x->ask);
	}
	if (is_asked)
		return wait_for(x, l);
	lookup_free(l);
	return KNOCK_LATER;
}

static enum http_knock knock(struct http_exchange *x, const unsigned char key[HTTP_KEY_BYTES],
			     struct span secret, struct http_person **out)
{
	struct http_known *k = map_get(&x->host->people, key_span(key));

	if (!k || loop_now_us(x->host->loop) >= k->kept_until_us)
		return look_up(x, key, secret);
	http_person_hold(&k->p);
	*out = &k->p;
	return KNOCK_KNOWN;
}

enum http_knock http_person_knock(struct http_exchange *x, struct http_person **out)
{
	const struct http_host_options *o = x->host->options;
	struct span authorization = exchange_field(x, "authorization"), session;
	unsigned char key[HTTP_KEY_BYTES];
	struct buf plain = {0};
	enum http_knock answer = KNOCK_NOBODY;

	if (authorization.n && x->route->access != HTTP_SESSION) {
		if (o->takes_passwords && plain_of(authorization, &plain)) {
			password_key(x->host, buf_span(&plain), key);
			answer = knock(x, key, buf_span(&plain), out);
			explicit_bzero(plain.p, plain.cap);
		}
		buf_fini(&plain);
		return answer;
	}
	if (!http_cookie_find(exchange_field(x, "cookie"), o->cookie, &session) || !session.n)
		return KNOCK_NOBODY;
	x->by_cookie = true;
	if (!is_session(session))
		return KNOCK_NOBODY;
	session_key(session, key);
	return knock(x, key, session, out);
}

void http_person_forget(struct http_exchange *x)
{
	list_remove(&x->wait);
}

/* ---- what auth says ---- */

static struct http_known *of_session(struct http_lookup *l, const struct msg_session_answer *m)
{
	struct http_known *k;
	char token[HTTP_TOKEN_BYTES + 1];

	if (!m->ok || !span_eq(m->use, span_str(l->host->options->use)))
		return NULL;
	k = known_new(l->host, l->key);
	http_person_token(buf_span(&l->session), token);
	k->p = (struct http_person){
		.account = arena_span(&k->arena, m->account),
		.name = arena_span(&k->arena, m->person),
		.send_as = copy_spans(&k->arena, m->send_as, m->send_as_n),
		.send_as_n = m->send_as_n,
		.session = arena_span(&k->arena, buf_span(&l->session)),
		.token = arena_span(&k->arena, span_str(token)),
		.until_us = m->until_us,
		.has_factor = m->has_factor,
		.is_admin = m->is_admin,
	};
	return k;
}

/* A second factor cannot be given this way: auth takes app passwords alone from those who have one. */
static struct http_known *of_login(struct http_lookup *l, const struct msg_login_answer *m)
{
	struct http_known *k;

	if (login_verdict_of(m->verdict) != LOGIN_FINE || m->second_factor || !m->account.n)
		return NULL;
	k = known_new(l->host, l->key);
	k->p = (struct http_person){
		.account = arena_span(&k->arena, m->account),
		.name = arena_span(&k->arena, m->person),
		.send_as = copy_spans(&k->arena, m->send_as, m->send_as_n),
		.send_as_n = m->send_as_n,
		.by = arena_span(&k->arena, m->by),
	};
	return k;
}

static bool is_later(const struct msg_session_answer *session, const struct msg_login_answer *login)
{
	enum login_verdict v;

	if (session)
		return session->later;
	if (!login)
		return true;
	v = login_verdict_of(login->verdict);
	return v == LOGIN_LATER || v == LOGIN_THROTTLED;
}

/* A stream's session that is not good any more when auth was asked anew. */
static void end_holders(struct http_host *h, const unsigned char key[HTTP_KEY_BYTES])
{
	LIST_EACH_SAFE (at, &h->known) {
		struct http_known *k = LIST_ENTRY(at, struct http_known, all);

		if (memcmp(k->key, key, HTTP_KEY_BYTES) == 0)
			end(k);
	}
}

void http_lookup_done(struct http_lookup *l, const struct msg_session_answer *session,
		      const struct msg_login_answer *login)
{
	bool later = is_later(session, login);
	struct http_known *k = NULL;
	struct list waiting, *at;

	if (!later && session)
		k = of_session(l, session);
	else if (!later && login)
		k = of_login(l, login);
	if (!later && !k)
		end_holders(l->host, l->key);
	if (k)
		http_person_hold(&k->p);
	list_init(&waiting);
	while ((at = list_shift(&l->waiting)) != NULL)
		list_append(&waiting, at);
	lookup_free(l);
	while ((at = list_shift(&waiting)) != NULL) {
		struct http_exchange *x = LIST_ENTRY(at, struct http_exchange, wait);

		if (later)
			http_route_later(x, login && login_verdict_of(login->verdict) ==
							     LOGIN_THROTTLED);
		else
			http_route_admit(x, k ? &k->p : NULL);
	}
	if (k)
		http_person_drop(&k->p);
}

void http_person_end_hashes(struct http_host *h, const struct span *hashes, size_t n)
{
	LIST_EACH_SAFE (at, &h->known) {
		struct http_known *k = LIST_ENTRY(at, struct http_known, all);

		for (size_t i = 0; i < n && k->key[0] == KIND_SESSION; i++) {
			if (!span_eq(hashes[i], span_of(k->key + 1, HTTP_KEY_BYTES - 1)))
				continue;
			end(k);
			break;
		}
	}
}

void http_person_end_accounts(struct http_host *h, const struct span *accounts, size_t n)
{
	LIST_EACH_SAFE (at, &h->known) {
		struct http_known *k = LIST_ENTRY(at, struct http_known, all);

		for (size_t i = 0; i < n; i++) {
			if (!span_eq(accounts[i], k->p.account))
				continue;
			end(k);
			break;
		}
	}
}

void http_person_end_session(struct http_host *h, struct span session)
{
	unsigned char key[HTTP_KEY_BYTES];
	struct span hash = span_of(key + 1, sizeof key - 1);

	session_key(session, key);
	http_person_end_hashes(h, &hash, 1);
}

/* ---- time ---- */

void http_person_tick(struct http_host *h)
{
	uint64_t now_us = loop_now_us(h->loop);

	LIST_EACH_SAFE (at, &h->known) {
		struct http_known *k = LIST_ENTRY(at, struct http_known, all);

		if (k->is_newest && k->refs == 1 && now_us >= k->kept_until_us)
			unmap(k);
	}
}

void http_person_fini(struct http_host *h)
{
	LIST_EACH_SAFE (at, &h->known)
		unmap(LIST_ENTRY(at, struct http_known, all));
	map_fini(&h->people, NULL);
	map_fini(&h->lookups, NULL);
}

static void ask_again(struct http_known *k)
{
	struct http_host *h = k->host;
	struct http_lookup *l;

	if (map_get(&h->lookups, key_span(k->key)))
		return;
	l = lookup_new(h, k->key);
	(void)buf_append(&l->session, k->p.session);
	if (!http_ask_session(l, h, k->p.session, ""))
		lookup_free(l);
}

/* Passwords are not there to be asked again: streams by them end, and their programs come back. */
void http_person_refresh(struct http_host *h)
{
	LIST_EACH_SAFE (at, &h->known) {
		struct http_known *k = LIST_ENTRY(at, struct http_known, all);

		k->kept_until_us = 0;
		if (k->key[0] == KIND_PASSWORD)
			end(k);
		else if (k->is_newest && k->refs > 1)
			ask_again(k);
	}
}

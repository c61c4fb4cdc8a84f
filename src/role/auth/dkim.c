/*
 * Keys of DKIM: <data>/secrets/dkim/<domain>/<selector>.pem (PKCS#8, 0600). Couriers ask which selectors a domain has and
 * have hashes signed; the keys never leave. All keys of a domain sign, so that a new one may be published in peace beside
 * the old: one good signature is enough (RFC 6376 s6.1). At most SIGNERS_MOST, the newest names first.
 *
 * `dkim create` writes the files, then an ACT; a crash between leaves a key that works and no act.
 */
#include "identity/dkim.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/must.h"
#include "mail/address.h"
#include "os/os.h"
#include "role/auth/orders.h"

enum { SIGNERS_MOST = 4, KEYS_MOST = 1000, PEM_BYTES = 32 << 10, SHOW_MOST = 64 };

struct signer {
	struct list at;
	char domain[ADDRESS_DOMAIN_LIMIT + 1], selector[DKIM_SELECTOR_BYTES + 1];
	struct dkim_key *key;
};

static struct list signers = {&signers, &signers}; /* by domain, then by selector, descending */
static size_t signers_n;

static bool path_of(const struct auth *a, const char *domain, const char *selector,
		    char out[AUTH_PATH_BYTES])
{
	int n = snprintf(out, AUTH_PATH_BYTES, "%s/secrets/dkim%s%s%s%s%s", role_data(a->role),
			 domain[0] ? "/" : "", domain, selector[0] ? "/" : "", selector,
			 selector[0] ? ".pem" : "");

	return n > 0 && n < AUTH_PATH_BYTES;
}

static struct signer *find(struct span domain, struct span selector)
{
	LIST_EACH (at, &signers) {
		struct signer *s = LIST_ENTRY(at, struct signer, at);

		if (span_eq_nocase(span_str(s->domain), domain) &&
		    span_eq_nocase(span_str(s->selector), selector))
			return s;
	}
	return NULL;
}

static void keep(const char *domain, const char *selector, struct dkim_key *key)
{
	struct signer *s = must_alloc(sizeof *s);
	struct list *before = &signers;

	(void)snprintf(s->domain, sizeof s->domain, "%s", domain);
	(void)snprintf(s->selector, sizeof s->selector, "%s", selector);
	s->key = key;
	LIST_EACH (at, &signers) {
		struct signer *other = LIST_ENTRY(at, struct signer, at);
		int by_domain = strcmp(other->domain, domain);

		if (by_domain > 0 || (by_domain == 0 && strcmp(other->selector, selector) < 0)) {
			before = at;
			break;
		}
	}
	list_append(before, &s->at); /* before it */
	signers_n++;
}

/* ---- loading ---- */

struct loading {
	struct auth *auth;
	const char *domain;
};

static void load_key(struct auth *a, const char *domain, const char *selector)
{
	char path[AUTH_PATH_BYTES];
	struct dkim_key *key = NULL;
	struct fault why = {0};
	struct buf pem = {0};
	uint64_t size = 0;
	ssize_t n = -1;
	int fd;

	if (!path_of(a, domain, selector, path) || signers_n >= KEYS_MOST)
		return;
	fd = os_open(a->os, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd >= 0 && os_size(a->os, fd, &size) == 0 && size <= PEM_BYTES &&
	    buf_reserve(&pem, (size_t)size + 1))
		n = os_read_all(a->os, fd, pem.p, (size_t)size, 0);
	if (fd >= 0)
		(void)os_close(a->os, fd);
	if (n > 0 && dkim_key_read(span_of(pem.p, (size_t)n), &key, &why) == OK)
		keep(domain, selector, key);
	else
		say(SAY_ERROR, "dkim.bad_key", "path", SAY_STR(path), "why",
		    SAY_STR(why.text[0] ? why.text : "it cannot be read"), NULL);
	if (pem.p)
		explicit_bzero(pem.p, pem.cap);
	buf_fini(&pem);
}

static bool on_key(void *arg, const char *name)
{
	struct loading *l = arg;
	char selector[DKIM_SELECTOR_BYTES + 1];
	size_t n = strlen(name);

	if (n <= 4 || strcmp(name + n - 4, ".pem") != 0 || n - 4 > DKIM_SELECTOR_BYTES)
		return true;
	(void)snprintf(selector, sizeof selector, "%.*s", (int)(n - 4), name);
	if (dkim_selector_is_good(span_str(selector)) &&
	    !find(span_str(l->domain), span_str(selector)))
		load_key(l->auth, l->domain, selector);
	return true;
}

static bool on_domain(void *arg, const char *name)
{
	struct loading l = {arg, name};
	char path[AUTH_PATH_BYTES];

	if (strlen(name) <= ADDRESS_DOMAIN_LIMIT && path_of(l.auth, name, "", path))
		(void)os_list_dir(l.auth->os, path, on_key, &l);
	return true;
}

void dkim_load(struct auth *a)
{
	char path[AUTH_PATH_BYTES];

	dkim_forget();
	if (path_of(a, "", "", path))
		(void)os_list_dir(a->os, path, on_domain, a);
}

void dkim_forget(void)
{
	struct list *first;

	while ((first = list_shift(&signers))) {
		struct signer *s = LIST_ENTRY(first, struct signer, at);

		dkim_key_free(s->key);
		free(s);
	}
	signers_n = 0;
}

/* ---- couriers ---- */

void dkim_signers(struct peer *p, const struct msg_signers_ask *m)
{
	struct msg_signer found[SIGNERS_MOST];
	struct msg_signers answer = {.id = m->id, .signers = found};
	struct buf body = {0};

	LIST_EACH (at, &signers) {
		struct signer *s = LIST_ENTRY(at, struct signer, at);

		if (answer.signers_n < SIGNERS_MOST &&
		    span_eq_nocase(span_str(s->domain), m->domain))
			found[answer.signers_n++] = (struct msg_signer){
				span_str(s->selector),
				span_str(dkim_algorithm_name(dkim_key_algorithm(s->key)))};
	}
	msg_signers_encode(&body, &answer);
	(void)link_send(p->link, MSG_SIGNERS, buf_span(&body));
	buf_fini(&body);
}

void dkim_sign(struct peer *p, const struct msg_sign_ask *m)
{
	struct signer *s = find(m->domain, m->selector);
	struct msg_sign_answer answer = {.id = m->id};
	struct buf signature = {0}, body = {0};
	struct fault why = {"there is no such key"};

	answer.ok = s && m->hash.n == DKIM_HASH_BYTES &&
		    dkim_key_sign(s->key, m->hash.p, &signature, &why) == OK;
	answer.signature = buf_span(&signature);
	if (!answer.ok)
		answer.why = span_str(why.text);
	msg_sign_answer_encode(&body, &answer);
	(void)link_send(p->link, MSG_SIGN_ANSWER, buf_span(&body));
	buf_fini(&signature);
	buf_fini(&body);
}

/* ---- the operator ---- */

/* {"name": "s._domainkey.example.org", "type": "TXT", "value": "v=DKIM1; ..."} */
static json_t *record_json(const struct signer *s)
{
	struct buf value = {0};
	char name[400];
	json_t *j = NULL;

	(void)snprintf(name, sizeof name, "%s._domainkey.%s", s->selector, s->domain);
	if (dkim_key_record(s->key, &value, NULL) == OK)
		j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "domain", s->domain, "selector",
			      s->selector, "algorithm",
			      dkim_algorithm_name(dkim_key_algorithm(s->key)), "name", name, "type",
			      "TXT", "value", buf_cstr(&value));
	buf_fini(&value);
	return j;
}

static void answer_list(struct asker *c, struct span domain, const char *text)
{
	json_t *all = json_array(), *whole = json_pack("{s:o}", "keys", all);
	struct buf json = {0};
	char *dumped;
	size_t n = 0;

	LIST_EACH (at, &signers) {
		struct signer *s = LIST_ENTRY(at, struct signer, at);

		if (n < SHOW_MOST && (!domain.n || span_eq_nocase(span_str(s->domain), domain))) {
			(void)json_array_append_new(all, record_json(s));
			n++;
		}
	}
	dumped = json_dumps(whole, JSON_COMPACT);
	buf_append(&json, span_str(dumped ? dumped : "{}"));
	free(dumped);
	json_decref(whole);
	people_answer(c, true, text, &json);
	buf_fini(&json);
}

struct creating {
	struct auth *auth;
	uint64_t asker;
	char domain[ADDRESS_DOMAIN_LIMIT + 1];
};

static void on_recorded(void *arg, bool is_recorded)
{
	struct creating *k = arg;
	struct asker *c = asker_find(k->auth, k->asker);

	if (c)
		answer_list(c, span_str(k->domain),
			    is_recorded ? "made" : "made, but the ledger could not record it yet");
	free(k);
}

static bool make_one(struct auth *a, const char *domain, const char *selector,
		     enum dkim_algorithm algorithm, struct fault *why)
{
	char path[AUTH_PATH_BYTES];
	struct dkim_key *key = NULL;
	struct buf pem = {0};
	bool ok;

	if (find(span_str(domain), span_str(selector))) {
		fault_set(why,
			  "%s has a key with the selector %s already; name another with --selector",
			  domain, selector);
		return false;
	}
	if (!path_of(a, domain, "", path) || (os_mkdir(a->os, path, 0700) < 0 && errno != EEXIST)) {
		fault_sys(why, "folder of the keys of %s", domain);
		return false;
	}
	ok = path_of(a, domain, selector, path) && dkim_key_make(algorithm, &key, why) == OK &&
	     dkim_key_write(key, &pem, why) == OK;
	if (ok && !os_replace_file(a->os, path, buf_span(&pem), 0600)) {
		fault_sys(why, "write %s", path);
		ok = false;
	}
	if (pem.p)
		explicit_bzero(pem.p, pem.cap);
	buf_fini(&pem);
	if (ok)
		keep(domain, selector, key);
	else
		dkim_key_free(key);
	return ok;
}

static void default_selector(const struct auth *a, char *out, size_t n)
{
	time_t now = (time_t)(auth_wall(a) / 1000000);
	struct tm t = {0};

	(void)gmtime_r(&now, &t);
	(void)snprintf(out, n, "hf%04d%02d%02d", (t.tm_year + 1900) % 10000, (t.tm_mon + 1) % 100,
		       t.tm_mday % 100);
}

static bool wants(const struct msg_dkim_create *m, const char *algorithm)
{
	for (size_t i = 0; i < m->algorithms_n; i++) {
		if (span_eq(m->algorithms[i], span_str(algorithm)))
			return true;
	}
	return m->algorithms_n == 0;
}

static bool create(struct auth *a, const struct msg_dkim_create *m, struct creating *k,
		   char *selector, size_t selector_n, struct fault *why)
{
	char ed25519[DKIM_SELECTOR_BYTES + 1];
	size_t n;

	if (domain_normalise(m->domain, true, k->domain, &n) != ADDRESS_FINE) {
		fault_set(why, "that is no domain");
		return false;
	}
	if (!people_domain_is_ours(a, span_str(k->domain), why))
		return false;
	if (m->selector.n)
		(void)snprintf(selector, selector_n, "%.*s", SPAN_FMT(m->selector));
	else
		default_selector(a, selector, selector_n);
	if (!dkim_selector_is_good(span_str(selector)) ||
	    strlen(selector) + 3 > DKIM_SELECTOR_BYTES) {
		fault_set(why, "a selector is made of letters, digits, hyphens and dots");
		return false;
	}
	(void)snprintf(ed25519, sizeof ed25519, "%.55s-ed", selector);
	return (!wants(m, "rsa-sha256") ||
		make_one(a, k->domain, selector, DKIM_RSA_SHA256, why)) &&
	       (!wants(m, "ed25519-sha256") ||
		make_one(a, k->domain, ed25519, DKIM_ED25519_SHA256, why));
}

bool dkim_people(struct asker *c, struct arena *arena, unsigned type, struct span body)
{
	struct auth *a = c->auth;
	char selector[DKIM_SELECTOR_BYTES + 1];
	struct msg_dkim_create m;
	struct msg_dkim_list list;
	struct fault why = {0};
	struct creating *k;

	if (type == MSG_DKIM_LIST) {
		if (!msg_dkim_list_decode(arena, body, &list))
			return false;
		answer_list(c, list.domain, "");
		return true;
	}
	if (!msg_dkim_create_decode(arena, body, &m))
		return false;
	k = must_alloc(sizeof *k);
	k->auth = a;
	k->asker = c->number;
	if (!create(a, &m, k, selector, sizeof selector, &why)) {
		free(k);
		people_answer(c, false, why.text, NULL);
		return true;
	}
	books_act(a, "dkim.create", span_str(k->domain), span_str(selector), c->who, on_recorded,
		  k);
	return true;
}

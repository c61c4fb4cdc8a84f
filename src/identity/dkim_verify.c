/*
 * Verifying (RFC 6376 s6). Each signature stands alone: its tags are read at once, the key is given by the host, the
 * body's hash runs along, and the end says what it is worth. What is malformed is PERMERROR, or no signature at all.
 */
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"
#include "identity/dkim_internal.h"

enum { RSA_LEAST_BITS = 1024, NAME_BYTES = 320 };

struct signature {
	struct span field; /* whole */
	struct span domain, selector, names, hash64, signature64;
	enum dkim_algorithm algorithm;
	enum dkim_canon header_canon, body_canon;
	struct dkim_body body;
	bool has_body, has_key;
	EVP_PKEY *key;
	enum dkim_result result; /* NONE: not decided yet */
	char question[NAME_BYTES], why[120];
};

struct dkim_verify {
	struct arena arena;
	struct dkim_field *fields;
	size_t fields_n, n;
	struct signature signatures[DKIM_SIGNATURES_LIMIT];
};

const char *dkim_result_name(enum dkim_result r)
{
	static const char *const names[] = {"none",    "pass",	    "fail",
					    "neutral", "temperror", "permerror"};

	return names[r];
}

static void decide(struct signature *s, enum dkim_result result, const char *why)
{
	if (s->result != DKIM_NONE)
		return;
	s->result = result;
	(void)snprintf(s->why, sizeof s->why, "%s", why);
	s->question[0] = '\0';
}

static bool read_canon(struct span text, enum dkim_canon *header, enum dkim_canon *body)
{
	struct span rest = text, first = span_trim(span_cut(&rest, '/'));

	rest = span_trim(rest);
	*header = span_eq_nocase(first, SPAN_LIT("relaxed")) ? DKIM_RELAXED : DKIM_SIMPLE;
	*body = span_eq_nocase(rest, SPAN_LIT("relaxed")) ? DKIM_RELAXED : DKIM_SIMPLE;
	return (*header == DKIM_RELAXED || !first.n || span_eq_nocase(first, SPAN_LIT("simple"))) &&
	       (*body == DKIM_RELAXED || !rest.n || span_eq_nocase(rest, SPAN_LIT("simple")));
}

static bool names_from(struct span names)
{
	while (names.n) {
		if (span_eq_nocase(span_trim(span_cut(&names, ':')), SPAN_LIT("From")))
			return true;
	}
	return false;
}

static bool is_domain(struct span d)
{
	for (size_t i = 0; i < d.n; i++) {
		if (!ascii_is_alnum(d.p[i]) && d.p[i] != '-' && d.p[i] != '.' && d.p[i] != '_')
			return false;
	}
	return d.n > 0 && d.n <= 253;
}

/* i= must be of d= or below it (s3.5). */
static bool is_own_identity(struct span identity, struct span domain)
{
	ssize_t at = span_rchr(identity, '@');
	struct span host = span_from(identity, at < 0 ? identity.n : (size_t)at + 1);

	return span_eq_nocase(host, domain) ||
	       (host.n > domain.n && host.p[host.n - domain.n - 1] == '.' &&
		span_ends_nocase(host, domain));
}

struct tags {
	struct span v, a, c, l, x, q, i;
};

static bool read_tags(struct signature *s, struct span list, struct tags *t)
{
	return dkim_tag(list, "v", &t->v) && dkim_tag(list, "a", &t->a) &&
	       dkim_tag(list, "c", &t->c) && dkim_tag(list, "l", &t->l) &&
	       dkim_tag(list, "x", &t->x) && dkim_tag(list, "q", &t->q) &&
	       dkim_tag(list, "i", &t->i) && dkim_tag(list, "d", &s->domain) &&
	       dkim_tag(list, "s", &s->selector) && dkim_tag(list, "h", &s->names) &&
	       dkim_tag(list, "bh", &s->hash64) && dkim_tag(list, "b", &s->signature64);
}

/* What is wrong with it; NULL: nothing. */
static const char *check_tags(struct signature *s, const struct tags *t, uint64_t now_s,
			      uint64_t *limit)
{
	uint64_t expires = UINT64_MAX;

	*limit = UINT64_MAX;
	if (!span_eq(t->v, SPAN_LIT("1")) || !s->hash64.n || !s->signature64.n)
		return "v=, bh= or b= is missing or wrong";
	if (!dkim_algorithm_of(t->a, &s->algorithm))
		return "an algorithm that is not known or not good any more";
	if (!is_domain(s->domain) || !dkim_selector_is_good(s->selector))
		return "d= or s= is not well formed";
	if (!names_from(s->names))
		return "From is not signed";
	if (!read_canon(t->c, &s->header_canon, &s->body_canon))
		return "a canonical form that is not known";
	if (t->q.n && !span_eq_nocase(t->q, SPAN_LIT("dns/txt")))
		return "a way to ask for the key that is not known";
	if (t->i.n && !is_own_identity(t->i, s->domain))
		return "i= is not of d=";
	if (t->l.p && !span_to_u64(t->l, UINT64_MAX, limit))
		return "l= is no number";
	if (t->x.p && (!span_to_u64(t->x, UINT64_MAX, &expires) || expires < now_s))
		return "it has expired";
	return NULL;
}

static void read_signature(struct signature *s, const struct dkim_field *f, uint64_t now_s)
{
	struct span list = span_from(f->whole, (size_t)span_chr(f->whole, ':') + 1);
	const char *wrong;
	struct tags t;
	uint64_t limit;

	*s = (struct signature){.field = f->whole};
	if (!read_tags(s, list, &t)) {
		decide(s, DKIM_PERMERROR, "its tags are not well formed");
		return;
	}
	wrong = check_tags(s, &t, now_s, &limit);
	if (wrong) {
		decide(s, DKIM_PERMERROR, wrong);
		return;
	}
	dkim_body_init(&s->body, s->body_canon);
	s->body.limit = limit;
	s->has_body = true;
	(void)snprintf(s->question, sizeof s->question, "%.*s._domainkey.%.*s",
		       SPAN_FMT(s->selector), SPAN_FMT(s->domain));
}

struct dkim_verify *dkim_verify_new(struct span header, uint64_t now_s)
{
	struct dkim_verify *v = must_alloc(sizeof *v);
	struct span copy;

	arena_init(&v->arena, (size_t)DKIM_FIELDS_LIMIT * sizeof *v->fields + header.n + 4096);
	copy = arena_span(&v->arena, header);
	if (header.n == 0 || !copy.p ||
	    dkim_fields(&v->arena, copy, &v->fields, &v->fields_n, NULL) != OK)
		return v;
	for (size_t i = 0; i < v->fields_n && v->n < DKIM_SIGNATURES_LIMIT; i++) {
		if (span_eq_nocase(v->fields[i].name, SPAN_LIT("DKIM-Signature")))
			read_signature(&v->signatures[v->n++], &v->fields[i], now_s);
	}
	return v;
}

void dkim_verify_free(struct dkim_verify *v)
{
	unsigned char ignored[DKIM_HASH_BYTES];

	if (!v)
		return;
	for (size_t i = 0; i < v->n; i++) {
		if (v->signatures[i].has_body)
			dkim_body_end(&v->signatures[i].body, ignored);
		EVP_PKEY_free(v->signatures[i].key);
	}
	arena_fini(&v->arena);
	free(v);
}

size_t dkim_verify_count(const struct dkim_verify *v)
{
	return v->n;
}

const char *dkim_verify_question(const struct dkim_verify *v, size_t i)
{
	must(i < v->n);
	return v->signatures[i].question;
}

/* ---- the key (s3.6.1) ---- */

static EVP_PKEY *key_of(enum dkim_algorithm algorithm, struct span bytes)
{
	const unsigned char *p = bytes.p;

	if (algorithm == DKIM_ED25519_SHA256)
		return bytes.n == 32
			       ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, p, bytes.n)
			       : NULL;
	return d2i_PUBKEY(NULL, &p, (long)bytes.n);
}

/* "sha1:sha256": a colon-separated list has the word. */
static bool list_has(struct span list, struct span word)
{
	while (list.n) {
		if (span_eq_nocase(span_trim(span_cut(&list, ':')), word))
			return true;
	}
	return false;
}

static const char *read_key(struct signature *s, struct span record)
{
	struct span v, k, h, p, type = SPAN_LIT("rsa");
	struct buf bytes = {0};

	if (record.n > DKIM_RECORD_BYTES || !dkim_tag(record, "v", &v) ||
	    !dkim_tag(record, "k", &k) || !dkim_tag(record, "h", &h) ||
	    !dkim_tag(record, "p", &p) || !p.p || (v.p && !span_eq(v, SPAN_LIT("DKIM1"))))
		return "the key's record is not well formed";
	if (p.n == 0)
		return "the key was withdrawn";
	if (h.p && !list_has(h, SPAN_LIT("sha256")))
		return "the key is not for this hash";
	if (k.p)
		type = k;
	if (!span_eq_nocase(type, s->algorithm == DKIM_RSA_SHA256 ? SPAN_LIT("rsa")
								  : SPAN_LIT("ed25519")))
		return "the key is of another kind";
	if (dkim_base64(p, &bytes))
		s->key = key_of(s->algorithm, buf_span(&bytes));
	buf_fini(&bytes);
	if (!s->key ||
	    (s->algorithm == DKIM_RSA_SHA256 && (EVP_PKEY_get_base_id(s->key) != EVP_PKEY_RSA ||
						 EVP_PKEY_get_bits(s->key) < RSA_LEAST_BITS)))
		return "the key cannot be used";
	return NULL;
}

void dkim_verify_key(struct dkim_verify *v, size_t i, enum rc rc, struct span record)
{
	struct signature *s;
	const char *wrong;

	must(i < v->n);
	s = &v->signatures[i];
	if (s->result != DKIM_NONE || s->has_key)
		return;
	s->has_key = true;
	if (rc != OK) {
		decide(s, rc == REFUSED ? DKIM_PERMERROR : DKIM_TEMPERROR,
		       rc == REFUSED ? "there is no such key" : "the key could not be asked for");
		return;
	}
	wrong = read_key(s, record);
	if (wrong)
		decide(s, DKIM_PERMERROR, wrong);
}

/* ---- the end ---- */

void dkim_verify_body(struct dkim_verify *v, struct span piece)
{
	for (size_t i = 0; i < v->n; i++) {
		if (v->signatures[i].has_body && v->signatures[i].result == DKIM_NONE)
			dkim_body_feed(&v->signatures[i].body, piece);
	}
}

static bool body_is_right(struct signature *s)
{
	unsigned char hash[DKIM_HASH_BYTES];
	struct buf said = {0};
	bool ok, is_short = s->body.limit != UINT64_MAX && s->body.hashed < s->body.limit;

	dkim_body_end(&s->body, hash);
	s->has_body = false;
	is_short = is_short && s->body.hashed < s->body.limit;
	ok = dkim_base64(s->hash64, &said) &&
	     span_eq(buf_span(&said), span_of(hash, sizeof hash)) && !is_short;
	buf_fini(&said);
	return ok;
}

/* The signature's own field with an empty b= (s3.7). */
static void without_signature(const struct signature *s, struct buf *out)
{
	size_t at = (size_t)(s->signature64.p - s->field.p);

	(void)buf_append(out, span_first(s->field, at));
	(void)buf_append(out, span_from(s->field, at + s->signature64.n));
}

static void hash_header(struct dkim_verify *v, const struct signature *s,
			unsigned char out[DKIM_HASH_BYTES])
{
	struct buf canon = {0}, own = {0};
	struct span names = s->names;

	for (size_t i = 0; i < v->fields_n; i++)
		v->fields[i].is_used = false;
	while (names.n) {
		struct dkim_field *f =
			dkim_take_field(v->fields, v->fields_n, span_trim(span_cut(&names, ':')));

		if (f)
			dkim_canon_field(&canon, f->whole, s->header_canon, true);
	}
	without_signature(s, &own);
	dkim_canon_field(&canon, buf_span(&own), s->header_canon, false);
	dkim_sha256(buf_span(&canon), out);
	buf_fini(&canon);
	buf_fini(&own);
}

static bool is_signed_by(const struct signature *s, const unsigned char *hash,
			 struct span signature)
{
	EVP_PKEY_CTX *rsa = NULL;
	EVP_MD_CTX *ed = NULL;
	bool ok;

	if (s->algorithm == DKIM_RSA_SHA256) {
		rsa = EVP_PKEY_CTX_new(s->key, NULL);
		ok = rsa && EVP_PKEY_verify_init(rsa) == 1 &&
		     EVP_PKEY_CTX_set_signature_md(rsa, EVP_sha256()) == 1 &&
		     EVP_PKEY_verify(rsa, signature.p, signature.n, hash, DKIM_HASH_BYTES) == 1;
	} else {
		ed = EVP_MD_CTX_new();
		ok = ed && EVP_DigestVerifyInit(ed, NULL, NULL, NULL, s->key) == 1 &&
		     EVP_DigestVerify(ed, signature.p, signature.n, hash, DKIM_HASH_BYTES) == 1;
	}
	EVP_PKEY_CTX_free(rsa);
	EVP_MD_CTX_free(ed);
	return ok;
}

static void judge(struct dkim_verify *v, struct signature *s)
{
	unsigned char hash[DKIM_HASH_BYTES];
	struct buf signature = {0};

	if (s->result != DKIM_NONE)
		return;
	if (!s->key) {
		decide(s, DKIM_TEMPERROR, "the key was not given");
		return;
	}
	if (!body_is_right(s)) {
		decide(s, DKIM_FAIL, "the body has changed");
		return;
	}
	hash_header(v, s, hash);
	if (!dkim_base64(s->signature64, &signature))
		decide(s, DKIM_PERMERROR, "b= is not base64");
	else if (is_signed_by(s, hash, buf_span(&signature)))
		decide(s, DKIM_PASS, "");
	else
		decide(s, DKIM_FAIL, "the header has changed, or another key signed");
	buf_fini(&signature);
}

void dkim_verify_end(struct dkim_verify *v)
{
	for (size_t i = 0; i < v->n; i++)
		judge(v, &v->signatures[i]);
}

enum dkim_result dkim_verify_result(const struct dkim_verify *v, size_t i)
{
	must(i < v->n);
	return v->signatures[i].result;
}

struct span dkim_verify_domain(const struct dkim_verify *v, size_t i)
{
	must(i < v->n);
	return v->signatures[i].domain;
}

const char *dkim_verify_why(const struct dkim_verify *v, size_t i)
{
	must(i < v->n);
	return v->signatures[i].why;
}

#include "auth/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/lines.h"
#include "base/bytes.h"
#include "base/must.h"

enum { NOTED_PART = 8 /* of the idle time */ };

struct session_account {
	struct list sessions;
	size_t n;
	char name[]; /* with a NUL */
};

#define BY_USE(l)     LIST_ENTRY(l, struct session, by_use)
#define OF_ACCOUNT(l) LIST_ENTRY(l, struct session, of_account)

static const char *const uses[] = {[SESSION_PORTAL] = "portal", [SESSION_ADMIN] = "admin"};

const char *session_use_name(enum session_use u)
{
	return uses[u];
}

bool session_use_of(struct span name, enum session_use *out)
{
	for (unsigned i = 0; i < SESSION_USES; i++) {
		if (span_eq(name, span_str(uses[i]))) {
			*out = (enum session_use)i;
			return true;
		}
	}
	return false;
}

void session_hash(struct span secret, unsigned char out[SECRET_HASH_BYTES])
{
	secret_sha256(secret, out);
}

void session_secret(const unsigned char random[SESSION_RANDOM_BYTES],
		    char out[SESSION_TEXT_BYTES + 1])
{
	struct buf text = {0};

	secret_base64url(&text, span_of(random, SESSION_RANDOM_BYTES));
	(void)snprintf(out, SESSION_TEXT_BYTES + 1, "%.*s", (int)text.n, (const char *)text.p);
	secret_wipe_buf(&text);
}

/* ---- the table ---- */

void sessions_init(struct sessions *s, size_t most)
{
	*s = (struct sessions){.most = most ? most : SESSIONS};
	map_init(&s->by_hash);
	map_init(&s->by_account);
	list_init(&s->by_use);
}

void sessions_fini(struct sessions *s)
{
	map_fini(&s->by_hash, free);
	map_fini(&s->by_account, free);
	list_init(&s->by_use);
}

static struct session_account *account_of(struct sessions *s, struct span name)
{
	struct session_account *a = map_get(&s->by_account, name);

	if (a)
		return a;
	a = must_alloc(sizeof *a + name.n + 1);
	list_init(&a->sessions);
	memcpy(a->name, name.p, name.n);
	(void)map_put(&s->by_account, name, a);
	return a;
}

static void tame(char *out, size_t limit, struct span text)
{
	size_t n = text.n < limit ? text.n : limit - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = text.p[i] < ' ' || text.p[i] == 127 ? ' ' : (char)text.p[i];
	out[n] = '\0';
}

struct session *sessions_find(const struct sessions *s, const unsigned char hash[SECRET_HASH_BYTES])
{
	return map_get(&s->by_hash, span_of(hash, SECRET_HASH_BYTES));
}

struct session *sessions_surplus(const struct sessions *s, struct span account)
{
	const struct session_account *a = map_get(&s->by_account, account);
	struct session *oldest = NULL;

	if (a && a->n >= SESSIONS_OF_ACCOUNT) {
		LIST_EACH (l, &a->sessions) {
			if (!oldest || OF_ACCOUNT(l)->used_us < oldest->used_us)
				oldest = OF_ACCOUNT(l);
		}
		return oldest;
	}
	return s->by_hash.n >= s->most ? BY_USE(s->by_use.next) : NULL;
}

struct session *sessions_open(struct sessions *s, const struct session_new *n)
{
	struct session *x = must_alloc(sizeof *x);

	memcpy(x->hash, n->hash, sizeof x->hash);
	x->use = n->use;
	x->seal = n->seal;
	x->made_us = x->used_us = x->noted_us = n->now_us;
	tame(x->source, sizeof x->source, n->source);
	tame(x->agent, sizeof x->agent, n->agent);
	x->account = account_of(s, n->account);
	x->account->n++;
	list_init(&x->of_account);
	list_append(&x->account->sessions, &x->of_account);
	list_init(&x->by_use);
	list_append(&s->by_use, &x->by_use);
	must(!map_put(&s->by_hash, span_of(x->hash, sizeof x->hash), x));
	return x;
}

void sessions_end(struct sessions *s, struct session *x)
{
	struct session_account *a = x->account;

	(void)map_remove(&s->by_hash, span_of(x->hash, sizeof x->hash));
	list_remove(&x->of_account);
	list_remove(&x->by_use);
	free(x);
	if (--a->n)
		return;
	(void)map_remove(&s->by_account, span_str(a->name));
	free(a);
}

struct session *sessions_of(const struct sessions *s, struct span account,
			    const struct session *after)
{
	struct session_account *a = after ? after->account : map_get(&s->by_account, account);
	struct list *next = !a ? NULL : after ? after->of_account.next : a->sessions.next;

	return a && next != &a->sessions ? OF_ACCOUNT(next) : NULL;
}

struct span session_account(const struct session *x)
{
	return span_str(x->account->name);
}

void session_id(const struct session *x, char out[SESSION_ID_BYTES + 1])
{
	hex_encode(out, span_of(x->hash, SESSION_ID_BYTES / 2));
}

/* ---- time ---- */

static uint64_t later(uint64_t at_us, uint64_t by_us)
{
	return at_us > UINT64_MAX - by_us ? UINT64_MAX : at_us + by_us;
}

uint64_t session_until(const struct session *x, const struct session_limits *l)
{
	uint64_t idle = later(x->used_us, l->idle_us[x->use]);
	uint64_t most = later(x->made_us, l->most_us[x->use]);

	return idle < most ? idle : most;
}

bool session_is_over(const struct session *x, const struct session_limits *l, uint64_t now_us)
{
	return now_us >= session_until(x, l);
}

bool session_used(struct sessions *s, struct session *x, const struct session_limits *l,
		  uint64_t now_us, struct span source)
{
	if (now_us > x->used_us)
		x->used_us = now_us;
	tame(x->source, sizeof x->source, source);
	list_remove(&x->by_use);
	list_append(&s->by_use, &x->by_use);
	return x->used_us - x->noted_us >= l->idle_us[x->use] / NOTED_PART;
}

/* ---- lines ---- */

static void put_sum(struct buf *out, size_t from)
{
	buf_printf(out, " %08x\n", crc32c(0, span_from(buf_span(out), from)));
}

void session_put_open(struct buf *out, const struct session *x)
{
	size_t from = out->n;

	buf_append(out, SPAN_LIT("open "));
	lines_put_hex(out, x->hash, sizeof x->hash);
	buf_printf(out, " %s %llu %llu %llu ", uses[x->use], (unsigned long long)x->seal,
		   (unsigned long long)x->made_us, (unsigned long long)x->used_us);
	lines_put_text(out, x->source);
	buf_append_byte(out, ' ');
	lines_put_text(out, x->account->name);
	buf_append_byte(out, ' ');
	lines_put_text(out, x->agent);
	put_sum(out, from);
}

void session_put_used(struct buf *out, struct session *x)
{
	size_t from = out->n;

	buf_append(out, SPAN_LIT("used "));
	lines_put_hex(out, x->hash, sizeof x->hash);
	buf_printf(out, " %llu ", (unsigned long long)x->used_us);
	lines_put_text(out, x->source);
	put_sum(out, from);
	x->noted_us = x->used_us;
}

void session_put_end(struct buf *out, const struct session *x)
{
	size_t from = out->n;

	buf_append(out, SPAN_LIT("end "));
	lines_put_hex(out, x->hash, sizeof x->hash);
	put_sum(out, from);
}

void sessions_write(struct sessions *s, struct buf *out)
{
	LIST_EACH (l, &s->by_use) {
		session_put_open(out, BY_USE(l));
		BY_USE(l)->noted_us = BY_USE(l)->used_us;
	}
}

/* ---- reading ---- */

static bool read_open(struct sessions *s, const unsigned char hash[SECRET_HASH_BYTES],
		      struct span v)
{
	char account[LOGIN_NAME_LIMIT_BYTES + 1], source[SESSION_SOURCE_BYTES];
	char agent[SESSION_AGENT_BYTES];
	struct session_new n = {0};
	struct span use = span_cut(&v, ' '), seal = span_cut(&v, ' '), made = span_cut(&v, ' ');
	struct span used = span_cut(&v, ' '), from = span_cut(&v, ' '), who = span_cut(&v, ' ');
	uint64_t used_us;
	struct session *x;

	if (!session_use_of(use, &n.use) || !span_to_u64(seal, UINT64_MAX, &n.seal) ||
	    !span_to_u64(made, UINT64_MAX, &n.now_us) || !span_to_u64(used, UINT64_MAX, &used_us) ||
	    !lines_get_text(from, source, sizeof source) ||
	    !lines_get_text(who, account, sizeof account) || !account[0] ||
	    !lines_get_text(v, agent, sizeof agent) || sessions_find(s, hash))
		return false;
	while ((x = sessions_surplus(s, span_str(account))) != NULL)
		sessions_end(s, x);
	memcpy(n.hash, hash, sizeof n.hash);
	n.account = span_str(account);
	n.source = span_str(source);
	n.agent = span_str(agent);
	x = sessions_open(s, &n);
	x->used_us = x->noted_us = used_us;
	return true;
}

/* Of one that has ended meanwhile: nothing. */
static bool read_used(struct sessions *s, struct session *x, struct span v)
{
	char source[SESSION_SOURCE_BYTES];
	struct span used = span_cut(&v, ' ');
	uint64_t used_us;

	if (!span_to_u64(used, UINT64_MAX, &used_us) || !lines_get_text(v, source, sizeof source))
		return false;
	if (!x)
		return true;
	x->used_us = x->noted_us = used_us;
	tame(x->source, sizeof x->source, span_str(source));
	list_remove(&x->by_use);
	list_append(&s->by_use, &x->by_use);
	return true;
}

static bool read_line(struct sessions *s, struct span line)
{
	unsigned char hash[SECRET_HASH_BYTES];
	struct span key, hex;
	struct session *x;
	char sum[10];

	if (line.n < 10)
		return false;
	(void)snprintf(sum, sizeof sum, " %08x", crc32c(0, span_first(line, line.n - 9)));
	if (!span_eq(span_from(line, line.n - 9), span_of(sum, 9)))
		return false;
	line = span_first(line, line.n - 9);
	key = span_cut(&line, ' ');
	hex = span_cut(&line, ' ');
	if (!hex_decode(hash, sizeof hash, hex))
		return false;
	x = sessions_find(s, hash);
	if (span_eq(key, SPAN_LIT("open")))
		return read_open(s, hash, line);
	if (span_eq(key, SPAN_LIT("used")))
		return read_used(s, x, line);
	if (!span_eq(key, SPAN_LIT("end")) || line.n)
		return false;
	if (x)
		sessions_end(s, x);
	return true;
}

void sessions_read(struct sessions *s, struct span bytes)
{
	while (bytes.n) {
		struct span line = span_cut(&bytes, '\n');

		s->damaged += !read_line(s, line);
	}
}

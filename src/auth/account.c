#include "auth/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <uninorm.h>
#include <unistr.h>

#include "auth/lines.h"
#include "base/bytes.h"

static const char *const states[] = {
	[ACCOUNT_ACTIVE] = "active",
	[ACCOUNT_DISABLED] = "disabled",
	[ACCOUNT_DELETED] = "deleted",
};

const char *account_state_name(enum account_state s)
{
	return states[s];
}

bool account_name(struct span given, char out[LOGIN_NAME_LIMIT_BYTES + 1])
{
	struct span s = span_trim(given);
	uint8_t *nfc = NULL;
	size_t n = s.n;
	bool ok;

	if (!n || n > LOGIN_NAME_LIMIT_BYTES || memchr(s.p, 0, n))
		return false;
	if (!u8_check(s.p, s.n))
		nfc = u8_normalize(UNINORM_NFC, s.p, s.n, NULL, &n);
	if (!nfc)
		n = s.n;
	ok = n <= LOGIN_NAME_LIMIT_BYTES;
	for (size_t i = 0; ok && i < n; i++) {
		unsigned char c = nfc ? nfc[i] : s.p[i];

		ok = c >= ' ' && c != 127;
		out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	out[ok ? n : 0] = '\0';
	free(nfc);
	return ok;
}

/* ---- writing ---- */

static void put_line(struct buf *out, const char *key, const char *text)
{
	buf_printf(out, "%s ", key);
	lines_put_text(out, text);
	buf_append_byte(out, '\n');
}

static void put_hash(struct buf *out, const char *key, const void *p, size_t n)
{
	buf_printf(out, "%s ", key);
	lines_put_hex(out, p, n);
	buf_append_byte(out, '\n');
}

static void put_scram(struct buf *out, const struct scram_keys *k)
{
	buf_printf(out, "scram %u ", k->iterations);
	lines_put_hex(out, k->salt, sizeof k->salt);
	buf_append_byte(out, ' ');
	lines_put_hex(out, k->stored, sizeof k->stored);
	buf_append_byte(out, ' ');
	lines_put_hex(out, k->server, sizeof k->server);
	buf_append_byte(out, '\n');
}

static void put_codes(struct buf *out, const struct account *a)
{
	put_hash(out, "salt", a->salt, sizeof a->salt);
	for (size_t i = 0; i < a->apps_n; i++) {
		buf_append(out, SPAN_LIT("app "));
		lines_put_hex(out, a->apps[i].hash, SECRET_HASH_BYTES);
		buf_printf(out, " %llu ", (unsigned long long)a->apps[i].made_us);
		lines_put_text(out, a->apps[i].name);
		buf_append_byte(out, '\n');
	}
	for (size_t i = 0; i < a->recovery_n; i++)
		put_hash(out, "recovery", a->recovery[i], SECRET_HASH_BYTES);
	if (a->has_totp) {
		buf_append(out, SPAN_LIT("totp "));
		lines_put_hex(out, a->totp, sizeof a->totp);
		buf_printf(out, " %d %llu\n", a->totp_confirmed, (unsigned long long)a->totp_step);
	}
	if (a->has_invitation) {
		buf_append(out, SPAN_LIT("invitation "));
		lines_put_hex(out, a->invitation, SECRET_HASH_BYTES);
		buf_printf(out, " %llu\n", (unsigned long long)a->invitation_until_us);
	}
}

static void put_pending(struct buf *out, const struct account_pending *p)
{
	buf_printf(out, "pending %d %s %s ", p->has_directory, p->id, p->verb);
	lines_put_text(out, p->argument);
	buf_append_byte(out, ' ');
	lines_put_text(out, p->actor);
	buf_append_byte(out, '\n');
}

void account_write(const struct account *a, struct buf *out)
{
	size_t from = out->n;

	buf_append(out, SPAN_LIT("holdfast-account 1\n"));
	put_line(out, "name", a->name);
	put_line(out, "display", a->display);
	put_line(out, "state", states[a->state]);
	put_line(out, "passthrough", a->passthrough ? "yes" : "no");
	buf_printf(out, "made %llu\n", (unsigned long long)a->made_us);
	if (a->is_admin)
		buf_append(out, SPAN_LIT("admin yes\n"));
	if (a->seal)
		buf_printf(out, "seal %llu\n", (unsigned long long)a->seal);
	if (a->verifier[0])
		buf_printf(out, "verifier %s %llu %s\n", a->is_kept ? "kept" : "own",
			   (unsigned long long)a->confirmed_us, a->verifier);
	if (a->scram.iterations)
		put_scram(out, &a->scram);
	put_codes(out, a);
	if (a->is_pending)
		put_pending(out, &a->pending);
	buf_printf(out, "sum %08x\n", crc32c(0, span_from(buf_span(out), from)));
}

/* ---- reading ---- */

static bool get_plain(struct span s, char *out, size_t limit)
{
	if (s.n >= limit || (s.n && memchr(s.p, 0, s.n)))
		return false;
	memcpy(out, s.n ? s.p : (const unsigned char *)"", s.n);
	out[s.n] = '\0';
	return true;
}

static bool get_number(struct span s, uint64_t *out)
{
	return span_to_u64(s, UINT64_MAX, out);
}

static bool get_state(struct account *a, struct span v)
{
	for (unsigned i = 0; i <= ACCOUNT_DELETED; i++) {
		if (span_eq(v, span_str(states[i]))) {
			a->state = (enum account_state)i;
			return true;
		}
	}
	return false;
}

static bool get_verifier(struct account *a, struct span v)
{
	struct span by = span_cut(&v, ' '), at = span_cut(&v, ' ');

	a->is_kept = span_eq(by, SPAN_LIT("kept"));
	return (a->is_kept || span_eq(by, SPAN_LIT("own"))) && get_number(at, &a->confirmed_us) &&
	       password_is_verifier(v) && get_plain(v, a->verifier, sizeof a->verifier);
}

static bool get_scram(struct account *a, struct span v)
{
	struct scram_keys *k = &a->scram;
	struct span n = span_cut(&v, ' '), salt = span_cut(&v, ' '), stored = span_cut(&v, ' ');
	uint64_t iterations;

	if (!span_to_u64(n, 1000000, &iterations) || !iterations)
		return false;
	k->iterations = (uint32_t)iterations;
	return hex_decode(k->salt, sizeof k->salt, salt) &&
	       hex_decode(k->stored, sizeof k->stored, stored) &&
	       hex_decode(k->server, sizeof k->server, v);
}

static bool get_app(struct account *a, struct span v)
{
	struct account_app *app = &a->apps[a->apps_n];
	struct span hash = span_cut(&v, ' '), made = span_cut(&v, ' ');

	if (a->apps_n == ACCOUNT_APPS || !hex_decode(app->hash, SECRET_HASH_BYTES, hash) ||
	    !get_number(made, &app->made_us) || !lines_get_text(v, app->name, sizeof app->name))
		return false;
	a->apps_n++;
	return true;
}

static bool get_recovery(struct account *a, struct span v)
{
	if (a->recovery_n == ACCOUNT_RECOVERY ||
	    !hex_decode(a->recovery[a->recovery_n], SECRET_HASH_BYTES, v))
		return false;
	a->recovery_n++;
	return true;
}

static bool get_totp(struct account *a, struct span v)
{
	struct span secret = span_cut(&v, ' '), confirmed = span_cut(&v, ' ');

	a->has_totp = true;
	a->totp_confirmed = span_eq(confirmed, SPAN_LIT("1"));
	return hex_decode(a->totp, sizeof a->totp, secret) && get_number(v, &a->totp_step);
}

static bool get_invitation(struct account *a, struct span v)
{
	struct span hash = span_cut(&v, ' ');

	a->has_invitation = true;
	return hex_decode(a->invitation, SECRET_HASH_BYTES, hash) &&
	       get_number(v, &a->invitation_until_us);
}

static bool get_pending(struct account *a, struct span v)
{
	struct account_pending *p = &a->pending;
	struct span directory = span_cut(&v, ' '), id = span_cut(&v, ' '), verb = span_cut(&v, ' ');
	struct span argument = span_cut(&v, ' ');

	a->is_pending = true;
	p->has_directory = span_eq(directory, SPAN_LIT("1"));
	return get_plain(id, p->id, sizeof p->id) && get_plain(verb, p->verb, sizeof p->verb) &&
	       lines_get_text(argument, p->argument, sizeof p->argument) &&
	       lines_get_text(v, p->actor, sizeof p->actor);
}

static bool get_line(struct account *a, struct span key, struct span v)
{
	static const struct {
		const char *key;
		bool (*get)(struct account *a, struct span v);
	} rows[] = {
		{"state", get_state},		{"verifier", get_verifier},
		{"scram", get_scram},		{"app", get_app},
		{"recovery", get_recovery},	{"totp", get_totp},
		{"invitation", get_invitation}, {"pending", get_pending},
	};

	if (span_eq(key, SPAN_LIT("name")))
		return lines_get_text(v, a->name, sizeof a->name);
	if (span_eq(key, SPAN_LIT("display")))
		return lines_get_text(v, a->display, sizeof a->display);
	if (span_eq(key, SPAN_LIT("made")))
		return get_number(v, &a->made_us);
	if (span_eq(key, SPAN_LIT("seal")))
		return get_number(v, &a->seal);
	if (span_eq(key, SPAN_LIT("admin"))) {
		a->is_admin = span_eq(v, SPAN_LIT("yes"));
		return a->is_admin;
	}
	if (span_eq(key, SPAN_LIT("salt")))
		return hex_decode(a->salt, sizeof a->salt, v);
	if (span_eq(key, SPAN_LIT("passthrough"))) {
		a->passthrough = span_eq(v, SPAN_LIT("yes"));
		return true;
	}
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (span_eq(key, span_str(rows[i].key)))
			return rows[i].get(a, v);
	}
	return false;
}

/* The last line is the sum of what stands before it. */
static bool sum_is_right(struct span bytes, struct span *out_before)
{
	enum { LAST = 4 + 8 + 1 };
	char want[LAST + 1];

	if (bytes.n < LAST)
		return false;
	*out_before = span_first(bytes, bytes.n - LAST);
	(void)snprintf(want, sizeof want, "sum %08x\n", crc32c(0, *out_before));
	return span_eq(span_from(bytes, bytes.n - LAST), span_of(want, LAST));
}

enum rc account_read(struct span bytes, struct account *out, struct fault *why)
{
	struct account *a = NULL;
	struct span rest, line;
	unsigned number = 1;
	enum rc rc = REFUSED;

	if (bytes.n > ACCOUNT_FILE_LIMIT_BYTES || !sum_is_right(bytes, &rest)) {
		fault_set(why, "the file is cut off or damaged (its sum is wrong)");
		return REFUSED;
	}
	if (!span_eq(span_cut(&rest, '\n'), SPAN_LIT("holdfast-account 1"))) {
		fault_set(why, "this is no account file of this version");
		return REFUSED;
	}
	a = calloc(1, sizeof *a);
	while (a && rest.n) {
		struct span key;

		number++;
		line = span_cut(&rest, '\n');
		key = span_cut(&line, ' ');
		if (get_line(a, key, line))
			continue;
		fault_set(why, "line %u is wrong", number);
		goto end;
	}
	if (a && a->name[0]) {
		*out = *a;
		rc = OK;
	} else {
		fault_set(why, "there is no name in it");
	}
end:
	if (a)
		secret_wipe(a, sizeof *a);
	free(a);
	return rc;
}

/* ---- codes ---- */

void account_hash_code(const struct account *a, struct span code,
		       unsigned char out[SECRET_HASH_BYTES])
{
	const struct span parts[] = {span_str(a->name), code};

	secret_hmac_parts(span_of(a->salt, sizeof a->salt), parts, 2, out);
}

static bool hash_typed(const struct account *a, struct span typed,
		       unsigned char out[SECRET_HASH_BYTES])
{
	char code[SECRET_CODE_BYTES + 1];

	if (!secret_code_read(typed, code))
		return false;
	account_hash_code(a, span_of(code, SECRET_CODE_BYTES), out);
	secret_wipe(code, sizeof code);
	return true;
}

const struct account_app *account_app_find(const struct account *a, struct span typed)
{
	const struct account_app *found = NULL;
	unsigned char hash[SECRET_HASH_BYTES];

	if (!hash_typed(a, typed, hash))
		return NULL;
	for (size_t i = 0; i < a->apps_n; i++) {
		if (secret_equal(hash, a->apps[i].hash, sizeof hash))
			found = &a->apps[i];
	}
	return found;
}

bool account_invitation_matches(const struct account *a, struct span typed, uint64_t now_us)
{
	unsigned char hash[SECRET_HASH_BYTES];

	return a->has_invitation && now_us < a->invitation_until_us && hash_typed(a, typed, hash) &&
	       secret_equal(hash, a->invitation, sizeof hash);
}

bool account_recovery_use(struct account *a, struct span typed)
{
	unsigned char hash[SECRET_HASH_BYTES];
	size_t found = SIZE_MAX;

	if (!hash_typed(a, typed, hash))
		return false;
	for (size_t i = 0; i < a->recovery_n; i++) {
		if (secret_equal(hash, a->recovery[i], sizeof hash))
			found = i;
	}
	if (found == SIZE_MAX)
		return false;
	a->recovery_n--;
	memmove(a->recovery[found], a->recovery[a->recovery_n], SECRET_HASH_BYTES);
	return true;
}

bool account_kept_is_good(const struct account *a, uint64_t now_us, uint64_t age_us)
{
	return a->is_kept && (now_us < a->confirmed_us || now_us - a->confirmed_us <= age_us);
}

bool account_is_enrolled(const struct account *a, uint64_t now_us, uint64_t age_us)
{
	bool by_verifier =
		a->verifier[0] && (!a->is_kept || account_kept_is_good(a, now_us, age_us));

	return a->state == ACCOUNT_ACTIVE && (by_verifier || a->apps_n > 0);
}

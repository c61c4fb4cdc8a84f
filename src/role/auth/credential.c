/*
 * Credentials for going home: what a courier needs to write into a person's mailbox on the primary, for one lease.
 *
 *   master user   the site has one in the configuration and its password here (`holdfast site password`)
 *   the person's  seen to be right at the primary at their login (an hour, in memory, sealed), or kept by their consent
 *                 (a file sealed with our key: it keeps the word out of backups of that file alone, and no more)
 */
#include "role/auth/internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"
#include "os/os.h"

enum { NONCE = crypto_secretbox_NONCEBYTES, TAG = crypto_secretbox_MACBYTES };

struct credential {
	char account[LOGIN_NAME_LIMIT_BYTES + 1], site[128];
	struct buf sealed; /* nonce, box */
	uint64_t until_us; /* wall */
};

static void seal(struct auth *a, const unsigned char key[32], struct span plain, struct buf *out)
{
	unsigned char nonce[NONCE];

	os_random(a->os, nonce, NONCE);
	buf_append(out, span_of(nonce, NONCE));
	must(buf_reserve(out, plain.n + TAG));
	(void)crypto_secretbox_easy(out->p + out->n, plain.p, plain.n, nonce, key);
	out->n += plain.n + TAG;
}

static bool open_box(const unsigned char key[32], struct span sealed, struct buf *out)
{
	if (sealed.n < NONCE + TAG || !buf_reserve(out, sealed.n))
		return false;
	if (crypto_secretbox_open_easy(out->p, sealed.p + NONCE, sealed.n - NONCE, sealed.p, key) !=
	    0)
		return false;
	out->n = sealed.n - NONCE - TAG;
	return true;
}

static void credential_free(void *value)
{
	struct credential *c = value;

	secret_wipe_buf(&c->sealed);
	free(c);
}

static void tell_clerk(struct auth *a, const struct credential *c)
{
	struct msg_own_credential m = {.site = span_str(c->site),
				       .account = span_str(c->account),
				       .until_us = c->until_us};
	struct buf body = {0};

	if (!a->clerk)
		return;
	msg_own_credential_encode(&body, &m);
	(void)link_send(a->clerk, MSG_OWN_CREDENTIAL, buf_span(&body));
	buf_fini(&body);
}

void credential_keep(struct auth *a, const struct msg_site *site, struct span account,
		     struct span password, uint64_t for_us)
{
	struct credential *c, *was;

	if (site->imap_n == 0 || site->master_user.n > 0)
		return; /* nothing to write to, or nothing of theirs needed */
	c = must_alloc(sizeof *c);
	(void)snprintf(c->account, sizeof c->account, "%.*s", SPAN_FMT(account));
	(void)snprintf(c->site, sizeof c->site, "%.*s", SPAN_FMT(site->name));
	c->until_us = auth_wall(a) + for_us;
	seal(a, a->run_key, password, &c->sealed);
	was = map_put(&a->credentials, account, c);
	if (was)
		credential_free(was);
	tell_clerk(a, c);
}

static bool consent_name(struct span account, char out[AUTH_PATH_BYTES])
{
	return store_file_name("consent", account, ".consent", out);
}

/* The file: until_us (8 bytes), then the sealed password. */
void credential_consent(struct auth *a, struct span account, struct span password, uint64_t for_ms,
			struct fault *why, bool *out_ok)
{
	const struct msg_site *site = auth_site_of(a, account);
	char name[AUTH_PATH_BYTES];
	unsigned char until[8];
	struct buf file = {0};

	*out_ok = false;
	if (!site || site->imap_n == 0) {
		fault_set(why, "the site of this account has no `imap` in the configuration");
		return;
	}
	put_u64(until, auth_wall(a) + for_ms * 1000);
	buf_append(&file, span_of(until, sizeof until));
	seal(a, a->key, password, &file);
	*out_ok = consent_name(account, name) && store_write(a, name, buf_span(&file), why);
	secret_wipe_buf(&file);
	if (*out_ok)
		credential_keep(a, site, account, password, for_ms * 1000);
}

void credential_forget(struct auth *a, struct span account)
{
	struct credential *c = map_remove(&a->credentials, account);
	char name[AUTH_PATH_BYTES];

	if (c)
		credential_free(c);
	if (consent_name(account, name))
		store_remove(a, name);
}

bool credential_has_consent(struct auth *a, struct span account)
{
	char name[AUTH_PATH_BYTES];
	struct buf file = {0};
	bool has = consent_name(account, name) &&
		   store_read(a, name, &file, LOGIN_PASSWORD_LIMIT_BYTES + 200) && file.n > 8 &&
		   get_u64(file.p) > auth_wall(a);

	secret_wipe_buf(&file);
	return has;
}

static bool own_password(struct auth *a, struct span account, struct buf *out)
{
	const struct credential *c = map_get(&a->credentials, account);
	char name[AUTH_PATH_BYTES];
	struct buf file = {0};
	bool ok;

	if (c && c->until_us > auth_wall(a) && open_box(a->run_key, buf_span(&c->sealed), out))
		return true;
	ok = consent_name(account, name) &&
	     store_read(a, name, &file, LOGIN_PASSWORD_LIMIT_BYTES + 200) && file.n > 8 &&
	     get_u64(file.p) > auth_wall(a) && open_box(a->key, span_from(buf_span(&file), 8), out);
	secret_wipe_buf(&file);
	return ok;
}

static const struct msg_site *site_named(const struct auth *a, struct span name)
{
	for (size_t i = 0; i < a->config->sites_n; i++) {
		if (span_eq(a->config->sites[i].name, name))
			return &a->config->sites[i];
	}
	return NULL;
}

/* ---- ours ---- */

bool credential_user(const struct auth *a, struct span place, struct span *out_user)
{
	const struct msg_site *site = site_named(a, place);
	struct span user = SPAN_NONE;

	if (span_eq(place, SPAN_LIT(CREDENTIAL_SMARTHOST)))
		user = a->config->smarthost.user;
	else if (site)
		user = site->master_user;
	if (!user.n)
		return false;
	*out_user = user;
	return true;
}

/* The names of sites are good in a file (config/fill_sites.c). */
static void place_name(struct span place, const char *file, char out[AUTH_PATH_BYTES])
{
	if (span_eq(place, SPAN_LIT(CREDENTIAL_SMARTHOST)))
		(void)snprintf(out, AUTH_PATH_BYTES, "smarthost-password");
	else
		(void)snprintf(out, AUTH_PATH_BYTES, "sites/%.*s%s", SPAN_FMT(place), file);
}

bool credential_password(struct auth *a, struct span place, struct buf *out)
{
	char name[AUTH_PATH_BYTES];
	struct span user;

	place_name(place, "/master-password", name);
	if (!credential_user(a, place, &user) ||
	    !store_read(a, name, out, LOGIN_PASSWORD_LIMIT_BYTES + 2))
		return false;
	while (out->n && (out->p[out->n - 1] == '\n' || out->p[out->n - 1] == '\r'))
		out->n--;
	return out->n > 0;
}

/* Who waited for it waits no longer: no account is named. */
static void tell_it_came(struct auth *a, struct span place)
{
	const struct msg_own_credential m = {.site = place};
	struct buf body = {0};

	if (!a->clerk)
		return;
	msg_own_credential_encode(&body, &m);
	(void)link_send(a->clerk, MSG_OWN_CREDENTIAL, buf_span(&body));
	buf_fini(&body);
}

bool credential_put(struct auth *a, struct span place, struct span password, struct fault *why)
{
	char name[AUTH_PATH_BYTES], folder[AUTH_PATH_BYTES];
	struct buf line = {0};
	bool ok;

	place_name(place, "/master-password", name);
	if (!password.n) {
		store_remove(a, name);
		return true;
	}
	place_name(place, "", folder);
	if (strcmp(name, folder) != 0 && !store_folder(a, folder, why))
		return false;
	buf_append(&line, password);
	buf_append_byte(&line, '\n');
	ok = store_write(a, name, buf_span(&line), why);
	secret_wipe_buf(&line);
	if (ok && !span_eq(place, SPAN_LIT(CREDENTIAL_SMARTHOST)))
		tell_it_came(a, place);
	return ok;
}

/* "%u*%m" */
static void master_login(const struct msg_site *site, struct span account, struct buf *out)
{
	struct span shape = site->master_login;

	for (size_t i = 0; i < shape.n; i++) {
		if (shape.p[i] != '%' || i + 1 == shape.n) {
			buf_append_byte(out, shape.p[i]);
			continue;
		}
		buf_append(out, shape.p[++i] == 'u' ? account : site->master_user);
	}
}

void credential_answer(struct peer *p, const struct msg_credential_ask *m)
{
	struct auth *a = p->auth;
	const struct msg_site *site = site_named(a, m->site);
	struct msg_credential_answer out = {.id = m->id};
	struct buf password = {0}, user = {0}, body = {0};

	if (span_eq(m->site, SPAN_LIT(CREDENTIAL_SMARTHOST))) {
		if (credential_password(a, m->site, &password)) {
			out.kind = 1;
			out.user = a->config->smarthost.user;
		} else {
			out.why = SPAN_LIT("there is no password for the smarthost: holdfast "
					   "smarthost password");
		}
	} else if (site && auth_site_of(a, m->account) == site &&
		   credential_password(a, m->site, &password)) {
		out.kind = 1;
		if (span_eq(site->master_login, SPAN_LIT("sasl"))) {
			buf_append(&user, site->master_user);
			out.authorize = m->account;
		} else {
			master_login(site, m->account, &user);
		}
		out.user = buf_span(&user);
	} else if (site && auth_site_of(a, m->account) == site &&
		   own_password(a, m->account, &password)) {
		out.kind = 2;
		out.user = m->account;
	} else {
		out.why = site && site->master_user.n
				  ? SPAN_LIT("there is no password of the site's master user: "
					     "holdfast site password")
				  : SPAN_LIT("the person has not logged in since, nor consented");
	}
	out.password = buf_span(&password);
	msg_credential_answer_encode(&body, &out);
	say(SAY_INFO, "credential.leased", "kind", SAY_U64(out.kind), "lease", SAY_U64(m->lease),
	    "site", SAY_SPAN(m->site), "account", SAY_SPAN(m->account), NULL);
	(void)link_send(p->link, MSG_CREDENTIAL_ANSWER, buf_span(&body));
	secret_wipe_buf(&password);
	secret_wipe_buf(&body);
	buf_fini(&user);
}

void credential_tell_all(struct auth *a)
{
	size_t cursor = 0;
	struct span account;
	void *value;

	while (map_next(&a->credentials, &cursor, &account, &value)) {
		if (((struct credential *)value)->until_us > auth_wall(a))
			tell_clerk(a, value);
	}
}

void credential_free_all(struct auth *a)
{
	map_fini(&a->credentials, credential_free);
}

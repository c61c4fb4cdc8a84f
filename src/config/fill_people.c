/* What people's mailboxes need: accounts and logins, the window, the way to the world. */
#include "config/fill_internal.h"

#define MIN  60000u
#define HOUR (60 * MIN)
#define DAY  (24ull * HOUR)

static void fill_smarthost(struct fill *f, const struct raw_smarthost *r, struct tree *t,
			   struct msg_smarthost *out)
{
	out->tls = SPAN_LIT("opportunistic");
	out->port = 25;
	if (!r)
		return;
	out->host = fill_host(f, r->host, tree_get(t, "host"));
	out->port = (uint16_t)fill_number(f, r->port, 25, 1, 65535, tree_get(t, "port"));
	out->user = fill_text(f, r->user);
	out->tls = fill_word(r->tls, schema_tls, out->user.n ? "required" : "opportunistic");
	if (out->user.n && span_eq(out->tls, SPAN_LIT("opportunistic")))
		fill_warn(f, tree_get(t, "tls"), "write required",
			  "the password would go to whoever answers, for no certificate is checked");
}

/* Passwords in the clear: only where nobody but this machine can listen. */
static void check_clear_logins(struct fill *f, struct tree *t, const struct msg_config *out)
{
	for (size_t i = 0; i < out->listen_n; i++) {
		struct span service = out->listen[i].service, address = out->listen[i].address;

		if (span_eq(service, SPAN_LIT("smtp")) || span_eq(service, SPAN_LIT("metrics")) ||
		    units_is_loopback(span_first(address, (size_t)span_rchr(address, ':'))))
			continue;
		fill_bad(f, tree_get(t, "needs_tls"), "remove it, or listen on loopback alone",
			 "without TLS passwords could be read on the way to `%.*s` (%.*s)",
			 SPAN_FMT(address), SPAN_FMT(service));
		return;
	}
}

static void fill_accounts(struct fill *f, const struct raw_accounts *given, struct tree *t,
			  struct msg_config *out)
{
	static const struct raw_accounts none;
	const struct raw_accounts *r = given ? given : &none;

	out->scram = r->scram ? *r->scram : false;
	out->needs_tls_to_login = r->needs_tls ? *r->needs_tls : true;
	if (!out->needs_tls_to_login)
		check_clear_logins(f, t, out);
	out->verifier_age_ms = fill_duration(f, r->verifier_age, 90 * DAY, HOUR, 3650 * DAY,
					     tree_get(t, "verifier_age"));
	out->submissions_per_hour = fill_number(f, r->submissions_per_hour, 500, 1, 1000000,
						tree_get(t, "submissions_per_hour"));
	out->sessions_per_account =
		fill_number(f, r->sessions, 50, 1, 10000, tree_get(t, "sessions"));
	out->idle_timeout_ms = (uint32_t)fill_duration(f, r->idle_timeout, 30 * MIN, MIN, DAY,
						       tree_get(t, "idle_timeout"));
	if (out->idle_timeout_ms < 30 * MIN)
		fill_warn(f, tree_get(t, "idle_timeout"), "write 30m",
			  "mail programs may count on 30 minutes (RFC 9051)");
}

void fill_people(struct fill *f, const struct raw_config *raw, struct tree *root,
		 struct msg_config *out)
{
	fill_smarthost(f, raw->smarthost, tree_get(root, "smarthost"), &out->smarthost);
	fill_accounts(f, raw->accounts, tree_get(root, "accounts"), out);
	out->window_ms =
		fill_duration(f, raw->window, 30 * DAY, HOUR, 3650 * DAY, tree_get(root, "window"));
	out->dane = raw->dane ? *raw->dane : true;
	if (raw->mta_sts && !span_eq(span_str(raw->mta_sts), SPAN_LIT("off")))
		out->mta_sts_ms = fill_duration(f, raw->mta_sts, 0, HOUR, 365 * DAY,
						tree_get(root, "mta_sts"));
	else
		out->mta_sts_ms = raw->mta_sts ? 0 : 31 * DAY;
}

/* Can people log in, read and write here while the primary is down, and does what they did go home? */
#include "cli/autoconfig.h"
#include "cli/doctor.h"
#include "cli/people.h"
#include "config/units.h"
#include "tls/tls.h"

enum { DNS_TYPE_SRV = 33 };

static bool serves(const struct doctor *d, const char *plain, const char *tls)
{
	for (size_t i = 0; i < d->config.listen_n; i++) {
		struct span service = d->config.listen[i].service;

		if (span_eq(service, span_str(plain)) || span_eq(service, span_str(tls)))
			return true;
	}
	return false;
}

static void check_listeners(struct doctor *d)
{
	bool has_portal = serves(d, "https", "https");
	bool reads = serves(d, "imap", "imaps") || serves(d, "pop3", "pop3s");
	bool writes = serves(d, "submission", "submissions");

	d->has_people = reads || writes || has_portal;
	if (has_portal && !reads && !writes)
		doctor_say(d, DOCTOR_GOOD, "people", "",
			   "can read and send mail here in the portal, and with JMAP");
	else if (!reads && !writes)
		doctor_say(d, DOCTOR_NOTE, "people",
			   "add listen.https (the portal), listen.imaps and listen.submissions",
			   "nobody can read or write mail here while the primary is down: no "
			   "listener for people");
	else if (!reads || !writes)
		doctor_say(d, DOCTOR_WARN, "people",
			   reads ? "add listen.submissions" : "add listen.imaps",
			   "mail programs can %s mail here, but not %s it", reads ? "read" : "send",
			   reads ? "send" : "read");
	else
		doctor_say(d, DOCTOR_GOOD, "people", "",
			   "can read and send mail here with mail programs%s",
			   has_portal ? ", and in the portal" : "; listen.https opens the portal");
}

/* Port 25 is content with a self-signed certificate; people are warned of it, and learn to click warnings away. */
static void check_certificate(struct doctor *d)
{
	struct autoconfig a;

	if (d->config.tls_certificate.n || !autoconfig_find(&d->config, SPAN_NONE, SPAN_NONE, &a) ||
	    units_is_loopback(a.servers[0].host))
		return;
	doctor_say(d, DOCTOR_WARN, "people", "name a real one under `tls`, for the name people use",
		   "their mail programs will warn of the self-signed certificate");
}

static void check_clear_text(struct doctor *d)
{
	if (!d->config.needs_tls_to_login)
		doctor_say(d, DOCTOR_NOTE, "people", "remove accounts.needs_tls when people come",
			   "passwords are taken without TLS, on loopback");
}

static void check_master(struct doctor *d, const char *topic, const struct msg_site *site)
{
	const char *command = doctor_text(d, "holdfast site password %.*s", SPAN_FMT(site->name));

	switch (cli_site_has_password(d->c, d->data, site)) {
	case CLI_HAS:
		doctor_say(d, DOCTOR_GOOD, topic, "",
			   "what people did here goes home as %.*s, by IMAP on %.*s",
			   SPAN_FMT(site->master_user), SPAN_FMT(site->imap[0].host));
		return;
	case CLI_LACKS:
		doctor_say(d, DOCTOR_WARN, topic, command,
			   "there is no password of the master user %.*s: what people did here "
			   "cannot go home",
			   SPAN_FMT(site->master_user));
		return;
	case CLI_UNKNOWN:
		doctor_say(d, DOCTOR_NOTE, topic, "ask again as root, or while Holdfast runs",
			   "whether there is a password of the master user %.*s only auth knows",
			   SPAN_FMT(site->master_user));
		return;
	}
}

static void check_home(struct doctor *d, const struct msg_site *site)
{
	const char *topic = doctor_text(d, "%.*s, people", SPAN_FMT(site->name));

	if (!site->imap_n)
		doctor_say(
			d, DOCTOR_NOTE, topic,
			"name the primary's IMAP server: imap: [{ host: mail.example.com }]",
			"no `imap`: passwords of the primary are not known here, and what people "
			"did here does not go home; after three days they get what they sent as a "
			"message");
	else if (!site->master_user.n)
		doctor_say(d, DOCTOR_NOTE, topic, "name a master user of the primary: master",
			   "no `master`: what people did here goes home when they log in after the "
			   "outage, or stored their password by consent");
	else
		check_master(d, topic, site);
}

/* Programs find us by SRV; whether they are ours is not looked at, only whether there are any. */
static void check_srv(struct doctor *d, const struct msg_domain *domain)
{
	const char *name = doctor_text(d, "_imaps._tcp.%.*s", SPAN_FMT(domain->name));
	const char *topic = doctor_text(d, "%.*s, mail programs", SPAN_FMT(domain->name));
	struct doctor_records srv;

	doctor_ask(d, name, DNS_TYPE_SRV, &srv);
	if (srv.rc == LATER)
		return;
	if (srv.n)
		doctor_say(d, DOCTOR_GOOD, topic, "", "%s is published", name);
	else
		doctor_say(d, DOCTOR_NOTE, topic, "publish the records below",
			   "%s is not published: people have to type the server's name", name);
}

void doctor_people(struct doctor *d)
{
	const char *only = cli_value(d->c, "site");
	struct autoconfig a;
	bool has_programs = autoconfig_find(&d->config, SPAN_NONE, SPAN_NONE, &a);

	check_listeners(d);
	check_certificate(d);
	check_clear_text(d);
	doctor_portal(d); /* of this machine, too: under the same heading */
	for (size_t i = 0; d->has_people && i < d->config.sites_n; i++) {
		if (!only || span_eq(d->config.sites[i].name, span_str(only)))
			check_home(d, &d->config.sites[i]);
	}
	for (size_t i = 0; has_programs && !d->dns_is_away && i < d->config.domains_n; i++) {
		if (!only || span_eq(d->config.domains[i].site, span_str(only)))
			check_srv(d, &d->config.domains[i]);
	}
}

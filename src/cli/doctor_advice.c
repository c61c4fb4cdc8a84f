/*
 * Lines to copy. Each exempts our address from the checks that make sense for strangers only (SPF, greylisting, block
 * lists, rates), and none lets us relay to other domains.
 */
#include "cli/doctor.h"

#include "cli/autoconfig.h"
#include "config/units.h"

static const char *joined(struct doctor *d, const char *before, const char *between,
			  const char *after)
{
	struct buf text = {0};
	const char *copy;

	for (size_t i = 0; i < d->ours_n; i++)
		buf_printf(&text, "%s%s%s%s", i ? between : "", before, d->ours[i], after);
	if (!d->ours_n)
		buf_printf(&text, "%sOUR-ADDRESS%s", before, after);
	copy = doctor_text(d, "%s", buf_cstr(&text));
	buf_fini(&text);
	return copy;
}

static const char *for_postfix(struct doctor *d)
{
	return doctor_text(
		d,
		"# /etc/postfix/main.cf; then: postfix reload\n"
		"holdfast = inline:{ %s }\n"
		"smtpd_recipient_restrictions = reject_unauth_destination,\n"
		"    check_client_access $holdfast,\n"
		"    ... (what stood there: SPF policy, greylisting, block lists)\n"
		"smtpd_client_event_limit_exceptions = $mynetworks %s\n"
		"# with postscreen: postscreen_access_list = permit_mynetworks, "
		"cidr:/etc/postfix/holdfast\n"
		"#   and in that file: %s permit\n"
		"# with milters that check SPF or DMARC: smtpd_milter_maps = inline:{ %s }\n",
		joined(d, "{ ", " ", " = OK }"), joined(d, "", " ", ""),
		joined(d, "", " permit, ", ""), joined(d, "{ ", " ", " = DISABLE }"));
}

static const char *for_exim(struct doctor *d)
{
	return doctor_text(d,
			   "# main section (Debian: /etc/exim4/conf.d/main/00_local)\n"
			   "hostlist holdfast = <; %s\n"
			   "# acl_check_rcpt, before SPF, greylisting and DNS lists\n"
			   "accept hosts = +holdfast\n"
			   "       domains = +local_domains : +relay_to_domains\n"
			   "       verify = recipient\n"
			   "# acl_check_data, first\n"
			   "accept hosts = +holdfast\n",
			   joined(d, "", " ; ", ""));
}

static const char *for_exchange(struct doctor *d)
{
	return doctor_text(
		d,
		"# Exchange Management Shell\n"
		"New-ReceiveConnector Holdfast -TransportRole FrontendTransport -Custom `\n"
		"  -Bindings 0.0.0.0:25 -RemoteIPRanges %s -PermissionGroups AnonymousUsers\n"
		"Get-ReceiveConnector *\\Holdfast | Add-ADPermission -User \"NT "
		"AUTHORITY\\ANONYMOUS LOGON\" `\n"
		"  -ExtendedRights "
		"Ms-Exch-Bypass-Anti-Spam,Ms-Exch-SMTP-Accept-Authoritative-Domain-Sender\n"
		"Set-TransportConfig -InternalSMTPServers @{Add=%s}\n",
		joined(d, "", ",", ""), joined(d, "\"", ",", "\""));
}

static const char *for_microsoft365(struct doctor *d)
{
	return doctor_text(
		d,
		"# Exchange Online PowerShell; the address must be a public one\n"
		"New-InboundConnector -Name Holdfast -ConnectorType Partner -SenderDomains * `\n"
		"  -SenderIPAddresses %s -EFSkipIPs %s\n"
		"Set-HostedConnectionFilterPolicy Default -IPAllowList @{Add=%s}\n",
		joined(d, "", ",", ""), joined(d, "", ",", ""), joined(d, "\"", ",", "\""));
}

void doctor_lines(struct doctor *d, struct doctor_lines out[DOCTOR_SERVERS])
{
	out[0] = (struct doctor_lines){"postfix", "Postfix", for_postfix(d)};
	out[1] = (struct doctor_lines){"exim", "Exim", for_exim(d)};
	out[2] = (struct doctor_lines){"exchange", "Exchange Server", for_exchange(d)};
	out[3] = (struct doctor_lines){"m365", "Microsoft 365", for_microsoft365(d)};
}

static struct span primary_of(const struct doctor *d, const struct msg_domain *domain)
{
	for (size_t i = 0; i < d->config.sites_n; i++) {
		const struct msg_site *s = &d->config.sites[i];

		if (span_eq(s->name, domain->site) && s->primaries_n &&
		    !units_is_ip(s->primaries[0].host))
			return s->primaries[0].host;
	}
	return SPAN_LIT("your-mail-server");
}

const char *doctor_mx(struct doctor *d, const struct msg_domain *domain)
{
	struct span primary = primary_of(d, domain);

	if (span_eq(domain->mode, SPAN_LIT("journal")))
		return doctor_text(d,
				   "; %.*s: its MX records stay as they are; the primary sends its "
				   "copies to %.*s\n",
				   SPAN_FMT(domain->name), SPAN_FMT(d->config.node));
	if (span_eq(domain->mode, SPAN_LIT("gateway")))
		return doctor_text(d, "%.*s. 3600 IN MX 10 %.*s.\n", SPAN_FMT(domain->name),
				   SPAN_FMT(d->config.node));
	return doctor_text(d, "%.*s. 3600 IN MX 10 %.*s.\n%.*s. 3600 IN MX 20 %.*s.\n",
			   SPAN_FMT(domain->name), SPAN_FMT(primary), SPAN_FMT(domain->name),
			   SPAN_FMT(d->config.node));
}

const char *doctor_gaps(struct span mode)
{
	if (span_eq(mode, SPAN_LIT("gateway")))
		return "covers: the primary cannot be reached by SMTP; it answers but mailboxes or "
		       "logins are broken; it refuses good mail with 5xx; it loses what it had "
		       "taken: all that passed stays readable here for the window. Does not cover: "
		       "mail that does not pass here, which is what people inside write to each "
		       "other and what the primary sends out (add `journal`), and an outage of "
		       "this machine: a second one belongs behind it in the MX.";
	if (span_eq(mode, SPAN_LIT("journal")))
		return "covers: people read what the primary had copied here before it failed. "
		       "Does "
		       "not cover: mail that arrives during the outage; combine it with backup-mx "
		       "or gateway for the domains that people have addresses in.";
	if (span_eq(mode, SPAN_LIT("gated")))
		return "covers: the primary cannot be reached by SMTP. Does not cover: it answers "
		       "but mailboxes or logins "
		       "are broken, it refuses good mail with 5xx, or it loses data: senders "
		       "deliver there directly, and we "
		       "answer 4xx as long as it is up.";
	return "covers: the primary cannot be reached by SMTP. Does not cover: it answers but "
	       "mailboxes or logins are "
	       "broken, it refuses good mail with 5xx, or it loses data: senders deliver there "
	       "directly, and we never see "
	       "that mail. Spammers like backup MXs: the mode `gated` closes that door while the "
	       "primary is up.";
}

const char *doctor_programs(struct doctor *d, const struct msg_domain *domain)
{
	struct autoconfig a = {0};
	struct buf out = {0};
	const char *text;

	if (domain->journal_to_n && span_eq(domain->mode, SPAN_LIT("journal")))
		return NULL; /* reports come here, nobody has an address */
	if (!autoconfig_find(&d->config, domain->name, SPAN_NONE, &a))
		return NULL;
	autoconfig_dns(&a, &out);
	text = doctor_text(d, "%s", buf_cstr(&out));
	buf_fini(&out);
	return text;
}

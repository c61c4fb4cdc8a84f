/*
 * The portal and the console: do they answer with their pages, will browsers trust the certificate, who may reach the console,
 * who can log in, and does the portal say whom to ask? The listeners are asked as a browser does, at this machine; what a
 * firewall does on the way here cannot be seen.
 */
#include "cli/control.h"
#include "cli/doctor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "config/units.h"
#include "ipc/msg.h"
#include "tls/tls.h"

enum { PATIENCE_S = 5, ASK_MS = 5000, ANSWER_BYTES = 64 << 10, FEW_CODES = 3 };

static bool is_console(const struct msg_listen *l)
{
	return span_eq(l->service, SPAN_LIT("admin"));
}

static bool is_page(const struct msg_listen *l)
{
	return is_console(l) || span_eq(l->service, SPAN_LIT("https"));
}

/* "[::]" without brackets. */
static struct span host_of(const struct msg_listen *l)
{
	struct span host = span_first(l->address, (size_t)span_rchr(l->address, ':'));

	if (host.n > 2 && host.p[0] == '[')
		host = span_of(host.p + 1, host.n - 2);
	return host;
}

static bool is_everywhere(const struct msg_listen *l)
{
	return span_eq(host_of(l), SPAN_LIT("0.0.0.0")) || span_eq(host_of(l), SPAN_LIT("::"));
}

static bool is_open_to_others(const struct msg_config *config, const char *service)
{
	for (size_t i = 0; i < config->listen_n; i++) {
		if (span_eq(config->listen[i].service, span_str(service)) &&
		    !units_is_loopback(host_of(&config->listen[i])))
			return true;
	}
	return false;
}

/* ---- does it answer? ---- */

static int connected(struct doctor *d, const struct msg_listen *l)
{
	const char *host = is_everywhere(l) ? span_chr(host_of(l), ':') >= 0 ? "::1" : "127.0.0.1"
					    : doctor_text(d, "%.*s", SPAN_FMT(host_of(l)));
	struct timeval patience = {.tv_sec = PATIENCE_S};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
	uint64_t port = 0;
	int fd;

	(void)span_to_u64(span_from(l->address, (size_t)span_rchr(l->address, ':') + 1), 65535,
			  &port);
	v4.sin_port = v6.sin6_port = htons((uint16_t)port);
	if (!is_v4 && inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
		return -1;
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
	    connect(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
		    is_v4 ? sizeof v4 : sizeof v6) < 0) {
		int error = errno;

		(void)close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static bool put(int fd, struct buf *wire)
{
	size_t at = 0;

	while (at < wire->n) {
		ssize_t n = send(fd, wire->p + at, wire->n - at, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	buf_clear(wire);
	return true;
}

/* One request over TLS, until the status line is there. */
static bool converse(int fd, struct tls *t, struct span request, struct buf *answer)
{
	struct buf wire = {0};
	struct fault why = {0};
	unsigned char piece[8192];
	bool is_asked = false, ok = tls_start(t, &wire, &why) == OK && put(fd, &wire);

	while (ok && span_chr(buf_span(answer), '\n') < 0 && answer->n < ANSWER_BYTES) {
		ssize_t n = recv(fd, piece, sizeof piece, 0);
		enum rc rc = n > 0 ? tls_input(t, span_of(piece, (size_t)n), answer, &wire, &why)
				   : BROKEN;

		ok = rc == OK || rc == MORE;
		if (ok && tls_is_ready(t) && !is_asked) {
			ok = tls_output(t, request, &wire, &why) == OK;
			is_asked = true;
		}
		ok = ok && put(fd, &wire);
	}
	buf_fini(&wire);
	return span_chr(buf_span(answer), '\n') >= 0;
}

/* The status of GET /; 0: it did not answer. */
static unsigned status_of(struct doctor *d, int fd)
{
	const char *request =
		doctor_text(d, "GET / HTTP/1.1\r\nHost: %.*s\r\nConnection: close\r\n\r\n",
			    SPAN_FMT(d->config.node));
	struct tls_context *context;
	struct fault why = {0};
	struct buf answer = {0};
	struct tls *t;
	uint64_t status = 0;

	if (tls_client_new(false, NULL, &context, &why) != OK)
		return 0;
	t = tls_new(context, false, doctor_text(d, "%.*s", SPAN_FMT(d->config.node)));
	if (converse(fd, t, span_str(request), &answer) && answer.n > 12 &&
	    span_starts(buf_span(&answer), SPAN_LIT("HTTP/1.1 ")))
		(void)span_to_u64(span_of(answer.p + 9, 3), 999, &status);
	buf_fini(&answer);
	tls_free(t);
	tls_context_unref(context);
	return (unsigned)status;
}

static void check_answer(struct doctor *d, const char *topic, const struct msg_listen *l)
{
	int fd = connected(d, l);
	unsigned status = 0;

	if (fd < 0) {
		doctor_say(d, DOCTOR_WARN, topic, "start Holdfast: systemctl start holdfast",
			   "%.*s does not answer: %s", SPAN_FMT(l->address), strerror(errno));
		return;
	}
	status = status_of(d, fd);
	(void)close(fd);
	if (status == 200)
		doctor_say(d, DOCTOR_GOOD, topic, "", "answers with its page at %.*s",
			   SPAN_FMT(l->address));
	else if (status == 404)
		doctor_say(d, DOCTOR_BAD, topic,
			   "build it with its pages (not with WEB=no), install that, and restart",
			   "%.*s has no pages: they are not installed", SPAN_FMT(l->address));
	else
		doctor_say(d, DOCTOR_BAD, topic, "is that Holdfast? See its log",
			   "%.*s takes connections, but does not answer as it should",
			   SPAN_FMT(l->address));
}

/* ---- will browsers trust it? ---- */

static void check_names(struct doctor *d, const char *topic, const struct tls_context *tls)
{
	const char *node = doctor_text(d, "%.*s", SPAN_FMT(d->config.node));
	struct buf names = {0};

	tls_context_names(tls, &names);
	if (tls_context_is_self_signed(tls))
		doctor_say(d, DOCTOR_WARN, topic,
			   "get one from an authority that browsers and programs know",
			   "the certificate is its own issuer: people will be warned of it");
	if (!tls_context_is_for(tls, node))
		doctor_say(d, DOCTOR_WARN, topic,
			   doctor_text(d, "tell people a name that is in it, or add %s", node),
			   "the certificate is not good for %s, only for: %s", node,
			   names.n ? buf_cstr(&names) : "no name at all");
	else
		doctor_say(d, DOCTOR_GOOD, topic, "", "the certificate is good for %s",
			   names.n ? buf_cstr(&names) : node);
	buf_fini(&names);
}

/* One that cannot be read is said under "tls"; that none is named, here and under "people". */
static void check_certificate(struct doctor *d, const char *topic)
{
	struct tls_context *tls = NULL;
	struct fault why = {0};

	if (!d->config.tls_certificate.n)
		doctor_say(d, DOCTOR_WARN, topic,
			   "name a real one under `tls`, for the name people are told",
			   "browsers will warn of the self-signed certificate");
	else if (tls_server_new(doctor_text(d, "%.*s", SPAN_FMT(d->config.tls_certificate)),
				doctor_text(d, "%.*s", SPAN_FMT(d->config.tls_key)), "https", &tls,
				&why) == OK)
		check_names(d, topic, tls);
	tls_context_unref(tls);
}

/* ---- what it says, and to whom ---- */

static void check_contacts(struct doctor *d)
{
	const struct msg_portal *portal = &d->config.portal;
	bool has_phone = false;

	for (size_t i = 0; i < portal->contacts_n; i++)
		has_phone |= portal->contacts[i].phone.n > 0;
	if (!portal->contacts_n)
		doctor_say(d, DOCTOR_NOTE, "portal", "name somebody under portal.contacts",
			   "does not tell people whom to ask for help");
	else if (!has_phone)
		doctor_say(d, DOCTOR_NOTE, "portal", "give one of portal.contacts a telephone",
			   "no contact has a telephone number, and mail may be what is broken");
}

static void check_reach(struct doctor *d, const struct msg_listen *l)
{
	if (is_everywhere(l))
		doctor_say(d, DOCTOR_WARN, "console",
			   "listen where administrators alone come from: admin: "
			   "[\"127.0.0.1:8443\"], and ssh -L",
			   "%.*s is open to everybody who can reach this machine",
			   SPAN_FMT(l->address));
	else if (is_open_to_others(&d->config, "https") && !units_is_loopback(host_of(l)))
		doctor_say(d, DOCTOR_NOTE, "console", "",
			   "browsers send cookies to every port of a name: open it by another name "
			   "than the portal's");
}

static uint64_t number_of(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

static void check_administrator(struct doctor *d, const json_t *account)
{
	uint64_t codes = number_of(account, "recovery_codes");

	if (codes < FEW_CODES)
		doctor_say(d, DOCTOR_NOTE, "console",
			   doctor_text(d, "holdfast user totp %s codes",
				       json_string_value(json_object_get(account, "account"))),
			   "%s has %llu recovery codes left",
			   json_string_value(json_object_get(account, "account")),
			   (unsigned long long)codes);
}

static void check_accounts(struct doctor *d, const json_t *accounts, bool has_console)
{
	size_t i, good = 0, admins = 0, invited = 0;
	const json_t *each;

	json_array_foreach(accounts, i, each)
	{
		bool is_admin = json_is_true(json_object_get(each, "admin"));

		good += json_is_true(json_object_get(each, "can_log_in"));
		invited += !json_is_true(json_object_get(each, "can_log_in")) &&
			   json_is_true(json_object_get(each, "invited"));
		admins += is_admin;
		if (is_admin && has_console)
			check_administrator(d, each);
	}
	if (!good)
		doctor_say(d, DOCTOR_WARN, "people",
			   json_array_size(accounts) ? "holdfast user invite --all"
						     : "holdfast user add ADDRESS, or user import",
			   "nobody can log in yet");
	else if (good < json_array_size(accounts) && invited)
		doctor_say(d, DOCTOR_NOTE, "people", "holdfast user list",
			   "%zu of %zu could log in now; %zu more %s an invitation not used yet",
			   good, json_array_size(accounts), invited, invited == 1 ? "has" : "have");
	else if (good < json_array_size(accounts))
		doctor_say(d, DOCTOR_NOTE, "people", "holdfast user invite --all",
			   "%zu of %zu could log in now", good, json_array_size(accounts));
	else
		doctor_say(d, DOCTOR_GOOD, "people", "", "all %zu could log in now", good);
	if (has_console && !admins)
		doctor_say(d, DOCTOR_WARN, "console",
			   "holdfast user totp ADDRESS begin, then confirm; holdfast user admin "
			   "ADDRESS on",
			   "nobody is an administrator");
}

static void check_logins(struct doctor *d, bool has_console)
{
	struct msg_user_list m = {.match = SPAN_LIT("")};
	struct msg_people_answer answer;
	struct buf body = {0};
	struct fault why = {0};
	json_t *root = NULL;

	msg_user_list_encode(&body, &m);
	if (people_ask(d->c, d->data, MSG_USER_LIST, buf_span(&body), ASK_MS, &answer, &why) ==
		    OK &&
	    answer.ok)
		root = json_loadb((const char *)answer.json.p, answer.json.n, 0, NULL);
	if (root && !number_of(root, "left_out"))
		check_accounts(d, json_object_get(root, "accounts"), has_console);
	else if (!root)
		doctor_say(d, DOCTOR_NOTE, "people", "ask again while Holdfast runs, as root",
			   "who can log in only auth knows, and it did not say");
	json_decref(root);
	buf_fini(&body);
}

void doctor_portal(struct doctor *d)
{
	bool has_portal = false, has_console = false;

	for (size_t i = 0; i < d->config.listen_n; i++) {
		const struct msg_listen *l = &d->config.listen[i];

		if (!is_page(l))
			continue;
		/* Behind proxies that say who is there, a plain question is refused. */
		if (!d->config.proxy_from_n)
			check_answer(d, is_console(l) ? "console" : "portal", l);
		if (is_console(l))
			check_reach(d, l);
		has_console |= is_console(l);
		has_portal |= !is_console(l);
	}
	if (has_portal) {
		check_certificate(d, "portal");
		check_contacts(d);
	}
	if (d->has_people || has_console)
		check_logins(d, has_console);
}

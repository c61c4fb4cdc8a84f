/*
 * Home leases: the credential, the connection, and the engine's wants. One connection a lease; what is not done when it ends
 * the clerk leases again.
 */
#include "role/courier/home.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "ipc/link.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "role/common/primary_tls.h"
#include "role/common/role.h"
#include "say/say.h"
#include "tls/tls.h"

#define CREDENTIAL_US 15000000u
#define CONNECT_US    15000000u

enum { ARENA_BYTES = 16 << 20 };
enum { WHY_DONE, WHY_NO_CREDENTIAL, WHY_NOT_REACHED, WHY_LOGIN_REFUSED };

static struct home *home_at(struct list *at)
{
	return LIST_ENTRY(at, struct home, at);
}

/* ---- the end ---- */

static void home_free(struct home *h)
{
	struct courier *c = h->c;

	resolve_forget(&h->resolve);
	list_remove(&h->at);
	loop_timer_free(h->timer);
	imap_client_free(h->client);
	home_bytes_close(h->work.bytes);
	home_folders_fini(&h->folders);
	if (h->secret.p)
		explicit_bzero(h->secret.p, h->secret.cap);
	buf_fini(&h->secret);
	buf_fini(&h->tls_ca);
	buf_fini(&h->header);
	arena_fini(&h->arena);
	free(h);
	courier_check_end(c);
}

/* Nothing is left to wait for: the clerk hears of it. */
static void settle(struct home *h)
{
	const struct msg_home_done m = {.lease = h->lease.lease,
					.why = (uint8_t)h->why,
					.reason = span_str(h->reason),
					.lane_seq = lane_durable(h->c->lane).seq};
	struct buf body = {0};

	if (!h->is_over || h->conn || h->awaited)
		return;
	if (h->c->clerk) {
		msg_home_done_encode(&body, &m);
		(void)links_send(h->c->clerk, MSG_HOME_DONE, &body);
	}
	home_free(h);
}

void home_end(struct home *h, unsigned why, const char *reason)
{
	if (h->is_over)
		return;
	h->is_over = true;
	h->why = why;
	(void)snprintf(h->reason, sizeof h->reason, "%s", reason);
	home_work_lost(h);
	home_record_flush(h);
	loop_timer_clear(h->timer);
	h->question = 0;
	if (h->conn)
		conn_abort(h->conn);
}

/* For those that are not called from within the connection. */
static void end_and_settle(struct home *h, unsigned why, const char *reason)
{
	home_end(h, why, reason);
	settle(h);
}

/* ---- driving ---- */

static void give_login(struct home *h)
{
	imap_client_login(h->client, h->user, h->authorize, h->password);
	explicit_bzero(h->secret.p, h->secret.cap);
	buf_clear(&h->secret);
}

/* The next command. False: nothing now. */
static bool command(struct home *h)
{
	switch (h->stage) {
	case HOME_STAGE_LOGIN:
		give_login(h);
		return true;
	case HOME_STAGE_NAMESPACE:
		imap_client_namespace(h->client);
		return true;
	case HOME_STAGE_LIST:
		imap_client_list(h->client, SPAN_LIT("*"));
		return true;
	case HOME_STAGE_ITEMS:
		if (home_work_command(h))
			return true;
		if (!home_work_is_over(h))
			return false;
		home_record_flush(h);
		h->stage = HOME_STAGE_LOGOUT;
		imap_client_logout(h->client);
		return true;
	case HOME_STAGE_LOGOUT:
		return false;
	}
	return false;
}

static void on_result(struct home *h)
{
	struct imap_client_result r = imap_client_result(h->client);
	struct imap_client_space space;

	switch (h->stage) {
	case HOME_STAGE_LOGIN:
		if (r.outcome != IMAP_CLIENT_DONE) {
			home_end(h,
				 r.code == IMAP_CODE_UNAVAILABLE ? WHY_NOT_REACHED
								 : WHY_LOGIN_REFUSED,
				 r.text);
			return;
		}
		h->was_in = true;
		h->stage = HOME_STAGE_NAMESPACE;
		return;
	case HOME_STAGE_NAMESPACE:
		space = imap_client_space(h->client);
		(void)snprintf(h->folders.prefix, sizeof h->folders.prefix, "%.*s",
			       SPAN_FMT(space.prefix));
		h->folders.delimiter = space.delimiter;
		h->stage = HOME_STAGE_LIST;
		return;
	case HOME_STAGE_LIST:
		if (r.outcome != IMAP_CLIENT_DONE)
			home_end(h, WHY_NOT_REACHED, r.text);
		h->stage = HOME_STAGE_ITEMS;
		return;
	case HOME_STAGE_ITEMS:
		home_work_result(h, &r);
		return;
	case HOME_STAGE_LOGOUT:
		return;
	}
}

static struct tls_context *tls_of(struct home *h)
{
	struct msg_site strict = {.tls = SPAN_LIT("required")};

	/* A password goes over this connection: whatever the site's SMTP asks for, the certificate has to verify. */
	strict.tls_ca = buf_span(&h->tls_ca);
	return primary_tls_for(h->c->tls, &strict);
}

static void shake_hands(struct home *h)
{
	struct tls_context *context = tls_of(h);

	conn_start_tls(h->conn, context, false, h->host);
	tls_context_unref(context);
}

/* One want. False: wait for the outside. */
static bool step(struct home *h)
{
	switch (imap_client_want(h->client)) {
	case IMAP_CLIENT_WANT_INPUT:
		return false;
	case IMAP_CLIENT_WANT_TLS:
		if (!h->is_shaking)
			shake_hands(h);
		h->is_shaking = true;
		return false;
	case IMAP_CLIENT_WANT_COMMAND:
		return command(h);
	case IMAP_CLIENT_WANT_PIECE:
		return home_work_piece(h);
	case IMAP_CLIENT_WANT_RESULT:
		on_result(h);
		imap_client_next(h->client);
		return true;
	case IMAP_CLIENT_WANT_CLOSE:
		home_end(h, h->stage == HOME_STAGE_LOGOUT ? WHY_DONE : WHY_NOT_REACHED,
			 imap_client_failure(h->client) ? imap_client_failure(h->client) : "");
		return false;
	}
	return false;
}

void home_drive(struct home *h)
{
	if (h->is_driving)
		return;
	h->is_driving = true;
	while (!h->is_over && h->conn && h->is_open && step(h))
		;
	h->is_driving = false;
	if (!h->is_over && h->conn && h->is_open)
		conn_deadline(h->conn, (uint64_t)imap_client_timeout_ms(h->client) * 1000);
	settle(h);
}

/* ---- what the engine gives ---- */

static void on_output(void *arg, struct span bytes)
{
	struct home *h = arg;

	if (h->conn)
		conn_send(h->conn, bytes);
}

static void on_box(void *arg, const struct imap_client_box *box)
{
	home_folders_add(&((struct home *)arg)->folders, box);
}

static void on_uid(void *arg, uint32_t uid)
{
	struct home_work *w = &((struct home *)arg)->work;

	if (w->uids_n < HOME_CANDIDATES_LIMIT)
		w->uids[w->uids_n++] = uid;
}

static void on_message(void *arg, const struct imap_client_message *m)
{
	struct home *h = arg;

	if (h->work.step != HOME_STEP_LOOK || m->uid != h->work.uids[h->work.uid_at] ||
	    !m->has_size)
		return;
	buf_clear(&h->header);
	buf_append(&h->header, span_first(m->header, HOME_HEADER_BYTES));
	h->seen = (struct imap_client_message){
		.uid = m->uid, .size_bytes = m->size_bytes, .flags = m->flags};
}

static void on_body(void *arg, struct span piece)
{
	home_work_body(arg, piece);
}

/* ---- the connection ---- */

static void home_connect(struct home *h);

static size_t on_bytes(void *arg, struct conn *conn, struct span bytes)
{
	struct home *h = arg;
	size_t n = bytes.n;

	(void)conn;
	if (h->is_over)
		return n;
	imap_client_input(h->client, bytes);
	home_drive(h);
	return n;
}

static void on_open(void *arg, struct conn *conn)
{
	struct home *h = arg;

	(void)conn;
	if (h->tls == IMAP_CLIENT_TLS_DONE) {
		shake_hands(h);
		return;
	}
	h->is_open = true;
	home_drive(h);
}

static void on_secure(void *arg, struct conn *conn)
{
	struct home *h = arg;

	(void)conn;
	if (h->tls == IMAP_CLIENT_TLS_STARTTLS)
		imap_client_secured(h->client);
	h->is_open = true;
	home_drive(h);
}

static void on_drained(void *arg, struct conn *conn)
{
	(void)conn;
	home_drive(arg);
}

static void on_deadline(void *arg, struct conn *conn)
{
	struct home *h = arg;

	if (!h->is_open) {
		conn_abort(conn);
		return;
	}
	home_end(h, WHY_NOT_REACHED, "the server did not answer in time");
}

static void on_closed(void *arg, struct conn *conn, enum rc rc, const struct fault *why)
{
	struct home *h = arg;

	(void)conn;
	(void)rc;
	h->conn = NULL;
	if (!h->is_over && !h->is_open && ++h->address < h->addresses_n) {
		home_connect(h);
		return;
	}
	if (!h->is_over) {
		imap_client_lost(h->client, why && why->text[0]
						    ? why->text
						    : "the server closed the connection");
		home_end(h, h->stage == HOME_STAGE_LOGOUT ? WHY_DONE : WHY_NOT_REACHED,
			 why && why->text[0] ? why->text : "the server closed the connection");
	}
	settle(h);
}

static void home_connect(struct home *h)
{
	static const struct conn_ops ops = {.on_bytes = on_bytes,
					    .on_open = on_open,
					    .on_secure = on_secure,
					    .on_drained = on_drained,
					    .on_deadline = on_deadline,
					    .on_closed = on_closed};
	const struct imap_client_options options = {.tls = h->tls,
						    .on_output = on_output,
						    .on_box = on_box,
						    .on_uid = on_uid,
						    .on_message = on_message,
						    .on_body = on_body,
						    .arg = h};
	struct sockaddr_storage *to = &h->addresses[h->address];
	uint16_t port = htons(h->port);

	if (h->tls == IMAP_CLIENT_TLS_NONE && !primary_is_here(to)) {
		end_and_settle(h, WHY_NOT_REACHED, "without TLS it must be on this machine");
		return;
	}
	imap_client_free(h->client);
	h->client = imap_client_new(&options);
	h->is_open = h->is_shaking = false;
	if (to->ss_family == AF_INET6)
		((struct sockaddr_in6 *)to)->sin6_port = port;
	else
		((struct sockaddr_in *)to)->sin_port = port;
	h->conn = conn_connect(h->c->loop, (const struct sockaddr *)to,
			       to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
							 : sizeof(struct sockaddr_in),
			       &ops, h);
	conn_deadline(h->conn, CONNECT_US);
}

static void on_addresses(void *arg, const struct sockaddr_storage *addresses, size_t n,
			 const char *why)
{
	struct home *h = arg;

	if (!n) {
		end_and_settle(h, WHY_NOT_REACHED, why);
		return;
	}
	h->addresses_n = n < COURIER_ADDRESSES ? n : COURIER_ADDRESSES;
	memcpy(h->addresses, addresses, h->addresses_n * sizeof *addresses);
	home_connect(h);
}

/* ---- the credential ---- */

static const struct msg_site *site_named(struct courier *c, struct span name)
{
	const struct msg_config *config = role_config(c->role);

	for (size_t i = 0; i < config->sites_n; i++) {
		if (span_eq(config->sites[i].name, name))
			return &config->sites[i];
	}
	return NULL;
}

/* Which of the site's servers: another one with each lease, so that one that is gone holds nothing up for long. */
static bool choose_server(struct home *h)
{
	const struct msg_site *site = site_named(h->c, h->lease.site);
	const struct msg_imap_server *server;

	if (!site || !site->imap_n)
		return false;
	server = &site->imap[h->lease.lease % site->imap_n];
	buf_clear(&h->tls_ca);
	buf_append(&h->tls_ca, site->tls_ca);
	(void)snprintf(h->host, sizeof h->host, "%.*s", SPAN_FMT(server->host));
	h->port = server->port;
	h->tls = span_eq(server->tls, SPAN_LIT("none"))	 ? IMAP_CLIENT_TLS_NONE
		 : span_eq(server->tls, SPAN_LIT("tls")) ? IMAP_CLIENT_TLS_DONE
							 : IMAP_CLIENT_TLS_STARTTLS;
	return true;
}

static struct span keep(struct home *h, size_t at, struct span s)
{
	return span_of(h->secret.p + at, s.n);
}

void home_credential(struct courier *c, const struct msg_credential_answer *a)
{
	struct home *h = NULL;

	LIST_EACH (at, &c->homes) {
		if (a->id && home_at(at)->question == a->id)
			h = home_at(at);
	}
	if (!h)
		return; /* too late */
	h->question = 0;
	loop_timer_clear(h->timer);
	if (!a->kind || !a->user.n) {
		char why[300];

		(void)snprintf(why, sizeof why, "%.*s",
			       SPAN_FMT(span_first(a->why, sizeof why - 1)));
		end_and_settle(h, WHY_NO_CREDENTIAL,
			       why[0] ? why : "no credential for this mailbox");
		return;
	}
	if (!choose_server(h)) {
		end_and_settle(h, WHY_NOT_REACHED, "the site has no IMAP server");
		return;
	}
	must(buf_reserve(&h->secret, a->user.n + a->authorize.n + a->password.n + 1));
	buf_append(&h->secret, a->user);
	buf_append(&h->secret, a->authorize);
	buf_append(&h->secret, a->password);
	h->user = keep(h, 0, a->user);
	h->authorize = keep(h, a->user.n, a->authorize);
	h->password = keep(h, a->user.n + a->authorize.n, a->password);
	resolve_ask(c, h->host, &h->resolve);
}

static void on_timer(void *arg)
{
	end_and_settle(arg, WHY_NOT_REACHED, "auth, who keeps the credentials, does not answer");
}

static void ask_credential(struct home *h)
{
	const struct msg_credential_ask ask = {.id = ++h->c->last_question,
					       .lease = h->lease.lease,
					       .site = h->lease.site,
					       .account = h->lease.name};
	struct buf body = {0};

	if (!h->c->auth) {
		end_and_settle(h, WHY_NOT_REACHED, "auth, who keeps the credentials, is away");
		return;
	}
	h->question = ask.id;
	loop_timer_set(h->timer, CREDENTIAL_US);
	msg_credential_ask_encode(&body, &ask);
	(void)links_send(h->c->auth, MSG_CREDENTIAL_ASK, &body);
}

/* ---- leases ---- */

void home_new(struct courier *c, struct span lease_body)
{
	struct home *h = must_alloc(sizeof *h);

	h->c = c;
	arena_init(&h->arena, ARENA_BYTES);
	list_init(&h->resolve.at);
	h->resolve.on_addresses = on_addresses;
	h->resolve.arg = h;
	h->timer = loop_timer_new(c->loop, on_timer, h);
	list_init(&h->at);
	list_append(&c->homes, &h->at);
	if (!msg_home_lease_decode(&h->arena, arena_span(&h->arena, lease_body), &h->lease)) {
		say(SAY_ERROR, "home.lease_malformed", NULL);
		home_free(h);
		return;
	}
	if (c->is_stopping)
		end_and_settle(h, WHY_NOT_REACHED, "the courier stops");
	else if (h->lease.by_mail)
		home_record_notice(h);
	else
		ask_credential(h);
}

static void stop_all(struct courier *c, const char *why)
{
	LIST_EACH_SAFE (at, &c->homes) {
		struct home *h = home_at(at);

		h->is_ending = true;
		if (!h->conn)
			end_and_settle(h, WHY_NOT_REACHED, why);
		else if (h->stage == HOME_STAGE_ITEMS)
			home_drive(h);
	}
}

void home_auth_gone(struct courier *c)
{
	LIST_EACH_SAFE (at, &c->homes) {
		if (home_at(at)->question)
			end_and_settle(home_at(at), WHY_NOT_REACHED,
				       "auth, who keeps the credentials, is away");
	}
}

void home_clerk_gone(struct courier *c)
{
	stop_all(c, "the clerk is away");
}

void home_stop(struct courier *c)
{
	stop_all(c, "the courier stops");
}

bool home_is_idle(const struct courier *c)
{
	return list_is_empty(&c->homes);
}

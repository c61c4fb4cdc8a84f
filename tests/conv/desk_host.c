#include "desk_host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/login.h"
#include "base/bytes.h"
#include "base/must.h"
#include "os/os.h"
#include "role/common/role.h"

static struct queue_schedule schedule;

/* ---- the clerk ---- */

static void on_verdict(void *arg, uint32_t lane_id, struct span verdict)
{
	struct desk_host *d = arg;
	unsigned char n[4];

	(void)lane_id;
	put_u32(n, (uint32_t)verdict.n);
	(void)buf_append(&d->verdicts, span_of(n, sizeof n));
	(void)buf_append(&d->verdicts, verdict);
}

static void on_mail(void *arg, uint64_t account, uint64_t box, uint64_t modseq)
{
	struct desk_host *d = arg;

	(void)modseq;
	if (d->changed_n == 64)
		return;
	d->changed_account[d->changed_n] = account;
	d->changed_box[d->changed_n++] = box;
}

static void apply_one(struct desk_host *d, struct record_ref ref, uint64_t seq,
		      const struct record *r)
{
	struct order_entry e = {.number = views_next(d->views),
				.ref = ref,
				.seq = seq,
				.type = r->type,
				.length = r->length,
				.received_us = r->received_us};
	struct fault why = {0};

	must(views_begin(d->views, &why) == OK);
	if (views_apply(d->views, &e, r, &why) != OK || views_commit(d->views, &why) != OK) {
		(void)fprintf(stderr, "apply: %s\n", why.text);
		abort();
	}
}

/* What a clerk says after a commit. */
static void tell_desk(struct desk_host *d)
{
	struct msg_box_change changes[64];
	struct buf body = {0};
	struct span rest = buf_span(&d->verdicts);

	for (size_t i = 0; i < d->changed_n; i++)
		changes[i] = (struct msg_box_change){d->changed_account[i], d->changed_box[i], 1};
	msg_mail_changed_encode(&body, &(struct msg_mail_changed){.next = views_next(d->views),
								  .boxes = changes,
								  .boxes_n = d->changed_n});
	if (d->clerk >= 0)
		edge_host_send(d->clerk, MSG_MAIL_CHANGED, buf_span(&body), -1);
	while (rest.n) {
		size_t n = get_u32(rest.p);

		if (d->clerk >= 0)
			edge_host_send(d->clerk, MSG_MAIL_VERDICT,
				       span_first(span_from(rest, 4), n), -1);
		rest = span_from(rest, 4 + n);
	}
	buf_clear(&d->verdicts);
	d->changed_n = 0;
	buf_fini(&body);
}

/* Applies what the desk's lane holds. */
static void apply_lane(struct desk_host *d)
{
	char folder[128];
	struct ledger_reader *reader;
	struct record next;
	struct fault why = {0};

	if (d->clerk_is_silent || d->clerk < 0 || d->durable.segment == 0)
		return;
	(void)snprintf(folder, sizeof folder, "%s/ledger", d->host.folder);
	must(ledger_reader_new(os_real(), folder, &reader, &why) == OK);
	while (ledger_next(reader, &d->at, &d->durable, &next, &why) == OK) {
		apply_one(d, next.ref, next.seq, &next);
		d->at = next;
	}
	ledger_reader_free(reader);
	if (d->changed_n || d->verdicts.n)
		tell_desk(d);
}

static void on_hello(struct desk_host *d, struct span body)
{
	struct msg_desk_hello m;
	struct fault why = {0};
	struct arena a;

	arena_init(&a, 1 << 20);
	must(msg_desk_hello_decode(&a, body, &m));
	for (size_t i = 0; i < m.asks_n; i++) {
		struct buf verdict = {0};

		if (views_verdict(d->views, lane_id_of(d->host.name), m.asks[i], &verdict, &why) ==
		    OK)
			edge_host_send(d->clerk, MSG_MAIL_VERDICT, buf_span(&verdict), -1);
		buf_fini(&verdict);
	}
	d->hellos++;
	d->hello_asks += (unsigned)m.asks_n;
	arena_fini(&a);
}

/* ---- auth ---- */

static struct desk_played_session *find_session(struct desk_host *d, struct span secret)
{
	for (unsigned i = 0; i < d->sessions_n; i++) {
		if (span_eq(secret, span_str(d->sessions[i].secret)))
			return &d->sessions[i];
	}
	return NULL;
}

static struct desk_played_session *open_session(struct desk_host *d, struct span account,
						uint64_t lasts_us)
{
	struct desk_played_session *s = &d->sessions[d->sessions_n];

	must(d->sessions_n++ < DESK_PLAYED_SESSIONS);
	(void)snprintf(s->secret, sizeof s->secret, "session-%035u", d->sessions_n);
	(void)snprintf(s->account, sizeof s->account, "%.*s", SPAN_FMT(account));
	s->until_us = os_wall_us(os_real()) + lasts_us;
	return s;
}

const char *desk_host_session(struct desk_host *d, const char *account, uint64_t lasts_us)
{
	const char *secret;

	pthread_mutex_lock(&d->mutex);
	secret = open_session(d, span_str(account), lasts_us)->secret;
	pthread_mutex_unlock(&d->mutex);
	return secret;
}

/* Anna has no second factor; Ben has one, and his codes are "123456". */
static void give_session(struct desk_host *d, struct span account, struct msg_login_answer *answer)
{
	struct desk_played_session *s;

	if (span_starts(account, SPAN_LIT("ben@"))) {
		answer->second_factor = true;
		answer->session = SPAN_LIT("ticket-of-ben");
		return;
	}
	s = open_session(d, account, 3600000000ull);
	answer->session = span_str(s->secret);
	answer->session_until_us = s->until_us;
	answer->person = SPAN_LIT("Anna \"A\" <b>");
}

static void on_session_ask(struct desk_host *d, struct span body)
{
	struct msg_session_ask m;
	struct msg_session_answer answer = {0};
	struct desk_played_session *s;
	struct buf out = {0};
	struct arena a;
	struct span send_as;

	arena_init(&a, 1 << 20);
	must(msg_session_ask_decode(&a, body, &m));
	d->session_asks++;
	answer.id = m.id;
	s = find_session(d, m.session);
	if (s && !s->is_over && s->until_us > os_wall_us(os_real())) {
		send_as = span_str(s->account);
		answer.ok = true;
		answer.account = send_as;
		answer.person = SPAN_LIT("Anna");
		answer.use = SPAN_LIT("portal");
		answer.until_us = s->until_us;
		answer.send_as = &send_as;
		answer.send_as_n = 1;
	}
	msg_session_answer_encode(&out, &answer);
	if (!d->auth_is_silent)
		edge_host_send(d->auth, MSG_SESSION_ANSWER, buf_span(&out), -1);
	buf_fini(&out);
	arena_fini(&a);
}

static void on_session_end(struct desk_host *d, struct span body)
{
	struct msg_session_end m;
	struct desk_played_session *s;
	struct arena a;

	arena_init(&a, 1 << 20);
	must(msg_session_end_decode(&a, body, &m));
	d->session_ends++;
	s = find_session(d, m.session);
	if (s)
		s->is_over = true;
	arena_fini(&a);
}

static void answer_login(struct desk_host *d, const struct msg_login_answer *answer)
{
	struct buf out = {0};

	msg_login_answer_encode(&out, answer);
	edge_host_send(d->auth, MSG_LOGIN_ANSWER, buf_span(&out), -1);
	buf_fini(&out);
}

static void on_factor(struct desk_host *d, struct span body)
{
	struct msg_factor_use m;
	struct msg_login_answer answer = {.verdict = LOGIN_REFUSED, .reason = SPAN_LIT("ticket")};
	struct desk_played_session *s;
	struct arena a;

	arena_init(&a, 1 << 20);
	must(msg_factor_use_decode(&a, body, &m));
	answer.id = m.id;
	if (span_eq(m.ticket, SPAN_LIT("ticket-of-ben")) && span_eq(m.code, SPAN_LIT("123456"))) {
		s = open_session(d, SPAN_LIT("ben@ours.example"), 3600000000ull);
		answer = (struct msg_login_answer){.id = m.id,
						   .account = SPAN_LIT("ben@ours.example"),
						   .session = span_str(s->secret),
						   .session_until_us = s->until_us};
	} else if (span_eq(m.ticket, SPAN_LIT("ticket-of-ben"))) {
		answer.reason = SPAN_NONE;
	}
	answer_login(d, &answer);
	arena_fini(&a);
}

static void on_invite(struct desk_host *d, struct span body)
{
	struct msg_invite_use m;
	struct msg_login_answer answer = {.verdict = LOGIN_REFUSED};
	struct arena a;

	arena_init(&a, 1 << 20);
	must(msg_invite_use_decode(&a, body, &m));
	if (span_eq(m.code, SPAN_LIT("code")) && span_eq(m.session_for, SPAN_LIT("portal"))) {
		answer.verdict = LOGIN_FINE;
		answer.account = m.account;
		give_session(d, m.account, &answer);
	}
	answer.id = m.id;
	answer_login(d, &answer);
	arena_fini(&a);
}

/* verb "password" gives a new session and ends the old one; "factor-begin" is refused. */
static void on_order(struct desk_host *d, struct span body)
{
	struct msg_self_order m;
	struct msg_order_answer answer = {.ok = true, .json = SPAN_LIT("{\"done\":1}")};
	struct desk_played_session *s;
	struct buf out = {0};
	struct arena a;

	arena_init(&a, 1 << 20);
	must(msg_self_order_decode(&a, body, &m));
	(void)snprintf(d->order, sizeof d->order, "%.*s %.*s %.*s %.*s", SPAN_FMT(m.verb),
		       SPAN_FMT(m.argument), SPAN_FMT(m.password), SPAN_FMT(m.new_password));
	s = find_session(d, m.session);
	must(s);
	if (span_eq(m.verb, SPAN_LIT("password"))) {
		s->is_over = true;
		s = open_session(d, span_str(s->account), 3600000000ull);
		answer.session = span_str(s->secret);
		answer.session_until_us = s->until_us;
	} else if (span_eq(m.verb, SPAN_LIT("factor-begin"))) {
		answer = (struct msg_order_answer){.text = SPAN_LIT("No \"way\""),
						   .reason = SPAN_LIT("password")};
	}
	answer.id = m.id;
	msg_order_answer_encode(&out, &answer);
	edge_host_send(d->auth, MSG_ORDER_ANSWER, buf_span(&out), -1);
	buf_fini(&out);
	arena_fini(&a);
}

static void on_sasl(struct desk_host *d, struct span body)
{
	struct msg_sasl_start m;
	struct msg_login_answer answer = {.verdict = LOGIN_REFUSED, .text = SPAN_LIT("wrong")};
	struct buf out = {0};
	struct span rest, name;
	struct arena a;

	arena_init(&a, 1 << 20);
	must(msg_sasl_start_decode(&a, body, &m));
	d->asked++;
	answer.id = m.id;
	rest = m.initial;
	(void)span_cut(&rest, '\0');
	name = span_cut(&rest, '\0');
	if (span_eq(rest, SPAN_LIT("secret")) &&
	    span_ends_nocase(name, SPAN_LIT("@ours.example"))) {
		answer.verdict = LOGIN_FINE;
		answer.account = name;
		answer.delay_ms = 5;
		if (span_eq(m.session_for, SPAN_LIT("portal")))
			give_session(d, name, &answer);
	} else {
		answer.delay_ms = d->login_delay_ms;
	}
	msg_login_answer_encode(&out, &answer);
	if (!d->auth_is_silent)
		edge_host_send(d->auth, MSG_LOGIN_ANSWER, buf_span(&out), -1);
	buf_fini(&out);
	arena_fini(&a);
}

/* ---- the thread ---- */

static void take(struct desk_host *d, int fd, struct buf *body)
{
	unsigned type = edge_host_frame(fd, 0, body);
	struct msg_durable durable;
	struct arena a;

	if (type == MSG_DURABLE) {
		arena_init(&a, 1 << 16);
		must(msg_durable_decode(&a, buf_span(body), &durable));
		d->durable = (struct lane_position){durable.segment, durable.offset, durable.seq};
		arena_fini(&a);
	} else if (type == MSG_SASL_START) {
		on_sasl(d, buf_span(body));
	} else if (type == MSG_SASL_CANCEL) {
		d->cancels++;
	} else if (type == MSG_SESSION_ASK) {
		on_session_ask(d, buf_span(body));
	} else if (type == MSG_SESSION_END) {
		on_session_end(d, buf_span(body));
	} else if (type == MSG_FACTOR_USE) {
		on_factor(d, buf_span(body));
	} else if (type == MSG_INVITE_USE) {
		on_invite(d, buf_span(body));
	} else if (type == MSG_SELF_ORDER) {
		on_order(d, buf_span(body));
	} else if (type == MSG_DESK_HELLO) {
		on_hello(d, buf_span(body));
	}
}

static void *peers(void *arg)
{
	struct desk_host *d = arg;
	struct buf body = {0};

	while (!d->stops) {
		struct pollfd fds[3] = {{d->host.sequencer, POLLIN, 0}};

		pthread_mutex_lock(&d->mutex);
		fds[1] = (struct pollfd){d->auth, POLLIN, 0};
		fds[2] = (struct pollfd){d->clerk, POLLIN, 0};
		pthread_mutex_unlock(&d->mutex);
		(void)poll(fds, 3, 5);
		pthread_mutex_lock(&d->mutex);
		for (size_t i = 0; i < 3; i++) {
			int now[3] = {d->host.sequencer, d->auth, d->clerk};

			if ((fds[i].revents & POLLIN) && now[i] == fds[i].fd && fds[i].fd >= 0)
				take(d, fds[i].fd, &body);
		}
		apply_lane(d);
		pthread_mutex_unlock(&d->mutex);
	}
	buf_fini(&body);
	return NULL;
}

/* ---- mail and people ---- */

static void on_appended(void *arg, const struct lane_result *result)
{
	*(struct lane_result *)arg = *result;
}

static void append(struct desk_host *d, enum record_type type, struct buf *meta, struct span body)
{
	struct record_new r = {
		.type = type, .received_us = os_wall_us(os_real()), .meta = buf_span(meta)};
	struct lane_result result = {0};
	struct ledger_reader *reader;
	struct record record;
	struct fault why = {0};
	char folder[128];

	(void)buf_append(&r.body, body);
	lane_append(d->mail, &r, 1, 0, false, on_appended, &result);
	while (lane_step(d->mail))
		;
	lane_collect(d->mail);
	must(result.rc == OK);
	(void)snprintf(folder, sizeof folder, "%s/ledger", d->host.folder);
	must(ledger_reader_new(os_real(), folder, &reader, &why) == OK);
	must(ledger_read(reader, result.ref, &record, &why) == OK);
	apply_one(d, result.ref, record.seq, &record);
	ledger_reader_free(reader);
	buf_fini(meta);
}

static void add_account(struct desk_host *d, const char *name)
{
	struct msg_fact fact = {.key = SPAN_LIT("state"), .value = SPAN_LIT("active")};
	struct buf meta = {0};

	msg_directory_meta_encode(&meta, &(struct msg_directory_meta){.kind = SPAN_LIT("account"),
								      .scope = span_str(name),
								      .facts = &fact,
								      .facts_n = 1});
	append(d, RECORD_DIRECTORY, &meta, SPAN_NONE);
}

static void add_mail(struct desk_host *d, struct span body)
{
	static unsigned counter;
	struct msg_rcpt rcpt = {.address = SPAN_LIT("anna@ours.example"),
				.domain = SPAN_LIT("ours.example"),
				.site = SPAN_LIT("head")};
	struct buf meta = {0};
	char id[33];

	(void)snprintf(id, sizeof id, "%032x", ++counter);
	msg_message_meta_encode(
		&meta, &(struct msg_message_meta){.id = span_str(id),
						  .sender = SPAN_LIT("far@away.example"),
						  .rcpts = &rcpt,
						  .rcpts_n = 1,
						  .trace = SPAN_LIT("Received: by test\r\n")});
	append(d, RECORD_MESSAGE, &meta, body);
}

void desk_host_mail(struct desk_host *d, struct span body)
{
	pthread_mutex_lock(&d->mutex);
	add_mail(d, body);
	tell_desk(d);
	pthread_mutex_unlock(&d->mutex);
}

void desk_host_all_changed(struct desk_host *d)
{
	struct buf body = {0};

	pthread_mutex_lock(&d->mutex);
	msg_mail_changed_encode(
		&body, &(struct msg_mail_changed){.next = views_next(d->views), .all = true});
	edge_host_send(d->clerk, MSG_MAIL_CHANGED, buf_span(&body), -1);
	pthread_mutex_unlock(&d->mutex);
	buf_fini(&body);
}

/* ---- life ---- */

void desk_host_init(struct desk_host *d)
{
	*d = (struct desk_host){.auth = -1, .clerk = -1};
	edge_host_init(&d->host);
	d->host.name = "desk-0";
	d->host.service = "imap";
	d->host.config.sessions_per_account = 20;
	d->host.config.limits.sessions_per_source = 0;
}

void desk_host_more_accounts(struct desk_host *d, unsigned n)
{
	d->more_accounts = n;
}

static int make_views(struct desk_host *d)
{
	static struct views_ops ops;
	struct fault why = {0};
	char path[128];
	bool is_new;

	ops = (struct views_ops){.on_mail = on_mail, .on_verdict = on_verdict, .arg = d};
	queue_schedule_default(&schedule);
	must(views_open_write(os_real(), d->host.folder, &schedule, &ops, &d->views, &is_new,
			      &why) == OK);
	must(views_publish(d->views, os_real(), &why) == OK);
	(void)snprintf(path, sizeof path, "%s/index", d->host.folder);
	return mkdir(path, 0700);
}

static void open_mail_lane(struct desk_host *d)
{
	char folder[128];
	struct fault why = {0};
	struct lane_options options = {.os = os_real(), .ledger_dir = folder, .name = "edge-0"};

	(void)snprintf(folder, sizeof folder, "%s/ledger", d->host.folder);
	must(lane_open(&options, &d->mail, &why) == OK);
}

bool desk_host_has_durable(struct desk_host *d)
{
	bool has;

	pthread_mutex_lock(&d->mutex);
	has = d->durable.segment != 0;
	pthread_mutex_unlock(&d->mutex);
	return has;
}

void desk_host_link_clerk(struct desk_host *d)
{
	pthread_mutex_lock(&d->mutex);
	d->clerk = edge_host_link(&d->host, ROLE_CLERK);
	pthread_mutex_unlock(&d->mutex);
}

void desk_host_cut_clerk(struct desk_host *d)
{
	pthread_mutex_lock(&d->mutex);
	(void)close(d->clerk);
	d->clerk = -1;
	pthread_mutex_unlock(&d->mutex);
}

void desk_host_cut_auth(struct desk_host *d)
{
	pthread_mutex_lock(&d->mutex);
	(void)close(d->auth);
	d->auth = -1;
	pthread_mutex_unlock(&d->mutex);
}

void desk_host_link_auth(struct desk_host *d)
{
	pthread_mutex_lock(&d->mutex);
	d->auth = edge_host_link(&d->host, ROLE_AUTH);
	pthread_mutex_unlock(&d->mutex);
}

void desk_host_end_session(struct desk_host *d, const char *secret)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	struct span one = span_of(hash, sizeof hash);
	struct buf body = {0};

	(void)crypto_hash_sha256(hash, (const unsigned char *)secret, strlen(secret));
	msg_sessions_ended_encode(&body, &(struct msg_sessions_ended){&one, 1});
	pthread_mutex_lock(&d->mutex);
	find_session(d, span_str(secret))->is_over = true;
	edge_host_send(d->auth, MSG_SESSIONS_ENDED, buf_span(&body), -1);
	pthread_mutex_unlock(&d->mutex);
	buf_fini(&body);
}

void desk_host_accounts_changed(struct desk_host *d, const char *account)
{
	struct span name = span_str(account);
	struct buf body = {0};

	msg_accounts_changed_encode(&body, &(struct msg_accounts_changed){&name, 1});
	pthread_mutex_lock(&d->mutex);
	edge_host_send(d->auth, MSG_ACCOUNTS_CHANGED, buf_span(&body), -1);
	pthread_mutex_unlock(&d->mutex);
	buf_fini(&body);
}

void desk_host_start(struct desk_host *d, const char *program, unsigned messages)
{
	static const char *const more[] = {"imaps", "pop3", "pop3s", "https"};
	char text[256];

	(void)make_views(d);
	open_mail_lane(d);
	d->at = (struct record){.ref = {lane_id_of(d->host.name), 0, 0}};
	add_account(d, "anna@ours.example");
	add_account(d, "ben@ours.example");
	for (unsigned i = 0; i < d->more_accounts; i++) {
		(void)snprintf(text, sizeof text, "p%u@ours.example", i);
		add_account(d, text);
	}
	for (unsigned i = 0; i < messages; i++) {
		int n = snprintf(
			text, sizeof text,
			"From: far@away.example\r\nSubject: number %u\r\n\r\nbody %u\r\n.dot\r\n",
			i + 1, i + 1);

		add_mail(d, span_of(text, (size_t)n));
	}
	d->changed_n = 0;
	edge_host_start(&d->host, program);
	d->ports[0] = d->host.port;
	for (unsigned i = 0; i < DESK_SERVICES - 1; i++)
		d->ports[i + 1] = edge_host_listen(&d->host, more[i]);
	d->auth = edge_host_link(&d->host, ROLE_AUTH);
	d->clerk = edge_host_link(&d->host, ROLE_CLERK);
	must(pthread_mutex_init(&d->mutex, NULL) == 0);
	must(pthread_create(&d->thread, NULL, peers, d) == 0);
}

int desk_host_stop(struct desk_host *d)
{
	siginfo_t info;

	edge_host_tell_stop(&d->host);
	must(waitid(P_PID, (id_t)d->host.pid, &info, WEXITED | WNOWAIT) == 0);
	d->stops = true;
	must(pthread_join(d->thread, NULL) == 0);
	if (d->auth >= 0)
		(void)close(d->auth);
	if (d->clerk >= 0)
		(void)close(d->clerk);
	views_close(d->views);
	lane_close(d->mail);
	buf_fini(&d->verdicts);
	return edge_host_stop(&d->host);
}

void desk_host_await(struct desk_host *d, unsigned type)
{
	struct buf body = {0};
	unsigned got;

	do {
		struct pollfd wait = {d->host.super, POLLIN, 0};

		must(poll(&wait, 1, 20000) == 1);
		pthread_mutex_lock(&d->mutex); /* edge_host_frame has one buffer */
		got = edge_host_frame(d->host.super, 0, &body);
		pthread_mutex_unlock(&d->mutex);
	} while (got != type);
	buf_fini(&body);
}

const char *desk_host_order(struct desk_host *d)
{
	static char order[sizeof d->order];

	must(pthread_mutex_lock(&d->mutex) == 0);
	memcpy(order, d->order, sizeof order);
	must(pthread_mutex_unlock(&d->mutex) == 0);
	return order;
}

bool desk_host_is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__)
	return true;
#elif defined(__has_feature)
	return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
	return false;
#endif
}

unsigned desk_host_rss_kib(const struct desk_host *d)
{
	char path[64], line[256];
	unsigned kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)d->host.pid);
	f = fopen(path, "re");
	must(f);
	while (fgets(line, sizeof line, f))
		(void)sscanf(line, "VmRSS: %u", &kib);
	(void)fclose(f);
	return kib;
}

int desk_client(const struct desk_host *d, unsigned service)
{
	struct edge_host at = d->host;

	at.port = d->ports[service];
	return edge_client(&at);
}

bool desk_hear(int fd, const char *end, struct buf *out)
{
	char bytes[4096];
	size_t n = strlen(end);

	for (;;) {
		ssize_t got;

		if (out->n >= n && memmem(out->p, out->n, end, n)) {
			(void)buf_cstr(out);
			return true;
		}
		got = recv(fd, bytes, sizeof bytes, 0);
		if (got <= 0) {
			(void)buf_cstr(out);
			return false;
		}
		(void)buf_append(out, span_of(bytes, (size_t)got));
	}
}

#include "courier_rig.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../scratch.h"
#include "base/must.h"
#include "identity/dkim.h"
#include "ipc/link.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "os/os.h"
#include "queue/verdict.h"
#include "role/common/role.h"
#include "smtp/client.h"
#include "tls/tls.h"

#define TRACE "Received: from rig.example\r\n\tby node.example; Sat, 21 Nov 2026 21:10:22 +0000\r\n"

/* ---- the primary ---- */

struct visitor {
	struct rig *rig;
	bool in_data;
	struct buf data;
	char sender[300], rcpts[16000];
};

static void answer(struct conn *c, const char *text, const char *usual)
{
	if (!text)
		text = usual;
	if (strcmp(text, "silence") == 0)
		return;
	if (!*text) {
		conn_abort(c);
		return;
	}
	conn_send(c, span_str(text));
	conn_send(c, SPAN_LIT("\r\n"));
}

static void take(struct rig *r, struct visitor *v, struct span raw)
{
	struct rig_delivery *d = &r->taken[r->taken_n++];

	must(r->taken_n < RIG_MAX);
	(void)snprintf(d->sender, sizeof d->sender, "%s", v->sender);
	(void)snprintf(d->rcpts, sizeof d->rcpts, "%s", v->rcpts);
	for (size_t i = 0; i < raw.n; i++) {
		bool at_start = i == 0 || (i >= 2 && raw.p[i - 1] == '\n');

		if (!(at_start && raw.p[i] == '.'))
			buf_append_byte(&d->data, raw.p[i]);
		else if (i + 1 < raw.n && raw.p[i + 1] == '.')
			buf_append_byte(&d->data, raw.p[++i]);
	}
}

static void on_data_bytes(struct visitor *v, struct conn *c)
{
	struct rig *r = v->rig;
	bool is_empty = v->data.n >= 3 && memcmp(v->data.p, ".\r\n", 3) == 0;
	const unsigned char *end =
		is_empty ? v->data.p : memmem(v->data.p, v->data.n, "\r\n.\r\n", 5);
	const char *dot = r->dot;

	if (!end)
		return;
	r->dots++;
	r->dots_under_tls += conn_is_tls(c);
	v->in_data = false;
	if (r->on_dot)
		r->on_dot(r);
	if (!dot || dot[0] == '2')
		take(r, v, span_of(v->data.p, is_empty ? 0 : (size_t)(end - v->data.p) + 2));
	buf_clear(&v->data);
	v->rcpts[0] = '\0';
	answer(c, dot, "250 2.0.0 Ok: queued as RIG12345");
}

static void copy_path(char *out, size_t n, struct span line)
{
	ssize_t from = span_chr(line, '<'), to = span_chr(line, '>');

	(void)snprintf(out, n, "%.*s", (int)(to - from - 1), line.p + from + 1);
}

static void on_line(struct visitor *v, struct conn *c, struct span line)
{
	struct rig *r = v->rig;
	char rcpt[300];

	if (span_starts(line, SPAN_LIT("EHLO"))) {
		answer(c, r->ehlo, "250-rig\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250 8BITMIME");
	} else if (span_starts(line, SPAN_LIT("MAIL"))) {
		copy_path(v->sender, sizeof v->sender, line);
		v->rcpts[0] = '\0';
		answer(c, r->mail, "250 2.1.0 ok");
	} else if (span_starts(line, SPAN_LIT("RCPT"))) {
		copy_path(rcpt, sizeof rcpt, line);
		if (r->bad_rcpt && strcmp(rcpt, r->bad_rcpt) == 0) {
			answer(c, "550 5.1.1 no such user", NULL);
			return;
		}
		(void)snprintf(v->rcpts + strlen(v->rcpts), sizeof v->rcpts - strlen(v->rcpts),
			       "%s%s", v->rcpts[0] ? "," : "", rcpt);
		answer(c, r->rcpt, "250 2.1.5 ok");
	} else if (span_starts(line, SPAN_LIT("DATA"))) {
		v->in_data = v->rcpts[0] && (!r->rcpt || r->rcpt[0] == '2');
		if (r->on_data)
			r->on_data(r);
		answer(c, v->in_data ? r->data : NULL, v->in_data ? "354 go" : "503 5.5.1 no");
	} else if (span_starts(line, SPAN_LIT("STARTTLS")) && r->tls) {
		conn_send(c, SPAN_LIT("220 go\r\n"));
		conn_start_tls(c, r->tls, true, NULL);
	} else if (span_starts(line, SPAN_LIT("QUIT"))) {
		conn_send(c, SPAN_LIT("221 bye\r\n"));
		conn_close(c);
	} else {
		conn_send(c, SPAN_LIT("250 ok\r\n"));
	}
}

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct visitor *v = arg;
	struct span rest = bytes;

	while (rest.n && !v->in_data && span_chr(rest, '\n') >= 0)
		on_line(v, c, span_cut(&rest, '\n'));
	if (!v->in_data || !rest.n)
		return bytes.n - rest.n;
	buf_append(&v->data, rest);
	on_data_bytes(v, c);
	return bytes.n;
}

static void on_visitor_gone(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	struct visitor *v = arg;

	(void)rc, (void)why;
	if (v->rig->last == c)
		v->rig->last = NULL;
	buf_fini(&v->data);
	free(v);
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	static const struct conn_ops ops = {.on_bytes = on_bytes, .on_closed = on_visitor_gone};
	struct visitor *v = must_alloc(sizeof *v);
	struct conn *c;

	(void)peer, (void)is_last;
	v->rig = arg;
	c = conn_accept(v->rig->loop, fd, &ops, v);
	v->rig->connections++;
	v->rig->last = c;
	answer(c, v->rig->greeting, "220 rig ESMTP");
}

static void open_primary(struct rig *r, bool listens)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof r->at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof any), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&r->at, &n), 0);
	if (listens)
		r->listener = listener_new(r->loop, fd, on_accept, r);
	else
		(void)close(fd);
}

/* ---- supervisor and roles ---- */

static bool on_channel(void *arg, struct link *l, unsigned type, struct span body)
{
	(void)arg, (void)l, (void)type, (void)body;
	return true;
}

static void on_channel_closed(void *arg, struct link *l)
{
	struct rig *r = arg;

	(void)l;
	r->channel = NULL;
	r->courier_ended = true;
}

static void on_role_closed(void *arg, struct link *l)
{
	struct rig *r = arg;

	if (l == r->clerk)
		r->clerk = NULL;
	if (l == r->sequencer)
		r->sequencer = NULL;
	if (l == r->watch)
		r->watch = NULL;
	if (l == r->scout)
		r->scout = NULL;
	if (l == r->auth)
		r->auth = NULL;
}

static void on_done(struct rig *r, struct arena *a, struct span body)
{
	struct msg_lease_done m;

	assert_true(msg_lease_done_decode(a, body, &m));
	assert_true(r->done_n < RIG_MAX);
	r->done[r->done_n] = m;
	r->done[r->done_n++].reason = span_str(strndup(
		(const char *)(m.reason.n ? m.reason.p : (const unsigned char *)""), m.reason.n));
}

static bool on_clerk(void *arg, struct link *l, unsigned type, struct span body)
{
	struct rig *r = arg;
	struct msg_courier_hello hello;
	struct arena a;

	(void)l;
	arena_init(&a, 1 << 20);
	struct msg_home_done home;

	if (type == MSG_LEASE_DONE) {
		on_done(r, &a, body);
	} else if (type == MSG_HOME_DONE) {
		assert_true(msg_home_done_decode(&a, body, &home));
		r->homes_done++;
		r->home_why = home.why;
	} else if (type == MSG_COURIER_HELLO) {
		assert_true(msg_courier_hello_decode(&a, body, &hello));
		assert_true(span_eq(hello.lane, SPAN_LIT("courier-0")));
		r->hellos++;
		r->hello_leases_n = hello.leases_n;
		for (size_t i = 0; i < hello.leases_n && i < RIG_MAX; i++)
			r->hello_leases[i] = hello.leases[i];
	} else {
		assert_int_equal(type, MSG_ROOM);
		r->rooms++;
	}
	arena_fini(&a);
	return true;
}

static bool on_sequencer(void *arg, struct link *l, unsigned type, struct span body)
{
	struct rig *r = arg;

	(void)l, (void)body;
	assert_int_equal(type, MSG_DURABLE);
	r->durables++;
	return true;
}

static bool on_watch(void *arg, struct link *l, unsigned type, struct span body)
{
	struct rig *r = arg;
	struct msg_delivery_evidence m;
	struct arena a;

	(void)l;
	arena_init(&a, 1 << 16);
	if (type == MSG_SITE_LIMITS) {
		assert_true(msg_site_limits_decode(&a, body, &r->limits));
		arena_fini(&a);
		return true;
	}
	assert_int_equal(type, MSG_DELIVERY_EVIDENCE);
	assert_true(msg_delivery_evidence_decode(&a, body, &m));
	if (r->evidence_n < RIG_MAX) {
		r->evidence[r->evidence_n].attempt = m.attempt;
		r->evidence[r->evidence_n].code = m.code;
		(void)snprintf(r->evidence[r->evidence_n].stage, 16, "%.*s", SPAN_FMT(m.stage));
		r->evidence_n++;
	}
	arena_fini(&a);
	return true;
}

static bool on_mx(struct rig *r, struct link *l, struct span body)
{
	struct msg_mx_answer answer = *r->mx;
	struct msg_mx_host hosts[8];
	struct buf out = {0};
	struct msg_resolve_mx m;
	struct arena a;

	arena_init(&a, 4096);
	assert_true(msg_resolve_mx_decode(&a, body, &m));
	assert_true(answer.hosts_n <= 8);
	for (size_t i = 0; i < answer.hosts_n; i++) {
		hosts[i] = answer.hosts[i];
		if (hosts[i].port == 1)
			hosts[i].port = ntohs(r->at.sin_port);
	}
	answer.hosts = hosts;
	answer.id = m.id;
	msg_mx_answer_encode(&out, &answer);
	assert_int_equal(link_send(l, MSG_MX_ANSWER, buf_span(&out)), OK);
	r->questions++;
	buf_fini(&out);
	arena_fini(&a);
	return true;
}

static bool on_scout(void *arg, struct link *l, unsigned type, struct span body)
{
	struct span address = SPAN_LIT("127.0.0.1");
	struct msg_resolve_answer answer = {.ok = true, .addresses = &address, .addresses_n = 1};
	struct rig *r = arg;
	struct buf out = {0};
	struct msg_resolve m;
	struct arena a;

	if (type == MSG_RESOLVE_MX)
		return on_mx(r, l, body);
	arena_init(&a, 4096);
	assert_int_equal(type, MSG_RESOLVE);
	assert_true(msg_resolve_decode(&a, body, &m));
	answer.id = m.id;
	msg_resolve_answer_encode(&out, &answer);
	assert_int_equal(link_send(l, MSG_RESOLVE_ANSWER, buf_span(&out)), OK);
	r->questions++;
	buf_fini(&out);
	arena_fini(&a);
	return true;
}

static bool on_signers(struct rig *r, struct link *l, struct arena *a, struct span body)
{
	struct msg_signer signer = {.selector = SPAN_LIT("rig")};
	struct msg_signers answer = {.signers = &signer, .signers_n = r->key != NULL};
	struct msg_signers_ask m;
	struct buf out = {0};

	assert_true(msg_signers_ask_decode(a, body, &m));
	answer.id = m.id;
	if (!span_eq(m.domain, SPAN_LIT("sender.example")))
		answer.signers_n = 0;
	if (r->key)
		signer.algorithm = span_str(dkim_algorithm_name(dkim_key_algorithm(r->key)));
	msg_signers_encode(&out, &answer);
	assert_int_equal(link_send(l, MSG_SIGNERS, buf_span(&out)), OK);
	buf_fini(&out);
	return true;
}

static bool on_auth(void *arg, struct link *l, unsigned type, struct span body)
{
	struct msg_sign_answer answer = {.ok = true};
	struct buf out = {0}, signature = {0};
	struct rig *r = arg;
	struct msg_sign_ask m;
	struct arena a;

	if (r->auth_is_silent)
		return true;
	arena_init(&a, 4096);
	if (type == MSG_SIGNERS_ASK) {
		(void)on_signers(r, l, &a, body);
	} else {
		assert_int_equal(type, MSG_SIGN_ASK);
		assert_true(msg_sign_ask_decode(&a, body, &m));
		assert_int_equal(m.hash.n, DKIM_HASH_BYTES);
		assert_int_equal(dkim_key_sign(r->key, m.hash.p, &signature, NULL), OK);
		answer.id = m.id;
		answer.signature = buf_span(&signature);
		msg_sign_answer_encode(&out, &answer);
		assert_int_equal(link_send(l, MSG_SIGN_ANSWER, buf_span(&out)), OK);
	}
	buf_fini(&signature);
	buf_fini(&out);
	arena_fini(&a);
	return true;
}

static struct link *give_link(struct rig *r, enum role_id peer, const struct link_ops *ops)
{
	struct buf body = {0};
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	msg_link_here_encode(&body, &(struct msg_link_here){.peer = (uint8_t)peer});
	assert_int_equal(link_send_fd(r->channel, MSG_LINK_HERE, buf_span(&body), ends[1]), OK);
	(void)close(ends[1]);
	buf_fini(&body);
	return link_new(r->loop, ends[0], ops, r);
}

void rig_lease_home(struct rig *r, const char *account, bool by_mail)
{
	struct msg_home_item items[RIG_MAX] = {0};
	const struct msg_home_lease m = {.lease = ++r->next_lease,
					 .account = 7,
					 .name = span_str(account),
					 .site = SPAN_LIT("hq"),
					 .by_mail = by_mail,
					 .items = items,
					 .items_n = r->messages_n};
	struct buf body = {0};

	for (size_t i = 0; i < r->messages_n; i++)
		items[i] = (struct msg_home_item){.number = i,
						  .form = 1,
						  .action = 1,
						  .lane_id = r->messages[i].ref.lane_id,
						  .segment = r->messages[i].ref.segment,
						  .offset = r->messages[i].ref.offset,
						  .bytes = r->messages[i].body.n,
						  .to_special = 2,
						  .message_id = SPAN_LIT("<sent\r\n@x>")};
	msg_home_lease_encode(&body, &m);
	assert_int_equal(link_send(r->clerk, MSG_HOME_LEASE, buf_span(&body)), OK);
	buf_fini(&body);
}

void rig_clerk_new(struct rig *r)
{
	static const struct link_ops ops = {.on_message = on_clerk, .on_closed = on_role_closed};

	r->clerk = give_link(r, ROLE_CLERK, &ops);
}

void rig_clerk_gone(struct rig *r)
{
	link_close(r->clerk);
	r->clerk = NULL;
}

static void give_config(struct rig *r, const struct rig_options *options)
{
	static struct msg_listen submission = {SPAN_LIT("submission"), SPAN_LIT("127.0.0.1:587")};
	struct msg_primary primaries[2] = {
		{.host = SPAN_LIT("127.0.0.1"), .port = 1, .weight = 1},
		{.host = span_str(options->host ? options->host : "127.0.0.1"),
		 .port = ntohs(r->at.sin_port),
		 .weight = 1,
		 .priority = 1},
	};
	struct msg_site site = {.name = SPAN_LIT("office"),
				.primaries = options->dead_first ? primaries : primaries + 1,
				.primaries_n = options->dead_first ? 2 : 1,
				.tls = span_str(options->tls ? options->tls : "opportunistic"),
				.tls_ca = span_str(options->tls_ca ? options->tls_ca : ""),
				.concurrency = options->concurrency};
	struct msg_domain domain = {.name = SPAN_LIT("ours.example"), .site = SPAN_LIT("office")};
	struct msg_config config = {.node = SPAN_LIT("node.example"),
				    .data = span_str(r->folder),
				    .sites = &site,
				    .sites_n = 1,
				    .domains = &domain,
				    .domains_n = 1,
				    .couriers = 1,
				    .log_level = SPAN_LIT("error")};
	struct buf encoded = {0}, body = {0};
	int fd = memfd_create("config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	config.listen = &submission;
	config.listen_n = options->auth;
	msg_config_encode(&encoded, &config);
	assert_int_equal(write(fd, encoded.p, encoded.n), encoded.n);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
	msg_config_now_encode(&body, &(struct msg_config_now){.full_name = SPAN_LIT("courier-0")});
	assert_int_equal(link_send_fd(r->channel, MSG_CONFIG_NOW, buf_span(&body), fd), OK);
	(void)close(fd);
	buf_fini(&encoded);
	buf_fini(&body);
}

static void start_courier(struct rig *r)
{
	static const struct link_ops ops = {.on_message = on_channel,
					    .on_closed = on_channel_closed};
	const char *path = getenv("HOLDFAST_COURIER");
	int ends[2];

	assert_non_null(path);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	r->courier = fork();
	assert_true(r->courier >= 0);
	if (r->courier == 0) {
		if (ends[1] == 3)
			(void)fcntl(3, F_SETFD, 0);
		else
			(void)dup2(ends[1], 3);
		(void)execl(path, path, (char *)NULL);
		_exit(127);
	}
	(void)close(ends[1]);
	r->channel = link_new(r->loop, ends[0], &ops, r);
}

static bool said_hello(struct rig *r)
{
	return r->hellos > 0;
}

void rig_open(struct rig *r, const struct rig_options *options)
{
	static const struct link_ops sequencer = {.on_message = on_sequencer,
						  .on_closed = on_role_closed};
	static const struct link_ops scout = {.on_message = on_scout, .on_closed = on_role_closed};
	static const struct link_ops watch = {.on_message = on_watch, .on_closed = on_role_closed};
	static const struct link_ops auth = {.on_message = on_auth, .on_closed = on_role_closed};
	struct lane_options lane = {.os = os_real(), .name = "edge-0"};
	struct fault why = {0};
	char path[128];

	(void)signal(SIGPIPE, SIG_IGN);
	(void)snprintf(r->folder, sizeof r->folder, "/tmp/holdfast-courier-XXXXXX");
	assert_non_null(mkdtemp(r->folder));
	scratch_remember(r->folder);
	(void)snprintf(path, sizeof path, "%s/ledger", r->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	lane.ledger_dir = path;
	if (lane_open(&lane, &r->lane, &why) != OK)
		fail_msg("%s", why.text);
	r->loop = loop_new();
	open_primary(r, !options->no_primary);
	start_courier(r);
	give_config(r, options);
	rig_clerk_new(r);
	r->sequencer = give_link(r, ROLE_SEQUENCER, &sequencer);
	r->watch = give_link(r, ROLE_WATCH, &watch);
	if (options->auth)
		r->auth = give_link(r, ROLE_AUTH, &auth);
	if (options->scout)
		r->scout = give_link(r, ROLE_SCOUT, &scout);
	assert_int_equal(link_send(r->channel, MSG_READY, SPAN_NONE), OK);
	rig_await(r, said_hello, "the courier says hello");
}

/* ---- waiting ---- */

static void on_limit(void *arg)
{
	struct rig *r = arg;

	loop_stop(r->loop);
}

static bool has_ended(struct rig *r)
{
	return r->courier_ended;
}

void rig_await(struct rig *r, bool (*is_true)(struct rig *r), const char *what)
{
	struct loop_timer *t = loop_timer_new(r->loop, on_limit, r);

	for (unsigned turns = 0; !is_true(r); turns++) {
		if (turns > 2000 || (r->courier_ended && is_true != has_ended))
			fail_msg("in vain: %s (%zu done, %u dots)", what, r->done_n, r->dots);
		loop_timer_set(t, 5000);
		loop_run(r->loop);
	}
	loop_timer_free(t);
}

static size_t wanted_done;

static bool has_done(struct rig *r)
{
	return r->done_n >= wanted_done;
}

void rig_await_done(struct rig *r, size_t n)
{
	wanted_done = n;
	rig_await(r, has_done, "leases end");
}

static bool always_after_a_turn(struct rig *r)
{
	static unsigned turns;

	(void)r;
	return ++turns % 5 == 0;
}

static void remove_folder(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char inner[512];

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
		if (unlink(inner) < 0)
			remove_folder(inner);
	}
	if (d)
		(void)closedir(d);
	(void)rmdir(path);
}

void rig_close(struct rig *r)
{
	int status = -1;

	assert_int_equal(link_send(r->channel, MSG_STOP_NOW, SPAN_NONE), OK);
	rig_await(r, has_ended, "the courier ends");
	assert_int_equal(waitpid(r->courier, &status, 0), r->courier);
	r->courier_ended = false; /* as expected: no reason to give up waiting */
	assert_int_equal(status, 0);
	if (r->listener)
		listener_free(r->listener);
	rig_await(r, always_after_a_turn, "connections close");
	link_close(r->clerk);
	link_close(r->sequencer);
	link_close(r->watch);
	link_close(r->scout);
	link_close(r->auth);
	lane_close(r->lane);
	tls_context_unref(r->tls);
	loop_free(r->loop);
	for (size_t i = 0; i < r->taken_n; i++)
		buf_fini(&r->taken[i].data);
	for (size_t i = 0; i < r->messages_n; i++)
		buf_fini(&r->messages[i].body);
	for (size_t i = 0; i < r->done_n; i++)
		free((void *)(uintptr_t)r->done[i].reason.p);
	remove_folder(r->folder);
}

/* ---- messages and leases ---- */

static void on_stored(void *arg, const struct lane_result *result)
{
	struct rig_message *m = arg;

	assert_int_equal(result->rc, OK);
	m->ref = result->ref;
}

static uint32_t header_bytes(struct span body)
{
	const unsigned char *end = memmem(body.p, body.n, "\r\n\r\n", 4);

	return end ? (uint32_t)(end - body.p) + 4 : 0;
}

size_t rig_store(struct rig *r, struct span body, const char *sender, const char *rcpts)
{
	struct rig_message *m = &r->messages[r->messages_n];
	struct msg_message_meta meta = {.sender = span_str(sender),
					.trace = SPAN_LIT(TRACE),
					.cuts = (struct msg_cut *)(uintptr_t)r->cuts,
					.cuts_n = r->cuts_n,
					.origin = r->origin,
					.is_sent_on = r->is_sent_on,
					.from = span_str(r->from),
					.header_bytes = header_bytes(body)};
	struct record_new record = {.type = RECORD_MESSAGE, .received_us = 1000000};
	struct msg_rcpt rcpt[RIG_RCPTS] = {0};
	struct span rest = span_str(rcpts);
	struct buf encoded = {0};

	(void)snprintf(m->id, sizeof m->id, "%032zu", r->messages_n);
	meta.id = span_str(m->id);
	meta.rcpts = rcpt;
	while (rest.n)
		rcpt[meta.rcpts_n++].address = span_cut(&rest, ',');
	msg_message_meta_encode(&encoded, &meta);
	buf_printf(&m->body, "%s", TRACE);
	buf_append(&m->body, body);
	record.meta = buf_span(&encoded);
	buf_append(&record.body, body);
	lane_append(r->lane, &record, 1, 0, false, on_stored, m);
	while (lane_step(r->lane))
		;
	lane_collect(r->lane);
	buf_fini(&encoded);
	return r->messages_n++;
}

uint64_t rig_lease(struct rig *r, size_t m, const char *sender, const char *rcpts,
		   void (*edit)(struct msg_lease *l))
{
	struct rig_message *message = &r->messages[m];
	struct msg_lease_rcpt rcpt[RIG_RCPTS] = {0};
	struct msg_lease l = {
		.lease = ++r->next_lease,
		.number = m,
		.lane_id = message->ref.lane_id,
		.segment = message->ref.segment,
		.offset = message->ref.offset,
		.body_bytes = message->body.n - strlen(TRACE),
		.id = span_str(message->id),
		.site = SPAN_LIT("office"),
		.phase = PHASE_UP,
		.sender = span_str(sender),
		.rcpts = rcpt,
	};
	struct span rest = span_str(rcpts);
	struct buf body = {0};

	while (rest.n) {
		rcpt[l.rcpts_n].rcpt = (uint32_t)l.rcpts_n;
		rcpt[l.rcpts_n++].address = span_cut(&rest, ',');
	}
	if (edit)
		edit(&l);
	msg_lease_encode(&body, &l);
	assert_int_equal(link_send(r->clerk, MSG_LEASE, buf_span(&body)), OK);
	buf_fini(&body);
	return l.lease;
}

/* ---- what is in the courier's lane ---- */

static const char *attempt_name(uint8_t attempt)
{
	static const char *const names[] = {"accepted", "4xx", "5xx", "unreached", "lost"};

	return names[attempt];
}

static void print_outcome(struct buf *out, struct arena *a, struct span meta)
{
	struct msg_outcome_meta m;

	assert_true(msg_outcome_meta_decode(a, meta, &m));
	buf_printf(out, "OUTCOME %llu stage=%.*s", (unsigned long long)m.number, SPAN_FMT(m.stage));
	for (size_t i = 0; i < m.rcpts_n; i++)
		buf_printf(out, " %u:%s/%s/%u%s%.*s", m.rcpts[i].rcpt,
			   attempt_name(m.rcpts[i].attempt),
			   disposition_name((enum disposition)m.rcpts[i].disposition),
			   m.rcpts[i].code, m.rcpts[i].queue_id.n ? ":" : "",
			   SPAN_FMT(m.rcpts[i].queue_id));
}

static void print_record(struct buf *out, struct arena *a, const struct record *record)
{
	struct msg_intent_meta intent;
	struct msg_message_meta message;

	if (record->type == RECORD_INTENT) {
		assert_true(msg_intent_meta_decode(a, record->meta, &intent));
		buf_printf(out, "INTENT %llu", (unsigned long long)intent.number);
		for (size_t i = 0; i < intent.rcpts_n; i++)
			buf_printf(out, "%s%u", i ? "," : " rcpts=", intent.rcpts[i]);
	} else if (record->type == RECORD_OUTCOME) {
		print_outcome(out, a, record->meta);
	} else if (record->type == RECORD_MESSAGE) {
		assert_true(msg_message_meta_decode(a, record->meta, &message));
		assert_true(message.is_dsn && message.rcpts_n == 1 && !message.sender.n);
		buf_printf(out, "MESSAGE dsn to=%.*s site=%.*s", SPAN_FMT(message.rcpts[0].address),
			   SPAN_FMT(message.rcpts[0].site));
	} else if (record->type == RECORD_ACT) {
		struct msg_act_meta act;
		struct msg_home_step step;

		assert_true(msg_act_meta_decode(a, record->meta, &act));
		assert_true(msg_home_step_decode(a, act.detail, &step));
		buf_printf(out, "HOME");
		for (size_t i = 0; i < step.results_n; i++)
			buf_printf(out, " %llu/%u", (unsigned long long)step.results[i].number,
				   step.results[i].did);
	} else {
		return;
	}
	buf_append_byte(out, '\n');
}

void rig_lane(struct rig *r, struct buf *out)
{
	struct record record = {.ref = {.lane_id = lane_id_of("courier-0")}};
	const struct lane_position everything = {UINT32_MAX, UINT64_MAX, UINT64_MAX};
	struct ledger_reader *reader;
	struct fault why = {0};
	struct arena a;
	char path[128];

	(void)snprintf(path, sizeof path, "%s/ledger", r->folder);
	assert_int_equal(ledger_reader_new(os_real(), path, &reader, &why), OK);
	arena_init(&a, 0);
	for (;;) {
		struct record next;
		enum rc rc = ledger_next(reader, &record, &everything, &next, &why);

		if (rc != OK)
			break;
		record = next;
		print_record(out, &a, &record);
	}
	arena_fini(&a);
	ledger_reader_free(reader);
}

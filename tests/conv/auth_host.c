#include "auth_host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "ipc/stream_frame.h"
#include "ledger/ledger.h"
#include "os/os.h"
#include "role/common/role.h"

void auth_host_init(struct auth_host *h, const char *program)
{
	char path[128];

	memset(h, 0, sizeof *h);
	edge_host_init(&h->host);
	h->program = program;
	h->host.name = "auth";
	h->host.service = "none"; /* a listener it does not know and closes */
	h->desk = h->console = h->courier = h->listener = -1;
	h->site = (struct msg_site){.name = SPAN_LIT("head")};
	h->host.config.sites = &h->site;
	h->host.config.verifier_age_ms = 3600000;
	h->host.config.needs_tls_to_login = true;
	h->host.config.log_level = SPAN_LIT("error");
	(void)snprintf(path, sizeof path, "%s/secrets", h->host.folder);
	must(mkdir(path, 0750) == 0);
	(void)snprintf(path, sizeof path, "%s/secrets/auth", h->host.folder);
	must(mkdir(path, 0700) == 0);
	(void)snprintf(path, sizeof path, "%s/secrets/dkim", h->host.folder);
	must(mkdir(path, 0700) == 0);
	(void)snprintf(h->socket, sizeof h->socket, "%s/people.sock", h->host.folder);
}

static void give_people(struct auth_host *h)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct buf body = {0};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)unlink(h->socket);
	(void)snprintf(at.sun_path, sizeof at.sun_path, "%s", h->socket);
	must(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 16) == 0);
	msg_listen_here_encode(&body, &(struct msg_listen_here){.service = SPAN_LIT("people")});
	edge_host_send(h->host.super, MSG_LISTEN_HERE, buf_span(&body), fd);
	buf_fini(&body);
}

void auth_host_start(struct auth_host *h)
{
	edge_host_start(&h->host, h->program);
	h->desk = edge_host_link(&h->host, ROLE_DESK);
	h->console = edge_host_link(&h->host, ROLE_CONSOLE);
	h->courier = edge_host_link(&h->host, ROLE_COURIER);
	give_people(h);
}

static void close_ends(struct auth_host *h)
{
	(void)close(h->desk);
	(void)close(h->console);
	(void)close(h->courier);
	arena_fini(&h->arena);
}

void auth_host_kill(struct auth_host *h)
{
	int status;

	must(kill(h->host.pid, SIGKILL) == 0 && waitpid(h->host.pid, &status, 0) == h->host.pid);
	(void)close(h->host.super);
	(void)close(h->host.sequencer);
	close_ends(h);
}

int auth_host_stop(struct auth_host *h)
{
	if (h->listener >= 0) {
		h->stops = true;
		must(pthread_join(h->thread, NULL) == 0);
		(void)close(h->listener);
	}
	close_ends(h);
	return edge_host_stop(&h->host);
}

/* ---- the primary's IMAP ---- */

static void say_line(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* One session: what it is asked, until the client goes. Enough of IMAP for a login. */
static void serve(struct auth_host *h, int fd)
{
	char line[4096], tag[64], wanted[1100];
	FILE *in = fdopen(fd, "r");

	must(in != NULL);
	say_line(fd, "* OK [CAPABILITY IMAP4rev1] rig\r\n");
	while (!h->stops && fgets(line, sizeof line, in)) {
		(void)snprintf(tag, sizeof tag, "%.*s", (int)strcspn(line, " "), line);
		if (strstr(line, " LOGIN ")) {
			struct span said = span_trim(span_str(line));

			h->asked++;
			(void)snprintf(wanted, sizeof wanted, " \"%s\"", h->password);
			if (span_ends_nocase(said, span_str(wanted)))
				(void)dprintf(fd, "%s OK in\r\n", tag);
			else
				(void)dprintf(fd, "%s NO [AUTHENTICATIONFAILED] no\r\n", tag);
		} else if (strstr(line, "CAPABILITY")) {
			(void)dprintf(fd, "* CAPABILITY IMAP4rev1\r\n%s OK done\r\n", tag);
		} else {
			(void)dprintf(fd, "%s OK\r\n", tag);
		}
	}
	(void)fclose(in);
}

static void *primary_main(void *arg)
{
	struct auth_host *h = arg;

	while (!h->stops) {
		struct pollfd wait = {h->listener, POLLIN, 0};
		int fd;

		if (poll(&wait, 1, 20) <= 0)
			continue;
		fd = accept(h->listener, NULL, NULL);
		if (fd < 0)
			continue;
		if (h->is_away)
			(void)close(fd);
		else
			serve(h, fd);
	}
	return NULL;
}

void auth_host_primary(struct auth_host *h)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;

	h->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(h->listener, (struct sockaddr *)&at, sizeof at) == 0 &&
	     listen(h->listener, 16) == 0);
	must(getsockname(h->listener, (struct sockaddr *)&at, &n) == 0);
	h->imap = (struct msg_imap_server){
		.host = SPAN_LIT("127.0.0.1"), .port = ntohs(at.sin_port), .tls = SPAN_LIT("none")};
	h->site.imap = &h->imap;
	h->site.imap_n = 1;
	h->site.passthrough = true;
	must(pthread_create(&h->thread, NULL, primary_main, h) == 0);
}

/* ---- logins ---- */

static bool hear(struct auth_host *h, int fd, int ms, struct msg_login_answer *out,
		 unsigned *changed)
{
	struct buf body = {0};
	unsigned type;

	while ((type = edge_host_frame(fd, ms, &body)) != 0) {
		if (type == MSG_ACCOUNTS_CHANGED && changed)
			++*changed;
		if (type != MSG_LOGIN_ANSWER)
			continue;
		arena_reset(&h->arena);
		must(msg_login_answer_decode(&h->arena, arena_span(&h->arena, buf_span(&body)),
					     out));
		buf_fini(&body);
		return true;
	}
	buf_fini(&body);
	return false;
}

static void send_plain(int fd, struct msg_sasl_start *m, const char *name, const char *password)
{
	struct buf plain = {0}, body = {0};

	buf_append_byte(&plain, 0);
	buf_append(&plain, span_str(name));
	buf_append_byte(&plain, 0);
	buf_append(&plain, span_str(password));
	m->mechanism = SPAN_LIT("PLAIN");
	m->has_initial = m->secure = true;
	m->initial = buf_span(&plain);
	msg_sasl_start_encode(&body, m);
	edge_host_send(fd, MSG_SASL_START, buf_span(&body), -1);
	buf_fini(&plain);
	buf_fini(&body);
}

uint64_t auth_send_plain(struct auth_host *h, const char *name, const char *password,
			 const char *source, const char *service)
{
	struct msg_sasl_start m = {
		.id = ++h->last_id, .source = span_str(source), .service = span_str(service)};

	send_plain(h->desk, &m, name, password);
	return h->last_id;
}

struct msg_login_answer auth_portal(struct auth_host *h, const char *name, const char *password,
				    const char *source, const char *session_for)
{
	struct msg_sasl_start m = {.id = ++h->last_id,
				   .source = span_str(source),
				   .service = SPAN_LIT("https"),
				   .session_for = span_str(session_for),
				   .agent = SPAN_LIT("Browser/1 (test)")};
	int fd = strcmp(session_for, "admin") == 0 ? h->console : h->desk;
	struct msg_login_answer answer;

	send_plain(fd, &m, name, password);
	do
		must(hear(h, fd, 20000, &answer, NULL));
	while (answer.id != m.id);
	return answer;
}

bool auth_hear(struct auth_host *h, int ms, struct msg_login_answer *out, unsigned *changed)
{
	return hear(h, h->desk, ms, out, changed);
}

struct msg_login_answer auth_log_in(struct auth_host *h, const char *name, const char *password,
				    const char *source, const char *service)
{
	uint64_t id = auth_send_plain(h, name, password, source, service);
	struct msg_login_answer m;

	do
		must(auth_hear(h, 20000, &m, NULL));
	while (m.id != id);
	return m;
}

bool auth_gets_in(struct auth_host *h, const char *name, const char *password, const char *source)
{
	return auth_log_in(h, name, password, source, "imap").verdict == LOGIN_FINE;
}

/* ---- people ---- */

int auth_people_send(struct auth_host *h, unsigned type, const struct buf *body)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct buf frame = {0};

	(void)snprintf(to.sun_path, sizeof to.sun_path, "%s", h->socket);
	must(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
	must(stream_frame_put(&frame, type, buf_span(body)));
	must(send(fd, frame.p, frame.n, MSG_NOSIGNAL) == (ssize_t)frame.n);
	buf_fini(&frame);
	return fd;
}

struct msg_people_answer auth_people(struct auth_host *h, unsigned type, const struct buf *body)
{
	int fd = auth_people_send(h, type, body);
	struct timeval limit = {.tv_sec = 60};
	struct msg_people_answer m = {0};
	struct buf in = {0};
	struct span answer;
	unsigned got;
	size_t used;
	ssize_t n;

	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
	while (stream_frame_take(buf_span(&in), &got, &answer, &used, NULL) == MORE) {
		must(buf_reserve(&in, 65536));
		n = recv(fd, in.p + in.n, 65536, 0);
		if (n <= 0)
			break;
		in.n += (size_t)n;
	}
	arena_reset(&h->arena);
	if (stream_frame_take(buf_span(&in), &got, &answer, &used, NULL) == OK)
		must(got == MSG_PEOPLE_ANSWER &&
		     msg_people_answer_decode(&h->arena, arena_span(&h->arena, answer), &m));
	buf_fini(&in);
	(void)close(fd);
	return m;
}

struct msg_people_answer auth_add(struct auth_host *h, const char *name, const char *password)
{
	struct msg_people_answer answer;
	struct buf body = {0};

	msg_user_add_encode(&body, &(struct msg_user_add){.account = span_str(name),
							  .name = SPAN_LIT("Somebody"),
							  .password = span_str(password)});
	answer = auth_people(h, MSG_USER_ADD, &body);
	buf_fini(&body);
	return answer;
}

struct msg_people_answer auth_passwd(struct auth_host *h, const char *name, const char *password)
{
	struct msg_people_answer answer;
	struct buf body = {0};

	msg_user_password_encode(&body,
				 &(struct msg_user_password){.account = span_str(name),
							     .password = span_str(password)});
	answer = auth_people(h, MSG_USER_PASSWORD, &body);
	buf_fini(&body);
	return answer;
}

struct msg_people_answer auth_set(struct auth_host *h, const char *name, const char *verb,
				  const char *argument)
{
	struct msg_people_answer answer;
	struct buf body = {0};

	msg_user_set_encode(&body, &(struct msg_user_set){.account = span_str(name),
							  .verb = span_str(verb),
							  .argument = span_str(argument)});
	answer = auth_people(h, MSG_USER_SET, &body);
	buf_fini(&body);
	return answer;
}

/* ---- the lane ---- */

static void put_record(const struct record *r, struct arena *a, struct buf *out)
{
	struct msg_directory_meta d;
	struct msg_act_meta act;

	if (r->type == RECORD_DIRECTORY && msg_directory_meta_decode(a, r->meta, &d)) {
		buf_printf(out, "DIRECTORY %.*s %.*s", SPAN_FMT(d.kind), SPAN_FMT(d.scope));
		for (size_t i = 0; i < d.facts_n; i++)
			buf_printf(out, " %.*s=%.*s", SPAN_FMT(d.facts[i].key),
				   SPAN_FMT(d.facts[i].value));
		buf_append_byte(out, '\n');
	} else if (r->type == RECORD_ACT && msg_act_meta_decode(a, r->meta, &act)) {
		buf_printf(out, "ACT %.*s %.*s by %.*s\n", SPAN_FMT(act.verb), SPAN_FMT(act.object),
			   SPAN_FMT(act.actor));
	}
}

/* As the sequencer hears of it; the last notice counts. */
static void hear_durable(struct auth_host *h)
{
	struct buf body = {0};
	struct msg_durable m;
	struct arena a;

	arena_init(&a, 1 << 16);
	while (edge_host_frame(h->host.sequencer, 100, &body) == MSG_DURABLE) {
		must(msg_durable_decode(&a, buf_span(&body), &m));
		h->durable = (struct lane_position){m.segment, m.offset, m.seq};
		arena_reset(&a);
	}
	arena_fini(&a);
	buf_fini(&body);
}

void auth_records(struct auth_host *h, struct buf *out)
{
	struct record at = {.ref = {lane_id_of("auth"), 0, 0}}, next;
	struct ledger_reader *reader = NULL;
	struct fault why = {0};
	char folder[128];
	struct arena a;

	buf_clear(out);
	hear_durable(h);
	(void)snprintf(folder, sizeof folder, "%s/ledger", h->host.folder);
	must(ledger_reader_new(os_real(), folder, &reader, &why) == OK);
	arena_init(&a, 0);
	while (ledger_next(reader, &at, &h->durable, &next, &why) == OK) {
		put_record(&next, &a, out);
		at = next;
	}
	arena_fini(&a);
	ledger_reader_free(reader);
	(void)buf_cstr(out);
}

/* ---- codes ---- */

void text_between(struct span json, const char *before, char *out, size_t n)
{
	const char *at = memmem(json.p, json.n, before, strlen(before));

	must(at != NULL);
	at += strlen(before);
	(void)snprintf(out, n, "%.*s", (int)strcspn(at, "\""), at);
}

void read_secret(struct span json, unsigned char out[TOTP_SECRET_BYTES])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	char text[64];
	unsigned bits = 0, have = 0;
	size_t n = 0;

	text_between(json, "\"secret\":\"", text, sizeof text);
	for (const char *c = text; *c && n < TOTP_SECRET_BYTES; c++) {
		have = (have << 5 | (unsigned)(strchr(letters, *c) - letters)) & 0xfff;
		bits += 5;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (unsigned char)(have >> bits);
		}
	}
	must(n == TOTP_SECRET_BYTES);
}

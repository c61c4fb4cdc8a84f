/*
 * HTTP at a real holdfast-desk, auth played: files, logins, sessions and their end, forged requests (H-06), the fields of every
 * answer (H-23), push streams (H-24), clients that do not read, clients that hardly speak (H-15).
 */
#include "desk_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"
#include "jmap/jmap.h"

enum { IMAP = 0, HTTPS = 4, BIG_BYTES = 4 << 20, MOST_MS = 1000 /* others' wait */ };

#define JSON "Content-Type: application/json\r\n"

static const char *program;
static struct desk_host desk;
static char web[128];

/* ---- a client ---- */

struct answer {
	unsigned status;
	struct buf head, body;
};

static struct answer last;

static int dial(void)
{
	return desk_client(&desk, HTTPS);
}

/* With a small window, as over a narrow line. */
static int dial_slowly(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)desk.ports[HTTPS])};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), bytes = 16 << 10;

	must(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0);
	must(connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
	return fd;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* More bytes; false: the end, or nothing in 20 s. */
static bool more(int fd, struct buf *b)
{
	struct pollfd wait = {fd, POLLIN, 0};
	char bytes[65536];
	ssize_t n;

	if (poll(&wait, 1, 20000) != 1)
		return false;
	n = recv(fd, bytes, sizeof bytes, 0);
	if (n <= 0)
		return false;
	(void)buf_append(b, span_of(bytes, (size_t)n));
	return true;
}

static const char *field(const char *name)
{
	static char value[4096];
	char want[128];
	const char *at;

	(void)snprintf(want, sizeof want, "\r\n%s: ", name);
	at = strcasestr(buf_cstr(&last.head), want);
	if (!at)
		return NULL;
	at += strlen(want);
	(void)snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
	return value;
}

static bool read_chunks(int fd, struct buf *raw)
{
	for (;;) {
		unsigned long n;
		char *end = raw->n ? memmem(raw->p, raw->n, "\r\n", 2) : NULL;

		if (!end) {
			if (!more(fd, raw))
				return false;
			continue;
		}
		n = strtoul((char *)raw->p, NULL, 16);
		while (raw->n < (size_t)((unsigned char *)end - raw->p) + 4 + n) {
			size_t at = (size_t)((unsigned char *)end - raw->p);

			if (!more(fd, raw))
				return false;
			end = (char *)raw->p + at;
		}
		(void)buf_append(&last.body, span_of(end + 2, n));
		buf_drop(raw, (size_t)((unsigned char *)end - raw->p) + 4 + n);
		if (n == 0)
			return true;
	}
}

/* Reads one answer. False: the connection ended before it was complete. */
static bool hear(int fd, bool is_head)
{
	struct buf raw = {0};
	size_t head_n, bytes;
	char *end;
	bool is_whole = true;

	buf_clear(&last.head);
	buf_clear(&last.body);
	last.status = 0;
	while (!raw.n || !(end = memmem(raw.p, raw.n, "\r\n\r\n", 4))) {
		if (more(fd, &raw))
			continue;
		buf_fini(&raw);
		return false;
	}
	head_n = (size_t)(end - (char *)raw.p) + 4;
	(void)buf_append(&last.head, span_of(raw.p, head_n));
	buf_drop(&raw, head_n);
	last.status = (unsigned)atoi((char *)last.head.p + 9);
	if (field("Transfer-Encoding") && !is_head) {
		is_whole = read_chunks(fd, &raw);
	} else {
		bytes = field("Content-Length") && !is_head ? (size_t)atol(field("Content-Length"))
							    : 0;
		while (raw.n < bytes && is_whole)
			is_whole = more(fd, &raw);
		(void)buf_append(&last.body, buf_span(&raw));
	}
	buf_fini(&raw);
	return is_whole;
}

static void tell(int fd, const char *method, const char *path, const char *fields, const char *body)
{
	struct buf out = {0};

	(void)buf_printf(&out, "%s %s HTTP/1.1\r\nHost: mail.example\r\n%s", method, path, fields);
	if (body)
		(void)buf_printf(&out, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	else
		(void)buf_append(&out, SPAN_LIT("\r\n"));
	must(send(fd, out.p, out.n, MSG_NOSIGNAL) == (ssize_t)out.n);
	buf_fini(&out);
}

/* On a connection of its own; the status. */
static unsigned fetch(const char *method, const char *path, const char *fields, const char *body)
{
	int fd = dial();

	tell(fd, method, path, fields, body);
	if (!hear(fd, strcmp(method, "HEAD") == 0))
		last.status = 0;
	(void)close(fd);
	return last.status;
}

static bool body_has(const char *text)
{
	return strstr(buf_cstr(&last.body), text) != NULL;
}

#define assert_status(want, got)                                                                   \
	do {                                                                                       \
		unsigned is = (got);                                                               \
		if (is != (want))                                                                  \
			fail_msg("%s:%d: %u: %s%s", __FILE__, __LINE__, is, buf_cstr(&last.head),  \
				 buf_cstr(&last.body));                                            \
	} while (0)

/* The fields of a request by cookie: the cookie alone, or with its token. */
static const char *cookie_of(const char *secret)
{
	static char text[256];

	(void)snprintf(text, sizeof text, "Cookie: a=b; __Host-holdfast=%s\r\n", secret);
	return text;
}

static const char *token_of(const char *secret)
{
	static char token[64];
	const char *at;

	assert_status(200, fetch("GET", "/api/me", cookie_of(secret), NULL));
	at = strstr(buf_cstr(&last.body), "\"token\":\"");
	must(at);
	(void)snprintf(token, sizeof token, "%.22s", at + 9);
	return token;
}

static const char *fields_of(const char *secret)
{
	static char text[512];
	const char *token = token_of(secret);

	(void)snprintf(text, sizeof text, "%s" JSON "X-Holdfast-Token: %s\r\n", cookie_of(secret),
		       token);
	return text;
}

static void await(const _Atomic unsigned *what, unsigned least)
{
	for (unsigned i = 0; i < 2000 && *what < least; i++)
		(void)usleep(5000);
	assert_true(*what >= least);
}

/* ---- set up ---- */

static void put_file(const char *name, const char *text, size_t bytes)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", web, name);
	f = fopen(path, "we");
	must(f && (text ? fputs(text, f) >= 0 : ftruncate(fileno(f), (off_t)bytes) == 0));
	must(fclose(f) == 0);
}

static void make_files(void)
{
	(void)snprintf(web, sizeof web, "%s/web", desk.host.folder);
	must(mkdir(web, 0700) == 0);
	(void)snprintf(web, sizeof web, "%s/web/portal", desk.host.folder);
	must(mkdir(web, 0700) == 0);
	put_file("index.html", "<!doctype html>", 0);
	put_file("frame.html", "<!doctype html>", 0);
	put_file("sw.js", "1", 0);
	put_file("big.txt", NULL, BIG_BYTES);
	put_file("secret.key", "nobody's", 0);
	put_file(".hidden.js", "nobody's", 0);
	(void)snprintf(web + strlen(web), sizeof web - strlen(web), "/assets");
	must(mkdir(web, 0700) == 0);
	put_file("a-0123.js", "let it be some script", 0);
	put_file("a-0123.js.gz", "packed", 0);
	(void)snprintf(web, sizeof web, "%s/web", desk.host.folder);
}

static int set_up(void **state)
{
	(void)state;
	desk_host_init(&desk);
	make_files();
	desk.host.config.web_dir = span_str(web);
	desk.host.config.limits.sessions = 2000;
	desk_host_start(&desk, program, 3);
	return 0;
}

static int set_up_many(void **state)
{
	(void)state;
	desk_host_init(&desk);
	make_files();
	desk.host.config.web_dir = span_str(web);
	desk.host.config.limits.sessions = 2000;
	desk_host_more_accounts(&desk, 125);
	desk_host_start(&desk, program, 3);
	return 0;
}

static int tear_down(void **state)
{
	int status = desk_host_stop(&desk);

	(void)state;
	buf_fini(&last.head);
	buf_fini(&last.body);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* ---- files ---- */

static void files_are_served_from_a_table(void **state)
{
	char tag[128], fields[256];

	(void)state;
	assert_status(200, fetch("GET", "/", "", NULL));
	assert_string_equal(buf_cstr(&last.body), "<!doctype html>");
	assert_string_equal(field("Content-Type"), "text/html; charset=utf-8");
	assert_string_equal(field("Cache-Control"), "no-cache");
	assert_non_null(
		strstr(field("Content-Security-Policy"), "script-src 'self'; style-src 'self'"));
	assert_non_null(
		strstr(field("Content-Security-Policy"), "require-trusted-types-for 'script'"));
	assert_null(strstr(field("Content-Security-Policy"), "unsafe"));
	(void)snprintf(tag, sizeof tag, "%s", field("ETag"));
	(void)snprintf(fields, sizeof fields, "If-None-Match: \"x\", %s\r\n", tag);
	assert_status(304, fetch("GET", "/index.html", fields, NULL));
	assert_int_equal(last.body.n, 0);
	assert_status(200, fetch("HEAD", "/", "", NULL));
	assert_string_equal(field("Content-Length"), "15");
	assert_status(200, fetch("GET", "/frame.html", "", NULL));
	assert_non_null(
		strstr(field("Content-Security-Policy"), "frame-ancestors 'self'; sandbox"));
	assert_null(strstr(field("Content-Security-Policy"), "script"));
	assert_status(200, fetch("GET", "/sw.js", "", NULL));
	assert_non_null(strstr(field("Content-Security-Policy"), "connect-src 'self'"));
	assert_status(200,
		      fetch("GET", "/assets/a-0123.js", "Accept-Encoding: br, gzip\r\n", NULL));
	assert_string_equal(buf_cstr(&last.body), "packed");
	assert_string_equal(field("Content-Encoding"), "gzip");
	assert_string_equal(field("Cache-Control"), "public, max-age=31536000, immutable");
	assert_string_equal(field("Vary"), "Accept-Encoding");
	assert_status(200, fetch("GET", "/assets/a-0123.js", "", NULL));
	assert_string_equal(buf_cstr(&last.body), "let it be some script");
	assert_null(field("Content-Encoding"));
}

static void nothing_else_is(void **state)
{
	static const char *const paths[] = {
		"/secret.key",
		"/.hidden.js",
		"/assets",
		"/assets/",
		"/assets/a-0123.js.gz",
		"/nothing",
		"//",
		"/index.html/",
		"/%69ndex.html",
		"/portal/index.html",
		"/api",
		"/api/",
		"/api/nothing",
		"/jmap",
		"/assets/%2e%2e%2findex.html",
	};

	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		assert_status(404, fetch("GET", paths[i], "", NULL));
		assert_non_null(strstr(field("Content-Type"), "application/problem+json"));
	}
	assert_status(400, fetch("GET", "/../secret.key", "", NULL));
	assert_status(400, fetch("GET", "/assets/%2e%2e/secret.key", "", NULL));
	assert_status(404, fetch("POST", "/", JSON, "{}"));
	assert_status(405, fetch("GET", "/api/login", "", NULL));
	assert_string_equal(field("Allow"), "POST");
	assert_status(405, fetch("DELETE", "/api/portal", "", NULL));
	assert_string_equal(field("Allow"), "GET, HEAD");
}

/* ---- logins ---- */

static void a_login_opens_a_session(void **state)
{
	char secret[44];
	const char *at;

	(void)state;
	assert_status(401, fetch("GET", "/api/me", "", NULL));
	assert_status(200, fetch("POST", "/api/login", JSON,
				 "{\"account\":\"anna@ours.example\",\"password\":\"secret\"}"));
	assert_true(body_has("\"state\":\"in\""));
	assert_true(body_has("Anna \\\"A\\\" <b>"));
	at = field("Set-Cookie");
	assert_true(strncmp(at, "__Host-holdfast=session-", 24) == 0);
	assert_non_null(strstr(at, "; Path=/; Secure; HttpOnly; SameSite=Strict"));
	(void)snprintf(secret, sizeof secret, "%.43s", at + 16);
	assert_status(200, fetch("GET", "/api/me", cookie_of(secret), NULL));
	assert_true(body_has("\"account\":\"anna@ours.example\""));
	assert_true(body_has("\"send_as\":[\"anna@ours.example\"]"));
	assert_status(204, fetch("POST", "/api/logout", fields_of(secret), "{}"));
	assert_non_null(strstr(field("Set-Cookie"), "__Host-holdfast=; "));
	await(&desk.session_ends, 1);
	assert_status(401, fetch("GET", "/api/me", cookie_of(secret), NULL));
	assert_non_null(strstr(field("Set-Cookie"), "Max-Age=0"));
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *body;
		unsigned status;
		const char *type;
	} rows[] = {
		{"{\"account\":\"anna@ours.example\",\"password\":\"guess\"}", 403,
		 "\"type\":\"refused\""},
		{"{\"account\":\"anna@ours.example\"}", 403, "refused"},
		{"{\"account\":1,\"password\":[]}", 403, "refused"},
		{"{\"account\":\"a\\u0000b\",\"password\":\"secret\"}", 400, "not-json"},
		{"{\"account\":\"a\",\"account\":\"b\"}", 400, "not-json"},
		{"[]", 400, "not-json"},
		{"{", 400, "not-json"},
		{"", 400, "not-json"},
		{"{\"account\":\"\xff\"}", 400, "not-json"},
	};
	struct buf large = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_status(rows[i].status, fetch("POST", "/api/login", JSON, rows[i].body));
		assert_true(body_has(rows[i].type));
		assert_null(field("Set-Cookie"));
	}
	(void)buf_append(&large, SPAN_LIT("{\"password\":\""));
	while (large.n < 20000)
		(void)buf_append_byte(&large, 'x');
	assert_status(413, fetch("POST", "/api/login", JSON, buf_cstr(&large)));
	/* H-11: deep nesting ends where the parser says, and quickly */
	buf_clear(&large);
	while (large.n < 16000)
		(void)buf_append_byte(&large, '[');
	assert_status(400, fetch("POST", "/api/login", JSON, buf_cstr(&large)));
	buf_fini(&large);
}

static void a_second_factor_has_a_ticket(void **state)
{
	(void)state;
	assert_status(200, fetch("POST", "/api/login", JSON,
				 "{\"account\":\"ben@ours.example\",\"password\":\"secret\"}"));
	assert_true(body_has("\"state\":\"factor\""));
	assert_false(body_has("ticket"));
	assert_non_null(strstr(field("Set-Cookie"),
			       "__Host-holdfast-ticket=ticket-of-ben; Path=/; Secure; "
			       "HttpOnly; SameSite=Strict; Max-Age=300"));
	assert_status(403, fetch("POST", "/api/login/factor", JSON, "{\"code\":\"123456\"}"));
	assert_true(body_has("\"ticket\""));
	assert_status(403, fetch("POST", "/api/login/factor",
				 JSON "Cookie: __Host-holdfast-ticket=ticket-of-ben\r\n",
				 "{\"code\":\"000000\"}"));
	assert_true(body_has("\"refused\""));
	assert_null(field("Set-Cookie"));
	assert_status(403, fetch("POST", "/api/login/factor",
				 JSON "Cookie: __Host-holdfast-ticket=other\r\n",
				 "{\"code\":\"123456\"}"));
	assert_non_null(strstr(field("Set-Cookie"), "__Host-holdfast-ticket=; "));
	assert_status(200, fetch("POST", "/api/login/factor",
				 JSON "Cookie: __Host-holdfast-ticket=ticket-of-ben\r\n",
				 "{\"code\":\"123456\"}"));
	assert_true(body_has("\"state\":\"in\""));
	assert_status(200, fetch("POST", "/api/login/invitation", JSON,
				 "{\"account\":\"anna@ours.example\",\"code\":\"code\","
				 "\"password\":\"new one\"}"));
	assert_true(body_has("\"state\":\"in\""));
	assert_status(403, fetch("POST", "/api/login/invitation", JSON,
				 "{\"account\":\"anna@ours.example\",\"code\":\"none\","
				 "\"password\":\"new one\"}"));
}

static void answers_wait_as_auth_says(void **state)
{
	uint64_t began = now_ms();
	int fd;

	(void)state;
	desk.login_delay_ms = 400;
	assert_status(403, fetch("POST", "/api/login", JSON,
				 "{\"account\":\"anna@ours.example\",\"password\":\"guess\"}"));
	assert_true(now_ms() - began >= 400);
	/* a client that leaves meanwhile */
	desk.auth_is_silent = true;
	fd = dial();
	tell(fd, "POST", "/api/login", JSON,
	     "{\"account\":\"anna@ours.example\",\"password\":\"secret\"}");
	await(&desk.asked, 2);
	(void)close(fd);
	await(&desk.cancels, 1);
	desk.auth_is_silent = false;
	desk_host_cut_auth(&desk);
	assert_status(503, fetch("POST", "/api/login", JSON,
				 "{\"account\":\"anna@ours.example\",\"password\":\"secret\"}"));
}

static void orders_go_to_auth(void **state)
{
	char secret[44], fields[512];

	(void)state;
	(void)snprintf(secret, sizeof secret, "%s",
		       desk_host_session(&desk, "anna@ours.example", 3600000000ull));
	(void)snprintf(fields, sizeof fields, "%s", fields_of(secret));
	assert_status(200, fetch("POST", "/api/me/app-add", fields,
				 "{\"argument\":\"phone\",\"password\":\"secret\"}"));
	assert_string_equal(buf_cstr(&last.body), "{\"done\":1}");
	assert_string_equal(desk_host_order(&desk), "app-add phone secret ");
	assert_status(422, fetch("POST", "/api/me/factor-begin", fields, "{}"));
	assert_true(body_has("\"type\":\"password\"") && body_has("No \\\"way\\\""));
	/* H-08: a new password, a new session, a new token */
	assert_status(200, fetch("POST", "/api/me/password", fields,
				 "{\"password\":\"secret\",\"new_password\":\"better\"}"));
	assert_non_null(strstr(field("Set-Cookie"), "__Host-holdfast=session-"));
	assert_null(strstr(field("Set-Cookie"), secret));
	assert_int_equal(strlen(field("X-Holdfast-Token")), 22);
	desk_host_end_session(&desk, secret);
	for (unsigned i = 0; i < 200 && fetch("GET", "/api/me", cookie_of(secret), NULL) != 401;
	     i++)
		(void)usleep(5000);
	assert_status(401, last.status);
}

/* ---- sessions ---- */

static void sessions_are_asked_once_and_end_at_once(void **state)
{
	const char *one, *two;
	unsigned asks;
	uint64_t began;

	(void)state;
	one = desk_host_session(&desk, "anna@ours.example", 3600000000ull);
	two = desk_host_session(&desk, "anna@ours.example", 3600000000ull);
	for (unsigned i = 0; i < 30; i++) {
		assert_status(200, fetch("GET", "/api/me", cookie_of(one), NULL));
		assert_status(200, fetch("GET", "/api/me", cookie_of(two), NULL));
	}
	assert_int_equal(desk.session_asks, 2);
	began = now_ms();
	desk_host_end_session(&desk, one);
	while (fetch("GET", "/api/me", cookie_of(one), NULL) != 401)
		assert_true(now_ms() - began < 1000); /* H-20 */
	assert_status(200, fetch("GET", "/api/me", cookie_of(two), NULL));
	asks = desk.session_asks;
	desk_host_accounts_changed(&desk, "anna@ours.example");
	while (desk.session_asks == asks) /* what was kept is forgotten: auth is asked again */
		assert_status(200, fetch("GET", "/api/me", cookie_of(two), NULL));
	/* none of these is one, and auth is not asked about what cannot be */
	asks = desk.session_asks;
	assert_status(401, fetch("GET", "/api/me", cookie_of("short"), NULL));
	assert_status(401, fetch("GET", "/api/me", cookie_of(""), NULL));
	assert_status(401,
		      fetch("GET", "/api/me",
			    cookie_of("session-00000000000000000000000000000000000\\\""), NULL));
	assert_int_equal(desk.session_asks, asks);
	assert_status(401, fetch("GET", "/api/me",
				 cookie_of("session-00000000000000000000000000000009999"), NULL));
	assert_int_equal(desk.session_asks, asks + 1);
}

static void auth_may_go_and_come(void **state)
{
	const char *one, *two;
	unsigned asks;

	(void)state;
	one = desk_host_session(&desk, "anna@ours.example", 3600000000ull);
	two = desk_host_session(&desk, "anna@ours.example", 3600000000ull);
	assert_status(200, fetch("GET", "/api/me", cookie_of(one), NULL));
	desk_host_cut_auth(&desk);
	while (fetch("GET", "/api/me", cookie_of(two), NULL) != 503)
		assert_status(200, last.status); /* until it has seen that auth is gone */
	assert_status(200, fetch("GET", "/api/me", cookie_of(one), NULL));
	asks = desk.session_asks;
	desk_host_link_auth(&desk);
	while (desk.session_asks == asks) /* what ended meanwhile was not heard: asked anew */
		assert_status(200, fetch("GET", "/api/me", cookie_of(one), NULL));
	assert_status(200, fetch("GET", "/api/me", cookie_of(two), NULL));
}

/* anna@ours.example:secret, and :guess */
#define BASIC	  "Authorization: Basic YW5uYUBvdXJzLmV4YW1wbGU6c2VjcmV0\r\n"
#define BASIC_BAD "Authorization: Basic YW5uYUBvdXJzLmV4YW1wbGU6Z3Vlc3M=\r\n"
#define BEARER	  "Authorization: Bearer YW5uYUBvdXJzLmV4YW1wbGUAc2VjcmV0\r\n"

static void programs_come_by_password(void **state)
{
	unsigned asked;

	(void)state;
	assert_status(401, fetch("GET", "/.well-known/jmap", "", NULL));
	assert_non_null(strstr(field("WWW-Authenticate"), "Basic realm="));
	assert_status(401,
		      fetch("GET", "/.well-known/jmap", "Sec-Fetch-Site: same-origin\r\n", NULL));
	assert_null(field("WWW-Authenticate")); /* a browser's own window would ask */
	assert_status(401, fetch("GET", "/.well-known/jmap", BASIC_BAD, NULL));
	assert_status(200, fetch("GET", "/.well-known/jmap", BASIC, NULL));
	assert_true(body_has("\"username\":\"anna@ours.example\""));
	assert_status(200, fetch("GET", "/.well-known/jmap", BEARER, NULL));
	asked = desk.asked;
	for (unsigned i = 0; i < 20; i++) {
		assert_status(200, fetch("GET", "/.well-known/jmap", BASIC, NULL));
		assert_status(200, fetch("GET", "/.well-known/jmap", BEARER, NULL));
	}
	assert_int_equal(desk.asked, asked);
	desk_host_accounts_changed(&desk, "anna@ours.example");
	while (desk.asked == asked)
		assert_status(200, fetch("GET", "/.well-known/jmap", BASIC, NULL));
	/* no session comes of it: orders need one, and a state change needs no token */
	assert_status(401, fetch("POST", "/api/me/show", BASIC JSON, "{}"));
	assert_status(200, fetch("POST", "/jmap/api", BASIC JSON,
				 "{\"using\":[\"urn:ietf:params:jmap:core\"],\"methodCalls\":[["
				 "\"Core/echo\",{\"a\":1},\"0\"]]}"));
	assert_true(body_has("Core/echo"));
	assert_status(401, fetch("GET", "/.well-known/jmap", "Authorization: Basic !!!\r\n", NULL));
	assert_status(401, fetch("GET", "/.well-known/jmap", "Authorization: Digest x\r\n", NULL));
	assert_status(401, fetch("GET", "/.well-known/jmap", "Authorization: Basic\r\n", NULL));
}

/* ---- H-06 ---- */

static void h_06_forged_requests_are_refused(void **state)
{
	static const struct {
		const char *path, *body;
	} changes[] = {
		{"/api/logout", "{}"},
		{"/api/me/password", "{\"password\":\"secret\",\"new_password\":\"mine now\"}"},
		{"/api/me/others-end", "{}"},
		{"/jmap/api", "{\"using\":[\"urn:ietf:params:jmap:core\"],\"methodCalls\":[[\"Core/"
			      "echo\",{},\"0\"]]}"},
		{"/jmap/upload/A1/", "hello"},
	};
	static const char *const forged[] = {
		JSON,						     /* no token */
		JSON "X-Holdfast-Token: aaaaaaaaaaaaaaaaaaaaaa\r\n", /* wrong */
		JSON "X-Holdfast-Token: \r\n",
		"%s" JSON "Origin: https://evil.example\r\n",
		"%s" JSON "Origin: http://mail.example:81\r\n",
		"%s" JSON "Origin: http://mail.example.evil.example\r\n",
		"%s" JSON "Origin: https://mail.example\r\n", /* this connection is http */
		"%s" JSON "Origin: null\r\n",
		"%s" JSON "Origin:\r\n",
		"%s" JSON "Sec-Fetch-Site: cross-site\r\n",
		"%s" JSON "Sec-Fetch-Site: same-site\r\n",
		"%s" JSON "Sec-Fetch-Site: none\r\n",
		"%s" JSON "Sec-Fetch-Site: same-origin\r\nOrigin: http://evil.example\r\n",
		"%sContent-Type: text/plain\r\n",
		"%sContent-Type: application/x-www-form-urlencoded\r\n",
		"%sContent-Type: multipart/form-data; boundary=x\r\n",
		"%sContent-Type: text/plain; application/json\r\n",
		"%s", /* no type */
	};
	char secret[44], token[64], fields[1024], with_token[128];

	(void)state;
	(void)snprintf(secret, sizeof secret, "%s",
		       desk_host_session(&desk, "anna@ours.example", 3600000000ull));
	(void)snprintf(token, sizeof token, "%s", token_of(secret));
	(void)snprintf(with_token, sizeof with_token, "X-Holdfast-Token: %s\r\n", token);
	for (size_t c = 0; c < sizeof changes / sizeof *changes; c++) {
		for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
			bool is_upload = strstr(changes[c].path, "upload") != NULL;
			const char *f = forged[i];
			bool has_token = strncmp(f, "%s", 2) == 0;

			if (is_upload && has_token &&
			    (strstr(f, "text/plain") || strstr(f, "form") || f[2] == 0))
				continue; /* files have types of their own; the token must be there */
			(void)snprintf(fields, sizeof fields, "%s%s%s", cookie_of(secret),
				       has_token ? with_token : "", has_token ? f + 2 : f);
			if (fetch("POST", changes[c].path, fields, changes[c].body) != 403)
				fail_msg("%s with %s: %u", changes[c].path, fields, last.status);
		}
	}
	assert_int_equal(desk.session_ends, 0);
	assert_string_equal(desk_host_order(&desk), "");
	/* and the same, not forged */
	(void)snprintf(fields, sizeof fields,
		       "%s%s" JSON "Origin: http://mail.example\r\nSec-Fetch-Site: same-origin\r\n",
		       cookie_of(secret), with_token);
	assert_status(200, fetch("POST", changes[3].path, fields, changes[3].body));
	assert_status(200, fetch("POST", changes[2].path, fields, changes[2].body));
	assert_status(204, fetch("POST", changes[0].path, fields, changes[0].body));
}

static void h_06_logins_and_reading(void **state)
{
	static const char *const login =
		"{\"account\":\"anna@ours.example\",\"password\":\"secret\"}";
	char fields[512];
	const char *secret = desk_host_session(&desk, "anna@ours.example", 3600000000ull);

	(void)state;
	/* nobody is logged in as somebody else by another site */
	assert_status(403, fetch("POST", "/api/login", "Content-Type: text/plain\r\n", login));
	assert_status(403,
		      fetch("POST", "/api/login", JSON "Origin: https://evil.example\r\n", login));
	assert_status(403,
		      fetch("POST", "/api/login", JSON "Sec-Fetch-Site: cross-site\r\n", login));
	assert_int_equal(desk.asked, 0);
	/* another site cannot even make a browser ask (and look how long it takes, or how large it is) */
	(void)snprintf(fields, sizeof fields, "%sSec-Fetch-Site: cross-site\r\n",
		       cookie_of(secret));
	assert_status(403, fetch("GET", "/api/me", fields, NULL));
	(void)snprintf(fields, sizeof fields, "%sOrigin: null\r\n", cookie_of(secret));
	assert_status(403, fetch("GET", "/jmap/download/A1/G1/x?type=text/html", fields, NULL));
	(void)snprintf(fields, sizeof fields, "%sSec-Fetch-Site: none\r\n", cookie_of(secret));
	assert_status(200, fetch("GET", "/api/me", fields, NULL)); /* typed by the person */
	/* passwords that a browser keeps do not come from elsewhere, either */
	assert_status(
		403, fetch("POST", "/jmap/api", BASIC JSON "Sec-Fetch-Site: cross-site\r\n", "{}"));
	assert_status(403, fetch("POST", "/jmap/api", BASIC JSON "Origin: https://evil.example\r\n",
				 "{}"));
	assert_status(403, fetch("GET", "/.well-known/jmap", BASIC "Sec-Fetch-Site: same-site\r\n",
				 NULL));
}

/* ---- H-23 ---- */

static void assert_baseline(const char *what)
{
	static const char *const names[] = {
		"Content-Security-Policy",
		"X-Content-Type-Options",
		"X-Frame-Options",
		"Referrer-Policy",
		"Cross-Origin-Resource-Policy",
		"Cross-Origin-Opener-Policy",
		"Permissions-Policy",
		"Cache-Control",
		"Date",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!field(names[i]))
			fail_msg("%s: %s is missing in %s", what, names[i], buf_cstr(&last.head));
	}
	assert_string_equal(field("X-Content-Type-Options"), "nosniff");
	assert_non_null(strstr(field("Content-Security-Policy"), "default-src 'none'"));
	assert_non_null(strstr(field("Content-Security-Policy"), "frame-ancestors '"));
	assert_null(field("Server"));
	assert_null(field("Access-Control-Allow-Origin"));
}

static void h_23_every_answer_has_the_baseline(void **state)
{
	static const struct {
		unsigned status;
		const char *raw; /* %s: fields of a session */
	} rows[] = {
		{200, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{200, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{200, "GET /assets/a-0123.js HTTP/1.1\r\nHost: a\r\n\r\n"},
		{200, "GET /api/portal HTTP/1.1\r\nHost: a\r\n\r\n"},
		{200, "GET /api/me HTTP/1.1\r\nHost: a\r\n%s\r\n"},
		{200, "GET /.well-known/jmap HTTP/1.1\r\nHost: a\r\n%s\r\n"},
		{200, "GET /jmap/events HTTP/1.1\r\nHost: a\r\n%s\r\n"},
		{204, "POST /api/logout HTTP/1.1\r\nHost: a\r\n%sContent-Length: 2\r\n\r\n{}"},
		{304, "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\n\r\n"},
		{400, "GET / HTTP/1.1\n\n"},
		{400, "POST /api/login HTTP/1.1\r\nHost: a\r\n" JSON
		      "Transfer-Encoding: chunked\r\n\r\nX\r\n"},
		{401, "GET /api/me HTTP/1.1\r\nHost: a\r\n\r\n"},
		{403, "POST /api/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"},
		{404, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"},
		{404,
		 "GET /jmap/download/A1/nothing/x?type=text/html HTTP/1.1\r\nHost: a\r\n%s\r\n"},
		{405, "PUT /api/me HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
		{413,
		 "POST /api/login HTTP/1.1\r\nHost: a\r\n" JSON "Content-Length: 99999999\r\n\r\n"},
		{417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n"},
		{501, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *secret = desk_host_session(&desk, "anna@ours.example", 3600000000ull);
		char text[2048];
		const char *at = strstr(rows[i].raw, "%s");
		int fd = dial();

		(void)snprintf(text, sizeof text, "%.*s%s%s",
			       at ? (int)(at - rows[i].raw) : (int)strlen(rows[i].raw), rows[i].raw,
			       at ? fields_of(secret) : "", at ? at + 2 : "");
		edge_say(fd, text);
		(void)hear(fd, true);
		assert_status(rows[i].status, last.status);
		assert_baseline(rows[i].raw);
		(void)close(fd);
	}
}

/* What stands between these two in the last answer's body. */
static const char *between(const char *before, const char *after)
{
	static char out[256];
	const char *at = strstr(buf_cstr(&last.body), before), *end;

	must(at);
	at += strlen(before);
	end = strstr(at, after);
	must(end && end - at < (ptrdiff_t)sizeof out);
	(void)snprintf(out, sizeof out, "%.*s", (int)(end - at), at);
	return out;
}

/* A message's bytes, under whatever type is asked for: a file to be kept, never a page. */
static void h_23_blobs(void **state)
{
	char account[64], path[512], body[512];

	(void)state;
	assert_status(200, fetch("GET", "/.well-known/jmap", BASIC, NULL));
	(void)snprintf(account, sizeof account, "%s", between("\"accounts\":{\"", "\""));
	(void)snprintf(body, sizeof body,
		       "{\"using\":[\"urn:ietf:params:jmap:core\",\"urn:ietf:params:jmap:mail\"],"
		       "\"methodCalls\":[[\"Email/query\",{\"accountId\":\"%s\"},\"0\"],"
		       "[\"Email/get\",{\"accountId\":\"%s\",\"properties\":[\"blobId\"],\"#ids\":"
		       "{\"resultOf\":\"0\",\"name\":\"Email/query\",\"path\":\"/ids\"}},\"1\"]]}",
		       account, account);
	assert_status(200, fetch("POST", "/jmap/api", BASIC JSON, body));
	assert_baseline("/jmap/api");
	(void)snprintf(path, sizeof path, "/jmap/download/%s/%s/x.html?type=text/html", account,
		       between("\"blobId\":\"", "\""));
	assert_status(200, fetch("GET", path, BASIC, NULL));
	assert_baseline(path);
	assert_non_null(strstr(field("Content-Security-Policy"), "sandbox"));
	assert_true(strncmp(field("Content-Disposition"), "attachment; ", 12) == 0);
	assert_true(body_has("Subject: number"));
	assert_status(206, fetch("GET", path, BASIC "Range: bytes=0-3\r\n", NULL));
	assert_baseline(path);
	assert_int_equal(last.body.n, 4);
	assert_status(416, fetch("GET", path, BASIC "Range: bytes=999999-\r\n", NULL));
	assert_baseline(path);
	assert_status(200, fetch("HEAD", path, BASIC, NULL));
	assert_true(atoi(field("Content-Length")) > 4);
}

/* ---- push ---- */

static int open_stream(const char *secret, const char *query)
{
	char path[256];
	int fd = dial();

	(void)snprintf(path, sizeof path, "/jmap/events?%s", query);
	tell(fd, "GET", path, cookie_of(secret), NULL);
	return fd;
}

static void push_tells_what_changes(void **state)
{
	const char *anna = desk_host_session(&desk, "anna@ours.example", 3600000000ull);
	const char *ben = desk_host_session(&desk, "ben@ours.example", 3600000000ull);
	int fd = open_stream(anna, "types=Email,Mailbox&closeafter=no&ping=0");
	int other = open_stream(ben, "types=*&closeafter=no&ping=0");
	struct buf heard = {0}, quiet = {0};
	struct pollfd wait = {other, POLLIN, 0};
	uint64_t began;

	(void)state;
	assert_true(desk_hear(fd, "\n\n", &heard));
	assert_non_null(strstr((char *)heard.p, "Content-Type: text/event-stream"));
	assert_non_null(strstr((char *)heard.p, "event: state\nid: "));
	assert_non_null(strstr((char *)heard.p, "\"@type\":\"StateChange\""));
	assert_non_null(strstr((char *)heard.p, "\"Email\":"));
	assert_null(strstr((char *)heard.p, "\"Identity\":"));
	assert_true(desk_hear(other, "event: now", &quiet));
	while (!strstr(strstr(buf_cstr(&quiet), "event: now"), "\n\n\r\n")) /* all of that event */
		assert_true(more(other, &quiet));
	buf_clear(&heard);
	began = now_ms();
	desk_host_mail(&desk, SPAN_LIT("From: a@b\r\nSubject: new\r\n\r\nbody\r\n"));
	while (!desk_hear(fd, "event: state", &heard))
		fail();
	assert_true(now_ms() - began < 3000);	  /* nobody looks by himself so soon */
	assert_int_equal(poll(&wait, 1, 300), 0); /* nothing of it is Ben's */
	(void)close(fd);
	(void)close(other);
	buf_fini(&heard);
	buf_fini(&quiet);
}

static void a_stream_may_end_with_its_state(void **state)
{
	const char *secret = desk_host_session(&desk, "anna@ours.example", 3600000000ull);
	int fd = open_stream(secret, "types=Email&closeafter=state&ping=0");
	struct buf heard = {0};
	char id[JMAP_PUSH_ID_BYTES], fields[512];

	(void)state;
	assert_true(desk_hear(fd, "event: now", &heard)); /* it stands, and no state was told */
	assert_null(strstr((char *)heard.p, "event: state"));
	desk_host_mail(&desk, SPAN_LIT("From: a@b\r\nSubject: new\r\n\r\nbody\r\n"));
	assert_true(desk_hear(fd, "0\r\n\r\n", &heard));
	assert_non_null(strstr((char *)heard.p, "event: state\nid: "));
	assert_int_equal(sscanf(strstr((char *)heard.p, "id: ") + 4, "%83[0-9.]", id), 1);
	(void)close(fd);
	/* it comes back, and knows that; then something it does not know has happened */
	buf_clear(&heard);
	(void)snprintf(fields, sizeof fields, "%sLast-Event-ID: %s\r\n", cookie_of(secret), id);
	fd = dial();
	tell(fd, "GET", "/jmap/events?types=Email&closeafter=state", fields, NULL);
	assert_true(desk_hear(fd, "event: now", &heard));
	assert_null(strstr((char *)heard.p, "event: state"));
	(void)close(fd);
	desk_host_mail(&desk, SPAN_LIT("From: a@b\r\nSubject: new\r\n\r\nbody\r\n"));
	buf_clear(&heard);
	fd = dial();
	tell(fd, "GET", "/jmap/events?types=Email&closeafter=state", fields, NULL);
	assert_true(desk_hear(fd, "event: state", &heard));
	(void)close(fd);
	buf_fini(&heard);
}

static bool is_at_end(int fd, uint64_t most_ms)
{
	uint64_t until = now_ms() + most_ms;
	struct buf rest = {0};
	bool has_ended = false;

	while (!has_ended && now_ms() < until) {
		struct pollfd wait = {fd, POLLIN, 0};

		if (poll(&wait, 1, (int)(until - now_ms())) == 1)
			has_ended = !more(fd, &rest) ||
				    (rest.n >= 5 && memmem(rest.p, rest.n, "0\r\n\r\n", 5));
	}
	buf_fini(&rest);
	return has_ended;
}

static void h_24_streams_end_with_their_sessions(void **state)
{
	const char *brief = desk_host_session(&desk, "anna@ours.example", 3000000);
	const char *ended = desk_host_session(&desk, "anna@ours.example", 3600000000ull);
	const char *stays = desk_host_session(&desk, "ben@ours.example", 3600000000ull);
	int fds[3] = {open_stream(brief, "ping=0"), open_stream(ended, "ping=0"),
		      open_stream(stays, "ping=0")};
	struct buf heard = {0};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		buf_clear(&heard);
		assert_true(desk_hear(fds[i], "event: now", &heard));
	}
	desk_host_end_session(&desk, ended);
	assert_true(is_at_end(fds[1], 3000));
	assert_true(is_at_end(fds[0], 5000)); /* its time */
	assert_false(is_at_end(fds[2], 200));
	desk_host_accounts_changed(&desk, "ben@ours.example");
	assert_true(is_at_end(fds[2], 3000));
	for (size_t i = 0; i < 3; i++)
		(void)close(fds[i]);
	buf_fini(&heard);
}

static void room_for_files(rlim_t files)
{
	struct rlimit limit;

	must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (limit.rlim_cur < files)
		limit.rlim_cur = files < limit.rlim_max ? files : limit.rlim_max;
	must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static uint64_t worst_of_many(const char *secret)
{
	uint64_t worst = 0;

	for (unsigned i = 0; i < 50; i++) {
		uint64_t began = now_ms();

		assert_status(200, fetch("GET", "/api/me", cookie_of(secret), NULL));
		if (now_ms() - began > worst)
			worst = now_ms() - began;
	}
	return worst;
}

/*
 * How long one request of somebody else takes: the worst of many, in ms. A busy machine makes one wait now and then; a desk
 * that is held up by its clients makes one wait each time.
 */
static uint64_t worst_of_others(const char *secret)
{
	uint64_t worst = worst_of_many(secret);

	for (unsigned i = 0; i < 2 && worst >= MOST_MS; i++)
		worst = worst_of_many(secret);
	return worst;
}

static unsigned scaled(unsigned usual, unsigned full)
{
	return getenv("HOLDFAST_SOAK") ? full : usual;
}

/* H-24: many streams cost little, and all are told in time. An account may have 50: many accounts. */
static void h_24_many_streams(void **state)
{
	unsigned n = scaled(1000, 5000), slow_n = scaled(100, 1000), told = 0;
	const char *other = desk_host_session(&desk, "ben@ours.example", 3600000000ull);
	int *fds = must_alloc(n * sizeof *fds), *slow = must_alloc(slow_n * sizeof *slow);
	struct buf heard = {0};
	unsigned before_kib, after_kib;
	uint64_t began, took;

	(void)state;
	assert_status(200, fetch("GET", "/api/me", cookie_of(other), NULL));
	before_kib = desk_host_rss_kib(&desk);
	for (unsigned i = 0; i < n; i++) {
		char account[64];

		(void)snprintf(account, sizeof account, "p%u@ours.example", i / 40);
		fds[i] = open_stream(desk_host_session(&desk, account, 3600000000ull), "ping=0");
		buf_clear(&heard);
		if (!desk_hear(fds[i], "event: now", &heard))
			fail_msg("stream %u: %s", i, (char *)heard.p);
	}
	after_kib = desk_host_rss_kib(&desk);
	print_message("%u streams: %u KiB each\n", n, (after_kib - before_kib) / n);
	if (!desk_host_is_sanitized())
		assert_true((after_kib - before_kib) / n < 40);
	/* with clients that do not read beside them, and while all are told to look */
	for (unsigned i = 0; i < slow_n; i++) {
		slow[i] = dial_slowly();
		tell(slow[i], "GET", "/big.txt", "", NULL);
	}
	desk_host_all_changed(&desk);
	took = worst_of_others(other);
	print_message("with %u slow readers others' worst request: %llu ms\n", slow_n,
		      (unsigned long long)took);
	assert_true(took < MOST_MS);
	began = now_ms();
	desk_host_accounts_changed(&desk, "p0@ours.example");
	for (unsigned i = 0; i < n && i < 40; i++)
		told += is_at_end(fds[i], 5000);
	assert_int_equal(told, 40);
	assert_true(now_ms() - began < 5000);
	for (unsigned i = 0; i < n; i++)
		(void)close(fds[i]);
	for (unsigned i = 0; i < slow_n; i++)
		(void)close(slow[i]);
	free(slow);
	free(fds);
	buf_fini(&heard);
}

/* ---- clients that do not read, clients that do not speak ---- */

static void slow_readers_cost_little(void **state)
{
	unsigned n = scaled(300, 1000);
	const char *other = desk_host_session(&desk, "ben@ours.example", 3600000000ull);
	int *fds = must_alloc(n * sizeof *fds);
	unsigned before_kib, after_kib;
	uint64_t took;

	(void)state;
	assert_status(200, fetch("GET", "/api/me", cookie_of(other), NULL));
	before_kib = desk_host_rss_kib(&desk);
	for (unsigned i = 0; i < n; i++) {
		fds[i] = dial_slowly();
		tell(fds[i], "GET", "/big.txt", "", NULL);
	}
	took = worst_of_others(other);
	after_kib = desk_host_rss_kib(&desk);
	print_message("%u slow readers: %u KiB each; others' worst request: %llu ms\n", n,
		      (after_kib - before_kib) / n, (unsigned long long)took);
	assert_true(took < MOST_MS);
	if (!desk_host_is_sanitized())
		assert_true((after_kib - before_kib) / n < 200);
	/* one of them goes on, and gets all of it */
	assert_true(hear(fds[n / 2], false));
	assert_int_equal(last.body.n, BIG_BYTES);
	for (unsigned i = 0; i < n; i++)
		(void)close(fds[i]);
	free(fds);
}

/* H-15: beyond the limit the oldest that says nothing goes, and whoever speaks comes in. */
static void h_15_slow_heads(void **state)
{
	unsigned n = scaled(2500, 10000);
	const char *other = desk_host_session(&desk, "ben@ours.example", 3600000000ull);
	int *fds = must_alloc(n * sizeof *fds), kept;
	unsigned before_kib;
	uint64_t took;

	(void)state;
	kept = dial(); /* somebody logged in, quiet for now */
	tell(kept, "GET", "/api/me", cookie_of(other), NULL);
	assert_true(hear(kept, false));
	before_kib = desk_host_rss_kib(&desk);
	for (unsigned i = 0; i < n; i++) {
		fds[i] = dial();
		(void)!send(fds[i], "GET / HTTP/1.1\r\nHost: a\r\nX", 26, MSG_NOSIGNAL);
	}
	took = worst_of_others(other);
	print_message("%u slow heads: %u KiB each; others' worst request: %llu ms\n", n,
		      (desk_host_rss_kib(&desk) - before_kib) / n, (unsigned long long)took);
	assert_true(took < MOST_MS);
	assert_true(is_at_end(fds[0], 5000)); /* 2,000 at most: the first made room */
	assert_false(is_at_end(fds[n - 1], 50));
	tell(kept, "GET", "/api/me", cookie_of(other), NULL);
	assert_true(hear(kept, false));
	assert_status(200, last.status);
	for (unsigned i = 0; i < n; i++)
		(void)close(fds[i]);
	(void)close(kept);
	free(fds);
}

/* Somebody logged in takes no room from others, either. */
static void an_account_has_so_many_connections(void **state)
{
	enum { MOST = 200 };
	const char *anna = desk_host_session(&desk, "anna@ours.example", 3600000000ull);
	const char *ben = desk_host_session(&desk, "ben@ours.example", 3600000000ull);
	int fds[MOST + 1];

	(void)state;
	for (unsigned i = 0; i <= MOST; i++) {
		fds[i] = dial();
		tell(fds[i], "GET", "/api/me", cookie_of(anna), NULL);
		assert_true(hear(fds[i], false));
		assert_status(i < MOST ? 200 : 429, last.status);
	}
	assert_status(200, fetch("GET", "/api/me", cookie_of(ben), NULL));
	(void)close(fds[0]);
	for (unsigned i = 0; i < 200 && fetch("GET", "/api/me", cookie_of(anna), NULL) != 200; i++)
		(void)usleep(5000);
	assert_status(200, last.status);
	for (unsigned i = 1; i <= MOST; i++)
		(void)close(fds[i]);
}

static void requests_follow_each_other(void **state)
{
	const char *secret = desk_host_session(&desk, "anna@ours.example", 3600000000ull);
	struct buf text = {0};
	int fd = dial();

	(void)state;
	for (unsigned i = 0; i < 500;
	     i++) /* all ahead: more than one turn's worth, and answers that are waited for */
		(void)buf_printf(&text, "GET /%s HTTP/1.1\r\nHost: a\r\n%s\r\n",
				 i % 3 ? "api/me" : "assets/a-0123.js", cookie_of(secret));
	must(send(fd, text.p, text.n, MSG_NOSIGNAL) == (ssize_t)text.n);
	buf_clear(&text);
	for (unsigned n = 0; n < 500;) {
		assert_true(more(fd, &text));
		n = 0;
		for (const char *at = buf_cstr(&text); (at = strstr(at, "HTTP/1.1 200 OK")) != NULL;
		     at++)
			n++;
	}
	(void)close(fd);
	buf_fini(&text);
}

static void what_everybody_may_know(void **state)
{
	const char *secret = desk_host_session(&desk, "anna@ours.example", 3600000000ull);

	(void)state;
	assert_status(200, fetch("GET", "/api/portal", "", NULL));
	assert_true(body_has("\"organisation\":") && body_has("\"version\":"));
	assert_status(401, fetch("GET", "/api/now", "", NULL));
	assert_status(200, fetch("GET", "/api/now", cookie_of(secret), NULL));
	assert_true(body_has("\"site\":\"head\"") && body_has("\"continuity\":\"off\"") &&
		    body_has("\"handback\":null"));
}

/* ---- files come in ---- */

/* So many bytes, different for each n. */
static char *file_of(unsigned n, size_t bytes)
{
	char *text = must_alloc(bytes + 1);

	for (size_t i = 0; i < bytes; i++)
		text[i] = (char)('a' + (i * 31 + i / 1000 + n) % 26);
	return text;
}

static void begin_upload(int fd, const char *account, const char *text, size_t told)
{
	struct buf out = {0};

	(void)buf_printf(&out,
			 "POST /jmap/upload/%s/ HTTP/1.1\r\nHost: a\r\n" BASIC
			 "Content-Type: text/x-test\r\nContent-Length: %zu\r\n\r\n%s",
			 account, told, text);
	must(send(fd, out.p, out.n, MSG_NOSIGNAL) == (ssize_t)out.n);
	buf_fini(&out);
}

static void assert_comes_back(const char *account, const char *blob, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof path, "/jmap/download/%s/%s/x?type=text/x-test", account, blob);
	assert_status(200, fetch("GET", path, BASIC, NULL));
	assert_int_equal(last.body.n, strlen(text));
	assert_memory_equal(last.body.p, text, last.body.n);
}

/* Whose names end so. */
static unsigned files_in(const char *folder, const char *suffix)
{
	DIR *d = opendir(folder);
	unsigned n = 0;

	must(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.' && span_ends_nocase(span_str(e->d_name), span_str(suffix));
	(void)closedir(d);
	return n;
}

/*
 * Their worker is a thread of its own: several at once, some whose client leaves in the middle or does not wait for the
 * answer. Who heard 201 gets the same bytes back; of the others nothing stays but what was complete (and answered, though not heard).
 */
static void uploads_come_and_clients_leave(void **state)
{
	enum { ROUNDS = 10, AT_ONCE = 2, FILE_BYTES = 40000 };
	char account[64], folder[256], blob[64];
	unsigned files;

	(void)state;
	assert_status(200, fetch("GET", "/.well-known/jmap", BASIC, NULL));
	(void)snprintf(account, sizeof account, "%s", between("\"accounts\":{\"", "\""));
	(void)snprintf(folder, sizeof folder, "%s/uploads/%s", desk.host.folder, account + 1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		char *texts[AT_ONCE + 1];
		int fds[AT_ONCE + 1];

		for (unsigned i = 0; i <= AT_ONCE; i++) {
			bool stays_away = i == AT_ONCE;

			texts[i] = file_of(round * 8 + i, FILE_BYTES + i);
			fds[i] = dial();
			begin_upload(fds[i], account, texts[i],
				     FILE_BYTES + i + (stays_away && round % 2));
			if (stays_away)
				(void)close(fds[i]);
		}
		for (unsigned i = 0; i < AT_ONCE; i++) {
			assert_true(hear(fds[i], false));
			assert_status(201, last.status);
			(void)close(fds[i]);
			(void)snprintf(blob, sizeof blob, "%s", between("\"blobId\":\"", "\""));
			assert_comes_back(account, blob, texts[i]);
		}
		for (unsigned i = 0; i <= AT_ONCE; i++)
			free(texts[i]);
		for (unsigned i = 0; i < 1000 && files_in(folder, ".part"); i++)
			(void)usleep(10000);
		assert_int_equal(files_in(folder, ".part"), 0);
	}
	files = files_in(folder, "");
	assert_in_range(files, ROUNDS * AT_ONCE, ROUNDS * AT_ONCE + ROUNDS / 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(files_are_served_from_a_table),
		TEST(nothing_else_is),
		TEST(a_login_opens_a_session),
		TEST(what_is_wrong_is_said),
		TEST(a_second_factor_has_a_ticket),
		TEST(answers_wait_as_auth_says),
		TEST(orders_go_to_auth),
		TEST(sessions_are_asked_once_and_end_at_once),
		TEST(auth_may_go_and_come),
		TEST(programs_come_by_password),
		TEST(h_06_forged_requests_are_refused),
		TEST(h_06_logins_and_reading),
		TEST(h_23_every_answer_has_the_baseline),
		TEST(h_23_blobs),
		TEST(push_tells_what_changes),
		TEST(a_stream_may_end_with_its_state),
		TEST(h_24_streams_end_with_their_sessions),
		cmocka_unit_test_setup_teardown(h_24_many_streams, set_up_many, tear_down),
		TEST(slow_readers_cost_little),
		TEST(h_15_slow_heads),
		TEST(an_account_has_so_many_connections),
		TEST(requests_follow_each_other),
		TEST(what_everybody_may_know),
		TEST(uploads_come_and_clients_leave),
	};

	must(argc == 2);
	program = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setenv("HOLDFAST_SECCOMP", "kill", 0);
	room_for_files(20000);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

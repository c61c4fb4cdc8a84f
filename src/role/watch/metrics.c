/*
 * Prometheus metrics of all roles on listen.metrics: HTTP/1.1, GET /metrics, one answer a connection. Strict and small: a
 * request head of at most 4 KiB within 10 s, at most METRICS_CLIENTS at once; everything else is 400, 404 or 405.
 *
 * The roles' texts come from the supervisor, one each; families of the same name are brought together, because the exposition
 * format wants all samples of a family in one place.
 */
#include "role/watch/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "os/os.h"

enum {
	METRICS_CLIENTS = 32,
	HEAD_BYTES = 4096,
	ROLES_KEPT = 64,
	ROLE_TEXT_BYTES = 64 << 10,
	FAMILIES = 512,
	LISTENERS = 8,
};

/* One connection. */
struct scrape {
	struct list on_metrics;
	struct watch *watch;
	struct conn *conn;
};

struct metrics {
	struct listener *listeners[LISTENERS];
	size_t listeners_n, clients_n;
	struct list scrapes;
	struct {
		char name[64];
		struct buf text;
	} roles[ROLES_KEPT];
	size_t roles_n;
};

/* ---- text ---- */

void metrics_of_role(struct watch *w, const struct msg_role_metrics *m)
{
	struct metrics *all = w->metrics;
	size_t i = 0;

	if (m->text.n > ROLE_TEXT_BYTES || m->full_name.n >= sizeof all->roles[0].name)
		return;
	while (i < all->roles_n && !span_eq(m->full_name, span_str(all->roles[i].name)))
		i++;
	if (i == ROLES_KEPT)
		return;
	if (i == all->roles_n) {
		all->roles_n++;
		snprintf(all->roles[i].name, sizeof all->roles[i].name, "%.*s",
			 SPAN_FMT(m->full_name));
	}
	buf_clear(&all->roles[i].text);
	buf_append(&all->roles[i].text, m->text);
}

struct family {
	struct span name;
	struct buf head, samples;
};

struct families {
	struct family item[FAMILIES];
	size_t n;
};

static struct family *family_of(struct families *f, struct span name)
{
	for (size_t i = 0; i < f->n; i++) {
		if (span_eq(f->item[i].name, name))
			return &f->item[i];
	}
	if (f->n == FAMILIES)
		return NULL;
	f->item[f->n] = (struct family){.name = name};
	return &f->item[f->n++];
}

/* "# HELP name ..." and "# TYPE name ..." begin a family; what follows are its samples. */
static void sort_lines(struct families *f, struct span text)
{
	struct family *at = NULL;

	while (text.n) {
		struct span line = span_cut(&text, '\n'), rest = line;
		bool is_help = span_starts(line, SPAN_LIT("# HELP ")),
		     is_type = span_starts(line, SPAN_LIT("# TYPE "));

		if (is_help || is_type) {
			rest = span_from(line, 7);
			at = family_of(f, span_cut(&rest, ' '));
			if (at && at->samples.n == 0)
				buf_printf(&at->head, "%.*s\n", SPAN_FMT(line));
		} else if (at && line.n && line.p[0] != '#') {
			buf_printf(&at->samples, "%.*s\n", SPAN_FMT(line));
		}
	}
}

static void label(struct buf *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			buf_append_byte(out, '\\');
		buf_append_byte(out, (unsigned char)(*value == '\n' ? ' ' : *value));
	}
}

static void site_lines(struct watch *w, struct buf *out)
{
	uint64_t bytes = 0;

	buf_printf(out, "# HELP holdfast_site_state State of the site, 1 for the present one\n"
			"# TYPE holdfast_site_state gauge\n");
	for (size_t i = 0; i < w->sites_n; i++) {
		for (unsigned s = 0; s < HEALTH_STATES; s++) {
			buf_printf(out, "holdfast_site_state{site=\"");
			label(out, w->sites[i]->name);
			buf_printf(out, "\",state=\"%s\"} %d\n",
				   health_state_name((enum health_state)s),
				   w->sites[i]->recorded == (enum health_state)s);
		}
	}
	buf_printf(out, "# HELP holdfast_primary_good Last probe of the primary was good\n"
			"# TYPE holdfast_primary_good gauge\n");
	for (size_t i = 0; i < w->sites_n; i++) {
		for (size_t k = 0; k < w->sites[i]->primaries_n; k++) {
			const struct primary *p = &w->sites[i]->primaries[k];

			buf_printf(out, "holdfast_primary_good{site=\"");
			label(out, w->sites[i]->name);
			buf_printf(out, "\",host=\"");
			label(out, p->host.name);
			buf_printf(out, "\",port=\"%u\"} %d\n", p->port,
				   p->was_probed && p->was_good);
		}
	}
	if (os_free_bytes(w->os, role_data(w->role), &bytes) == 0)
		buf_printf(out,
			   "# HELP holdfast_disk_free_bytes Free on the data directory's volume\n"
			   "# TYPE holdfast_disk_free_bytes gauge\nholdfast_disk_free_bytes %llu\n",
			   (unsigned long long)bytes);
}

static void role_lines(struct watch *w, struct buf *out)
{
	buf_printf(
		out,
		"# HELP holdfast_role_up Role process is running\n# TYPE holdfast_role_up gauge\n");
	for (size_t i = 0; i < w->roles_n; i++)
		buf_printf(out, "holdfast_role_up{role=\"%s\"} %d\n", w->roles[i].name,
			   w->roles[i].state == 1);
	buf_printf(out, "# HELP holdfast_role_restarts_total Times the role was started again\n"
			"# TYPE holdfast_role_restarts_total counter\n");
	for (size_t i = 0; i < w->roles_n; i++)
		buf_printf(out, "holdfast_role_restarts_total{role=\"%s\"} %u\n", w->roles[i].name,
			   w->roles[i].restarts);
}

void metrics_render(struct watch *w, struct buf *out)
{
	static struct say_metric *const own[] = WATCH_METRICS;
	struct families *f = must_alloc(sizeof *f);
	struct buf mine = {0};

	say_metrics_render(&mine, role_full_name(w->role), own, sizeof own / sizeof *own);
	site_lines(w, &mine);
	role_lines(w, &mine);
	sort_lines(f, buf_span(&mine));
	for (size_t i = 0; i < w->metrics->roles_n; i++) {
		if (strcmp(w->metrics->roles[i].name, role_full_name(w->role)) != 0)
			sort_lines(f, buf_span(&w->metrics->roles[i].text));
	}
	for (size_t i = 0; i < f->n; i++) {
		buf_append(out, buf_span(&f->item[i].head));
		buf_append(out, buf_span(&f->item[i].samples));
		buf_fini(&f->item[i].head);
		buf_fini(&f->item[i].samples);
	}
	buf_fini(&mine);
	free(f);
}

/* ---- HTTP ---- */

static void reply(struct conn *c, const char *status, struct span body)
{
	struct buf out = {0};

	buf_printf(&out,
		   "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
		   "Content-Length: %zu\r\nX-Content-Type-Options: nosniff\r\nConnection: "
		   "close\r\n\r\n",
		   status, body.n);
	buf_append(&out, body);
	conn_send(c, buf_span(&out));
	buf_fini(&out);
	conn_close(c);
}

/* The first line, exactly "METHOD SP path SP HTTP/1.0 or 1.1". */
static const char *judge(struct span line)
{
	struct span method = span_cut(&line, ' '), path = span_cut(&line, ' ');

	if (!span_eq(line, SPAN_LIT("HTTP/1.1")) && !span_eq(line, SPAN_LIT("HTTP/1.0")))
		return "400 Bad Request";
	if (!span_eq(method, SPAN_LIT("GET")))
		return "405 Method Not Allowed";
	return span_eq(path, SPAN_LIT("/metrics")) ? NULL : "404 Not Found";
}

/* The end of the head, or -1; a bare CR or LF or a NUL in it is no head at all. */
static ssize_t head_end(struct span s, bool *out_bad)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == 0 || (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')) ||
		    (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] != '\n')) {
			*out_bad = true;
			return -1;
		}
		if (i >= 3 && memcmp(s.p + i - 3, "\r\n\r\n", 4) == 0)
			return (ssize_t)i + 1;
	}
	return -1;
}

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct scrape *s = arg;
	bool is_bad = false;
	ssize_t end = head_end(bytes, &is_bad);
	const char *fault;
	struct span rest = bytes, line;
	struct buf text = {0};

	if (end < 0 && !is_bad && bytes.n < HEAD_BYTES)
		return 0;
	conn_pause(c);
	line = span_trim(span_cut(&rest, '\n'));
	fault = end < 0 ? "400 Bad Request" : judge(line);
	if (!fault)
		metrics_render(s->watch, &text);
	else
		buf_printf(&text, "%s\n", fault);
	reply(c, fault ? fault : "200 OK", buf_span(&text));
	buf_fini(&text);
	return bytes.n;
}

static void on_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	struct scrape *s = arg;

	(void)c, (void)rc, (void)why;
	list_remove(&s->on_metrics);
	s->watch->metrics->clients_n--;
	free(s);
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	static const struct conn_ops ops = {.on_bytes = on_bytes, .on_closed = on_closed};
	struct watch *w = arg;
	struct scrape *s;

	(void)peer;
	if (is_last || w->metrics->clients_n >= METRICS_CLIENTS) {
		close(fd);
		return;
	}
	s = must_alloc(sizeof *s);
	s->watch = w;
	list_init(&s->on_metrics);
	list_append(&w->metrics->scrapes, &s->on_metrics);
	w->metrics->clients_n++;
	s->conn = conn_accept(w->loop, fd, &ops, s);
	conn_deadline(s->conn, 10 * WATCH_SECOND_US);
}

void metrics_listen(struct watch *w, int fd)
{
	struct metrics *m = w->metrics;

	if (m->listeners_n == LISTENERS) {
		close(fd);
		return;
	}
	m->listeners[m->listeners_n++] = listener_new(w->loop, fd, on_accept, w);
}

void metrics_start(struct watch *w)
{
	w->metrics = must_alloc(sizeof *w->metrics);
	list_init(&w->metrics->scrapes);
}

void metrics_stop(struct watch *w)
{
	for (size_t i = 0; i < w->metrics->listeners_n; i++)
		listener_free(w->metrics->listeners[i]);
	w->metrics->listeners_n = 0;
	LIST_EACH_SAFE (l, &w->metrics->scrapes)
		conn_abort(LIST_ENTRY(l, struct scrape, on_metrics)->conn);
}

void metrics_free(struct watch *w)
{
	for (size_t i = 0; i < w->metrics->roles_n; i++)
		buf_fini(&w->metrics->roles[i].text);
	free(w->metrics);
	w->metrics = NULL;
}

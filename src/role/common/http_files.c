/*
 * Files of the portal: read once, before the sandbox closes, and kept in memory; a request is a look into a table. Nothing of a
 * request ever becomes a path. A file NAME.gz beside NAME is the same for those who take gzip. Files below assets/ carry a hash in
 * their name and are kept by browsers for ever; all others are asked for anew, by their tag.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "role/common/http_internal.h"

enum { FILE_BYTES = 8 << 20, FILES_BYTES = 64 << 20, FILES_MOST = 2000, DEPTH = 4, TAG_BYTES = 16 };

#define PAGE_POLICY                                                                                \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "    \
	"connect-src 'self'; frame-src 'self' blob:; manifest-src 'self'; worker-src 'self'; "     \
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "                            \
	"require-trusted-types-for 'script'"

/* In this one messages are shown, without scripts; the page that frames it says so, too. */
#define FRAME_POLICY                                                                               \
	"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; base-uri 'none'; "    \
	"form-action 'none'; frame-ancestors 'self'; "                                             \
	"sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"

enum kind { KIND_PART, KIND_PAGE, KIND_FRAME };

struct http_file {
	struct span bytes, gzip; /* owned */
	struct span type;
	char tag[TAG_BYTES * 2 + 3], gzip_tag[TAG_BYTES * 2 + 6]; /* with their quotes */
	enum kind kind;
	bool is_for_ever;
};

struct http_files {
	struct map all; /* "/index.html" -> struct http_file */
	size_t bytes, n;
};

static const struct {
	const char *end, *type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".json", "application/json"},
	{".webmanifest", "application/manifest+json"},
	{".svg", "image/svg+xml"},
	{".png", "image/png"},
	{".ico", "image/x-icon"},
	{".woff2", "font/woff2"},
	{".txt", "text/plain; charset=utf-8"},
};

static const char *type_of(const char *name)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (span_ends_nocase(span_str(name), span_str(types[i].end)))
			return types[i].type;
	}
	return NULL;
}

/* A service worker goes by the policy of its script. */
static enum kind kind_of(struct span url)
{
	if (span_eq(url, SPAN_LIT("/frame.html")))
		return KIND_FRAME;
	if (span_ends_nocase(url, SPAN_LIT(".html")) || span_eq(url, SPAN_LIT("/sw.js")))
		return KIND_PAGE;
	return KIND_PART;
}

/* ---- reading ---- */

static bool read_whole(struct os *os, const char *path, struct span *out)
{
	uint64_t size = 0;
	unsigned char *p = NULL;
	int fd = os_open(os, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	bool is_fine;

	if (fd < 0)
		return false;
	is_fine = os_size(os, fd, &size) == 0 && size <= FILE_BYTES;
	if (is_fine) {
		p = must_alloc((size_t)size + 1);
		is_fine = os_read_all(os, fd, p, (size_t)size, 0) == (ssize_t)size;
	}
	(void)os_close(os, fd);
	if (!is_fine) {
		free(p);
		return false;
	}
	*out = span_of(p, (size_t)size);
	return true;
}

static void set_tag(struct http_file *f)
{
	unsigned char hash[TAG_BYTES];
	char hex[TAG_BYTES * 2 + 1];

	(void)crypto_generichash(hash, sizeof hash, f->bytes.p, f->bytes.n, NULL, 0);
	(void)sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	(void)snprintf(f->tag, sizeof f->tag, "\"%s\"", hex);
	(void)snprintf(f->gzip_tag, sizeof f->gzip_tag, "\"%s-gz\"", hex);
}

struct walk {
	struct http_host *host;
	struct http_files *files;
	const char *dir; /* on the disk */
	const char *url; /* "", "/assets" */
	unsigned depth;
};

static void walk_dir(const struct walk *w);

static void add_file(const struct walk *w, const char *path, const char *url)
{
	struct http_file *f;
	struct span bytes;
	char gzip[4096 + 8];

	if (w->files->n >= FILES_MOST || w->files->bytes > FILES_BYTES ||
	    !read_whole(w->host->os, path, &bytes)) {
		say(SAY_WARNING, "portal.file_skipped", "path", SAY_STR(path), NULL);
		return;
	}
	f = must_alloc(sizeof *f);
	f->bytes = bytes;
	f->type = span_str(type_of(url));
	f->is_for_ever = span_starts(span_str(url), SPAN_LIT("/assets/"));
	f->kind = kind_of(span_str(url));
	set_tag(f);
	(void)snprintf(gzip, sizeof gzip, "%s.gz", path);
	(void)read_whole(w->host->os, gzip, &f->gzip);
	w->files->n++;
	w->files->bytes += f->bytes.n + f->gzip.n;
	(void)map_put(&w->files->all, span_str(url), f);
}

static bool on_name(void *arg, const char *name)
{
	const struct walk *w = arg;
	struct walk below = {w->host, w->files, NULL, NULL, w->depth + 1};
	char path[4096], url[512];
	int n = snprintf(path, sizeof path, "%s/%s", w->dir, name);
	int m = snprintf(url, sizeof url, "%s/%s", w->url, name);

	if (name[0] == '.' || n < 0 || (size_t)n >= sizeof path || m < 0 || (size_t)m >= sizeof url)
		return true;
	if (type_of(name)) {
		add_file(w, path, url);
	} else if (!strchr(name, '.') && w->depth < DEPTH) {
		below.dir = path;
		below.url = url;
		walk_dir(&below);
	}
	return true;
}

static void walk_dir(const struct walk *w)
{
	(void)os_list_dir(w->host->os, w->dir, on_name, (void *)(uintptr_t)w);
}

struct http_files *http_files_load(struct http_host *h)
{
	struct http_files *f = must_alloc(sizeof *f);
	const struct msg_config *c = role_config(h->role);
	char dir[4096];
	int n = snprintf(dir, sizeof dir, "%.*s/%s", SPAN_FMT(c->web_dir), h->options->files);
	const struct walk w = {h, f, dir, "", 0};

	map_init(&f->all);
	if (c->web_dir.n == 0 || n < 0 || (size_t)n >= sizeof dir)
		return f;
	walk_dir(&w);
	say(SAY_INFO, "portal.files", "folder", SAY_STR(dir), "files", SAY_U64(f->n), "bytes",
	    SAY_U64(f->bytes), NULL);
	return f;
}

static void file_free(void *value)
{
	struct http_file *f = value;

	free((void *)(uintptr_t)f->bytes.p);
	free((void *)(uintptr_t)f->gzip.p);
	free(f);
}

void http_files_free(struct http_files *f)
{
	if (!f)
		return;
	map_fini(&f->all, file_free);
	free(f);
}

/* ---- serving ---- */

static void answer(struct http_exchange *x, const struct http_file *f)
{
	bool zips = f->gzip.n && http_accepts_gzip(exchange_field(x, "accept-encoding"));
	struct span tag = span_str(zips ? f->gzip_tag : f->tag);
	struct http_field fields[8];
	struct http_response r = {.status = 200, .fields = fields};
	bool is_known = http_tag_matches(exchange_field(x, "if-none-match"), tag);

	fields[r.fields_n++] = (struct http_field){SPAN_LIT("ETag"), tag};
	fields[r.fields_n++] =
		(struct http_field){SPAN_LIT("Cache-Control"),
				    f->is_for_ever ? SPAN_LIT("public, max-age=31536000, immutable")
						   : SPAN_LIT("no-cache")};
	fields[r.fields_n++] = (struct http_field){SPAN_LIT("Vary"), SPAN_LIT("Accept-Encoding")};
	if (f->kind != KIND_PART)
		fields[r.fields_n++] = (struct http_field){
			SPAN_LIT("Content-Security-Policy"),
			f->kind == KIND_PAGE ? SPAN_LIT(PAGE_POLICY) : SPAN_LIT(FRAME_POLICY)};
	if (f->kind == KIND_FRAME)
		fields[r.fields_n++] =
			(struct http_field){SPAN_LIT("X-Frame-Options"), SPAN_LIT("SAMEORIGIN")};
	if (is_known) {
		r.status = 304;
		http_exchange_answer_static(x, &r, SPAN_NONE);
		return;
	}
	r.type = f->type;
	if (zips)
		fields[r.fields_n++] =
			(struct http_field){SPAN_LIT("Content-Encoding"), SPAN_LIT("gzip")};
	http_exchange_answer_static(x, &r, zips ? f->gzip : f->bytes);
}

bool http_files_answer(struct http_files *files, struct http_exchange *x)
{
	struct span path = x->ask.path;
	struct http_file *f;

	if (span_eq(path, SPAN_LIT("/")))
		path = SPAN_LIT("/index.html");
	f = map_get(&files->all, path);
	if (!f)
		return false;
	answer(x, f);
	return true;
}

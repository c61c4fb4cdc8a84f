#include "config/files.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "config/tree.h"
#include "ipc/msg.h"
#include "mail/address.h"

/* ---- reading ---- */

static const char *hint_for(int err)
{
	if (err == ENOENT || err == ENOTDIR)
		return "check the spelling of the path";
	if (err == EACCES)
		return "check the permissions of the file and of the folders above it";
	return NULL;
}

static bool read_open(int fd, size_t limit, struct buf *out)
{
	for (;;) {
		ssize_t n;

		if (out->n > limit) {
			errno = EFBIG;
			return false;
		}
		if (!buf_reserve(out, 64 << 10)) {
			errno = ENOMEM;
			return false;
		}
		n = read(fd, out->p + out->n, 64 << 10);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			return true;
		out->n += (size_t)n;
	}
}

bool files_read(struct config_context *c, const char *path, size_t limit, unsigned line,
		unsigned column, struct span *out)
{
	/* NONBLOCK: a named pipe must not hang the supervisor. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct buf all = {0};
	struct stat st;
	bool is_read = false;

	if (fd < 0) {
		config_bad(c, line, column, hint_for(errno), "cannot open %s: %s", path,
			   strerror(errno));
		return false;
	}
	if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode))
		errno = EISDIR;
	else
		is_read = read_open(fd, limit, &all);
	if (!is_read)
		config_bad(c, line, column, NULL, "cannot read %s: %s", path, strerror(errno));
	else if (st.st_mode & S_IWOTH && S_ISREG(st.st_mode))
		config_bad(c, line, column, config_text(c, "chmod o-w %s", path),
			   "%s can be changed by every user", path);
	(void)close(fd);
	if (is_read)
		*out = arena_span(c->arena, buf_span(&all));
	buf_fini(&all);
	return is_read;
}

/* ---- recipients ---- */

struct recipients {
	struct config_context *c;
	const char *path;
	const struct msg_config *config;
	struct msg_domain *domain;
	struct buf out;
	unsigned line, bad;
};

static bool is_domain_of(const struct msg_config *config, struct span name)
{
	for (size_t i = 0; i < config->domains_n; i++) {
		if (span_eq(config->domains[i].name, name))
			return true;
	}
	return false;
}

static void say_bad_line(struct recipients *r, const char *hint, const char *what, struct span word)
{
	if (++r->bad <= 3)
		config_bad_in(r->c, r->path, r->line, hint, "`%s` %s", config_show(r->c, word),
			      what);
}

/* The first word of a line: what stands behind it belongs to Postfix's tables (relay_recipient_maps) and is not ours. */
static void take_line(struct recipients *r, struct span line)
{
	struct span word = span_trim(line), domain;
	struct address a;
	size_t n = 0;

	if (word.n == 0 || word.p[0] == '#')
		return;
	while (n < word.n && word.p[n] > ' ')
		n++;
	word = span_first(word, n);
	if (word.p[0] == '@') {
		if (span_eq_nocase(span_from(word, 1), r->domain->name))
			r->domain->catch_all = SPAN_LIT("yes");
		return;
	}
	if (address_parse(word, true, &a) != ADDRESS_FINE) {
		say_bad_line(r, "one address a line; comments begin with #", "is not an address",
			     word);
		return;
	}
	domain = address_domain(&a);
	if (span_eq(domain, r->domain->name)) {
		buf_append(&r->out, address_span(&a));
		buf_append_byte(&r->out, '\n');
	} else if (!is_domain_of(r->config, domain)) {
		say_bad_line(r, "add the domain, or remove the line",
			     "is in no domain of the configuration", word);
	}
}

/* Relative paths start at the configuration's folder. */
static const char *path_beside(struct config_context *c, const char *path)
{
	const char *slash = strrchr(c->file, '/');

	if (*path == '/' || !slash)
		return path;
	return config_text(c, "%.*s/%s", (int)(slash - c->file), c->file, path);
}

static void read_recipients(struct config_context *c, const struct fill_file *f,
			    struct msg_config *config)
{
	struct recipients r = {.c = c,
			       .path = path_beside(c, f->path),
			       .config = config,
			       .domain = &config->domains[f->owner]};
	struct span text, rest;

	if (!files_read(c, r.path, CONFIG_RECIPIENT_FILE_BYTES, f->line, f->column, &text))
		return;
	rest = text;
	while (rest.n) {
		r.line++;
		take_line(&r, span_cut(&rest, '\n'));
	}
	if (r.bad > 3)
		config_bad_in(c, r.path, 0, NULL, "%u lines of this file are bad in all", r.bad);
	r.domain->recipient_files[f->slot] = arena_span(c->arena, buf_span(&r.out));
	buf_fini(&r.out);
}

static void read_anchors(struct config_context *c, const struct fill_file *f,
			 struct msg_config *config)
{
	const char *path = path_beside(c, f->path);
	struct span text;

	if (!files_read(c, path, CONFIG_LIMIT_BYTES, f->line, f->column, &text))
		return;
	if (memmem(text.p, text.n, "-----BEGIN CERTIFICATE-----", 27))
		config->sites[f->owner].tls_ca = text;
	else
		config_bad(c, f->line, f->column, "give the certificates in PEM form",
			   "%s holds no certificate", path);
}

void files_read_named(struct config_context *c, const struct fill_result *rest,
		      struct msg_config *config)
{
	for (size_t i = 0; i < rest->files_n; i++)
		read_recipients(c, &rest->files[i], config);
	for (size_t i = 0; i < rest->anchors_n; i++)
		read_anchors(c, &rest->anchors[i], config);
}

/* ---- permissions ---- */

static const char *user_name(struct config_context *c, uid_t uid)
{
	const struct passwd *who = getpwuid(uid);

	return who ? config_text(c, "%s", who->pw_name) : config_text(c, "uid %u", (unsigned)uid);
}

static void bad_at(struct config_context *c, const struct tree *at, const char *hint,
		   const char *text)
{
	config_bad(c, at ? at->line : 0, at ? at->column : 0, hint, "%s", text);
}

/* Ours, root's, or that of the user who owns the data directory (the user that the roles run as). */
static bool is_good_owner(uid_t owner, const char *data)
{
	struct stat st;

	if (owner == 0 || owner == geteuid())
		return true;
	return geteuid() == 0 && stat(data, &st) == 0 && st.st_uid == owner;
}

static void check_key(struct config_context *c, const struct tree *at, const char *path,
		      const char *data)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		bad_at(c, at, hint_for(errno),
		       config_text(c, "cannot read the key %s: %s", path, strerror(errno)));
		return;
	}
	if (st.st_mode & (S_IRWXO | S_IWGRP | S_IXGRP))
		bad_at(c, at, config_text(c, "chmod 0400 %s", path),
		       config_text(c, "the key %s is open to others (mode %04o)", path,
				   st.st_mode & 07777u));
	if (!is_good_owner(st.st_uid, data))
		bad_at(c, at, config_text(c, "chown %s %s", user_name(c, geteuid()), path),
		       config_text(c, "the key %s belongs to %s, who could exchange it", path,
				   user_name(c, st.st_uid)));
	if (access(path, R_OK) < 0)
		bad_at(c, at, hint_for(errno),
		       config_text(c, "cannot read the key %s: %s", path, strerror(errno)));
}

static void check_certificate(struct config_context *c, const struct tree *at, const char *path)
{
	struct span text;

	if (!files_read(c, path, CONFIG_LIMIT_BYTES, at ? at->line : 0, at ? at->column : 0, &text))
		return;
	if (!memmem(text.p, text.n, "-----BEGIN CERTIFICATE-----", 27))
		bad_at(c, at, "give the full chain in PEM form",
		       config_text(c, "%s holds no certificate", path));
}

/* A data directory that is not there yet is made by `holdfast run`, with what is missing above it, if that may be. */
static void check_missing_data(struct config_context *c, const struct tree *at, const char *path)
{
	struct span above = span_str(path);
	const char *name;

	do {
		ssize_t slash = span_rchr(above, '/');

		above = span_first(above, slash > 0 ? (size_t)slash : 0);
		name = above.n ? config_text(c, "%.*s", SPAN_FMT(above)) : "/";
	} while (above.n && access(name, F_OK) < 0);
	if (access(name, W_OK | X_OK) < 0)
		bad_at(c, at,
		       config_text(c, "as root: install -d -m 0750 -o %s %s",
				   user_name(c, geteuid()), path),
		       config_text(
			       c,
			       "the data directory %s is not there, and %s may not make it in %s",
			       path, user_name(c, geteuid()), name));
}

static void check_data(struct config_context *c, const struct tree *at, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		if (errno == ENOENT)
			check_missing_data(c, at, path);
		else
			bad_at(c, at, hint_for(errno),
			       config_text(c, "the data directory %s: %s", path, strerror(errno)));
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		bad_at(c, at, NULL,
		       config_text(c, "the data directory %s is not a directory", path));
		return;
	}
	if (st.st_mode & S_IRWXO)
		bad_at(c, at, config_text(c, "chmod o-rwx %s", path),
		       config_text(c, "the data directory %s is open to every user (mode %04o)",
				   path, st.st_mode & 07777u));
	if (geteuid() != 0 && st.st_uid != geteuid())
		bad_at(c, at,
		       config_text(c, "run it as %s, or chown %s", user_name(c, st.st_uid), path),
		       config_text(c, "the data directory %s belongs to %s, and this is %s", path,
				   user_name(c, st.st_uid), user_name(c, geteuid())));
	else if (access(path, R_OK | W_OK | X_OK) < 0)
		bad_at(c, at, hint_for(errno),
		       config_text(c, "the data directory %s cannot be written: %s", path,
				   strerror(errno)));
}

void files_check(struct config_context *c, const struct fill_result *rest,
		 const struct msg_config *config)
{
	const char *data = config_text(c, "%.*s", SPAN_FMT(config->data));

	if (config->data.n > 1)
		check_data(c, rest->data, data);
	if (config->tls_certificate.n)
		check_certificate(c, rest->tls_certificate,
				  config_text(c, "%.*s", SPAN_FMT(config->tls_certificate)));
	if (config->tls_key.n)
		check_key(c, rest->tls_key, config_text(c, "%.*s", SPAN_FMT(config->tls_key)),
			  data);
}

/* From the file to what the roles get: checked, completed by the supervisor, encoded, sealed. */
#include "super/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/must.h"
#include "config/config.h"

/* A sealed memory file: the roles map it, nobody can change it. */
static int seal(struct span bytes, struct fault *why)
{
	int fd = memfd_create("holdfast-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t at = 0;

	while (fd >= 0 && at < bytes.n) {
		ssize_t n = write(fd, bytes.p + at, bytes.n - at);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	if (fd >= 0 && at == bytes.n &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
		return fd;
	fault_sys(why, "memory file for the configuration");
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static bool same_listeners(const struct msg_config *a, const struct msg_config *b)
{
	if (a->listen_n != b->listen_n)
		return false;
	for (size_t i = 0; i < a->listen_n; i++) {
		if (!span_eq(a->listen[i].service, b->listen[i].service) ||
		    !span_eq(a->listen[i].address, b->listen[i].address))
			return false;
	}
	return true;
}

static void keep(bool differs, const char *key, struct buf *note)
{
	if (differs)
		(void)buf_printf(note, "%s%s", note->n ? ", " : "", key);
}

/* What a running system cannot change; the names of those that differ go to note. */
static void keep_fixed(struct msg_config *next, const struct msg_config *was, struct buf *note)
{
	keep(!span_eq(next->data, was->data), "data", note);
	keep(!same_listeners(next, was), "listen", note);
	keep(next->edges != was->edges, "edges", note);
	keep(next->couriers != was->couriers, "couriers", note);
	keep(next->desks != was->desks, "desks", note);
	next->data = was->data;
	next->listen = was->listen;
	next->listen_n = was->listen_n;
	next->edges = was->edges;
	next->couriers = was->couriers;
	next->desks = was->desks;
}

/* The data directory as an absolute path without a slash at its end. */
static struct span absolute(struct span data, struct arena *a)
{
	char here[1024];
	struct buf path = {0};
	struct span out;

	if (data.n > 0 && data.p[0] != '/' && getcwd(here, sizeof here))
		(void)buf_printf(&path, "%s/", here);
	buf_append(&path, data);
	while (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	out = arena_span(a, buf_span(&path));
	buf_fini(&path);
	return out;
}

static bool load(const char *path, struct arena *a, struct msg_config *out, struct fault *why)
{
	struct config_problems problems = {0};
	enum rc rc = config_load(path, a, out, &problems);

	if (problems.n > 0) {
		struct buf text = {0};

		config_problems_print(&problems, &text);
		(void)fwrite(text.p, 1, text.n, stderr);
		buf_fini(&text);
	}
	if (rc != OK)
		fault_set(why, "%s", config_problems_first(&problems, a));
	return rc == OK;
}

struct super_settings *super_settings_load(const char *path, const struct super_settings *was,
					   struct buf *note, struct fault *why)
{
	struct super_settings *s = NULL;
	struct msg_config config = {0};
	struct arena a;

	arena_init(&a, 0);
	if (load(path, &a, &config, why)) {
		config.data = absolute(config.data, &a);
		config.generation = 1;
		if (was) {
			config.generation = was->config.generation + 1;
			keep_fixed(&config, &was->config, note);
		}
		s = must_alloc(sizeof *s);
		for (enum role_id id = ROLE_NONE; id <= ROLE_LAST; id++)
			s->fd[id] = -1;
		arena_init(&s->arena, 0);
		msg_config_encode(&s->bytes, &config);
		must(msg_config_decode(&s->arena, buf_span(&s->bytes), &s->config));
	}
	arena_fini(&a);
	return s;
}

/* Where the portal's files are: beside the program, or where they are installed. "": nowhere. */
static struct span web_dir(struct arena *a)
{
	char here[1024], path[1100];
	ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);
	char *slash;

	here[n > 0 ? n : 0] = '\0';
	slash = strrchr(here, '/');
	if (slash)
		*slash = '\0';
	(void)snprintf(path, sizeof path, "%s/web", here);
	if (access(path, X_OK) < 0)
		(void)snprintf(path, sizeof path, "%s/web", SUPER_SHARE);
	return access(path, X_OK) < 0 ? SPAN_NONE : arena_span(a, span_str(path));
}

bool super_settings_seal(struct super_settings *s, const char *data, struct fault *why)
{
	struct msg_config config = s->config;
	struct buf bytes = {0};
	bool ok = true;

	config.tls_certificate = span_str(super_tls_certificate(data, &s->arena));
	config.web_dir = web_dir(&s->arena);
	for (enum role_id id = ROLE_EDGE; ok && id <= ROLE_LAST; id++) {
		if (super_instances(id, &config) == 0)
			continue;
		config.tls_key = span_str(super_tls_key(data, id, &s->arena));
		buf_clear(&bytes);
		msg_config_encode(&bytes, &config);
		s->fd[id] = seal(buf_span(&bytes), why);
		ok = s->fd[id] >= 0;
	}
	buf_fini(&bytes);
	return ok;
}

void super_settings_free(struct super_settings *s)
{
	if (!s)
		return;
	for (enum role_id id = ROLE_NONE; id <= ROLE_LAST; id++) {
		if (s->fd[id] >= 0)
			(void)close(s->fd[id]);
	}
	buf_fini(&s->bytes);
	arena_fini(&s->arena);
	free(s);
}

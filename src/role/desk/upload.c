/*
 * POST /jmap/upload/{accountId}/ (RFC 8620 s6.1): a file comes in pieces to <id>.part; at its end a thread of our own syncs
 * it, gives it its name and syncs the folder, and then the client hears 201: from then on every desk has it, and a start
 * anew does not lose it.
 */
#include "role/desk/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"
#include "os/os.h"

/* One that comes; gone when its exchange is over and the worker does not have it. */
struct upload {
	struct list link; /* todo, done */
	struct desk_uploads *all;
	struct http_exchange *x; /* NULL: over */
	struct desk_person person;
	char id[UPLOAD_ID_BYTES];
	int fd;
	uint64_t bytes, most;
	bool is_refused; /* and answered */
	bool is_with_worker;
	enum rc rc;
	struct span type;
};

/* ---- the worker ---- */

static enum rc make_durable(struct upload *u)
{
	struct desk *d = u->all->desk;
	char from[UPLOAD_PATH_BYTES], to[UPLOAD_PATH_BYTES], folder[UPLOAD_PATH_BYTES];

	upload_folder(d, u->person.jmap.account, folder);
	upload_path(d, u->person.jmap.account, u->id, ".part", from);
	upload_path(d, u->person.jmap.account, u->id, "", to);
	if (os_datasync(d->os, u->fd) < 0 || os_rename(d->os, from, to) < 0)
		return BROKEN;
	if (os_sync_dir(d->os, folder) < 0) {
		(void)os_unlink(d->os, to);
		return BROKEN;
	}
	return OK;
}

static void *work(void *arg)
{
	struct desk_uploads *all = arg;
	struct list *at;

	must(pthread_mutex_lock(&all->mutex) == 0);
	for (;;) {
		struct upload *u;

		while (list_is_empty(&all->todo) && !all->ends)
			must(pthread_cond_wait(&all->is_work, &all->mutex) == 0);
		at = list_shift(&all->todo);
		if (!at)
			break;
		must(pthread_mutex_unlock(&all->mutex) == 0);
		u = LIST_ENTRY(at, struct upload, link);
		u->rc = make_durable(u);
		must(pthread_mutex_lock(&all->mutex) == 0);
		list_append(&all->done, &u->link);
		loop_wake_up(all->wake);
	}
	must(pthread_mutex_unlock(&all->mutex) == 0);
	return NULL;
}

static void give_to_worker(struct upload *u)
{
	struct desk_uploads *all = u->all;

	u->is_with_worker = true;
	all->pending++;
	must(pthread_mutex_lock(&all->mutex) == 0);
	list_append(&all->todo, &u->link);
	must(pthread_cond_signal(&all->is_work) == 0);
	must(pthread_mutex_unlock(&all->mutex) == 0);
}

/* ---- the end of one ---- */

static void forget(struct upload *u, bool keeps_file)
{
	struct desk *d = u->all->desk;
	uint64_t account = u->person.jmap.account;
	unsigned *coming = map_get(&u->all->coming, map_key_u64(&account));
	char path[UPLOAD_PATH_BYTES];

	if (coming && --*coming == 0)
		free(map_remove(&u->all->coming, map_key_u64(&account)));
	(void)os_close(d->os, u->fd);
	if (!keeps_file) {
		upload_path(d, account, u->id, u->is_with_worker ? "" : ".part", path);
		(void)os_unlink(d->os, path);
		upload_path(d, account, u->id, ".part", path);
		(void)os_unlink(d->os, path);
	}
	free(u);
}

static void answer(struct upload *u)
{
	struct buf out = {0};

	if (u->rc != OK) {
		say(SAY_ERROR, "upload.failed", "account", SAY_SPAN(u->person.jmap.name), NULL);
		exchange_problem(u->x, 503, "unavailable",
				 "The file could not be stored; try again");
		return;
	}
	desk_count(METRIC_UPLOADS, 1);
	desk_count(METRIC_UPLOAD_BYTES, u->bytes);
	jmap_uploaded(&u->person.jmap, span_str(u->id), u->type, u->bytes, &out);
	exchange_json(u->x, 201, buf_span(&out));
	buf_fini(&out);
}

static void on_wake(void *arg)
{
	struct desk_uploads *all = arg;

	for (;;) {
		struct list *at;
		struct upload *u;

		must(pthread_mutex_lock(&all->mutex) == 0);
		at = list_shift(&all->done);
		must(pthread_mutex_unlock(&all->mutex) == 0);
		if (!at)
			return;
		u = LIST_ENTRY(at, struct upload, link);
		all->pending--;
		if (u->x) {
			answer(u);
			exchange_set_arg(u->x, NULL);
		}
		forget(u, u->x && u->rc == OK);
	}
}

/* ---- one comes ---- */

static void refuse_later(struct http_exchange *x)
{
	exchange_problem(x, 507, "storage",
			 "There is no room for files at the moment; try again later");
}

static void refuse_quota(struct http_exchange *x)
{
	exchange_problem(x, 507, "quota",
			 "Too many files of yours wait to be sent; send or wait a day");
}

static bool account_is(const struct desk_person *p, struct span rest)
{
	uint64_t account;

	return jmap_account_of(span_cut(&rest, '/'), &account) && account == p->jmap.account &&
	       rest.n == 0;
}

/* How much may come; false: nothing, and that was answered. */
static bool measure(struct http_exchange *x, struct desk *d, struct upload *u, int64_t announced)
{
	uint64_t quota = d->policy->uploads_bytes, used;
	size_t files;

	upload_usage(d, u->person.jmap.account, &used, &files);
	u->most = u->person.service.limits.upload_bytes;
	if (announced > 0 && (uint64_t)announced > u->most) {
		desk_jmap_problem(x, 413, "urn:ietf:params:jmap:error:limit",
				  "The file is larger than is taken here", "maxSizeUpload");
		return false;
	}
	if (files >= DESK_UPLOADS_MOST || used >= quota ||
	    (announced > 0 && (uint64_t)announced > quota - used)) {
		refuse_quota(x);
		return false;
	}
	if (quota - used < u->most)
		u->most = quota - used;
	if (lane_is_below_reserve(d->lane)) {
		refuse_later(x);
		return false;
	}
	return true;
}

static bool open_part(struct desk *d, struct upload *u)
{
	unsigned char bytes[16];
	uint64_t seconds = os_wall_us(d->os) / 1000000;
	char path[UPLOAD_PATH_BYTES];

	os_random(d->os, bytes, sizeof bytes);
	for (int i = 0; i < 4; i++)
		bytes[i] = (unsigned char)(seconds >> (24 - 8 * i));
	hex_encode(u->id, span_of(bytes, sizeof bytes));
	upload_folder(d, u->person.jmap.account, path);
	if (os_mkdir(d->os, path, 0750) == 0) {
		(void)snprintf(path, sizeof path, "%.1000s/uploads", role_data(d->role));
		if (os_sync_dir(d->os, path) < 0)
			return false;
	} else if (errno != EEXIST) {
		return false;
	}
	upload_path(d, u->person.jmap.account, u->id, ".part", path);
	u->fd = os_open(d->os, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	return u->fd >= 0;
}

static unsigned *coming_of(struct desk_uploads *all, uint64_t account)
{
	unsigned *n = map_get(&all->coming, map_key_u64(&account));

	if (!n) {
		n = must_alloc(sizeof *n);
		(void)map_put(&all->coming, map_key_u64(&account), n);
	}
	return n;
}

static bool may_come(struct http_exchange *x, const struct http_ask *ask, struct desk *d,
		     struct upload *u)
{
	const unsigned *coming;
	uint64_t account;

	if (!desk_person_fill(x, &u->person))
		return false;
	account = u->person.jmap.account;
	if (!account_is(&u->person, ask->rest)) {
		exchange_problem(x, 404, "not-found", "There is no such account");
		return false;
	}
	coming = map_get(&d->uploads->coming, map_key_u64(&account));
	if (coming && *coming >= u->person.service.limits.concurrent_uploads) {
		desk_jmap_problem(x, 400, "urn:ietf:params:jmap:error:limit",
				  "Too many uploads of yours at once", "maxConcurrentUpload");
		return false;
	}
	return measure(x, d, u, ask->bytes);
}

void desk_upload(struct http_exchange *x, const struct http_ask *ask)
{
	struct desk *d = http_host_arg(exchange_host(x));
	struct upload *u = must_alloc(sizeof *u);

	list_init(&u->link);
	u->all = d->uploads;
	u->x = x;
	u->type = ask->type.n ? ask->type : SPAN_LIT("application/octet-stream");
	if (!may_come(x, ask, d, u)) {
		free(u);
		return;
	}
	if (!open_part(d, u)) {
		say(SAY_ERROR, "upload.failed", "account", SAY_SPAN(u->person.jmap.name), "errno",
		    SAY_U64((uint64_t)errno), NULL);
		free(u);
		refuse_later(x);
		return;
	}
	++*coming_of(d->uploads, u->person.jmap.account);
	exchange_set_arg(x, u);
}

void desk_upload_piece(struct http_exchange *x, struct span piece)
{
	struct upload *u = exchange_arg(x);
	struct iovec part = {(void *)(uintptr_t)piece.p, piece.n};

	if (!u || u->is_refused)
		return;
	if (piece.n > u->most - u->bytes) {
		u->is_refused = true;
		desk_jmap_problem(x, 413, "urn:ietf:params:jmap:error:limit",
				  "The file is larger than is taken here", "maxSizeUpload");
		return;
	}
	if (!os_write_all(u->all->desk->os, u->fd, &part, 1, u->bytes)) {
		u->is_refused = true;
		refuse_later(x);
		return;
	}
	u->bytes += piece.n;
}

/* With what came beside it, here or at another desk, since it began: each alone had fitted. */
static bool still_fits(const struct upload *u)
{
	struct desk *d = u->all->desk;
	uint64_t used;
	size_t files;

	upload_usage(d, u->person.jmap.account, &used, &files);
	return used <= d->policy->uploads_bytes && files <= DESK_UPLOADS_MOST;
}

void desk_upload_end(struct http_exchange *x)
{
	struct upload *u = exchange_arg(x);

	if (!u || u->is_refused)
		return;
	if (still_fits(u)) {
		give_to_worker(u);
		return;
	}
	u->is_refused = true;
	refuse_quota(x);
}

void desk_upload_over(struct http_exchange *x, bool is_complete)
{
	struct upload *u = exchange_arg(x);

	(void)is_complete;
	if (!u)
		return;
	u->x = NULL;
	if (!u->is_with_worker)
		forget(u, false);
}

/* ---- all of them ---- */

bool desk_uploads_start(struct desk *d, struct fault *why)
{
	struct desk_uploads *all = must_alloc(sizeof *all);
	char path[UPLOAD_PATH_BYTES];

	(void)snprintf(path, sizeof path, "%.1000s/uploads", role_data(d->role));
	if (os_mkdir(d->os, path, 0700) < 0 && errno != EEXIST) {
		fault_sys(why, "make %s", path);
		free(all);
		return false;
	}
	all->desk = d;
	map_init(&all->coming);
	list_init(&all->todo);
	list_init(&all->done);
	all->wake = loop_wake_new(d->loop, on_wake, all);
	must(pthread_mutex_init(&all->mutex, NULL) == 0);
	must(pthread_cond_init(&all->is_work, NULL) == 0);
	if (pthread_create(&all->thread, NULL, work, all) != 0) {
		fault_sys(why, "thread for uploads");
		free(all);
		return false;
	}
	d->uploads = all;
	return true;
}

void desk_uploads_tick(struct desk *d)
{
	if (role_instance(d->role) == 0 && d->uploads->ticks++ % DESK_UPLOAD_SWEEP_TICKS == 0)
		upload_sweep(d);
}

bool desk_uploads_are_idle(const struct desk *d)
{
	return d->uploads->pending == 0;
}

void desk_uploads_stop(struct desk *d)
{
	struct desk_uploads *all = d->uploads;

	must(pthread_mutex_lock(&all->mutex) == 0);
	all->ends = true;
	must(pthread_cond_signal(&all->is_work) == 0);
	must(pthread_mutex_unlock(&all->mutex) == 0);
	must(pthread_join(all->thread, NULL) == 0);
}

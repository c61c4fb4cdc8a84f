/*
 * What need not be done while a sender waits: making the next segment file (zeros, synced, named),
 * cutting the zeros off a finished one. A threaded lane has a thread of low priority for it; else
 * it is done on the spot.
 */
#include "ledger/lane.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/must.h"

enum rc spare_make(struct lane *l, uint64_t bytes, struct segment_file *out, struct fault *why)
{
	struct segment_file f = {.size = bytes};
	char path[LEDGER_PATH_BYTES];
	enum rc rc;

	must(pthread_mutex_lock(&l->mutex) == 0);
	f.number = l->next_number++;
	must(pthread_mutex_unlock(&l->mutex) == 0);
	must(segment_path(path, l->dir, f.number));
	rc = zero_file_make(l->os, l->dir, path, bytes, &f.fd, why);
	if (rc != OK)
		return rc;
	os_random(l->os, &f.nonce, sizeof f.nonce);
	*out = f;
	return OK;
}

enum rc spare_take(struct lane *l, uint64_t least_bytes, struct segment_file *out,
		   struct fault *why)
{
	bool have = false;

	must(pthread_mutex_lock(&l->mutex) == 0);
	while (l->spare_state == SPARE_MAKING)
		must(pthread_cond_wait(&l->chores, &l->mutex) == 0);
	if (l->spare_state == SPARE_READY && l->spare.size >= least_bytes) {
		*out = l->spare;
		l->spare_state = SPARE_NONE;
		have = true;
	}
	must(pthread_mutex_unlock(&l->mutex) == 0);
	return have ? OK : spare_make(l, l->segment_bytes, out, why);
}

void spare_order(struct lane *l)
{
	if (!l->threaded)
		return; /* made when it is needed */
	must(pthread_mutex_lock(&l->mutex) == 0);
	l->spare_wanted = true;
	must(pthread_cond_broadcast(&l->chores) == 0);
	must(pthread_mutex_unlock(&l->mutex) == 0);
}

static void retire_now(struct lane *l, const struct retired *r)
{
	/* Only room is won; when it fails nothing is lost. */
	(void)os_truncate(l->os, r->fd, r->end);
	(void)os_close(l->os, r->fd);
}

void segment_retire(struct lane *l, const struct segment_file *f, uint64_t end)
{
	struct retired r = {f->fd, end};

	if (!l->has_preparer) {
		retire_now(l, &r);
		return;
	}
	must(pthread_mutex_lock(&l->mutex) == 0);
	l->retired = realloc(l->retired, (l->retired_n + 1) * sizeof r);
	must(l->retired != NULL);
	l->retired[l->retired_n++] = r;
	must(pthread_cond_broadcast(&l->chores) == 0);
	must(pthread_mutex_unlock(&l->mutex) == 0);
}

/* Called and returns with the mutex held. */
static void do_spare(struct lane *l)
{
	struct segment_file f;
	enum rc rc;

	l->spare_wanted = false;
	if (l->spare_state == SPARE_READY)
		return;
	l->spare_state = SPARE_MAKING;
	must(pthread_mutex_unlock(&l->mutex) == 0);
	rc = spare_make(l, l->segment_bytes, &f,
			NULL); /* failed: the writer makes it, and tells why it cannot */
	must(pthread_mutex_lock(&l->mutex) == 0);
	if (rc == OK)
		l->spare = f;
	l->spare_state = rc == OK ? SPARE_READY : SPARE_NONE;
	must(pthread_cond_broadcast(&l->chores) == 0);
}

static void do_retired(struct lane *l)
{
	struct retired r = l->retired[--l->retired_n];

	must(pthread_mutex_unlock(&l->mutex) == 0);
	retire_now(l, &r);
	must(pthread_mutex_lock(&l->mutex) == 0);
}

void *preparer_main(void *arg)
{
	struct lane *l = arg;

	(void)setpriority(PRIO_PROCESS, 0, 10); /* 0: on Linux this thread only; the sandbox allows no other */
	must(pthread_mutex_lock(&l->mutex) == 0);
	for (;;) {
		if (l->retired_n > 0)
			do_retired(l);
		else if (l->closing)
			break;
		else if (l->spare_wanted)
			do_spare(l);
		else
			must(pthread_cond_wait(&l->chores, &l->mutex) == 0);
	}
	must(pthread_mutex_unlock(&l->mutex) == 0);
	return NULL;
}

void prepare_fini(struct lane *l)
{
	char path[LEDGER_PATH_BYTES];

	free(l->retired);
	l->retired = NULL;
	if (l->spare_state != SPARE_READY)
		return;
	(void)os_close(l->os, l->spare.fd);
	must(segment_path(path, l->dir, l->spare.number));
	(void)os_unlink(l->os, path); /* never written to */
	l->spare_state = SPARE_NONE;
}

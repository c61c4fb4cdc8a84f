/*
 * The gate before Argon2id: two threads, 19 MiB each, and queues that end. They start with the first job, when the
 * sandbox is closed (Landlock holds for the threads that are made after it). Passwords of places where the owner is
 * known go first, so that a flood of guesses does not keep people out (I-15).
 */
#include "role/auth/internal.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"

enum { THREADS = 2, KNOWN_LIMIT = 256, OTHERS_LIMIT = 128 };

struct gate {
	struct auth *auth;
	struct loop_wake *wake;
	pthread_t threads[THREADS];
	unsigned threads_n;
	pthread_mutex_t mutex; /* guards from here ... */
	pthread_cond_t work;
	struct list known, others, done;
	size_t known_n, others_n;
	bool is_closing; /* ... to here */
};

#define JOB_OF(l) LIST_ENTRY(l, struct gate_job, on_gate)

static void job_free(struct gate_job *j)
{
	secret_wipe(j, sizeof *j);
	free(j);
}

static void make(struct gate_job *j)
{
	unsigned char salt[SCRAM_SALT_BYTES];

	if ((!j->verifier[0] || (j->renews && !password_is_current(j->verifier))) &&
	    password_hash(&j->password, j->made) != OK)
		j->rc = j->verifier[0] ? j->rc : LATER;
	if (j->wants_scram) {
		os_random(os_real(), salt, sizeof salt);
		scram_make(&j->password, salt, SCRAM_ITERATIONS, &j->scram);
	}
}

static void do_job(struct gate_job *j)
{
	j->rc = j->verifier[0] ? password_matches(j->verifier, &j->password) : OK;
	if (j->rc == OK)
		make(j);
}

/* With the mutex held. */
static struct gate_job *take(struct gate *g)
{
	struct list *l = list_shift(&g->known);

	if (l) {
		g->known_n--;
		return JOB_OF(l);
	}
	l = list_shift(&g->others);
	if (!l)
		return NULL;
	g->others_n--;
	return JOB_OF(l);
}

static void *thread_main(void *arg)
{
	struct gate *g = arg;
	struct gate_job *j;

	must(pthread_mutex_lock(&g->mutex) == 0);
	while (!g->is_closing) {
		j = take(g);
		if (!j) {
			must(pthread_cond_wait(&g->work, &g->mutex) == 0);
			continue;
		}
		must(pthread_mutex_unlock(&g->mutex) == 0);
		do_job(j);
		must(pthread_mutex_lock(&g->mutex) == 0);
		list_append(&g->done, &j->on_gate);
		loop_wake_up(g->wake);
	}
	must(pthread_mutex_unlock(&g->mutex) == 0);
	return NULL;
}

static void on_wake(void *arg)
{
	struct gate *g = arg;
	struct list *l;

	for (;;) {
		must(pthread_mutex_lock(&g->mutex) == 0);
		l = list_shift(&g->done);
		must(pthread_mutex_unlock(&g->mutex) == 0);
		if (!l)
			return;
		JOB_OF(l)->on_done(JOB_OF(l)->arg, JOB_OF(l));
		job_free(JOB_OF(l));
	}
}

struct gate *gate_new(struct auth *a)
{
	struct gate *g = must_alloc(sizeof *g);

	g->auth = a;
	g->wake = loop_wake_new(a->loop, on_wake, g);
	list_init(&g->known);
	list_init(&g->others);
	list_init(&g->done);
	must(pthread_mutex_init(&g->mutex, NULL) == 0);
	must(pthread_cond_init(&g->work, NULL) == 0);
	return g;
}

static void start_threads(struct gate *g)
{
	while (g->threads_n < THREADS &&
	       pthread_create(&g->threads[g->threads_n], NULL, thread_main, g) == 0)
		g->threads_n++;
	if (g->threads_n == 0)
		say(SAY_ERROR, "gate.no_thread", NULL);
}

struct gate_job *gate_submit(struct gate *g, const struct password *w, const char *verifier,
			     bool wants_scram, bool renews, bool is_known,
			     void (*on_done)(void *arg, struct gate_job *job), void *arg)
{
	struct gate_job *j;

	if (!g || g->is_closing)
		return NULL;
	if (g->threads_n < THREADS)
		start_threads(g);
	if (!g->threads_n)
		return NULL;
	must(pthread_mutex_lock(&g->mutex) == 0);
	if (is_known ? g->known_n >= KNOWN_LIMIT : g->others_n >= OTHERS_LIMIT) {
		must(pthread_mutex_unlock(&g->mutex) == 0);
		return NULL;
	}
	j = must_alloc(sizeof *j);
	j->password = *w;
	(void)memcpy(j->verifier, verifier, strlen(verifier) + 1);
	j->wants_scram = wants_scram;
	j->renews = renews;
	j->on_done = on_done;
	j->arg = arg;
	list_init(&j->on_gate);
	list_append(is_known ? &g->known : &g->others, &j->on_gate);
	*(is_known ? &g->known_n : &g->others_n) += 1;
	must(pthread_cond_signal(&g->work) == 0);
	must(pthread_mutex_unlock(&g->mutex) == 0);
	return j;
}

void gate_free(struct gate *g)
{
	struct list *l;

	if (!g)
		return;
	must(pthread_mutex_lock(&g->mutex) == 0);
	g->is_closing = true;
	must(pthread_cond_broadcast(&g->work) == 0);
	must(pthread_mutex_unlock(&g->mutex) == 0);
	for (unsigned i = 0; i < g->threads_n; i++)
		must(pthread_join(g->threads[i], NULL) == 0);
	while ((l = list_shift(&g->known)) || (l = list_shift(&g->others)) ||
	       (l = list_shift(&g->done))) {
		JOB_OF(l)->rc = LATER;
		JOB_OF(l)->on_done(JOB_OF(l)->arg, JOB_OF(l));
		job_free(JOB_OF(l));
	}
	loop_wake_free(g->wake);
	must(pthread_cond_destroy(&g->work) == 0);
	must(pthread_mutex_destroy(&g->mutex) == 0);
	free(g);
}

/*
 * U5, U6: the file of sessions on a disk that dies at each of its calls, by a kill and by a power cut, or fails there. What was
 * answered as open is there afterwards, what was answered as over is not, and nothing else comes into being.
 */
#include "role/auth/session_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "os/os.h"
#include "os/sim.h"

#define SECOND UINT64_C(1000000)

enum { SESSIONS_N = 40, STEPS = 60 };

/* What the test has been told. */
enum told { NOTHING, MAYBE_OPEN, OPEN, MAYBE_OVER, OVER };

struct world {
	struct os_sim *sim;
	struct sessions s;
	struct session_file file;
	enum told told[SESSIONS_N];
};

static void hash_n(unsigned n, unsigned char out[SECRET_HASH_BYTES])
{
	secret_sha256(span_of(&n, sizeof n), out);
}

static struct session *find_n(const struct world *w, unsigned n)
{
	unsigned char hash[SECRET_HASH_BYTES];

	hash_n(n, hash);
	return sessions_find(&w->s, hash);
}

static bool start(struct world *w)
{
	struct fault why = {""};

	sessions_init(&w->s, 0);
	return session_file_open(&w->file, os_sim_os(w->sim), "auth/sessions", &w->s, &why) &&
	       session_file_renew(&w->file, &w->s, &why);
}

/* As session.c does it. */
static void open_n(struct world *w, unsigned n)
{
	struct session_new new_one = {.now_us = SECOND, .account = SPAN_LIT("a@b.example")};
	struct buf line = {0};
	struct session *x;

	hash_n(n, new_one.hash);
	new_one.seal = n;
	x = sessions_open(&w->s, &new_one);
	w->told[n] = MAYBE_OPEN;
	session_put_open(&line, x);
	if (session_file_add(&w->file, &w->s, buf_span(&line), true, NULL))
		w->told[n] = OPEN;
	buf_fini(&line);
}

static void end_n(struct world *w, unsigned n)
{
	struct session *x = find_n(w, n);
	struct buf line = {0};

	if (!x)
		return;
	w->told[n] = MAYBE_OVER;
	session_put_end(&line, x);
	sessions_end(&w->s, x);
	if (session_file_add(&w->file, &w->s, buf_span(&line), true, NULL))
		w->told[n] = OVER;
	buf_fini(&line);
}

static void use_n(struct world *w, unsigned n)
{
	struct session *x = find_n(w, n);
	struct buf line = {0};

	if (!x)
		return;
	x->used_us += SECOND;
	session_put_used(&line, x);
	(void)session_file_add(&w->file, &w->s, buf_span(&line), false, NULL);
	buf_fini(&line);
}

static void story(struct world *w)
{
	unsigned opened = 0;

	for (unsigned i = 0; i < STEPS && !os_sim_is_dead(w->sim); i++) {
		if (i % 3 != 2 && opened < SESSIONS_N)
			open_n(w, opened++);
		else
			end_n(w, i / 3 * 2);
		use_n(w, i / 2 % SESSIONS_N);
		if (i == STEPS / 2 && !os_sim_is_dead(w->sim))
			(void)session_file_renew(&w->file, &w->s, NULL);
	}
}

static void check(struct world *w)
{
	sessions_fini(&w->s);
	assert_true(start(w));
	for (unsigned n = 0; n < SESSIONS_N; n++) {
		bool is_there = find_n(w, n) != NULL;

		if (w->told[n] == OPEN && !is_there)
			fail_msg("session %u was told and is gone", n);
		if ((w->told[n] == OVER || w->told[n] == NOTHING) && is_there)
			fail_msg("session %u was over and is back", n);
		if (is_there)
			assert_int_equal(find_n(w, n)->seal, n);
	}
	session_file_close(&w->file);
}

static void begin(struct world *w, uint64_t seed)
{
	*w = (struct world){.sim = os_sim_new(seed)};
	assert_int_equal(os_mkdir(os_sim_os(w->sim), "auth", 0700), 0);
	assert_int_equal(os_sync_dir(os_sim_os(w->sim), "."), 0);
	assert_true(start(w));
}

static void finish(struct world *w)
{
	assert_int_equal(os_sim_open_files(w->sim), 0);
	sessions_fini(&w->s);
	os_sim_free(w->sim);
}

static uint64_t calls_of_the_story(void)
{
	struct world w;
	uint64_t calls;

	begin(&w, 1);
	story(&w);
	calls = os_sim_calls(w.sim);
	session_file_close(&w.file);
	finish(&w);
	return calls;
}

static void it_dies_at_every_call(void **state)
{
	static const enum sim_cut cuts[] = {SIM_CUT_DROP, SIM_CUT_KEEP, SIM_CUT_TORN};
	uint64_t calls = calls_of_the_story();
	struct world w;

	(void)state;
	assert_true(calls > 2 * STEPS);
	for (uint64_t nth = 1; nth <= calls; nth++) {
		for (unsigned way = 0; way < 8; way++) {
			begin(&w, nth * 8 + way);
			os_sim_plan(w.sim, nth, way & 1 ? SIM_DIE : SIM_DIE_BEFORE, EIO, false);
			story(&w);
			w.file.fd = -1; /* it died with its process */
			if (way / 2 == 0)
				os_sim_kill(w.sim);
			else
				os_sim_cut(w.sim, cuts[way / 2 - 1]);
			os_sim_plan(w.sim, 0, SIM_FAIL, 0, false);
			check(&w);
			finish(&w);
		}
	}
}

/* One call fails, and the file is whole again by itself; what could not be written is no session. */
static void it_fails_at_every_call(void **state)
{
	uint64_t calls = calls_of_the_story();
	struct world w;

	(void)state;
	for (uint64_t nth = 1; nth <= calls; nth++) {
		for (unsigned way = 0; way < 4; way++) {
			begin(&w, nth * 4 + way);
			os_sim_plan(w.sim, nth, way & 1 ? SIM_FAIL : SIM_FAIL_AFTER,
				    way & 2 ? ENOSPC : EIO, false);
			story(&w);
			for (unsigned n = 0; n < SESSIONS_N; n++) /* written by what came later */
				w.told[n] = find_n(&w, n) ? OPEN : OVER;
			assert_true(session_file_is_well(&w.file) ||
				    session_file_renew(&w.file, &w.s, NULL));
			session_file_close(&w.file);
			os_sim_cut(w.sim, SIM_CUT_DROP);
			check(&w);
			finish(&w);
		}
	}
}

/* A disk that takes nothing for a while: who was out stays out, and what began meanwhile is written when it recovers. */
static void it_fails_for_long(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 3);
	open_n(&w, 0);
	assert_int_equal(w.told[0], OPEN);
	os_sim_plan(w.sim, os_sim_calls(w.sim) + 1, SIM_FAIL, EIO, true);
	open_n(&w, 1);
	end_n(&w, 0);
	assert_int_equal(w.told[1], MAYBE_OPEN);
	assert_int_equal(w.told[0], MAYBE_OVER);
	assert_null(find_n(&w, 0));
	assert_false(session_file_is_well(&w.file));
	os_sim_plan(w.sim, 0, SIM_FAIL, 0, false);
	assert_true(session_file_renew(&w.file, &w.s, NULL));
	w.told[0] = OVER;
	w.told[1] = OPEN; /* it was in memory, and outlives us from now on */
	session_file_close(&w.file);
	os_sim_cut(w.sim, SIM_CUT_DROP);
	check(&w);
	finish(&w);
}

/* It does not grow with use for ever. */
static void it_is_written_anew_now_and_then(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 4);
	open_n(&w, 0);
	for (unsigned i = 0; i < 20000; i++)
		use_n(&w, 0);
	assert_in_range(w.file.bytes, 1, 300 << 10);
	assert_int_equal(find_n(&w, 0)->used_us, 20001 * SECOND);
	session_file_close(&w.file);
	check(&w);
	finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_dies_at_every_call),
		cmocka_unit_test(it_fails_at_every_call),
		cmocka_unit_test(it_fails_for_long),
		cmocka_unit_test(it_is_written_anew_now_and_then),
	};

	return secret_prepare() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}

#include "loop/loop.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

struct seen {
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_fd *fd;
	struct loop_wake *wake;
	unsigned calls;
	unsigned stop_at;
	uint64_t at_us;
	unsigned flags;
	char order[16];
	int socket;
};

static void count(void *arg)
{
	struct seen *s = arg;

	s->at_us = loop_now_us(s->loop);
	if (++s->calls >= s->stop_at)
		loop_stop(s->loop);
}

static void defer_third(void *arg)
{
	struct seen *s = arg;

	s->order[s->calls++] = '3';
	loop_stop(s->loop);
}

static void defer_second(void *arg)
{
	struct seen *s = arg;

	s->order[s->calls++] = '2';
}

static void defer_first(void *arg)
{
	struct seen *s = arg;

	loop_defer(s->loop, defer_second, s);
	loop_defer(s->loop, defer_third, s);
	s->order[s->calls++] = '1';
}

static void deferred_calls_come_in_order_after_the_present_one(void **state)
{
	struct seen s = {.loop = loop_new()};

	(void)state;
	loop_defer(s.loop, defer_first, &s);
	assert_int_equal(s.calls, 0);
	loop_run(s.loop);
	assert_string_equal(s.order, "123");
	loop_free(s.loop);
}

static void deferred_calls_never_made_are_freed_with_the_loop(void **state)
{
	struct seen s = {.loop = loop_new()};

	(void)state;
	loop_defer(s.loop, defer_first, &s);
	loop_free(s.loop);
	assert_int_equal(s.calls, 0);
}

static void timer_fires_once_and_not_early(void **state)
{
	struct seen s = {.loop = loop_new(), .stop_at = 1};
	uint64_t begin_us = loop_now_us(s.loop);

	(void)state;
	s.timer = loop_timer_new(s.loop, count, &s);
	loop_timer_set(s.timer, 20000);
	loop_run(s.loop);
	assert_int_equal(s.calls, 1);
	assert_true(s.at_us >= begin_us + 20000);
	loop_timer_free(s.timer);
	loop_timer_free(NULL);
	loop_free(s.loop);
}

static void push_back(void *arg)
{
	struct seen *s = arg;

	loop_timer_set(s->timer, 40000);
}

static void timer_set_anew_moves_in_both_directions(void **state)
{
	struct seen late = {.loop = loop_new(), .stop_at = 1};
	struct loop_timer *pusher;
	uint64_t begin_us = loop_now_us(late.loop);

	(void)state;
	late.timer = loop_timer_new(late.loop, count, &late);
	pusher = loop_timer_new(late.loop, push_back, &late);
	loop_timer_set(late.timer, 20000);
	loop_timer_set(pusher, 10000); /* while the first is armed: due becomes 50 ms */
	loop_run(late.loop);
	assert_int_equal(late.calls, 1);
	assert_true(late.at_us >= begin_us + 50000);

	loop_timer_set(late.timer, 3600000000u);
	loop_timer_set(late.timer, 1000);
	loop_run(late.loop);
	assert_int_equal(late.calls, 2);
	assert_true(late.at_us < begin_us + 60000000u);
	loop_timer_free(pusher);
	loop_timer_free(late.timer);
	loop_free(late.loop);
}

static void timer_cleared_does_not_fire(void **state)
{
	struct seen cleared = {.loop = loop_new(), .stop_at = 1};
	struct seen other = {.loop = cleared.loop, .stop_at = 1};

	(void)state;
	cleared.timer = loop_timer_new(cleared.loop, count, &cleared);
	other.timer = loop_timer_new(cleared.loop, count, &other);
	loop_timer_set(cleared.timer, 1000);
	loop_timer_clear(cleared.timer);
	loop_timer_set(other.timer, 20000);
	loop_run(cleared.loop);
	assert_int_equal(cleared.calls, 0);
	assert_int_equal(other.calls, 1);
	loop_timer_set(cleared.timer, 1000); /* and can be set again */
	loop_run(cleared.loop);
	assert_int_equal(cleared.calls, 1);
	loop_timer_free(cleared.timer);
	loop_timer_free(other.timer);
	loop_free(cleared.loop);
}

static void on_ready(void *arg, unsigned flags)
{
	struct seen *s = arg;
	char c;

	s->flags = flags;
	s->calls++;
	if (flags & LOOP_READ)
		assert_int_equal(read(s->socket, &c, 1), 1);
	if (s->calls >= s->stop_at) {
		loop_fd_free(s->fd); /* its own object, inside its own callback */
		s->fd = NULL;
		loop_stop(s->loop);
	}
}

static void descriptor_is_level_triggered_and_may_go_in_its_callback(void **state)
{
	struct seen s = {.loop = loop_new(), .stop_at = 3};
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	s.socket = pair[0];
	s.fd = loop_fd_new(s.loop, pair[0], on_ready, &s);
	loop_fd_want(s.fd, LOOP_READ | LOOP_WRITE);
	loop_fd_want(s.fd, LOOP_READ);
	assert_int_equal(write(pair[1], "abc", 3), 3);
	loop_run(s.loop); /* one byte a call, three calls */
	assert_int_equal(s.calls, 3);
	assert_int_equal(s.flags, LOOP_READ);

	s.calls = 0;
	s.stop_at = 1;
	s.fd = loop_fd_new(s.loop, pair[0], on_ready, &s);
	loop_fd_want(s.fd, LOOP_WRITE);
	loop_run(s.loop);
	assert_int_equal(s.flags, LOOP_WRITE);
	(void)close(pair[0]);
	(void)close(pair[1]);
	loop_free(s.loop);
}

#define WAKERS 4
#define WAKES  20000
static atomic_uint published;

static void *wake_often(void *arg)
{
	for (unsigned i = 0; i < WAKES; i++) {
		(void)atomic_fetch_add(&published, 1);
		loop_wake_up(arg);
	}
	return NULL;
}

static void on_wake(void *arg)
{
	struct seen *s = arg;

	s->calls++;
	if (atomic_load(&published) == WAKERS * WAKES)
		loop_stop(s->loop);
}

static void no_wake_is_lost(void **state)
{
	struct seen s = {.loop = loop_new()};
	pthread_t threads[WAKERS];

	(void)state;
	s.wake = loop_wake_new(s.loop, on_wake, &s);
	for (int i = 0; i < WAKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wake_often, s.wake), 0);
	loop_run(s.loop); /* hangs (and the test times out) if the last wake is lost */
	assert_in_range(s.calls, 1, WAKERS * WAKES);
	for (int i = 0; i < WAKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	loop_wake_free(s.wake);
	loop_free(s.loop);
}

static void signal_arrives_on_the_loop(void **state)
{
	struct seen s = {.loop = loop_new(), .stop_at = 2};

	(void)state;
	loop_on_signal(s.loop, SIGUSR1, count, &s);
	assert_int_equal(raise(SIGUSR1), 0);
	s.stop_at = 1;
	loop_run(s.loop);
	assert_int_equal(s.calls, 1);
	loop_free(s.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deferred_calls_come_in_order_after_the_present_one),
		cmocka_unit_test(deferred_calls_never_made_are_freed_with_the_loop),
		cmocka_unit_test(timer_fires_once_and_not_early),
		cmocka_unit_test(timer_set_anew_moves_in_both_directions),
		cmocka_unit_test(timer_cleared_does_not_fire),
		cmocka_unit_test(descriptor_is_level_triggered_and_may_go_in_its_callback),
		cmocka_unit_test(no_wake_is_lost),
		cmocka_unit_test(signal_arrives_on_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The crash suite believes this disk; so what it forgets, and what not, is tested itself. */
#include "os/sim.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>

static int put(struct os *os, const char *path, const char *text, uint64_t at)
{
	int fd = os_open(os, path, O_RDWR | O_CREAT, 0600);
	struct iovec part = {(void *)(uintptr_t)text, strlen(text)};

	assert_true(fd >= 0);
	assert_true(os_write_all(os, fd, &part, 1, at));
	return fd;
}

static void expect(struct os *os, const char *path, const char *text)
{
	char got[64] = {0};
	int fd = os_open(os, path, O_RDONLY, 0);

	assert_true(fd >= 0);
	assert_int_equal(os_read_all(os, fd, got, sizeof got - 1, 0), strlen(text));
	assert_string_equal(got, text);
	(void)os_close(os, fd);
}

static void a_cut_drops_what_was_not_synced(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct os *os = os_sim_os(sim);
	int fd = put(os, "a", "one", 0);

	(void)state;
	assert_int_equal(os_datasync(os, fd), 0);
	os_sim_cut(sim, SIM_CUT_DROP); /* synced, but nameless */
	assert_int_equal(os_open(os, "a", O_RDONLY, 0), -1);
	assert_int_equal(errno, ENOENT);
	fd = put(os, "a", "one", 0);
	assert_int_equal(os_datasync(os, fd), 0);
	assert_int_equal(os_sync_dir(os, "."), 0);
	(void)put(os, "a", "two", 0);
	os_sim_kill(sim); /* the process only: the cache lives */
	expect(os, "a", "two");
	os_sim_cut(sim, SIM_CUT_DROP);
	expect(os, "a", "one");
	os_sim_free(sim);
}

static void a_failed_sync_loses_the_pages_and_then_lies(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct os *os = os_sim_os(sim);
	int fd = put(os, "a", "one", 0);

	(void)state;
	assert_int_equal(os_datasync(os, fd), 0);
	assert_int_equal(os_sync_dir(os, "."), 0);
	(void)os_close(os, fd);
	fd = put(os, "a", "two", 0);
	os_sim_plan(sim, os_sim_calls(sim) + 1, SIM_FAIL, EIO, false);
	assert_int_equal(os_datasync(os, fd), -1);
	assert_int_equal(os_datasync(os, fd), 0);
	expect(os, "a", "two");
	assert_int_equal(os_forget(os, fd), 0);
	expect(os, "a", "one");
	os_sim_free(sim);
}

static void renames_are_synced_with_their_folder(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct os *os = os_sim_os(sim);

	(void)state;
	assert_true(os_replace_file(os, "a", SPAN_LIT("one"), 0600));
	assert_true(os_replace_file(os, "a", SPAN_LIT("two"), 0600));
	os_sim_cut(sim, SIM_CUT_DROP);
	expect(os, "a", "two");
	assert_int_equal(os_rename(os, "a", "b"), 0);
	expect(os, "b", "two");
	os_sim_cut(sim, SIM_CUT_DROP);
	expect(os, "a", "two");
	os_sim_free(sim);
}

static void locks_go_with_the_process(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct os *os = os_sim_os(sim);
	int one = put(os, "a", "", 0), two = put(os, "a", "", 0);

	(void)state;
	assert_int_equal(os_lock(os, one), 0);
	assert_int_equal(os_lock(os, two), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	os_sim_kill(sim);
	two = put(os, "a", "", 0);
	assert_int_equal(os_lock(os, two), 0);
	os_sim_free(sim);
}

static void the_dead_change_nothing(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct os *os = os_sim_os(sim);

	(void)state;
	os_sim_plan(sim, 1, SIM_DIE, 0, false);
	assert_int_equal(os_mkdir(os, "a", 0700), -1);
	assert_true(os_sim_is_dead(sim));
	assert_int_equal(os_mkdir(os, "b", 0700), -1);
	os_sim_kill(sim);
	assert_int_equal(os_mkdir(os, "a", 0700), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(os_mkdir(os, "b", 0700), 0);
	os_sim_free(sim);
}

static void space_runs_out(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct os *os = os_sim_os(sim);
	struct iovec part = {(void *)(uintptr_t) "0123456789", 10};
	int fd;

	(void)state;
	os_sim_set_space(sim, 12);
	fd = put(os, "a", "0123456789", 0);
	assert_true(os_write_all(os, fd, &(struct iovec){part.iov_base, 10}, 1, 0)); /* in place */
	assert_false(os_write_all(os, fd, &(struct iovec){part.iov_base, 10}, 1, 10));
	assert_int_equal(errno, ENOSPC);
	expect(os, "a", "012345678901");
	os_sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_drops_what_was_not_synced),
		cmocka_unit_test(a_failed_sync_loses_the_pages_and_then_lies),
		cmocka_unit_test(renames_are_synced_with_their_folder),
		cmocka_unit_test(locks_go_with_the_process),
		cmocka_unit_test(the_dead_change_nothing),
		cmocka_unit_test(space_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

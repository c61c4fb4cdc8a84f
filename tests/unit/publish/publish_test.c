#include "publish/internal.h"
#include "publish/publish.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/os.h"

static char folder[] = "/tmp/holdfast-publish-XXXXXX";
static char path[64];

/* The real disk with a clock of our own. */
static uint64_t clock_us = 1000000;
static struct os_ops ops;
static struct os os = {&ops};

static uint64_t now(struct os *o)
{
	(void)o;
	return clock_us;
}

static int set_up(void **state)
{
	(void)state;
	ops = *os_real()->ops;
	ops.wall_us = now;
	ops.mono_us = now;
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(path, sizeof path, "%s/x.map", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(folder);
}

static void publish_three(uint32_t value, uint64_t valid_us)
{
	struct publish_writer *w = publish_begin();
	struct fault why = {0};

	publish_add(w, SPAN_LIT("b@x"), value);
	publish_add(w, SPAN_LIT("a@x"), 1);
	publish_add(w, SPAN_LIT("a@x"), 2);
	publish_add(w, SPAN_LIT("@x"), 3);
	assert_int_equal(publish_commit(w, &os, path, valid_us, &why), OK);
}

static void keys_are_found_until_the_file_expires(void **state)
{
	struct publish_view *v;
	uint32_t value = 99;

	(void)state;
	publish_three(7, 5000000);
	v = publish_open(&os, path);
	assert_true(publish_get(v, SPAN_LIT("a@x"), &value));
	assert_int_equal(value, 2);
	assert_true(publish_get(v, SPAN_LIT("b@x"), &value));
	assert_int_equal(value, 7);
	assert_true(publish_get(v, SPAN_LIT("@x"), &value));
	assert_false(publish_get(v, SPAN_LIT("c@x"), &value));
	assert_false(publish_get(v, SPAN_LIT(""), &value));
	assert_int_equal(value, 3);
	clock_us += 5000000;
	assert_false(publish_get(v, SPAN_LIT("a@x"), &value));
	assert_false(publish_is_fresh(v));
	publish_close(v);
}

static void newer_files_are_seen_within_a_second(void **state)
{
	struct publish_view *v = publish_open(&os, path);
	uint32_t value;

	(void)state;
	publish_three(7, 5000000);
	assert_true(publish_get(v, SPAN_LIT("b@x"), &value));
	clock_us += 1;
	publish_three(8, 5000000);
	assert_true(publish_get(v, SPAN_LIT("b@x"), &value));
	assert_int_equal(value, 7);
	clock_us += 1000000;
	assert_true(publish_get(v, SPAN_LIT("b@x"), &value));
	assert_int_equal(value, 8);
	publish_close(v);
}

static void damage_at_any_byte_is_seen_and_the_old_file_kept(void **state)
{
	unsigned char bytes[512], bad[512];
	struct publish_file file;
	struct publish_view *v;
	uint32_t value;
	ssize_t n;
	int fd;

	(void)state;
	publish_three(7, 5000000);
	v = publish_open(&os, path);
	assert_true(publish_is_fresh(v));
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	n = read(fd, bytes, sizeof bytes);
	assert_in_range(n, 48, sizeof bytes - 1);
	assert_true(publish_parse(span_of(bytes, (size_t)n), &file));
	for (ssize_t i = 0; i < n; i++) {
		memcpy(bad, bytes, (size_t)n);
		bad[i] ^= 1;
		assert_false(publish_parse(span_of(bad, (size_t)n), &file));
		assert_false(publish_parse(span_of(bytes, (size_t)i), &file));
	}
	assert_int_equal(pwrite(fd, "x", 1, 20), 1);
	(void)close(fd);
	clock_us += 1000000;
	assert_true(publish_get(v, SPAN_LIT("b@x"), &value));
	publish_close(v);
}

static void a_missing_file_is_not_known(void **state)
{
	struct publish_view *v = publish_open(&os, "/nowhere/x.map");
	uint32_t value;

	(void)state;
	assert_false(publish_get(v, SPAN_LIT("a@x"), &value));
	assert_false(publish_is_fresh(v));
	publish_close(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_found_until_the_file_expires),
		cmocka_unit_test(newer_files_are_seen_within_a_second),
		cmocka_unit_test(damage_at_any_byte_is_seen_and_the_old_file_kept),
		cmocka_unit_test(a_missing_file_is_not_known),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

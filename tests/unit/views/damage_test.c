/* D-09, the index part: a damaged database is noticed, thrown away and made anew from the records. */
#include "story.h"

#include <fcntl.h>

static struct story *a_story(void)
{
	struct story *s = story_new();

	story_site(s, "hq", "down");
	for (int i = 0; i < 300; i++)
		story_message(s, "hq", "s@far.example", 100, "a@x.example", NULL);
	return s;
}

static void path_of(char out[256], const char *dir, const char *file)
{
	char current[32] = "";
	FILE *f;

	snprintf(out, 256, "%s/views/current", dir);
	f = fopen(out, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%31s", current), 1);
	fclose(f);
	snprintf(out, 256, "%s/views/%s/%s", dir, current, file);
}

static void overwrite(const char *path, off_t at, size_t n)
{
	int fd = open(path, O_RDWR);
	unsigned char junk[4096];

	assert_true(fd >= 0);
	memset(junk, 0xa5, sizeof junk);
	for (size_t done = 0; done < n; done += sizeof junk)
		assert_int_equal(pwrite(fd, junk, sizeof junk, at + (off_t)done), sizeof junk);
	close(fd);
}

static void check_rebuilt(const char *dir, const struct story *s, const char *want)
{
	bool is_new;
	struct views *v = story_open(dir, &is_new);
	char *got;

	assert_true(is_new);
	assert_int_equal(views_next(v), 0);
	story_apply(s, v, s->n, 50);
	got = story_dump(v);
	assert_string_equal(got, want);
	free(got);
	views_close(v);
}

static void d_09_a_damaged_database_is_rebuilt(void **state)
{
	static const struct {
		off_t at;
		size_t n;
	} spots[] = {{0, 4096}, {4096, 4096}, {5 * 4096, 4096}, {12 * 4096, 8 * 4096}};

	(void)state;
	for (size_t i = 0; i < sizeof spots / sizeof *spots; i++) {
		struct story *s = a_story();
		char *dir = story_dir(), *want, path[256];
		struct views *v = story_open(dir, NULL);

		story_apply(s, v, s->n, 50);
		want = story_dump(v);
		views_close(v); /* checkpoints: all is in queue.db */
		path_of(path, dir, "queue.db");
		overwrite(path, spots[i].at, spots[i].n);
		check_rebuilt(dir, s, want);
		free(want);
		story_rm(dir);
		story_free(s);
	}
}

static void o_04_a_missing_database_is_rebuilt(void **state)
{
	struct story *s = a_story();
	char *dir = story_dir(), *want, path[256];
	struct views *v = story_open(dir, NULL);

	(void)state;
	story_apply(s, v, s->n, 50);
	want = story_dump(v);
	views_close(v);
	path_of(path, dir, "queue.db");
	assert_int_equal(unlink(path), 0);
	check_rebuilt(dir, s, want);
	free(want);
	story_rm(dir);
	story_free(s);
}

static void a_condemned_generation_is_not_found(void **state)
{
	struct story *s = a_story();
	char *dir = story_dir();
	struct views *v = story_open(dir, NULL);
	struct fault why;
	bool is_new;

	(void)state;
	story_apply(s, v, s->n, 50);
	views_close(v);
	views_condemn(os_real(), dir);
	assert_int_equal(views_open_read(dir, &v, &why), LATER);
	v = story_open(dir, &is_new);
	assert_true(is_new);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(d_09_a_damaged_database_is_rebuilt),
		cmocka_unit_test(o_04_a_missing_database_is_rebuilt),
		cmocka_unit_test(a_condemned_generation_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "os/faulty.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>

#include "os/sim.h"

static void errors_come_at_the_planned_calls(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct fault why;
	struct os *os;

	(void)state;
	assert_int_equal(
		os_faulty(os_sim_os(sim), "mkdir:2:ENOSPC:2,mkdir:5:EIO,mkdir:6:1000us", &os, &why),
		OK);
	for (unsigned i = 1; i <= 7; i++) {
		char path[2] = {(char)('a' + i), '\0'};
		int rc = os_mkdir(os, path, 0700), err = errno;

		assert_int_equal(rc, i == 2 || i == 3 || i == 5 ? -1 : 0);
		if (rc < 0)
			assert_int_equal(err, i == 5 ? EIO : ENOSPC);
	}
	os_sim_free(sim);
}

static void a_plan_that_makes_no_sense_is_refused(void **state)
{
	static const char *const rows[] = {
		"x", "mkdir", "mkdir:0:EIO", "mkdir:1:EWHAT", "mkdir:1:EIO:x", "mkdir:1:us"};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fault why;
		struct os *os;

		assert_int_equal(os_faulty(os_real(), rows[i], &os, &why), REFUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_come_at_the_planned_calls),
		cmocka_unit_test(a_plan_that_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* `holdfast status`: asks watch, auth and the views, and prints what report/status.h makes of it. */
#pragma once

#include "cli/cli.h"
#include "report/status.h"

/* What was asked, to be freed after the status has been printed. */
struct status_asked {
	json_t *live, *people;
	struct views *views;
};
/* False: not even the data directory is known (printed). */
bool status_ask(struct cli *c, struct status_asked *asked, struct report_status *out);
void status_asked_free(struct status_asked *asked);
void status_print(const struct cli *c, const struct report_status *s, struct buf *out);

/* False: nothing to say. *out_is_all: everybody could. */
bool status_people_line(const struct report_status *s, struct buf *out, bool *out_is_all);

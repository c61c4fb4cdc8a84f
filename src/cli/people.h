/* What commands about people and passwords share (people.c). */
#pragma once

#include "cli/cli.h"

/*
 * The first line of stdin with --password-stdin, else asked twice on the terminal. *out lives in the arena.
 * may_be_none: an empty one (or no terminal) is none. False: printed.
 */
bool cli_password(struct cli *c, bool may_be_none, struct span *out);
/* Asks auth and prints its answer; when there was none that is said, with the way out. Wipes and frees the request. */
int cli_people_do(struct cli *c, unsigned type, struct buf *body, unsigned timeout_ms);

struct msg_site;
enum cli_has { CLI_HAS, CLI_LACKS, CLI_UNKNOWN };
/* Is there a password of the site's master user? The running auth knows; else whoever may look below data (site.c). */
enum cli_has cli_site_has_password(struct cli *c, const char *data, const struct msg_site *site);

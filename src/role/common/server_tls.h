/*
 * The certificate of the roles that listen: read at start, on a reload of the configuration, and when its files have changed
 * (looked at now and then). Sessions keep the context they began with; a bad pair leaves the old one in service and is told
 * (T-10).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct role;
struct tls_context;

/*
 * Looks at the files of the configuration; with another content than *mark says (0: never looked) replaces *context. key_id:
 * tls_server_new's. without: what an operator is told when there is none ("STARTTLS is not offered"). True: *context is new.
 */
bool server_tls_load(struct role *r, const char *key_id, const char *without,
		     struct tls_context **context, uint32_t *mark);

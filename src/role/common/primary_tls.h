/*
 * TLS towards primaries, the same for all who speak with them: watch (probes), courier (mail), scout (call-ahead) and
 * `holdfast doctor`.
 *
 *   opportunistic  encrypts with whoever answers, whatever its certificate; against eavesdroppers only
 *   required       encrypts, and the certificate verifies for the primary's name or address as it stands in the
 *                  configuration: against the site's tls_ca, or the system's anchors if it names none
 *
 * Opened before the sandbox closes; the system's anchors are read then and stay until the process ends. Those of a site
 * come with the configuration, and so change with a reload. Anchors that cannot be read trust nobody (fail closed).
 */
#pragma once

#include "base/span.h"

struct msg_site;
struct sockaddr_storage;
struct primary_tls;
struct tls_context;

struct primary_tls *primary_tls_new(void);
void primary_tls_free(struct primary_tls *p); /* accepts NULL */
bool primary_tls_is_required(const struct msg_site *site);
/* A new reference, for tls_context_unref. p NULL: NULL. */
struct tls_context *primary_tls_for(struct primary_tls *p, const struct msg_site *site);
/* After a reload: forgets the anchors of sites. References given out stay good. */
void primary_tls_forget(struct primary_tls *p);

/* Loopback: where a password may go without TLS, whatever a name server says that "localhost" is. */
bool primary_is_here(const struct sockaddr_storage *to);

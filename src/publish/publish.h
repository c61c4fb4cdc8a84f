/*
 * Facts that one role publishes for another to look up without asking: an immutable file with an expiry, mapped
 * by the reader, replaced as a whole by the writer. Recipients (clerk), site states (watch). A stale or missing
 * file is "not known", never an error: the reader goes on without it (P2).
 *
 * Format (doc/formats/publish.md): header {magic 'HFpb', version, made_at, expires_at, count, CRC-32C of the rest},
 * then entries sorted by key: an index of (key offset, key length, value) and the keys. A file is valid when magic,
 * version, length and checksum are right.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"

struct os;
struct publish_writer;
struct publish_view;

struct publish_writer *publish_begin(void);
/* Any order; a key given twice keeps the last value. Keys are compared byte by byte: normalise before. */
void publish_add(struct publish_writer *w, struct span key, uint32_t value);
/* Writes and replaces path; frees w in any case. valid_us: how long readers may trust it. */
enum rc publish_commit(struct publish_writer *w, struct os *os, const char *path, uint64_t valid_us,
		       struct fault *why) MUST_USE;
void publish_abort(struct publish_writer *w);

/* Opens path when it exists; looks for a newer file at most once a second. Never fails. */
struct publish_view *publish_open(struct os *os, const char *path);
void publish_close(struct publish_view *v);
/* True when the file is there, valid and not expired at wall time now, and has the key. */
bool publish_get(struct publish_view *v, struct span key, uint32_t *out_value);
bool publish_is_fresh(struct publish_view *v);

/* recipients.map: key "local@domain" (domain lower case, A-labels; local part as normalised by mail/address.h),
 * or "@domain" for a catch-all. */
enum publish_recipient { RECIPIENT_UNKNOWN = 0, RECIPIENT_GOOD = 1, RECIPIENT_BAD = 2 };
/* sites.map: key = site name. Values of enum health_state in health/health.h.
 * limits.map: key "size SITE" (bytes, 0: none named) and "smtputf8 SITE" (1, 0), as the primaries' EHLO said last. */

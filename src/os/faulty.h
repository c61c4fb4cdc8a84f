/*
 * The real system with injected errors, for tests of whole processes. Thread-safe.
 *
 *   datasync:3:EIO            the third datasync fails
 *   pwritev:5:ENOSPC:2        the fifth and sixth
 *   datasync:1:5000000us      the first takes five seconds more, then succeeds
 *
 * several joined by commas. Calls: open pread pwritev datasync sync_dir truncate rename unlink mkdir.
 */
#pragma once

#include "base/fault.h"
#include "os/os.h"

/* below: what carries the calls out. plan lives for the call. One at a time in a process. REFUSED: bad plan. */
enum rc os_faulty(struct os *below, const char *plan, struct os **out, struct fault *why) MUST_USE;

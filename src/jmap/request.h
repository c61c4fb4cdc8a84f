/* Reading a request (RFC 8620 s3.3), before anything of it is done. */
#pragma once

#include "jmap/internal.h"

/* False: j->status and j->out say why. */
bool jmap_request_read(struct jmap *j, const struct jmap_request *request);

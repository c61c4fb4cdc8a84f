/* Errors of the whole request (RFC 8620 s3.6.1, RFC 7807). */
#include "jmap/internal.h"

void jmap_problem(unsigned status, const char *type, const char *detail, const char *limit,
		  struct buf *out)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "type", json_string(type));
	(void)json_object_set_new(o, "status", json_integer((json_int_t)status));
	(void)json_object_set_new(o, "detail", json_string(detail));
	if (limit[0])
		(void)json_object_set_new(o, "limit", json_string(limit));
	jmap_print(o, out);
	json_decref(o);
}

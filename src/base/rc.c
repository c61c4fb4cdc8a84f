#include "base/rc.h"

#include <errno.h>

const char *rc_name(enum rc rc)
{
	switch (rc) {
	case OK:
		return "ok";
	case MORE:
		return "more";
	case EXISTS:
		return "exists";
	case REFUSED:
		return "refused";
	case LATER:
		return "later";
	case BROKEN:
		return "broken";
	case UNSURE:
		return "unsure";
	}
	return "?";
}

enum rc errno_rc(int err)
{
	switch (err) {
	case 0:
		return OK;
	case EEXIST:
		return EXISTS;
	case EAGAIN:
	case EINTR:
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EBUSY:
	case ETIMEDOUT:
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return LATER;
	case ENOENT:
	case EACCES:
	case EPERM:
	case ENOTDIR:
	case ENAMETOOLONG:
		return REFUSED;
	default:
		return BROKEN;
	}
}

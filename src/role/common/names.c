#include "base/must.h"
#include "role/common/role.h"

const char *role_name(enum role_id id)
{
	switch (id) {
	case ROLE_NONE:
		return "none";
	case ROLE_EDGE:
		return "edge";
	case ROLE_SCOUT:
		return "scout";
	case ROLE_SEQUENCER:
		return "sequencer";
	case ROLE_CLERK:
		return "clerk";
	case ROLE_COURIER:
		return "courier";
	case ROLE_WATCH:
		return "watch";
	case ROLE_DESK:
		return "desk";
	case ROLE_AUTH:
		return "auth";
	case ROLE_SUBMISSION:
		return "submission";
	case ROLE_INDEXER:
		return "indexer";
	case ROLE_CONSOLE:
		return "console";
	}
	return "?";
}

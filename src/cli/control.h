/* The command line's end of data/run/control.sock (watch) and people.sock (auth): one question, one answer, blocking,
 * with a deadline. */
#pragma once

#include "cli/cli.h"

/*
 * Connects, sends one frame, and waits for one of the answer's type. *out_body lives in the arena of c. REFUSED: watch is
 * not there, or may not be asked by us (why is a sentence that says what to do). LATER: no answer in time. BROKEN: an
 * answer that makes no sense.
 */
enum rc control_ask(struct cli *c, const char *data, unsigned type, struct span body,
		    unsigned answer_type, unsigned timeout_ms, struct span *out_body,
		    struct fault *why) MUST_USE;

struct msg_control_answer;
/* The same for commands that are answered by ControlAnswer. False: printed. *out lives in the arena. */
bool control_do(struct cli *c, const char *data, unsigned type, struct span body,
		unsigned timeout_ms, struct msg_control_answer *out);

struct msg_people_answer;
/* Of auth, over people.sock. As control_ask; *out lives in the arena. */
enum rc people_ask(struct cli *c, const char *data, unsigned type, struct span body,
		   unsigned timeout_ms, struct msg_people_answer *out, struct fault *why) MUST_USE;

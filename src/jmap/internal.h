/*
 * The inside of the JMAP engine. A request is worked off by jmap.c: it parses, checks limits, resolves references
 * (reference.c), and runs the calls one after another. A method is a machine of its own, found in methods.c:
 *
 *   begin   reads the arguments into c->data (from c->arena). False: jmap_fail was called.
 *   step    does a little of the work and says what is next. It returns
 *             JMAP_AGAIN                 more to do
 *             JMAP_ACT                   jmap_ask_act was called; step is called again when c->got says the answer
 *             JMAP_MESSAGE_BEGIN         c->message is filled (jmap_ask_message); step is called again at once
 *             JMAP_MESSAGE_PIECE         c->piece lives until the next step
 *             JMAP_MESSAGE_END           as JMAP_ACT
 *             JMAP_MESSAGE_DROP          forgets it; step is called again at once
 *             JMAP_DONE                  c->answer is complete, or jmap_fail was called
 *           When c->got.kind is set while pieces go out, the host has refused the message: no END, no DROP.
 *   end     closes what is open; called once after begin, however the call ends. May be NULL.
 *
 * Values of JSON that stand in c->answer belong to it. json_t that a method makes and keeps elsewhere it gives back in end.
 */
#pragma once

#include <jansson.h>

#include "base/arena.h"
#include "jmap/jmap.h"

enum jmap_can_FLAGS { /* capabilities a request uses */
		      JMAP_CAN_CORE = 1,
		      JMAP_CAN_MAIL = 2,
		      JMAP_CAN_SUBMISSION = 4,
};

enum {
	JMAP_PROPERTIES_LIMIT = 60,
	JMAP_PARTS_LIMIT =
		2000, /* shown of a message; what is behind is there as a whole, in its blob */
	JMAP_ID_BYTES = 255, /* RFC 8620 s1.2 */
	JMAP_JSON_DEPTH = 64,
	JMAP_JSON_VALUES = 300000,	/* of a request: each costs the parser some 100 bytes */
	JMAP_ANSWER_BYTES = 16 << 20,	/* of one call, about */
	JMAP_RESPONSE_BYTES = 64 << 20, /* of all calls: what does not fit any more is refused */
	JMAP_REFERENCES_MOST = 8,	/* of a call: each may copy a long array */
	JMAP_STEP_BYTES = 256 << 10,	/* of messages read in one step */
};

#define JMAP_INT_MOST ((int64_t)9007199254740991) /* RFC 8620 s1.3: 2^53 - 1 */

struct jmap_call;

struct jmap_method {
	const char *name;
	unsigned can; /* what of `using` it needs */
	bool (*begin)(struct jmap_call *c);
	enum jmap_step (*step)(struct jmap_call *c);
	void (*end)(struct jmap_call *c);
};

struct jmap_got { /* what the host answered */
	enum { JMAP_GOT_NOTHING, JMAP_GOT_VERDICT, JMAP_GOT_SUBMITTED, JMAP_GOT_LOST } kind;
	struct mail_verdict verdict; /* copied into the call's arena, like all below */
	struct jmap_submitted submitted;
	bool is_sure; /* of LOST */
	struct span text;
};

struct jmap_call {
	struct jmap *j;
	const struct jmap_method *method;
	const char *id;	    /* the client's */
	json_t *args;	    /* references are resolved */
	json_t *answer;	    /* an object, with accountId in it, for the method to fill */
	json_t *error;	    /* by jmap_fail */
	struct arena arena; /* everything of the call */
	void *data;	    /* the method's */

	struct jmap_got got; /* cleared by jmap_ask_act and jmap_ask_message */
	struct span piece;
	struct jmap_message message;
	struct mail_act act;
	struct jmap_ask ask;
};

/* A call that a call made. */
struct jmap_after {
	struct jmap_after *next;
	const struct jmap_method *method;
	json_t *args;
};

struct jmap {
	const struct jmap_service *service;
	const struct jmap_person *person;
	uint64_t now_us;
	unsigned char random[16];
	unsigned using; /* JMAP_CAN_... */
	json_t *request;
	json_t *calls;	 /* in it */
	json_t *created; /* creation id -> id */
	bool tells_created;
	size_t at; /* which call */
	/* By index of the call: [name, arguments] of its first answer, when later calls name it; else NULL. */
	json_t **kept;
	bool *is_named;
	size_t calls_n;
	bool is_running; /* call is begun */
	struct jmap_call call;
	struct jmap_after *after; /* what the call made (RFC 8621 s7.5), in order; ours */
	bool is_waiting;
	uint64_t last_ask;
	struct buf out;
	unsigned status;
	bool is_done, has_begun, has_answer; /* something stands in methodResponses */
};

/* ---- what a method says ---- */

/* The call ends with this error (RFC 8620 s3.6.2); returns false. */
bool jmap_fail(struct jmap_call *c, const char *type, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same for a read of the store that went wrong: serverUnavailable or serverFail. */
bool jmap_store_failed(struct jmap_call *c, enum rc rc, const struct fault *why);
/* As jmap_fail, of invalidArguments, and names the argument. */
bool jmap_bad_argument(struct jmap_call *c, const char *name, const char *why);

enum jmap_step jmap_ask_act(struct jmap_call *c,
			    const struct mail_act *act); /* borrows act's words */
enum jmap_step jmap_ask_message(struct jmap_call *c,
				const struct jmap_message *m); /* id is given here */
/* A call of another method follows, with the same id (onSuccessUpdateEmail). Steals args. */
void jmap_call_after(struct jmap_call *c, const char *method, json_t *args);

/* ---- arguments ---- */

/* All arguments are among these (blanks between), accountId beside them. */
bool jmap_args_known(struct jmap_call *c, const char *names);
/* Absent or null: *out as it was. Of another type or out of range: invalidArguments. */
bool jmap_arg_uint(struct jmap_call *c, const char *name, uint64_t *out);
bool jmap_arg_int(struct jmap_call *c, const char *name, int64_t *out);
bool jmap_arg_bool(struct jmap_call *c, const char *name, bool *out);
bool jmap_arg_text(struct jmap_call *c, const char *name, struct span *out);
/* Array of strings or null (*out NULL); borrowed from c->args. */
bool jmap_arg_texts(struct jmap_call *c, const char *name, json_t **out);
bool jmap_arg_object(struct jmap_call *c, const char *name, json_t **out);
bool jmap_arg_ids(struct jmap_call *c, const char *name, json_t **out); /* Id[]|null */
/* What all Comparators have (RFC 8620 s5.5); sort.c. False: the call has failed. */
bool jmap_comparator_read(struct jmap_call *c, const json_t *json, struct span *out_property,
			  bool *out_is_down, bool *out_is_ascii);
/* ids and properties of a /get; requestTooLarge beyond maxObjectsInGet. *out NULL: all. known: names with blanks. */
bool jmap_get_ids(struct jmap_call *c, bool allows_all, json_t **out);
bool jmap_get_properties(struct jmap_call *c, const char *known, json_t **out);
json_t *jmap_unique(const json_t *ids);		       /* a new array, each once */
void jmap_print(const json_t *value, struct buf *out); /* JSON text, without blanks */
/* False: it would be more than so many bytes; nothing was appended. */
bool jmap_print_within(const json_t *value, size_t most, struct buf *out);
/* What a value costs as text and in memory, about; not looked at any more once it is above most. */
size_t jmap_weight(const json_t *value, size_t most);
struct span jmap_text(const json_t *string); /* SPAN_NONE: is none */
json_t *jmap_json_text(struct span text);    /* must be UTF-8; else replaced by what is */
/* RFC 8620 s1.2 */
bool jmap_is_id(struct span text);
/* "2014-10-30T06:12:00Z"; UTC only. False: no UTCDate. */
bool jmap_utc_read(struct span text, uint64_t *out_us);
json_t *jmap_utc(uint64_t us);
json_t *jmap_date(uint64_t us, int zone_min); /* Date */
void jmap_calendar(uint64_t us, int *out_year, int *out_month, int *out_day);
bool jmap_date_read(struct span text, uint64_t *out_us, int *out_zone_min); /* Date, any zone */

/* ---- ids and states ---- */

json_t *jmap_email_id(uint64_t number, enum mail_form form);
json_t *jmap_box_id(uint64_t box);
json_t *jmap_thread_id(uint64_t thread);
json_t *jmap_state_id(uint64_t state);
bool jmap_email_of(struct span id, struct mail_email_id *out); /* false: can be no id of ours */
bool jmap_box_of(struct span id, uint64_t *out);
bool jmap_thread_of(struct span id, uint64_t *out);
bool jmap_state_of(struct span id, uint64_t *out);
/* "#k" becomes the id that creation k got; others stay. SPAN_NONE: k made nothing. */
struct span jmap_resolved(const struct jmap_call *c, struct span id);
void jmap_created(struct jmap_call *c, const char *creation_id, struct span id);

bool jmap_state(struct jmap_call *c, struct mail_state *out); /* fails the call */
/* SetError (RFC 8620 s5.3). properties: names with blanks between, or NULL. */
json_t *jmap_set_error(const char *type, const char *properties, const char *format, ...)
	PRINTF_LIKE(3, 4);
/* The properties of a patch or an object are all among these. */
bool jmap_has_name(const char *names, struct span name);

/* ---- how a message looks as an Email (RFC 8621 s4.1); Email/get and Email/parse ---- */

struct jmap_want; /* which properties */
/* properties, bodyProperties, fetch*BodyValues, maxBodyValueBytes. defaults: names with blanks between. NULL: failed. */
struct jmap_want *jmap_want_read(struct jmap_call *c, const char *defaults);
bool jmap_wants(const struct jmap_want *w, const char *property);
bool jmap_want_is_deep(
	const struct jmap_want *w); /* something of it is known from the message's bytes alone */

struct jmap_view; /* one message being read */
/* blob: its id, in front of the ids of its parts; copied. is_alone: it makes preview and hasAttachment itself, because no
 * store has them (Email/parse). NULL: no memory. */
struct jmap_view *jmap_view_new(const struct jmap_want *w, struct span blob, bool is_alone);
void jmap_view_feed(struct jmap_view *v, struct span piece);
bool jmap_view_has_enough(const struct jmap_view *v); /* the rest of the message is not needed */
/* The message has ended: adds what was wanted to *email. False: no memory. */
bool jmap_view_end(struct jmap_view *v, json_t *email);
void jmap_view_free(struct jmap_view *v);	  /* accepts NULL */
size_t jmap_view_cost(const struct jmap_view *v); /* bytes it adds to the answer, about */
void jmap_put_digest(const struct jmap_want *w, const struct mail_digest *d, json_t *email);

/* State of Identity: of what can be sent as, and of the settings. */
enum rc jmap_identity_state(const struct jmap_person *person, uint64_t *out,
			    struct fault *why) MUST_USE;
unsigned jmap_can_named(const struct jmap_service *service, struct span name); /* 0: not offered */
void jmap_session_state(const struct jmap_service *service, const struct jmap_person *person,
			struct buf *out);

/* ---- methods: each in the file of its name; methods.c lists them ---- */

const struct jmap_method *jmap_method_named(struct span name);

extern const struct jmap_method jmap_core_echo, jmap_mailbox_get, jmap_mailbox_query,
	jmap_mailbox_changes, jmap_mailbox_query_changes, jmap_email_get, jmap_email_query,
	jmap_email_changes, jmap_email_query_changes, jmap_thread_get, jmap_thread_changes,
	jmap_snippet_get, jmap_email_set, jmap_email_import, jmap_email_parse, jmap_email_copy,
	jmap_blob_copy, jmap_push_get, jmap_push_set, jmap_identity_get, jmap_identity_changes,
	jmap_identity_set, jmap_submission_set, jmap_submission_get, jmap_submission_changes,
	jmap_submission_query, jmap_submission_query_changes, jmap_mailbox_set;

-- Views of the queue. Everything here follows from the ordered records of the ledger and may be deleted.
-- Times are microseconds of the wall clock, as recorded. Numbers are order numbers. States: queue/match.h.
-- A change of anything below raises VIEWS_SCHEMA in internal.h: databases of another version are rebuilt.

-- One row: what has been applied. Written in the transaction of what it covers.
CREATE TABLE progress (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	next INTEGER NOT NULL,
	newest_us INTEGER NOT NULL
);
INSERT INTO progress VALUES (1, 0, 0);

-- Per lane, the sequence number of the last record applied.
CREATE TABLE lane (lane_id INTEGER PRIMARY KEY, seq INTEGER NOT NULL);

-- Senders and recipients once each; rows elsewhere hold the number. '' is the null sender. base: of recipients, lower
-- case without the detail: how mail that came before its account is found.
CREATE TABLE address (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, base TEXT);
CREATE INDEX address_base ON address (base) WHERE base IS NOT NULL;

-- Sites, hosts mail was redirected to (kind 1), the place for mail that no site takes (kind 2, name ''), and domains
-- of the world (kind 3, "world:DOMAIN"): each its own queue, so that none waits for another.
-- Counters stand here so that nothing has to be counted. o_*: the present or last outage, what the receipt says.
CREATE TABLE site (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	kind INTEGER NOT NULL,
	phase INTEGER NOT NULL,
	state TEXT NOT NULL,
	since_us INTEGER NOT NULL,
	reason TEXT NOT NULL,
	stopped TEXT NOT NULL,
	up_us INTEGER NOT NULL,
	up_number INTEGER NOT NULL,     -- order number of the last `up`; mail from there on is live
	ready INTEGER NOT NULL,
	offered INTEGER NOT NULL,
	deferred INTEGER NOT NULL,
	decide INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	done INTEGER NOT NULL,
	o_open INTEGER NOT NULL,
	o_began_us INTEGER NOT NULL,
	o_began_number INTEGER NOT NULL,
	o_total INTEGER NOT NULL,
	o_handed INTEGER NOT NULL,
	o_unsure INTEGER NOT NULL,
	o_decide INTEGER NOT NULL,
	o_deferred INTEGER NOT NULL,
	o_returned INTEGER NOT NULL,
	o_discarded INTEGER NOT NULL,
	o_receipt TEXT NOT NULL
);
-- What is looked at; destinations of the world keep their row, and their id, when nothing is open there.
CREATE INDEX site_open ON site (kind, name) WHERE kind IN (0, 2) OR ready + offered + deferred + decide > 0;

-- Which site takes a domain, and an operator's hold on the domain alone ('' on off).
CREATE TABLE domain (
	name TEXT PRIMARY KEY,
	site TEXT NOT NULL,
	hold TEXT NOT NULL,
	hold_until_us INTEGER NOT NULL
) WITHOUT ROWID;

-- One row a message. key: the first 60 bits of the id. facts: MessageMeta without recipients and trace.
CREATE TABLE message (
	number INTEGER PRIMARY KEY,
	key INTEGER NOT NULL,
	lane_id INTEGER NOT NULL,
	segment INTEGER NOT NULL,
	offset INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	received_us INTEGER NOT NULL,
	sender INTEGER NOT NULL,
	trace_bytes INTEGER NOT NULL,
	facts BLOB NOT NULL
);

-- Messages by id. Ids are random, so a row a message would touch a page a message: rows come sorted, many at a time, and
-- those from `upto` on are looked for in `message`. A view of a view; not part of what a rebuild must reproduce.
CREATE TABLE id_index (key INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (key, number)) WITHOUT ROWID;
CREATE TABLE id_index_upto (one INTEGER PRIMARY KEY CHECK (one = 1), upto INTEGER NOT NULL);
INSERT INTO id_index_upto VALUES (1, 0);

-- A delivery: one recipient of one message, not finished.
CREATE TABLE delivery (
	number INTEGER NOT NULL,
	rcpt INTEGER NOT NULL,
	site INTEGER NOT NULL,
	addr INTEGER NOT NULL,          -- whose mailbox: where it goes
	state INTEGER NOT NULL,
	known INTEGER NOT NULL,         -- enum publish_recipient at reception
	notify INTEGER NOT NULL,
	orcpt TEXT,
	next_us INTEGER NOT NULL,       -- deferred: when to try again
	tries INTEGER NOT NULL,
	unsure INTEGER NOT NULL,        -- times its answer was lost
	count_from_us INTEGER NOT NULL, -- refusals before this were forgiven by an operator
	lane INTEGER NOT NULL,          -- offered: lane and lease of the INTENT
	lease INTEGER NOT NULL,
	was INTEGER,                    -- redirected: the address it was for
	why TEXT,
	PRIMARY KEY (number, rcpt)
) WITHOUT ROWID;
-- Oldest first over the site; oldest first within a mailbox; due retries; the decision list; what was offered by whom.
CREATE INDEX delivery_ready ON delivery (site, number, rcpt, addr) WHERE state = 0;
CREATE INDEX delivery_mailbox ON delivery (site, addr, number, rcpt) WHERE state = 0;
CREATE INDEX delivery_offered ON delivery (lane, number, rcpt) WHERE state = 1;
CREATE INDEX delivery_deferred ON delivery (site, next_us) WHERE state = 2;
CREATE INDEX delivery_decide ON delivery (site, number) WHERE state = 3;

-- Finished deliveries.
CREATE TABLE done (
	number INTEGER NOT NULL,
	rcpt INTEGER NOT NULL,
	site INTEGER NOT NULL,
	addr INTEGER NOT NULL,
	state INTEGER NOT NULL,
	at_us INTEGER NOT NULL,
	tries INTEGER NOT NULL,
	unsure INTEGER NOT NULL,
	was INTEGER,
	why TEXT,
	PRIMARY KEY (number, rcpt)
) WITHOUT ROWID;

-- Every try: record is twice the order number of the OUTCOME and one, or twice that of what showed an answer lost.
CREATE TABLE attempt (
	number INTEGER NOT NULL,
	rcpt INTEGER NOT NULL,
	record INTEGER NOT NULL,
	at_us INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	disposition INTEGER NOT NULL,
	code INTEGER NOT NULL,
	enhanced TEXT NOT NULL,
	text TEXT NOT NULL,
	queue_id TEXT NOT NULL,
	host TEXT NOT NULL,
	stage TEXT NOT NULL,
	courier TEXT NOT NULL,
	PRIMARY KEY (number, rcpt, record)
) WITHOUT ROWID;

-- Deliveries whose answer was lost. began: o_began_number of the outage whose receipt names them; -1: never held.
CREATE TABLE unsure (
	site INTEGER NOT NULL,
	began INTEGER NOT NULL,
	number INTEGER NOT NULL,
	rcpt INTEGER NOT NULL,
	PRIMARY KEY (site, began, number, rcpt)
) WITHOUT ROWID;

-- ACT records (line 0) and what was computed from a record (lines 1 and up).
CREATE TABLE history (
	number INTEGER NOT NULL,
	line INTEGER NOT NULL,
	at_us INTEGER NOT NULL,
	id TEXT NOT NULL,
	verb TEXT NOT NULL,
	object TEXT NOT NULL,
	argument TEXT NOT NULL,
	reason TEXT NOT NULL,
	actor TEXT NOT NULL,
	class TEXT NOT NULL,
	until_us INTEGER NOT NULL,
	confidence INTEGER NOT NULL,
	judged INTEGER NOT NULL,
	ok INTEGER NOT NULL,
	count INTEGER NOT NULL,
	result TEXT NOT NULL,
	PRIMARY KEY (number, line)
) WITHOUT ROWID;
CREATE INDEX history_id ON history (id) WHERE id != '';

-- Who is known: listed (source 1) by the configuration, learned (source 2). verdict: enum publish_recipient.
CREATE TABLE recipient (
	key TEXT NOT NULL,              -- local@domain or @domain
	source INTEGER NOT NULL,
	scope TEXT NOT NULL,
	verdict INTEGER NOT NULL,
	PRIMARY KEY (key, source)
) WITHOUT ROWID;
CREATE INDEX recipient_scope ON recipient (scope, source);

-- Further facts of DIRECTORY records: kinds site, limits and what may come.
CREATE TABLE fact (
	kind TEXT NOT NULL,
	scope TEXT NOT NULL,
	key TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (kind, scope, key)
) WITHOUT ROWID;

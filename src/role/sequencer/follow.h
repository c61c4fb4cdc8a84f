/*
 * Numbers records: follows every lane up to its durable end and appends what is new to the order. No loop and no
 * links: main.c tells it of durable positions and of time passing; tests do the same.
 *
 *   Q1  Only records below a durable position, told by the lane's writer or found by recovery, get numbers (L8).
 *   Q2  Each lane's records get their numbers in lane order, each once: the order itself says where to go on.
 *   Q3  Damage is reported and stepped over; a lane that cannot be read holds up no other lane.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"

struct follow;
struct order;
struct os;
struct lane_position;

enum rc follow_open(struct os *os, const char *ledger_dir, struct follow **out,
		    struct fault *why) MUST_USE;
void follow_close(struct follow *f); /* accepts NULL */

/* Recovers every lane that no writer holds and that nobody has told us of. True: some are held still, ask again. */
bool follow_recover(struct follow *f);
/* A writer says so. False: it cannot be true (no such name, or a position before one told earlier is just old: true). */
bool follow_durable(struct follow *f, struct span lane, const struct lane_position *at) MUST_USE;
/* The lane's writer is gone: its end is for recovery to find. prefix: "edge-0" means "edge-0", "edge-0.2" ... */
void follow_forget(struct follow *f, struct span prefix);

/* Numbers one batch of at most max records. OK: *out_n were numbered (0: nothing was new). Else the order failed. */
enum rc follow_step(struct follow *f, size_t max, size_t *out_n, struct fault *why) MUST_USE;
struct order *follow_order(struct follow *f);
unsigned long long follow_newest_us(
	const struct follow *f); /* received_us of the last record numbered; 0: none */
unsigned long long follow_damage_bytes(const struct follow *f);

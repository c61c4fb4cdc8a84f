/*
 * Time-based one-time codes (RFC 6238): SHA-1, 6 digits, steps of 30 s, as all applications know them.
 *
 *   A8  A code is good once: the step that was used is kept, and only later ones pass (RFC 6238 s5.2, H-19). One step
 *       early or late is taken, for clocks that are off.
 */
#pragma once

#include "base/buf.h"

enum { TOTP_SECRET_BYTES = 20, TOTP_DIGITS = 6, TOTP_STEP_S = 30 };

/* The code of a step as a number. */
uint32_t totp_code(const unsigned char secret[TOTP_SECRET_BYTES], uint64_t step);
/* True: *last_step becomes the step it was for. */
bool totp_verify(const unsigned char secret[TOTP_SECRET_BYTES], struct span code, uint64_t now_s,
		 uint64_t *last_step);
/* "otpauth://totp/Holdfast:anna@example.com?secret=..." for applications. */
void totp_uri(const unsigned char secret[TOTP_SECRET_BYTES], struct span account, struct buf *out);

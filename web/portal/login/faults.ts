import * as api from "../../common/api";
import type { PortalTexts } from "../../common/i18n";

export const PASSWORD_LEAST = 15; // NIST SP 800-63B-4: a password that stands alone

/** What went wrong, in a sentence: no connection, too many tries, not now, or that what was typed is not right. */
export function why(e: unknown, t: PortalTexts, wrong: string): string {
	if (e instanceof api.OfflineError) return t.app.noAnswer;
	if (!(e instanceof api.ApiError)) return t.app.failed;
	if (e.status === 429) return t.app.wait(Math.max(1, e.retryAfter));
	if (e.status >= 500) return t.login.unavailable;
	if (e.type === "ticket") return t.login.expired;
	if (e.type === "new-password") return t.login.newRefused;
	return wrong;
}

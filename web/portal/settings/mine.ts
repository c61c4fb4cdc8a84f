/* What the server says of one's own account (POST /api/me/show and /sessions), kept while the settings are open. */
import * as api from "../../common/api";
import { Cell } from "../../common/cell";
import { toast } from "../../common/components/toast";
import { texts } from "../../common/i18n";

export type AppPassword = { name: string; made_us: number };
export type Mine = {
	account: string;
	name: string;
	/** own: chosen here; kept: the usual server's; "": none yet. */
	password: "own" | "kept" | "";
	app_passwords: AppPassword[];
	totp: boolean;
	recovery_codes: number;
	admin: boolean;
	consent: boolean;
	password_of_primary: boolean;
};
export type SessionLine = { id: string; use: string; source: string; agent: string; made_us: number; used_us: number; until_us: number; is_this: boolean };

export const mine = new Cell<Mine | null>(null);
export const sessions = new Cell<SessionLine[] | null>(null);

export async function loadMine(): Promise<void> {
	try {
		const [m, s] = await Promise.all([api.order<Mine>("show"), api.order<{ sessions: SessionLine[] }>("sessions")]);
		mine.value = m;
		sessions.value = s.sessions;
	} catch {
		if (!mine.value) toast(texts().settings.loadFailed, { bad: true, action: { label: texts().app.retry, run: () => void loadMine() } });
	}
}

export const isoOf = (us: number) => new Date(us / 1000).toISOString();

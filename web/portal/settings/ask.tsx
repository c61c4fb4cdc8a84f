/* Asks for the password again before what would help a thief; says what an order was refused for. */
import { useState } from "preact/hooks";
import * as api from "../../common/api";
import { Cell, useCell } from "../../common/cell";
import { Button } from "../../common/components/button";
import { Dialog } from "../../common/components/dialog";
import { PasswordField } from "../../common/components/field";
import { toast } from "../../common/components/toast";
import { texts, useTexts } from "../../common/i18n";

type Asked = { run: (password: string) => Promise<unknown>; done: (r: unknown) => void };
const asked = new Cell<Asked | null>(null);

/** Runs an order with the password that is asked for; again until it is right. null: the person thought better of it, or was told what is wrong. */
export function withPassword<T>(run: (password: string) => Promise<T>): Promise<T | null> {
	return new Promise((resolve) => {
		asked.value?.done(null);
		asked.value = { run, done: (r) => resolve(r as T | null) };
	});
}

export function AskPassword() {
	const t = useTexts();
	const q = useCell(asked);
	const [password, setPassword] = useState("");
	const [fault, setFault] = useState("");
	const [busy, setBusy] = useState(false);
	if (!q) return null;
	const end = (r: unknown) => {
		asked.value = null;
		setPassword("");
		setFault("");
		q.done(r);
	};
	const submit = async () => {
		setBusy(true);
		setFault("");
		try {
			end(await q.run(password));
		} catch (e) {
			if (isPassword(e) || !(e instanceof api.ApiError) || e.temporary) setFault(orderFault(e));
			else {
				toast(orderFault(e), { bad: true });
				end(null);
			}
		} finally {
			setBusy(false);
		}
	};
	return (
		<Dialog title={t.settings.ask} closeLabel={t.app.cancel} onClose={() => end(null)}>
			<form class="stack" onSubmit={(e) => { e.preventDefault(); if (!busy) void submit(); }}>
				<p>{t.settings.askText}</p>
				<PasswordField label={t.settings.presentPassword} autocomplete="current-password" value={password} onValue={setPassword} show={t.login.show} fault={fault} autofocus />
				<Button type="submit" kind="main" busy={busy}>{t.settings.goOn}</Button>
			</form>
		</Dialog>
	);
}

const isPassword = (e: unknown) => e instanceof api.ApiError && (e.type === "password" || (e.status === 403 && e.type !== "code"));

/** In a sentence, why an order of one's own was refused. */
export function orderFault(e: unknown): string {
	const t = texts();
	if (e instanceof api.OfflineError) return t.app.noAnswer;
	if (!(e instanceof api.ApiError)) return t.app.failed;
	if (e.status === 429) return t.app.wait(Math.max(1, e.retryAfter));
	const said: Record<string, string> = { password: t.settings.wrongPassword, code: t.settings.wrongCode, name: t.settings.nameTaken, limit: t.settings.limit, machine: t.settings.machine,
		admin: t.settings.needsFactor, "new-password": t.login.newRefused, later: t.settings.notNow, primary: t.settings.primaryPassword };
	return said[e.type] ?? (e.status === 403 ? t.settings.wrongPassword : e.status >= 500 ? t.settings.notNow : t.app.failed);
}

import { useEffect, useState } from "preact/hooks";
import * as api from "../../common/api";
import { useCell } from "../../common/cell";
import { Button } from "../../common/components/button";
import { PasswordField } from "../../common/components/field";
import { toast } from "../../common/components/toast";
import { useTexts } from "../../common/i18n";
import { PASSWORD_LEAST } from "../login/faults";
import { login } from "../session";
import { orderFault } from "./ask";
import { loadMine, mine } from "./mine";
import { Part } from "./settings";

export function Password() {
	const t = useTexts();
	const m = useCell(mine);
	const me = useCell(login);
	const [present, setPresent] = useState("");
	const [next, setNext] = useState("");
	const [fault, setFault] = useState<{ where: "present" | "next"; text: string } | null>(null);
	const [busy, setBusy] = useState(false);
	useEffect(() => { void loadMine(); }, []);
	const submit = async () => {
		setFault(null);
		if ([...next].length < (m?.totp ? 8 : PASSWORD_LEAST)) return setFault({ where: "next", text: t.login.tooShort });
		setBusy(true);
		try {
			await api.order("password", { password: present, new_password: next });
			setPresent("");
			setNext("");
			toast(t.settings.changed);
			void loadMine();
		} catch (e) {
			const isNew = e instanceof api.ApiError && e.type === "new-password";
			setFault({ where: isNew ? "next" : "present", text: orderFault(e) });
		} finally {
			setBusy(false);
		}
	};
	if (m?.password_of_primary) return <Part id="password" title={t.settings.password}><p>{t.settings.primaryPassword}</p></Part>;
	return (
		<Part id="password" title={t.settings.password} text={t.settings.passwordText}>
			<form class="stack" onSubmit={(e) => { e.preventDefault(); if (!busy) void submit(); }}>
				<input type="email" class="sr-only" tabIndex={-1} aria-hidden="true" autocomplete="username" readOnly value={me.state === "in" ? me.me.account : ""} />
				<PasswordField label={t.settings.presentPassword} autocomplete="current-password" value={present} onValue={setPresent} show={t.login.show} fault={fault?.where === "present" ? fault.text : undefined} />
				<PasswordField label={t.settings.newPassword} hint={t.login.newPasswordHint} autocomplete="new-password" value={next} onValue={setNext} show={t.login.show} fault={fault?.where === "next" ? fault.text : undefined} />
				<p><Button type="submit" busy={busy}>{t.settings.change}</Button></p>
			</form>
		</Part>
	);
}

import { useState } from "preact/hooks";
import * as api from "../../common/api";
import { useCell } from "../../common/cell";
import { Button } from "../../common/components/button";
import { PasswordField } from "../../common/components/field";
import { toast } from "../../common/components/toast";
import { useTexts } from "../../common/i18n";
import { orderFault, withPassword } from "./ask";
import { loadMine, mine } from "./mine";
import { Part } from "./settings";

/** Consent that the usual mailbox's password is kept until what was done here has been done there. */
export function Home() {
	const t = useTexts();
	const m = useCell(mine);
	const [usual, setUsual] = useState("");
	if (!m) return null;
	const agree = async () => {
		const r = await withPassword((password) => api.order("consent", m.password_of_primary ? { password } : { password, new_password: usual }));
		if (r) toast(t.settings.homeAgreed);
		setUsual("");
		void loadMine();
	};
	const end = async () => {
		try {
			await api.order("consent-end");
			toast(t.settings.homeEnded);
		} catch (e) {
			toast(orderFault(e), { bad: true });
		}
		void loadMine();
	};
	return (
		<Part id="home" title={t.settings.home} text={m.consent ? t.settings.homeOn : t.settings.homeText}>
			{m.consent ? <p class="part-buttons"><Button onClick={end}>{t.settings.homeEnd}</Button></p> : (
				<form class="in-line" onSubmit={(e) => { e.preventDefault(); void agree(); }}>
					{!m.password_of_primary && <PasswordField label={t.settings.homePassword} autocomplete="current-password" value={usual} onValue={setUsual} show={t.login.show} />}
					<Button type="submit" disabled={!m.password_of_primary && !usual}>{t.settings.homeAgree}</Button>
				</form>
			)}
		</Part>
	);
}

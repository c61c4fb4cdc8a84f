import { useState } from "preact/hooks";
import * as api from "../../common/api";
import { useCell } from "../../common/cell";
import { Button, IconButton } from "../../common/components/button";
import { confirm, Dialog } from "../../common/components/dialog";
import { Field } from "../../common/components/field";
import { toast } from "../../common/components/toast";
import { mediumDate, useTexts } from "../../common/i18n";
import { clean } from "../mail/names";
import { orderFault, withPassword } from "./ask";
import { copy } from "./factor";
import { isoOf, loadMine, mine } from "./mine";
import { Part } from "./settings";

export function Apps() {
	const t = useTexts();
	const m = useCell(mine);
	const [name, setName] = useState("");
	const [made, setMade] = useState<{ name: string; password: string } | null>(null);
	const add = async () => {
		const argument = name.trim();
		if (!argument) return;
		const r = await withPassword((password) => api.order<{ password: string }>("app-add", { argument, password }));
		if (!r) return;
		setMade({ name: argument, password: r.password });
		setName("");
		void loadMine();
	};
	const remove = async (argument: string) => {
		if (!(await confirm({ title: t.settings.appRemove(argument), text: t.settings.appRemoveText, yes: t.mail.delete, no: t.app.cancel, danger: true }))) return;
		try {
			await api.order("app-remove", { argument });
			toast(t.settings.appRemoved);
		} catch (e) {
			toast(orderFault(e), { bad: true });
		}
		void loadMine();
	};
	return (
		<Part id="apps" title={t.settings.apps} text={t.settings.appsText}>
			<ul class="lines">
				{m?.app_passwords.map((a) => (
					<li key={a.name}><span><strong>{clean(a.name)}</strong> <small>{t.settings.made(mediumDate(isoOf(a.made_us)))}</small></span>
						<IconButton icon="trash" label={t.settings.appRemove(clean(a.name))} onClick={() => void remove(a.name)} /></li>
				))}
				{m && !m.app_passwords.length && <li class="none">{t.settings.appsNone}</li>}
			</ul>
			<form class="in-line" onSubmit={(e) => { e.preventDefault(); void add(); }}>
				<Field label={t.settings.appName} value={name} onValue={setName} maxLength={60} autocomplete="off" />
				<Button type="submit" icon="plus">{t.settings.appAdd}</Button>
			</form>
			{made && (
				<Dialog title={t.settings.apps} closeLabel={t.app.close} onClose={() => setMade(null)} foot={<>
					<Button onClick={() => copy(made.password, t.settings.copied)}>{t.settings.codesCopy}</Button>
					<Button kind="main" onClick={() => setMade(null)}>{t.app.close}</Button>
				</>}>
					<p>{t.settings.appShown(made.name)}</p>
					<p><code class="secret big">{made.password}</code></p>
				</Dialog>
			)}
		</Part>
	);
}

import { useState } from "preact/hooks";
import { useCell } from "../../common/cell";
import { Button } from "../../common/components/button";
import { Dialog } from "../../common/components/dialog";
import { Icon } from "../../common/components/icon";
import { useTexts } from "../../common/i18n";
import { boxIcon } from "./folders";
import { naming } from "./folderdialog";
import { mail } from "./state";
import { fullName, moveTo, moving } from "./verbs";

export function MoveDialog() {
	const t = useTexts();
	const what = useCell(moving);
	const [typed, setTyped] = useState("");
	if (!what) return null;
	const close = () => {
		moving.value = null;
		setTyped("");
	};
	const found = mail.cache.boxes().filter((b) => b.id !== what.box && b.role !== "drafts" && fullName(b).toLowerCase().includes(typed.trim().toLowerCase()));
	const pick = (i: number) => {
		const to = found[i];
		if (!to) return;
		close();
		moveTo(what.threads, what.box, to);
	};
	const make = () => {
		const { threads, box } = what;
		naming.value = { id: "", place: { name: typed.trim(), parentId: null }, then: (id) => {
			const to = mail.cache.box(id);
			if (to) moveTo(threads, box, to);
		} };
		close();
	};
	return (
		<Dialog title={t.mail.moveTo} closeLabel={t.app.cancel} onClose={close}>
			<input class="input" type="search" data-autofocus aria-label={t.mail.findFolder} placeholder={t.mail.findFolder} value={typed} onInput={(e) => setTyped(e.currentTarget.value)}
				onKeyDown={(e) => { if (e.key === "Enter") { e.preventDefault(); pick(0); } }} />
			<ul class="move-list">
				{found.map((b, i) => (
					<li key={b.id}><button type="button" class="menu-item" onClick={() => pick(i)}><Icon name={boxIcon(b)} />{fullName(b)}</button></li>
				))}
			</ul>
			{!found.length && <p role="status">{t.mail.noFolder}</p>}
			<Button icon="plus" wide onClick={make}>{typed.trim() ? t.folders.newCalled(typed.trim()) : t.folders.new}</Button>
		</Dialog>
	);
}

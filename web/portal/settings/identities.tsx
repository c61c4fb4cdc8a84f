import { useEffect, useId, useState } from "preact/hooks";
import { Button } from "../../common/components/button";
import { Field } from "../../common/components/field";
import { toast } from "../../common/components/toast";
import { useTexts } from "../../common/i18n";
import { refused, type GetResponse, type Identity, type SetResponse } from "../../common/jmap";
import { jmap, login } from "../session";
import { clean } from "../mail/names";
import { Part } from "./settings";

/** Plain text as the HTML of a signature. */
export const asHtml = (text: string) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\r?\n/g, "<br>");

export function Identities() {
	const t = useTexts();
	const [all, setAll] = useState<Identity[] | null>(null);
	const [failed, setFailed] = useState(false);
	const load = () => {
		setFailed(false);
		const account = login.value.state === "in" ? login.value.me.account : undefined;
		jmap.session(account).then(() => jmap.call<GetResponse<Identity>>("Identity/get", { ids: null })).then((r) => setAll(r.list), () => setFailed(true));
	};
	useEffect(load, []);
	return (
		<Part id="signature" title={t.settings.identities} text={t.settings.identitiesText}>
			{failed && <p role="alert">{t.settings.identityFailed} <Button kind="plain" onClick={load}>{t.app.retry}</Button></p>}
			{all?.map((i) => <One key={i.id} identity={i} isOnly={all.length === 1} />)}
		</Part>
	);
}

function One({ identity, isOnly }: { identity: Identity; isOnly: boolean }) {
	const t = useTexts();
	const id = useId();
	const [name, setName] = useState(identity.name);
	const [signature, setSignature] = useState(identity.textSignature);
	const [was, setWas] = useState(identity);
	const save = async () => {
		try {
			const update = { [identity.id]: { name, textSignature: signature, htmlSignature: asHtml(signature) } };
			const r = await jmap.call<SetResponse>("Identity/set", { update });
			const no = refused(r, identity.id);
			if (no) throw no;
			setWas({ ...was, name, textSignature: signature });
			toast(t.app.saved);
		} catch {
			toast(t.app.failed, { bad: true });
		}
	};
	const changed = name !== was.name || signature !== was.textSignature;
	return (
		<details class="identity" open={isOnly}>
			<summary><strong>{clean(identity.email)}</strong>{was.name && <span> {clean(was.name)}</span>}</summary>
			<form class="stack" onSubmit={(e) => { e.preventDefault(); void save(); }}>
				<Field label={t.settings.name} value={name} onValue={setName} maxLength={200} autocomplete="name" />
				<div class="field">
					<label for={id}>{t.settings.signature}</label>
					<textarea id={id} class="input" rows={4} maxLength={4000} value={signature} onInput={(e) => setSignature(e.currentTarget.value)} />
				</div>
				<p><Button type="submit" disabled={!changed}>{t.app.save}</Button></p>
			</form>
		</details>
	);
}

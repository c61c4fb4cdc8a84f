import { useMemo, useState } from "preact/hooks";
import * as api from "../../common/api";
import { useCell } from "../../common/cell";
import { Button } from "../../common/components/button";
import { Dialog } from "../../common/components/dialog";
import { Field } from "../../common/components/field";
import { toast } from "../../common/components/toast";
import { useTexts } from "../../common/i18n";
import { orderFault, withPassword } from "./ask";
import { loadMine, mine } from "./mine";
import { qr, qrPath } from "./qr";
import { Part } from "./settings";

type Begun = { secret: string; uri: string };
type Codes = { recovery_codes: string[] };

export function Factor() {
	const t = useTexts();
	const m = useCell(mine);
	const [begun, setBegun] = useState<Begun | null>(null);
	const [codes, setCodes] = useState<string[] | null>(null);
	const begin = async () => setBegun(await withPassword((password) => api.order<Begun>("factor-begin", { password })));
	const remove = async () => {
		if (await withPassword((password) => api.order("factor-remove", { password }))) toast(t.settings.factorRemoved);
		void loadMine();
	};
	const renew = async () => {
		const r = await withPassword((password) => api.order<Codes>("codes", { password }));
		if (r) setCodes(r.recovery_codes);
		void loadMine();
	};
	return (
		<Part id="factor" title={t.settings.factor} text={m?.totp ? t.settings.factorOn : t.settings.factorOff}>
			{m?.totp && <p>{t.settings.codesLeft(m.recovery_codes)}</p>}
			<p class="part-buttons">
				{m?.totp
					? <><Button onClick={renew}>{t.settings.codesNew}</Button>{!m.admin && <Button kind="danger" onClick={remove}>{t.settings.factorRemove}</Button>}</>
					: <Button icon="lock" disabled={!m} onClick={begin}>{t.settings.factorSetUp}</Button>}
			</p>
			{begun && <Confirm begun={begun} onClose={() => setBegun(null)} onCodes={(c) => { setBegun(null); setCodes(c); toast(t.settings.factorDone); void loadMine(); }} />}
			{codes && <CodesDialog codes={codes} onClose={() => setCodes(null)} />}
		</Part>
	);
}

function Confirm({ begun, onClose, onCodes }: { begun: Begun; onClose: () => void; onCodes: (c: string[]) => void }) {
	const t = useTexts();
	const [code, setCode] = useState("");
	const [fault, setFault] = useState("");
	const [busy, setBusy] = useState(false);
	const submit = async () => {
		setBusy(true);
		setFault("");
		try {
			onCodes((await api.order<Codes>("factor-confirm", { argument: code.replace(/\s/g, "") })).recovery_codes ?? []);
		} catch (e) {
			setFault(orderFault(e));
		} finally {
			setBusy(false);
		}
	};
	return (
		<Dialog title={t.settings.factor} closeLabel={t.app.cancel} onClose={onClose}>
			<p>{t.settings.factorScan}</p>
			<QrPicture text={begun.uri} label={t.settings.factorPicture} />
			<p>{t.settings.factorKey} <code class="secret">{begun.secret.replace(/(.{4})(?=.)/g, "$1 ")}</code></p>
			<form class="stack" onSubmit={(e) => { e.preventDefault(); if (!busy) void submit(); }}>
				<Field label={t.login.factorCode} value={code} onValue={setCode} inputMode="numeric" autocomplete="one-time-code" required maxLength={10} fault={fault} />
				<Button type="submit" kind="main" busy={busy}>{t.login.confirm}</Button>
			</form>
		</Dialog>
	);
}

function QrPicture({ text, label }: { text: string; label: string }) {
	const modules = useMemo(() => qr(text), [text]);
	if (!modules) return null;
	const n = modules.length + 8; // with its quiet zone
	return (
		<svg class="qr" role="img" aria-label={label} viewBox={`-4 -4 ${n} ${n}`} shape-rendering="crispEdges">
			<rect x="-4" y="-4" width={n} height={n} fill="#fff" /><path d={qrPath(modules)} fill="#000" />
		</svg>
	);
}

function CodesDialog({ codes, onClose }: { codes: string[]; onClose: () => void }) {
	const t = useTexts();
	return (
		<Dialog title={t.settings.codes} closeLabel={t.app.close} onClose={onClose} foot={<>
			<Button onClick={() => copy(codes.join("\n"), t.settings.copied)}>{t.settings.codesCopy}</Button>
			<Button icon="print" onClick={() => window.print()}>{t.settings.codesPrint}</Button>
			<Button kind="main" onClick={onClose}>{t.settings.codesKept}</Button>
		</>}>
			<p>{t.settings.codesText}</p>
			<ul class="codes">{codes.map((c) => <li key={c}><code>{c}</code></li>)}</ul>
		</Dialog>
	);
}

export function copy(text: string, said: string): void {
	void navigator.clipboard?.writeText(text).then(() => toast(said), () => {});
}

/* Logging in as an administrator: password, then the second factor. Laid over the page when a session ended under it. */
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../common/api";
import { Button } from "../common/components/button";
import { Field, PasswordField } from "../common/components/field";
import { Icon } from "../common/components/icon";
import { enter } from "./session";
import { useTexts, type Texts } from "./texts";

export function LoginPage({ again }: { again: boolean }) {
	const t = useTexts();
	const [step, setStep] = useState<"password" | "factor">("password");
	const [address, setAddress] = useState("");
	const [secret, setSecret] = useState("");
	const [fault, setFault] = useState("");
	const [busy, setBusy] = useState(false);
	const alert = useRef<HTMLParagraphElement>(null);
	useEffect(() => { document.title = t.login.title; }, [t]);
	useEffect(() => { if (fault) alert.current?.focus(); }, [fault]);
	const submit = async () => {
		const r = step === "password" ? await api.login(address.trim(), secret) : await api.loginFactor(secret.trim());
		setSecret("");
		if (r.state === "factor") setStep("factor");
		else await enter();
	};
	const send = (e: Event) => {
		e.preventDefault();
		if (busy) return;
		setBusy(true);
		setFault("");
		submit().catch((x) => {
			if (x instanceof api.ApiError && x.type === "ticket") setStep("password");
			setFault(reason(t, x, step));
		}).finally(() => setBusy(false));
	};
	return (
		<main id="main" tabIndex={-1} class="login-card">
			<p class="login-mark"><Icon name="lock" /> <span>{t.name}</span></p>
			<h1>{t.login.title}</h1>
			<p>{again ? t.login.over : t.login.text}</p>
			<form class="login-form" onSubmit={send}>
				<p ref={alert} class="notice bad" role="alert" tabIndex={-1} hidden={!fault}>{fault}</p>
				{step === "password" ? (
					<>
						<Field label={t.login.address} type="email" name="username" autocomplete="username" inputMode="email" value={address} onValue={setAddress} required spellcheck={false} autofocus />
						<PasswordField label={t.login.password} name="password" autocomplete="current-password" value={secret} onValue={setSecret} show={t.login.show} />
					</>
				) : (
					<Field key="code" label={t.login.code} name="code" autocomplete="one-time-code" value={secret} onValue={setSecret} required spellcheck={false} maxLength={64} autofocus />
				)}
				<Button type="submit" kind="main" wide busy={busy}>{step === "password" ? t.login.go : t.login.confirm}</Button>
			</form>
			{step === "factor" && <Button kind="plain" wide onClick={() => { setStep("password"); setSecret(""); }}>{t.login.other}</Button>}
		</main>
	);
}

function reason(t: Texts, e: unknown, step: string): string {
	if (!(e instanceof api.ApiError)) return t.app.noAnswer;
	if (e.status === 429) return t.login.wait(Math.max(1, e.retryAfter));
	if (e.status >= 500) return t.login.later;
	return step === "factor" && e.type !== "ticket" ? t.login.wrongCode : t.login.refused;
}

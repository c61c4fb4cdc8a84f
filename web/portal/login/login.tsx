/*
 * Logging in: password; invitation code that sets a password; second factor by app or recovery code. Errors are said where they
 * happened; nothing typed is lost by them. When a session ended under an open page, this is laid over it.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../../common/api";
import { useCell } from "../../common/cell";
import { chosenLanguage, LANGUAGES, useLanguage, useTexts, type PortalTexts } from "../../common/i18n";
import { Button } from "../../common/components/button";
import { Field, PasswordField } from "../../common/components/field";
import { Icon } from "../../common/components/icon";
import { toast } from "../../common/components/toast";
import { NowBanner } from "../nowbanner";
import { finishLogin, info } from "../session";
import { PASSWORD_LEAST, why } from "./faults";
import "./login.css";

type Step = "password" | "invitation" | "factor" | "recovery";

export function LoginPage({ again, account = "" }: { again: boolean; account?: string }) {
	const t = useTexts();
	const about = useCell(info);
	const lang = useLanguage();
	const [step, setStep] = useState<Step>("password");
	const [address, setAddress] = useState(account);
	const heading = useRef<HTMLHeadingElement>(null);
	const first = useRef(true);
	const [code, setCode] = useState("");
	const welcome = about?.words[lang]?.welcome;
	useEffect(() => {
		document.title = about?.organisation ? t.login.titleAt(about.organisation) : t.login.title;
	}, [about, t]);
	useEffect(() => {
		if (!first.current) heading.current?.focus();
		first.current = false;
	}, [step]);
	const title = step === "password" ? t.login.title : step === "invitation" ? t.login.invitationTitle : t.login.factorTitle;
	return (
		<div class="login">
			{!again && <NowBanner />}
			<main id="main" tabIndex={-1} class="login-card">
				<p class="login-mark"><Icon name="unread" /> <span>{about?.organisation || t.app.name}</span></p>
				<h1 ref={heading} tabIndex={-1}>{title}</h1>
				{!again && step === "password" && (about?.outage === "down" || about?.outage === "continuity") && <p class="notice care" role="status">{t.login.outage[about.outage]}</p>}
				{again && step === "password" && <p class="notice care" role="status">{t.login.again}</p>}
				{welcome && !again && step === "password" && <p class="login-welcome">{welcome}</p>}
				{step === "password" && <WithPassword t={t} address={address} setAddress={setAddress} next={setStep} setCode={setCode} />}
				{step === "invitation" && <WithInvitation t={t} code={code} setCode={setCode} address={address} setAddress={setAddress} next={setStep} />}
				{(step === "factor" || step === "recovery") && <WithFactor t={t} isRecovery={step === "recovery"} next={setStep} onExpired={() => { toast(t.login.expired, { bad: true }); setStep("password"); }} />}
			</main>
			<footer class="login-foot">
				{!again && <p><a href="#/help">{t.login.help}</a></p>}
				{about && about.contacts.length > 0 && <Contacts title={t.login.contacts} list={about.contacts} />}
				<p class="login-languages">
					{LANGUAGES.map((l) => (
						<button key={l.id} type="button" lang={l.id} aria-pressed={l.id === lang} onClick={() => { chosenLanguage.value = l.id; }}>{l.name}</button>
					))}
				</p>
			</footer>
		</div>
	);
}

/** One step's form: one question at a time, one place for what went wrong. */
function Form({ children, fault, label, onSubmit }: { children: ComponentChildren; fault: string; label: string; onSubmit: () => Promise<void> }) {
	const [busy, setBusy] = useState(false);
	const alert = useRef<HTMLParagraphElement>(null);
	useEffect(() => { if (fault) alert.current?.focus(); }, [fault]);
	return (
		<form class="login-form" onSubmit={(e) => {
			e.preventDefault();
			if (busy) return;
			setBusy(true);
			void onSubmit().finally(() => setBusy(false));
		}}>
			<p ref={alert} class="notice bad" role="alert" tabIndex={-1} hidden={!fault}>{fault}</p>
			{children}
			<Button type="submit" kind="main" wide busy={busy}>{label}</Button>
		</form>
	);
}

function WithPassword({ t, address, setAddress, next, setCode }: { t: PortalTexts; address: string; setAddress: (a: string) => void; next: (s: Step) => void; setCode: (c: string) => void }) {
	const [password, setPassword] = useState("");
	const [fault, setFault] = useState("");
	const submit = async () => {
		setFault("");
		try {
			const r = await api.login(address.trim(), password);
			if (r.state === "invitation") { // it was the code of an invitation: nothing to type again
				setCode(password);
				next("invitation");
			} else if (r.state === "factor") next("factor");
			else await finishLogin();
		} catch (e) {
			setFault(why(e, t, t.login.wrong));
		}
	};
	return (
		<>
			<Form fault={fault} label={t.login.submit} onSubmit={submit}>
				<Field label={t.login.address} type="email" name="username" autocomplete="username" inputMode="email" value={address} onValue={setAddress} required spellcheck={false} autofocus={!address} />
				<PasswordField label={t.login.password} hint={t.login.passwordHint} name="password" autocomplete="current-password" value={password} onValue={setPassword} show={t.login.show} autofocus={!!address} />
			</Form>
			<Button kind="plain" wide onClick={() => next("invitation")}>{t.login.invited}</Button>
		</>
	);
}

function WithInvitation({ t, address, setAddress, code, setCode, next }: { t: PortalTexts; address: string; setAddress: (a: string) => void; code: string; setCode: (c: string) => void; next: (s: Step) => void }) {
	const [password, setPassword] = useState("");
	const [fault, setFault] = useState("");
	const [short, setShort] = useState(false);
	const submit = async () => {
		setFault("");
		setShort([...password].length < PASSWORD_LEAST);
		if ([...password].length < PASSWORD_LEAST) return;
		try {
			const r = await api.loginInvitation(address.trim(), code.trim(), password);
			if (r.state === "factor") next("factor");
			else await finishLogin();
		} catch (e) {
			setFault(why(e, t, t.login.wrongInvitation));
		}
	};
	return (
		<>
			<p>{t.login.invitationText}</p>
			<Form fault={fault} label={t.login.setPassword} onSubmit={submit}>
				<Field label={t.login.address} type="email" name="username" autocomplete="username" inputMode="email" value={address} onValue={setAddress} required spellcheck={false} />
				<Field label={t.login.code} hint={t.login.codeHint} name="code" autocomplete="one-time-code" value={code} onValue={setCode} required spellcheck={false} />
				<PasswordField label={t.login.newPassword} hint={t.login.newPasswordHint} fault={short ? t.login.tooShort : undefined} name="new-password" autocomplete="new-password" value={password} onValue={setPassword} show={t.login.show} />
			</Form>
			<Button kind="plain" wide onClick={() => next("password")}>{t.login.withPassword}</Button>
		</>
	);
}

function WithFactor({ t, isRecovery, next, onExpired }: { t: PortalTexts; isRecovery: boolean; next: (s: Step) => void; onExpired: () => void }) {
	const [code, setCode] = useState("");
	const [fault, setFault] = useState("");
	const submit = async () => {
		setFault("");
		try {
			await api.loginFactor(isRecovery ? code.trim() : code.replace(/\s/g, ""));
			await finishLogin();
		} catch (e) {
			if (e instanceof api.ApiError && e.type === "ticket") {
				onExpired();
				return;
			}
			setFault(why(e, t, t.login.wrongCode));
			setCode("");
		}
	};
	return (
		<>
			<p>{isRecovery ? t.login.recoveryText : t.login.factorText}</p>
			<Form fault={fault} label={t.login.confirm} onSubmit={submit}>
				<Field key={isRecovery ? "r" : "f"} label={isRecovery ? t.login.recoveryCode : t.login.factorCode} name="code" autocomplete="one-time-code" inputMode={isRecovery ? "text" : "numeric"} value={code} onValue={setCode} required spellcheck={false} maxLength={64} autofocus />
			</Form>
			<Button kind="plain" wide onClick={() => next(isRecovery ? "factor" : "recovery")}>{isRecovery ? t.login.useApp : t.login.useRecovery}</Button>
		</>
	);
}

export function Contacts({ title, list }: { title: string; list: api.Contact[] }) {
	return (
		<section class="contacts" aria-label={title}>
			<h2>{title}</h2>
			<ul>
				{list.map((c) => (
					<li key={c.name}>
						<strong>{c.name}</strong>
						{c.phone && <a href={`tel:${c.phone.replace(/[^+\d]/g, "")}`}>{c.phone}</a>}
						{c.mail && <a href={`mailto:${encodeURI(c.mail)}`}>{c.mail}</a>}
						{c.note && <span>{c.note}</span>}
					</li>
				))}
			</ul>
		</section>
	);
}

/* The whole of the page: log-in, or the place that the address names, with what may appear over it. */
import { useEffect, useRef } from "preact/hooks";
import { useCell } from "../common/cell";
import { useLanguage, useTexts } from "../common/i18n";
import { Confirms } from "../common/components/dialog";
import { Toasts } from "../common/components/toast";
import { route } from "./router";
import { login } from "./session";
import { LoginPage } from "./login/login";
import { MailPage } from "./mail/mail";
import { startMail } from "./mail/state";
import { startNow } from "./now";
import { SettingsPage } from "./settings/lazy";
import { HelpPage } from "./help/help";
import { ComposePage, loadAhead } from "./compose/lazy";
import { startCompose } from "./compose/state";
import { startPush } from "./push/start";
import { startWorker } from "./pwa";

export function App() {
	const t = useTexts();
	const lang = useLanguage();
	const l = useCell(login);
	const r = useCell(route);
	const started = useRef(false);
	const account = useRef("");
	if (l.state === "in") {
		account.current = l.me.account;
		if (!started.current) {
			startMail(r.page === "mail" ? r.box : "inbox");
			startPush();
			startCompose();
			loadAhead();
		}
		started.current = true;
	}
	useEffect(startNow, []);
	useEffect(startWorker, []);
	useEffect(() => { document.documentElement.lang = lang; }, [lang]);
	const isOver = l.state === "out" && l.again && started.current;
	return (
		<>
			<a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>{t.app.skip}</a>
			{l.state === "unknown" && <main class="loading" id="main"><div class="spinner" /><h1 class="sr-only">{t.app.loading}</h1></main>}
			{l.state === "out" && !isOver && (r.page === "help" ? <HelpPage /> : <LoginPage again={false} />)}
			{(l.state === "in" || isOver) && <div class="place" inert={isOver}><Place /></div>}
			{isOver && <div class="login-over"><LoginPage again account={account.current} /></div>}
			<Confirms />
			<Toasts label={t.app.messages} closeLabel={t.app.close} />
		</>
	);
}

function Place() {
	const r = useCell(route);
	switch (r.page) {
	case "mail":
	case "search":
		return <MailPage route={r} />;
	case "write":
		return <ComposePage key={`${r.kind} ${r.email}`} kind={r.kind} email={r.email} />;
	case "settings":
		return <SettingsPage part={r.part} />;
	case "help":
		return <HelpPage />;
	case "none":
		return <MailPage route={{ page: "mail", box: "inbox", thread: "" }} />;
	}
}

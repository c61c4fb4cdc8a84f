/* The whole of the page: log-in, or the place that the address names, with what may appear over it. */
import { useEffect } from "preact/hooks";
import { useCell } from "../shared/cell";
import { useLanguage, useTexts } from "../shared/i18n";
import { Confirms } from "../shared/components/dialog";
import { Toasts } from "../shared/components/toast";
import { route } from "./router";
import { login } from "./session";
import { LoginPage } from "./login/login";
import { MailPage } from "./mail/mail";
import { SettingsPage } from "./settings/settings";
import { HelpPage } from "./help/help";
import { ComposePage } from "./compose/compose";

export function App() {
	const t = useTexts();
	const lang = useLanguage();
	const l = useCell(login);
	useEffect(() => { document.documentElement.lang = lang; }, [lang]);
	return (
		<>
			<a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>{t.app.skip}</a>
			{l.state === "unknown" ? <div class="loading"><div class="spinner" /><span>{t.app.loading}</span></div> : l.state === "out" ? <LoginPage again={l.again} /> : <Place />}
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
		return <ComposePage kind={r.kind} email={r.email} />;
	case "settings":
		return <SettingsPage part={r.part} />;
	case "help":
		return <HelpPage />;
	case "none":
		return <MailPage route={{ page: "mail", box: "inbox", thread: "" }} />;
	}
}

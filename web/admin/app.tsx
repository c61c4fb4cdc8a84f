/* The whole of the console: log-in, or the page that the address names, beside the list of pages. */
import { useEffect, useRef } from "preact/hooks";
import { useCell } from "../common/cell";
import { chosenLanguage, LANGUAGES, useLanguage } from "../common/i18n";
import { Banner } from "../common/components/banner";
import { Confirms } from "../common/components/dialog";
import { Icon, type IconName } from "../common/components/icon";
import { Menu } from "../common/components/menu";
import { Toasts } from "../common/components/toast";
import { theme, type Theme } from "../common/theme";
import { AccountPage } from "./account";
import { AuditPage } from "./audit";
import { LoginPage } from "./login";
import { MessagePage } from "./message";
import { OverviewPage } from "./overview";
import { PeoplePage } from "./people";
import { QueuePage } from "./queue";
import { PAGES, path, route, type Route } from "./router";
import { isAwake, login, logout, status } from "./session";
import { SitePage } from "./site";
import { when, useTexts } from "./texts";
import { TracePage } from "./trace";

const icons: Record<(typeof PAGES)[number], IconName> = { overview: "info", queue: "inbox", trace: "search", people: "person", audit: "read", account: "key" };

export function App() {
	const t = useTexts();
	const lang = useLanguage();
	const l = useCell(login);
	const r = useCell(route);
	useEffect(() => { document.documentElement.lang = lang; }, [lang]);
	const over = l.state === "out" && l.again;
	return (
		<>
			<a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>{t.app.skip}</a>
			{l.state === "unknown" && <main class="loading" id="main"><span class="spinner" aria-hidden="true" /><h1 class="sr-only">{t.app.loading}</h1></main>}
			{l.state === "out" && !over && <div class="login"><LoginPage again={false} /></div>}
			{(l.state === "in" || over) && <div class="shell" inert={over}><Top route={r} /><Stale /><Place route={r} /></div>}
			{over && <div class="login login-over"><LoginPage again /></div>}
			<Confirms />
			<Toasts label={t.app.messages} closeLabel={t.app.close} />
		</>
	);
}

function Place({ route: r }: { route: Route }) {
	switch (r.page) {
	case "overview":
		return <OverviewPage />;
	case "site":
		return <SitePage key={r.part} name={r.part} />;
	case "queue":
		return <QueuePage key={r.part} match={r.part} />;
	case "message":
		return <MessagePage key={r.part} id={r.part} />;
	case "trace":
		return <TracePage />;
	case "people":
		return <PeoplePage />;
	case "audit":
		return <AuditPage key={r.part} text={r.part} />;
	case "account":
		return <AccountPage />;
	}
}

function Top({ route: r }: { route: Route }) {
	const t = useTexts();
	const th = useCell(theme);
	const here = r.page === "site" ? "overview" : r.page === "message" ? "queue" : r.page;
	const list = useRef<HTMLUListElement>(null);
	useEffect(() => { list.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }); }, [here]);
	const marked = (on: boolean, label: string) => (on ? `✓ ${label}` : label);
	return (
		<header class="top">
			<a class="top-name" href={path("overview")}><Icon name="lock" /><span>{t.name}</span></a>
			<nav aria-label={t.app.menu}>
				<ul ref={list}>
					{PAGES.map((p) => (
						<li key={p}><a href={path(p)} aria-current={p === here ? "page" : undefined}><Icon name={icons[p]} /><span>{t.pages[p]}</span></a></li>
					))}
				</ul>
			</nav>
			<Menu icon="settings" label={t.app.theme} items={() => [
				...(Object.keys(t.app.themes) as Theme[]).map((v) => ({ label: marked(th === v, t.app.themes[v]), run: () => { theme.value = v; } })),
				...LANGUAGES.map((l) => ({ label: marked(chosenLanguage.value === l.id, l.name), run: () => { chosenLanguage.value = l.id; } })),
				{ label: t.app.logout, icon: "logout" as IconName, run: () => void logout() },
			]} />
		</header>
	);
}

/** Nothing answers: what is shown is old. */
function Stale() {
	const t = useTexts();
	const s = useCell(status);
	const awake = useCell(isAwake);
	if (!awake) return <Banner kind="care" live>{t.app.asleep}</Banner>;
	if (!s.failing) return null;
	return <Banner kind="bad" icon="offline" live>{s.answered ? t.app.stale(when(new Date(s.answered).toISOString(), true)) : t.app.noAnswer}</Banner>;
}

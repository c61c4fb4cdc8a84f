/* Folders, list and message: three panes where there is room, one at a time on a phone. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useCell } from "../../common/cell";
import { useTexts } from "../../common/i18n";
import { Icon } from "../../common/components/icon";
import { IconButton, LinkButton } from "../../common/components/button";
import { ConnectionBanner, NowBanner } from "../nowbanner";
import { go, path, type Route } from "../router";
import { info } from "../session";
import { usePageTitle } from "../title";
import { Folders, FoldersDrawer } from "./folders";
import { KeysHelp, keysShown, useKeys } from "./keys";
import { ListPane } from "./list";
import { FolderDialog } from "./folderdialog";
import { MoveDialog } from "./movedialog";
import { SearchField } from "./searchfield";
import { chosen, cursor, mail } from "./state";
import { ThreadPane } from "./thread";
import { PersonMenu } from "./personmenu";
import { boxName, setOnLeft } from "./verbs";
import "./mail.css";

export type MailRoute = Route & { page: "mail" | "search" };

export function MailPage({ route }: { route: MailRoute }) {
	const t = useTexts();
	useCell(mail.version);
	const [drawer, setDrawer] = useState(false);
	const helps = useCell(keysShown);
	const inbox = mail.cache.role("inbox");
	const box = route.page === "mail" ? (route.box === "inbox" ? inbox : mail.cache.box(route.box)) : undefined;
	const list = route.page === "search" ? mail.searchList(route.words) : box ? mail.boxList(box.id) : null;
	const boxId = box?.id ?? "";
	const key = list?.key ?? "";
	const was = useRef("");
	useEffect(() => {
		if (was.current && was.current !== key) {
			chosen.value = new Set();
			cursor.value = -1;
		}
		was.current = key;
	}, [key]);
	const title = route.page === "search" ? t.search.title(route.words) : box ? boxName(box) : t.app.loading;
	usePageTitle(title, box?.role === "inbox" ? box.unreadEmails : 0);
	useEffect(() => {
		setOnLeft((threads) => {
			if (threads.includes(route.thread)) go({ ...route, thread: "" }, "replace");
		});
	}, [route]);
	useKeys(route, list, boxId);
	return (
		<div class={`mail${route.thread ? " has-thread" : ""}`}>
			<header class="top">
				<span class="top-menu"><IconButton icon="menu" label={t.mail.openFolders} expanded={drawer} onClick={() => setDrawer(true)} /></span>
				<a class="top-name" href={path({ page: "mail", box: "inbox", thread: "" })}><Icon name="unread" /><Organisation /></a>
				<SearchField route={route} />
				<PersonMenu />
			</header>
			<div class="top-banners"><ConnectionBanner /><NowBanner /></div>
			<nav class="side" aria-label={t.mail.folders}>
				<LinkButton kind="main" icon="write" wide href={path({ page: "write", kind: "", email: "" })}>{t.mail.write}</LinkButton>
				<Folders current={boxId} />
			</nav>
			<main class="panes" id="main" tabIndex={-1}>
				<ListPane route={route} list={list} box={boxId} title={title} />
				<section class="reader" aria-label={t.mail.reader}>
					{route.thread ? <ThreadPane key={route.thread} route={route} list={list} box={boxId} /> : <p class="reader-empty"><Icon name="unread" />{t.mail.pick}</p>}
				</section>
				<a class="fab" href={path({ page: "write", kind: "", email: "" })}><Icon name="write" />{t.mail.write}</a>
			</main>
			{drawer && <FoldersDrawer current={boxId} onClose={() => setDrawer(false)} />}
			<MoveDialog />
			<FolderDialog />
			{helps && <KeysHelp onClose={() => { keysShown.value = false; }} />}
		</div>
	);
}

function Organisation() {
	const t = useTexts();
	const about = useCell(info);
	return <span>{about?.organisation || t.app.name}</span>;
}

/* News for this page: mail is brought up to date, the banner follows, the icon of the installed page shows how much is unread. */
import { isOnline, jmap, login } from "../session";
import { mail } from "../mail/state";
import { now } from "../now";
import { Push } from "./push";

let push: Push | null = null;
let account = "";

export function startPush(): void {
	const look = () => {
		const l = login.value;
		if (l.state === "in" && account !== l.me.account) {
			push?.stop();
			account = l.me.account;
			const mine = account;
			void jmap.session(mine).then(() => {
				if (account !== mine) return;
				push = new Push(() => jmap.eventSourceUrl("*", 45), () => jmap.accountId,
					{ onState: (changed) => mail.pushed(changed), onNow: (n) => { now.value = n; }, onBegun: () => void mail.refresh().catch(() => {}) }, mine);
			}).catch(() => { if (account === mine) account = ""; });
		} else if (l.state === "out") {
			push?.stop();
			push = null;
			account = "";
		}
	};
	login.watch(look);
	isOnline.watch(() => {
		if (!isOnline.value) return;
		look();
		push?.wake();
	});
	look();
	mail.version.watch(badge);
}

let shown = -1;
function badge(): void {
	const unread = mail.cache.role("inbox")?.unreadEmails ?? 0;
	if (unread === shown || !("setAppBadge" in navigator)) return;
	shown = unread;
	void (unread ? navigator.setAppBadge(unread) : navigator.clearAppBadge()).catch(() => {});
}

/*
 * One message below its head: what is to be known of the sender, the body (HTML in its frame, or text), and the files. HTML
 * is shown through safe/ and nowhere else; the sanitiser is fetched when the first HTML message is opened.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useTexts } from "../../common/i18n";
import type { BodyPart, FullEmail } from "../../common/jmap";
import { Icon } from "../../common/components/icon";
import { go } from "../router";
import { jmap } from "../session";
import { Attachments } from "../safe/Attachments";
import type { FrameProps } from "../safe/Frame";
import { showInline } from "../safe/images";
import { placeOf } from "../safe/links";
import { fileName } from "../safe/names";
import { SenderNotes } from "../safe/Sender";
import { PlainText } from "../safe/text";
import "../safe/safe.css";

type FrameType = (props: FrameProps) => preact.JSX.Element;
let loaded: FrameType | null = null;

const valueOf = (email: FullEmail, p: BodyPart): string => (p.partId ? email.bodyValues[p.partId]?.value ?? "" : "");
const escaped = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

/** The HTML of a message; "" when it has none. Text between HTML parts comes as it is. */
function htmlOf(email: FullEmail): string {
	if (!email.htmlBody.some((p) => p.type === "text/html")) return "";
	return email.htmlBody.map((p) => p.type === "text/html" ? valueOf(email, p) : p.type.startsWith("text/") ? `<pre>${escaped(valueOf(email, p))}</pre>` : "").join("<hr>");
}

const textOf = (email: FullEmail): string => email.textBody.filter((p) => p.type.startsWith("text/") && p.type !== "text/html").map((p) => valueOf(email, p)).join("\n\n");

type Policy = { createHTML(s: string): string };
/* Trusted Types asks who may give text to a parser: this one's document is never shown. */
const asIs: Policy = { createHTML: (s) => s };
const inertHtml = (window as { trustedTypes?: { createPolicy(name: string, p: Policy): Policy } }).trustedTypes?.createPolicy("words-of-html", asIs) ?? asIs;

/** For mail without a text of its own: the words of its HTML. Parsed in a document that loads and runs nothing. */
function wordsOf(html: string): string {
	const doc = new DOMParser().parseFromString(inertHtml.createHTML(html), "text/html");
	doc.querySelectorAll("style,script,title,template").forEach((e) => e.remove());
	doc.querySelectorAll("br,p,div,tr,li,h1,h2,h3,h4").forEach((e) => e.append("\n"));
	return (doc.body?.textContent ?? "").replace(/[ \t]+/g, " ").replace(/\s*\n\s*\n\s*/g, "\n\n").trim();
}

/** Everything that is not shown as part of the text. */
function filesOf(email: FullEmail): BodyPart[] {
	const shown = email.htmlBody.filter((p) => !p.type.startsWith("text/"));
	return [...shown, ...email.attachments.filter((a) => !shown.some((s) => s.blobId === a.blobId))];
}

export function MessageBody({ email, onWrite, onKey }: { email: FullEmail; onWrite?: (address: string) => void; onKey?: (e: KeyboardEvent) => void }) {
	const t = useTexts().safe;
	const html = useMemo(() => htmlOf(email), [email]);
	const [asText, setAsText] = useState(false);
	const [Frame, setFrame] = useState<{ show: FrameType } | null>(loaded && { show: loaded });
	const [failed, setFailed] = useState(false);
	const [remote, setRemote] = useState(0);
	const [link, setLink] = useState<string | null>(null);
	const pictures = useRef<() => void>(() => {});
	const isHtml = html !== "" && !asText && !failed;

	useEffect(() => () => pictures.current(), []);
	useEffect(() => {
		if (isHtml && !Frame) void import("../safe/Frame").then((m) => { loaded = m.Frame as FrameType; setFrame({ show: loaded }); }, () => setFailed(true));
	}, [isHtml, Frame]);

	const truncated = Object.values(email.bodyValues).some((v) => v.isTruncated);
	return (
		<div class="message-body">
			<SenderNotes email={email} />
			{isHtml && remote > 0 && <p class="remote-note"><Icon name="eye" /><span>{t.remote(remote)}</span></p>}
			{isHtml && Frame && (
				<Frame.show html={html} title={t.frameTitle} texts={{ leadsTo: t.leadsTo }} onLink={setLink} onKey={onKey}
					onMail={(address) => (onWrite ? onWrite(address) : go({ page: "write", kind: "to", email: address }))}
					onShown={(r) => {
						pictures.current();
						if (!r) return setFailed(true);
						setRemote(r.remote);
						pictures.current = showInline(r.inline, [...email.attachments, ...email.htmlBody], jmap);
					}} />
			)}
			{isHtml && !Frame && <div class="frame-waits" aria-hidden="true" />}
			{!isHtml && <PlainText text={textOf(email) || wordsOf(html)} />}
			{truncated && <p class="remote-note"><Icon name="info" /><span>{t.truncated} <a href={jmap.downloadUrl(email.blobId, `${fileName(email.subject, t.enclosedMail)}.eml`, "message/rfc822")} download>{t.whole}</a></span></p>}
			{html !== "" && !failed && (
				<button type="button" class="button plain as-text" aria-pressed={asText} onClick={() => setAsText(!asText)}>{t.asText}</button>
			)}
			<Attachments parts={filesOf(email)} />
			<div class={`link-place${link ? " shown" : ""}`} aria-hidden="true">{link && <><b>{placeOf(link)}</b> <span>{link}</span></>}</div>
		</div>
	);
}

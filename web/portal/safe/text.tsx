/* Plain text of a message: links can be followed, what was quoted is folded, the signature stands back. */
import { useMemo } from "preact/hooks";
import { useTexts } from "../../common/i18n";
import { linkify } from "./links";

export type Block = { depth: number; lines: string[]; isSignature: boolean };

const LONGEST = 600_000; // characters
const FOLDED_FROM = 4; // lines of a quote

/** The text by depth of quoting ("> > "); what follows "-- " at depth 0 is the signature. */
export function blocks(text: string): Block[] {
	const out: Block[] = [];
	let isSignature = false;
	for (const raw of text.slice(0, LONGEST).split(/\r\n|\r|\n/)) {
		const mark = /^(?:> ?)+/.exec(raw)?.[0] ?? "";
		const depth = Math.min(mark.split(">").length - 1, 9);
		const line = raw.slice(mark.length);
		if (depth === 0 && /^-- ?$/.test(raw)) isSignature = true;
		const last = out[out.length - 1];
		if (last && last.depth === depth && last.isSignature === (isSignature && depth === 0)) last.lines.push(line);
		else out.push({ depth, lines: [line], isSignature: isSignature && depth === 0 });
	}
	return out;
}

function Words({ text }: { text: string }) {
	return (
		<>{linkify(text).map((p, i) => (p.href
			? <a key={i} href={p.href} target="_blank" rel="noopener noreferrer nofollow" title={p.href}><bdi>{p.text}</bdi></a>
			: p.text))}</>
	);
}

/** Quotes that touch each other fold as one. */
function groups(list: Block[]): Block[][] {
	const out: Block[][] = [];
	for (const b of list) {
		const last = out[out.length - 1];
		if (last?.[0] && last[0].depth > 0 === b.depth > 0 && last[0].isSignature === b.isSignature) last.push(b);
		else out.push([b]);
	}
	return out;
}

export function PlainText({ text }: { text: string }) {
	const t = useTexts().safe;
	const all = useMemo(() => groups(blocks(text)), [text]);
	return (
		<div class="plain-body" dir="auto">
			{all.map((g, i) => {
				const lines = g.reduce((n, b) => n + b.lines.length, 0);
				const quoted = (g[0]?.depth ?? 0) > 0;
				const inner = g.map((b, k) => <div key={k} class={b.depth ? `quote q${Math.min(b.depth, 4)}` : b.isSignature ? "signature" : ""}><Words text={b.lines.join("\n")} /></div>);
				return quoted && lines >= FOLDED_FROM && all.length > 1
					? <details key={i} class="folded"><summary>{t.quoted(lines)}</summary>{inner}</details> : <div key={i}>{inner}</div>;
			})}
		</div>
	);
}

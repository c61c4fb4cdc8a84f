/*
 * Styles of a message, taken apart by the browser's own parser (CSSOM) and put together again from what policy.ts lists.
 * Nothing is judged in its source text, where escapes and comments hide things: only in what the parser made of it.
 *
 * C1: no value in the result has a function that fetches (url(), image-set(), src() ...), a variable or a backslash.
 * C2: rules that import, define fonts, animate or nest unknown things are not carried over.
 */
import { isProperty, limits } from "./policy";

const fetching = /url\(|image|element\(|cross-fade|src\(|paint\(|attr\(|var\(|env\(|expression|script|[\\@<>]/i;
const remote = /url\(\s*["']?\s*(https?:|ftp:|\/\/)/i;

export interface StyleSink {
	/* called for each thing that would have come from the network */
	onRemote(): void;
}

/* The declarations that may stay, as text. */
export function cleanDeclarations(style: CSSStyleDeclaration, sink: StyleSink): string {
	const kept: string[] = [];

	for (let i = 0; i < style.length; i++) {
		const name = style.item(i);
		const value = style.getPropertyValue(name);

		if (remote.test(value)) sink.onRemote();
		if (!value || !isProperty(name) || fetching.test(value)) continue;
		kept.push(`${name}:${value}${style.getPropertyPriority(name) ? "!important" : ""}`);
	}
	return kept.join(";");
}

function cleanRules(rules: CSSRuleList, sink: StyleSink, left: { rules: number }, depth: number): string {
	let out = "";

	for (const rule of Array.from(rules)) {
		if (--left.rules < 0 || depth > 3) break;
		if (rule instanceof CSSStyleRule) {
			const body = cleanDeclarations(rule.style, sink);

			if (body && !/[<\\]/.test(rule.selectorText)) out += `${rule.selectorText}{${body}}\n`;
		} else if (rule instanceof CSSMediaRule) {
			/* the sheet of paper is white, whatever the reader's colours are */
			if (/prefers-color-scheme|[<\\{}]/.test(rule.conditionText)) continue;
			out += `@media ${rule.conditionText}{${cleanRules(rule.cssRules, sink, left, depth + 1)}}\n`;
		}
	}
	return out;
}

/* All of a message's <style> elements in one. The result goes into a <style> as text, never through an HTML parser. */
export function cleanSheet(text: string, sink: StyleSink): string {
	const sheet = new CSSStyleSheet();

	if (text.length > limits.sheet) return "";
	try {
		/* not adopted by a document: the parser fetches nothing, and leaves @import out */
		sheet.replaceSync(text.replace(/<!--|-->/g, " "));
	} catch {
		return "";
	}
	return cleanRules(sheet.cssRules, sink, { rules: limits.rules }, 0);
}

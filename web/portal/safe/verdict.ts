/*
 * What our own server found out about a message's sender (RFC 8601).
 *
 * V1: believed is one place only: the first field of the message, when it is Authentication-Results, directly above a
 * Received field that says "by NAME (Holdfast)" with the same NAME. Our server writes these two in front of all that a
 * sender sent, so nobody outside can write there; every other such field is somebody's claim and is not looked at.
 */

export interface Field {
	name: string;
	value: string;
}

export type Verdict =
	| { state: "passed"; domain: string; aligned: boolean }
	| { state: "failed"; domain: string; result: "fail" | "softfail" }
	| { state: "unknown"; domain: string }
	| { state: "unchecked" };

const unfold = (text: string): string => text.replace(/\r?\n[ \t]/g, " ").trim();

/* Organisational domain, roughly: good enough to say "the same house", never used to say "verified". */
function isSameHouse(a: string, b: string): boolean {
	return a === b || a.endsWith(`.${b}`) || b.endsWith(`.${a}`);
}

export function readVerdict(fields: readonly Field[], fromDomain: string): Verdict {
	const [first, second] = fields;

	if (!first || !second) return { state: "unchecked" };
	if (first.name.toLowerCase() !== "authentication-results" || second.name.toLowerCase() !== "received")
		return { state: "unchecked" };

	const result = /^([^\s;]+)\s*;\s*spf=([a-z]+)(?:\s+smtp\.(?:mailfrom|helo)=(\S+))?\s*$/.exec(unfold(first.value));
	const by = /\bby (\S+) \(Holdfast\) with /.exec(unfold(second.value));

	if (!result || !by || result[1] !== by[1]) return { state: "unchecked" };

	const domain = (result[3] ?? "").replace(/^.*@/, "").toLowerCase();

	switch (result[2]) {
		case "pass":
			return { state: "passed", domain, aligned: isSameHouse(domain, fromDomain.toLowerCase()) };
		case "fail":
		case "softfail":
			return { state: "failed", domain, result: result[2] };
		default:
			return { state: "unknown", domain };
	}
}

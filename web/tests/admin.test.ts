/* The console's pure parts: addresses of pages, spans of time, what of a timeline is drawn, texts of both languages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bucket, Timeline } from "../admin/api";
import { points } from "../admin/points";
import { parse, path } from "../admin/router";
import { admin as de } from "../texts/admin.de";
import { admin as en } from "../texts/admin.en";
import { span } from "../admin/texts";

test("addresses of pages lead there and back", () => {
	for (const [page, part] of [["overview", ""], ["queue", "site=a b,text=50%"], ["site", "head/office #1"], ["message", "00ff"], ["audit", "ä?&"]] as const)
		assert.deepEqual(parse(path(page, part)), { page, part });
	for (const bad of ["#/nonsense", "", "#", "#/queue/%E0%A4%A", "#/constructor"]) assert.ok(["overview", "queue"].includes(parse(bad).page), bad);
	assert.deepEqual(parse("#/queue/%zz"), { page: "queue", part: "" });
});

test("spans of time", () => {
	const rows: [number, string][] = [[-5, "0 s"], [0, "0 s"], [59, "59 s"], [61, "1 min"], [3600, "1 h"], [7860, "2 h 11 min"], [86_400, "1 d"], [273_600, "3 d 4 h"]];
	for (const [seconds, want] of rows) assert.equal(span(en, seconds), want);
});

const bucket = (at_us: number, o: Partial<Bucket> = {}): Bucket => ({ at_us, probes: 12, failed: 0, latency_ms: 40, latency_most_ms: 90, accepted: 0, refused: 0, unreached: 0, class: "", state: "up", continuity: false, ...o });
const line = (buckets: Bucket[]): Timeline => ({ ok: true, site: "a", now_us: 1e9, bucket_s: 60, buckets, marks: [], primaries: [] });

test("a timeline is drawn with gaps where nothing was probed", () => {
	const M = 60e6;
	assert.deepEqual(points(line([]), 0), [[], [], []]);
	const [x, ms, failed] = points(line([bucket(0), bucket(M, { failed: 6 }), bucket(5 * M, { probes: 0, latency_ms: null })]), 0);
	assert.deepEqual(x, [0, 60, 120, 300]);
	assert.deepEqual(ms, [40, 40, null, null]);
	assert.deepEqual(failed, [0, 50, null, null]);
	assert.deepEqual(points(line([bucket(0), bucket(M)]), M)[0], [60]);
	for (const list of points(line([bucket(M), bucket(9 * M), bucket(20 * M)]), 0)) assert.equal(list.length, 5);
});

/** The same keys, functions where the other has functions; leases of the same length. */
function alike(a: unknown, b: unknown, where: string): void {
	assert.equal(typeof b, typeof a, where);
	if (typeof a === "string") return assert.ok(a.length > 0 && (b as string).length > 0, where);
	if (Array.isArray(a)) return assert.deepEqual((b as [number, string][]).map((x) => x[0]), a.map((x) => (x as [number, string])[0]), where);
	if (typeof a !== "object" || a === null) return;
	assert.deepEqual(Object.keys(b as object).sort(), Object.keys(a).sort(), where);
	for (const k of Object.keys(a)) alike((a as Record<string, unknown>)[k], (b as Record<string, unknown>)[k], `${where}.${k}`);
}

test("both languages say the same things", () => alike(en, de, "admin"));

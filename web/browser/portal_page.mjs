// The built portal over the in-memory server (dev/fake.mjs), with somebody logged in.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { spawnSync } from "node:child_process";
import { fake } from "../dev/fake.mjs";
import { WEB } from "./lib.mjs";

/** Built anew when there is no build of today's sources: HOLDFAST_WEB names one. */
export function built() {
	if (process.env.HOLDFAST_WEB) return { out: process.env.HOLDFAST_WEB, drop() {} };
	const out = fs.mkdtempSync(path.join(os.tmpdir(), "holdfast-portal-"));
	const done = spawnSync(process.execPath, [path.join(WEB, "build.mjs"), "--no-check", out], { encoding: "utf8" });
	if (done.status !== 0) throw new Error(done.stdout + done.stderr);
	return { out, drop: () => fs.rmSync(out, { recursive: true, force: true }) };
}

export async function serve(out, messages = 40) {
	const f = fake({ out, messages });
	await new Promise((r) => f.server.listen(0, "127.0.0.1", r));
	f.url = `http://localhost:${f.server.address().port}`;
	f.stop = () => new Promise((r) => { f.server.closeAllConnections(); f.server.close(r); });
	f.post = (at, body) => fetch(f.url + at, { method: "POST", body: JSON.stringify(body) });
	/** Somebody is logged in. */
	f.enter = (context) => context.addCookies([{ name: "who", value: encodeURIComponent("anna@example.com"), url: f.url }]);
	return f;
}

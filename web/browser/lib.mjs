// What the tests in a real browser share: Debian's Chromium by playwright-core, a server for pages that are made here, and a
// canary: a second server that nobody may ever ask.
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

export const WEB = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const foreign = createRequire(path.join(WEB, "../tests/e2e/node/package.json")); // the tests' packages, not the portal's
const { chromium } = foreign("playwright-core");
export const axeSource = () => fs.readFileSync(foreign.resolve("axe-core/axe.min.js"), "utf8");

/** A program of this folder with all it imports, as text. */
export async function bundle(entry, format = "iife") {
	const built = await esbuild.build({ absWorkingDir: WEB, entryPoints: [entry], bundle: true, write: false, format,
		target: ["es2021"], jsx: "automatic", jsxImportSource: "preact", loader: { ".css": "empty" }, charset: "utf8" });
	return built.outputFiles[0].text;
}

export function listen(handler) {
	const server = http.createServer(handler);
	return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

export const urlOf = (server) => `http://127.0.0.1:${server.address().port}`;

/** Counts who asks; every connection is one, also those that say nothing. */
export async function canary() {
	const asked = [];
	const server = await listen((req, res) => {
		asked.push(`${req.method} ${req.url}`);
		res.setHeader("Access-Control-Allow-Origin", "*");
		if (req.url.endsWith(".js")) res.setHeader("Content-Type", "text/javascript").end("parent.ran&&parent.ran('remote script');");
		else res.setHeader("Content-Type", "image/gif").end(Buffer.from("R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=", "base64"));
	});
	server.on("connection", () => asked.push("connection"));
	return { asked, server, url: urlOf(server), close: () => new Promise((r) => { server.closeAllConnections(); server.close(r); }) };
}

/** pages: path -> {type, body, headers} or a function of the request that returns one. */
export async function pages(table) {
	const server = await listen((req, res) => {
		const { pathname } = new URL(req.url, "http://x");
		const row = table[pathname];
		const page = typeof row === "function" ? row(req) : row;
		if (!page) return void res.writeHead(404).end();
		res.writeHead(200, { "Content-Type": page.type ?? "text/html; charset=utf-8", ...page.headers }).end(page.body);
	});
	return { server, url: urlOf(server), close: () => new Promise((r) => { server.closeAllConnections(); server.close(r); }) };
}

export function launch(options = {}) {
	return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
		args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"], ...options });
}

export const read = (name) => fs.readFileSync(path.join(WEB, name), "utf8");

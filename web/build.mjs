// Builds the portal and the console:   node build.mjs [--no-check] OUT
// bundles the unit tests and runs them: node build.mjs --test
//
// OUT/portal and OUT/admin get everything that is served. Files in their assets/ carry a hash of their content in their name
// and may be cached for ever; all others are asked for anew. Nothing is fetched, nothing depends on the time or the place.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const WEB = path.dirname(fileURLToPath(import.meta.url));
const BUDGET = 150_000; // bytes of each application, compressed, together
const TARGET = ["es2021", "chrome100", "firefox100", "safari15.4"];

const common = {
	absWorkingDir: WEB,
	bundle: true,
	format: "esm",
	target: TARGET,
	jsx: "automatic",
	jsxImportSource: "preact",
	legalComments: "none",
	logLevel: "warning",
	charset: "utf8",
};

function files(dir, below = "") {
	if (!fs.existsSync(dir)) return [];
	return fs.readdirSync(dir, { withFileTypes: true }).flatMap((e) => {
		const name = path.posix.join(below, e.name);
		return e.isDirectory() ? files(path.join(dir, e.name), name) : [name];
	});
}

/** Types of everything; a text that a language lacks ends the build here. */
function check() {
	const tsc = path.join(WEB, "node_modules", "typescript", "bin", "tsc");
	const done = spawnSync(process.execPath, [tsc, "--project", WEB], { stdio: "inherit" });
	if (done.status !== 0) process.exit(1);
}

/** Files that are served as they are, and the page with the names of its assets. */
function pages(app, out, entry) {
	for (const name of files(path.join(WEB, app, "static")).sort()) {
		const to = path.join(out, name);
		fs.mkdirSync(path.dirname(to), { recursive: true });
		fs.copyFileSync(path.join(WEB, app, "static", name), to);
	}
	const html = fs.readFileSync(path.join(WEB, app, "index.html"), "utf8");
	fs.writeFileSync(path.join(out, "index.html"), html.replaceAll("{{js}}", entry.js).replaceAll("{{css}}", entry.css)
		.replaceAll("{{preload}}", entry.preload.map((p) => `<link rel="modulepreload" href="${p}">`).join("\n\t")));
}

/** A service worker has one fixed name, and must know which files are the present ones. */
async function worker(app, out) {
	const source = path.join(WEB, app, "sw.ts");
	if (!fs.existsSync(source)) return;
	const shell = files(out).filter((f) => !f.endsWith(".gz") && !f.endsWith(".png")).sort();
	const version = createHash("sha256");
	for (const f of shell) version.update(f).update(fs.readFileSync(path.join(out, f)));
	await esbuild.build({ ...common, entryPoints: [source], outfile: path.join(out, "sw.js"), format: "iife", minify: true,
		define: { SHELL: JSON.stringify(shell), VERSION: JSON.stringify(version.digest("hex").slice(0, 16)) } });
}

async function build(app, out) {
	fs.rmSync(out, { recursive: true, force: true });
	const result = await esbuild.build({ ...common, entryPoints: { [app]: path.join(WEB, app, "main.tsx") }, outdir: out,
		splitting: true, minify: true, metafile: true, entryNames: "assets/[name]-[hash]", chunkNames: "assets/[name]-[hash]",
		assetNames: "assets/[name]-[hash]", define: { "process.env.NODE_ENV": '"production"' } });
	const entry = { js: "", css: "", preload: [] };
	const url = (file) => path.posix.relative(path.relative(WEB, out).split(path.sep).join("/"), file);
	for (const [file, o] of Object.entries(result.metafile.outputs)) {
		if (o.entryPoint !== `${app}/main.tsx`) continue;
		entry.js = url(file);
		entry.css = o.cssBundle ? url(o.cssBundle) : "";
		entry.preload = o.imports.filter((i) => i.kind === "import-statement").map((i) => url(i.path));
	}
	pages(app, out, entry);
	await worker(app, out);
	return sizes(app, out);
}

/** NAME.gz beside what is smaller that way; the server sends it to those who take it. */
function compress(out, name, bytes) {
	const packed = gzipSync(bytes, { level: 9 });
	if (packed.length >= bytes.length) return bytes.length;
	fs.writeFileSync(path.join(out, `${name}.gz`), packed);
	return packed.length;
}

/** Compresses, and prints what each file weighs on the wire; false when all together are too heavy. */
function sizes(app, out) {
	let total = 0;
	for (const name of files(out).sort()) {
		const bytes = fs.readFileSync(path.join(out, name));
		const wire = compress(out, name, bytes);
		total += wire;
		console.log(`  ${app}/${name}`.padEnd(44) + `${bytes.length}`.padStart(9) + `${wire}`.padStart(9) + " compressed");
	}
	console.log(`  ${app} together`.padEnd(44) + "".padStart(9) + `${total}`.padStart(9) + ` of at most ${BUDGET}`);
	return total <= BUDGET;
}

/** third-party.txt, installed beside the pages: what of others is in them, with its licence (which asks for that). */
function licences(out) {
	const names = Object.keys(JSON.parse(fs.readFileSync(path.join(WEB, "package.json"), "utf8")).dependencies).sort();
	const parts = names.map((name) => {
		const dir = path.join(WEB, "node_modules", name), { version, license } = JSON.parse(fs.readFileSync(path.join(dir, "package.json"), "utf8"));
		return `${name} ${version} (${license})\n\n${fs.readFileSync(path.join(dir, "LICENSE"), "utf8").trim()}\n`;
	});
	fs.writeFileSync(path.join(out, "third-party.txt"), parts.join(`\n${"-".repeat(78)}\n\n`));
}

/** Unit tests: tests/<name>.test.ts, bundled and given to node's own runner. */
async function test() {
	const out = fs.mkdtempSync(path.join(os.tmpdir(), "holdfast-web-"));
	try {
		const names = fs.readdirSync(path.join(WEB, "tests")).filter((n) => /\.test\.tsx?$/.test(n));
		await esbuild.build({ ...common, entryPoints: names.map((n) => path.join(WEB, "tests", n)), outdir: out,
			platform: "node", target: "node18", packages: "bundle", outExtension: { ".js": ".mjs" }, loader: { ".css": "empty" } });
		const bundled = files(out).filter((n) => n.endsWith(".test.mjs")).map((n) => path.join(out, n));
		return spawnSync(process.execPath, ["--test", ...bundled], { stdio: "inherit" }).status ?? 1;
	} finally {
		fs.rmSync(out, { recursive: true, force: true });
	}
}

const flags = process.argv.slice(2).filter((a) => a.startsWith("--"));
const out = process.argv.slice(2).find((a) => !a.startsWith("--"));
if (flags.includes("--test")) process.exit(await test());
if (!out) {
	console.error("usage: node build.mjs [--no-check] OUT | --test");
	process.exit(2);
}
if (!flags.includes("--no-check")) check();
let fits = true;
for (const app of ["portal", "admin"]) fits = (await build(app, path.resolve(out, app))) && fits;
licences(path.resolve(out));
if (!fits) {
	console.error(`too heavy: more than ${BUDGET} bytes compressed`);
	process.exit(1);
}

// A browser for the tests, driven by lines of JSON on stdin: {id, code, page, args} -> {id, value} or {id, error}. `code` is
// the body of an async function of (page, context, args, tools). tests/lib/browser.py speaks to it.
import {readFileSync} from 'node:fs'
import {createInterface} from 'node:readline'
import {createRequire} from 'node:module'
import {chromium} from 'playwright-core'

const AsyncFunction = (async () => {}).constructor
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	args: ['--no-sandbox', '--disable-dev-shm-usage', '--ignore-certificate-errors', ...(process.env.CHROMIUM_ARGS ?? '').split(' ').filter(Boolean)],
})
const contexts = new Map() // name -> {context, pages: Map, requests, console}

const tools = {
	browser,
	contexts,
	// Violations of WCAG and best practice on the page as it is now, with what is concerned.
	async axe(page, options = {}) {
		await page.evaluate(axeSource) // not a script element: the page's own policy stays as it is
		const found = await page.evaluate((o) => globalThis.axe.run(document, o), options)
		return found.violations.map((v) => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 5).map((n) => n.html.slice(0, 200) + ' | ' + n.failureSummary.slice(0, 300))}))
	},
	// Slow line: bytes per second and a round trip in ms.
	async network(page, {latency, down, up}) {
		const cdp = await page.context().newCDPSession(page)
		await cdp.send('Network.enable')
		await cdp.send('Network.emulateNetworkConditions', {offline: false, latency, downloadThroughput: down, uploadThroughput: up})
		return cdp
	},
}

async function open({name, page, options}) {
	let c = contexts.get(name)
	if (!c) {
		const context = await browser.newContext({ignoreHTTPSErrors: true, ...options})
		context.setDefaultTimeout(15000)
		c = {context, pages: new Map(), requests: [], console: []}
		context.on('request', (r) => c.requests.push(r.url()))
		contexts.set(name, c)
	}
	if (!c.pages.has(page)) {
		const p = await c.context.newPage()
		p.on('console', (m) => c.console.push(`${m.type()}: ${m.text()}`))
		p.on('pageerror', (e) => c.console.push(`pageerror: ${e.message}`))
		c.pages.set(page, p)
	}
	return c
}

async function answer({code, name, page, options, args}) {
	const c = await open({name, page, options})
	return await new AsyncFunction('page', 'context', 'args', 'tools', code)(c.pages.get(page), c.context, args ?? {}, {...tools, seen: c})
}

for await (const line of createInterface({input: process.stdin})) {
	const order = JSON.parse(line)
	let out
	try {
		out = {id: order.id, value: (await answer(order)) ?? null}
	} catch (e) {
		out = {id: order.id, error: String(e.stack ?? e)}
	}
	process.stdout.write(JSON.stringify(out) + '\n')
}
await browser.close()

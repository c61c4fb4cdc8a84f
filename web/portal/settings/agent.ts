import { clean } from "../mail/names";

/** "Firefox, Linux": what people recognise of a User-Agent. */
export function agentName(agent: string): string {
	const browser = /Edg\//.test(agent) ? "Edge" : /OPR\//.test(agent) ? "Opera" : /Firefox\//.test(agent) ? "Firefox" : /Chrom(e|ium)\//.test(agent) ? "Chrome" : /Safari\//.test(agent) ? "Safari" : "";
	const system = /Android/.test(agent) ? "Android" : /iPhone/.test(agent) ? "iPhone" : /iPad/.test(agent) ? "iPad" : /Windows/.test(agent) ? "Windows" : /Mac OS X/.test(agent) ? "Mac" : /Linux|X11/.test(agent) ? "Linux" : "";
	return [browser, system].filter(Boolean).join(", ") || clean(agent).slice(0, 60);
}

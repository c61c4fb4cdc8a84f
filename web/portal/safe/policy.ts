/*
 * What of a message's HTML is shown: the lists. All else goes. Nothing here names a place on the network: addresses in
 * `src` and `href` are judged one by one in html.ts, and no other attribute or property that could hold one is listed.
 *
 * P1: no element that runs, embeds, sends or redirects (script, object, iframe, form, input, meta, link, base, svg, math).
 * P2: no attribute but these; `id` and `name` never, so nothing in a message is found by name in a document of ours.
 * P3: no property that takes a picture, moves out of the flow (position) or lies above other things (z-index).
 */

const words = (text: string): string[] => text.trim().split(/\s+/);

export const tags = words(`
	a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del details
	dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q
	rp rt ruby s samp section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var
	wbr html head body #text`);

export const attributes = words(`
	abbr align alt bgcolor border cellpadding cellspacing class clear color cols colspan compact datetime dir face height
	href hspace lang noshade nowrap reversed rowspan rules scope size span src start style title type valign value vspace
	width`);

/* Longhands, as a declaration enumerates them. */
const properties = new Set(words(`
	color background-color opacity visibility display float clear box-sizing direction
	font-family font-size font-style font-weight font-stretch font-variant font-variant-caps font-variant-ligatures
	font-variant-numeric font-variant-alternates font-variant-east-asian font-variant-position
	line-height letter-spacing word-spacing word-break overflow-wrap white-space white-space-collapse text-wrap
	text-wrap-mode text-wrap-style hyphens tab-size
	text-align text-align-last text-indent text-transform text-overflow text-shadow text-decoration
	text-decoration-line text-decoration-style text-decoration-color text-decoration-thickness text-underline-offset
	vertical-align
	width height min-width min-height max-width max-height aspect-ratio overflow overflow-x overflow-y
	margin margin-top margin-right margin-bottom margin-left
	padding padding-top padding-right padding-bottom padding-left
	border-top-width border-right-width border-bottom-width border-left-width
	border-top-style border-right-style border-bottom-style border-left-style
	border-top-color border-right-color border-bottom-color border-left-color
	border-top-left-radius border-top-right-radius border-bottom-left-radius border-bottom-right-radius
	border-collapse border-spacing border-horizontal-spacing border-vertical-spacing
	-webkit-border-horizontal-spacing -webkit-border-vertical-spacing
	outline-color outline-style outline-width box-shadow
	list-style-type list-style-position table-layout caption-side empty-cells
	flex-basis flex-direction flex-grow flex-shrink flex-wrap order gap row-gap column-gap
	align-content align-items align-self justify-content justify-items justify-self
	column-count column-width column-rule-color column-rule-style column-rule-width
	break-after break-before break-inside page-break-after page-break-before page-break-inside
	object-fit cursor
	-webkit-text-size-adjust text-size-adjust`));

export const isProperty = (name: string): boolean => properties.has(name);

/* Pictures that may stand in a message as they are; an SVG is a document, not a picture. */
export const dataPicture = /^data:image\/(png|jpe?g|gif|webp|bmp|avif);base64,[A-Za-z0-9+/=\s]*$/i;

export const limits = {
	html: 4 << 20 /* characters; longer mail is shown as text */,
	nodes: 60_000,
	sheet: 256 << 10 /* characters of all <style> together */,
	rules: 4000,
	frameHeight: 24_000 /* px; longer mail scrolls in its frame */,
};

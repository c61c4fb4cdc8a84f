/* Says something to a screen reader without moving the focus. */
let region: HTMLElement | null = null;

export function announce(text: string): void {
	if (!region) {
		region = document.createElement("div");
		region.className = "sr-only";
		region.setAttribute("role", "status");
		region.setAttribute("aria-live", "polite");
		document.body.append(region);
	}
	region.textContent = "";
	setTimeout(() => { if (region) region.textContent = text; }, 50); // an empty region first, so that the same text is said again
}

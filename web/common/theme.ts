/* Light or dark: as the system is, or as the person chose. Sets data-theme on the page before anything is drawn. */
import { keptCell, useCell } from "./cell";

export type Theme = "system" | "light" | "dark";
const isTheme = (v: unknown): v is Theme => v === "system" || v === "light" || v === "dark";
export const theme = keptCell<Theme>("theme", "system", isTheme);

const dark = window.matchMedia("(prefers-color-scheme: dark)");

export const isDark = () => theme.value === "dark" || (theme.value === "system" && dark.matches);

function apply(): void {
	document.documentElement.dataset.theme = isDark() ? "dark" : "light";
}

export function startTheme(): void {
	apply();
	theme.watch(apply);
	dark.addEventListener("change", apply);
}

export const useTheme = () => useCell(theme);

import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icon";

export type BannerKind = "note" | "care" | "good" | "bad";
const icons: Record<BannerKind, IconName> = { note: "info", care: "warning", good: "good", bad: "warning" };

/** A line over the whole width that stays as long as it is true. */
export function Banner({ kind, icon, children, live }: { kind: BannerKind; icon?: IconName; children: ComponentChildren; live?: boolean }) {
	return (
		<div class={`banner ${kind}`} role={live ? "status" : undefined}>
			<Icon name={icon ?? icons[kind]} />
			<div class="banner-text">{children}</div>
		</div>
	);
}

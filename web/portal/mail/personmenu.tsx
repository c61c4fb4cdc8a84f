import { confirm } from "../../common/components/dialog";
import { Menu } from "../../common/components/menu";
import { toast } from "../../common/components/toast";
import { useTexts } from "../../common/i18n";
import { isDark, theme, useTheme } from "../../common/theme";
import { go } from "../router";
import { unsafe } from "../compose/state";
import { logout } from "../session";
import { why } from "../login/faults";
import { keysShown } from "./keys";
import { actions } from "./state";

export function PersonMenu() {
	const t = useTexts();
	useTheme();
	const leave = async () => {
		if ((actions.waiting.value || unsafe()) && !(await confirm({ title: t.menu.logout, text: t.menu.logoutWaits, yes: t.menu.logoutAnyway, no: t.app.cancel, danger: true }))) return;
		try {
			await logout();
		} catch (e) {
			toast(why(e, t, t.app.failed), { bad: true });
		}
	};
	return (
		<Menu icon="person" label={t.menu.open} items={() => [
			{ label: t.menu.help, icon: "help", run: () => go({ page: "help" }) },
			{ label: t.menu.settings, icon: "settings", run: () => go({ page: "settings", part: "" }) },
			{ label: t.menu.keys, icon: "keyboard", run: () => { keysShown.value = true; } },
			{ label: isDark() ? t.menu.light : t.menu.dark, icon: "theme", run: () => { theme.value = isDark() ? "light" : "dark"; } },
			{ label: t.menu.logout, icon: "logout", run: () => void leave() },
		]} />
	);
}

import { render } from "preact";
import "../shared/tokens.css";
import "../shared/base.css";
import "../shared/components/components.css";
import { startTheme } from "../shared/theme";
import { language } from "../shared/i18n";
import * as en from "../texts/en";
import * as de from "../texts/de";

startTheme();
const t = { en: en.admin, de: de.admin }[language()];
render(<main><h1>{t.name}</h1></main>, document.getElementById("app") as HTMLElement);

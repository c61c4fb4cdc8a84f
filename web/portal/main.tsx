import { render } from "preact";
import "../shared/tokens.css";
import "../shared/base.css";
import "../shared/components/components.css";
import "./portal.css";
import { startTheme } from "../shared/theme";
import { App } from "./app";
import { startRouter } from "./router";
import { startSession } from "./session";

startTheme();
startRouter();
void startSession();
render(<App />, document.getElementById("app") as HTMLElement);

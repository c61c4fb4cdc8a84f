import { render } from "preact";
import "../common/tokens.css";
import "../common/base.css";
import "../common/components/components.css";
import "./portal.css";
import { startTheme } from "../common/theme";
import { App } from "./app";
import { startRouter } from "./router";
import { startSession } from "./session";

startTheme();
startRouter();
void startSession();
render(<App />, document.getElementById("app") as HTMLElement);

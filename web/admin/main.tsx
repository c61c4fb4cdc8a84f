import { render } from "preact";
import "../shared/tokens.css";
import "../shared/base.css";
import "../shared/components/components.css";
import "uplot/dist/uPlot.min.css";
import "./admin.css";
import { startTheme } from "../shared/theme";
import { App } from "./app";
import { startRouter } from "./router";
import { startSession } from "./session";

startTheme();
startRouter();
render(<App />, document.getElementById("app") as HTMLElement);
void startSession();

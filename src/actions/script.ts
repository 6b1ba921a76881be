// The plugin `core/script`.
import { definePlugin } from "../sdk/index.ts";
import { runScript } from "./script/run.ts";

definePlugin({ actions: { run: runScript } });

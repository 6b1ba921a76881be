// The plugin `core/ssh`.
import { definePlugin } from "../sdk/index.ts";
import { runOverSsh } from "./ssh/run.ts";

definePlugin({ actions: { run: runOverSsh } });

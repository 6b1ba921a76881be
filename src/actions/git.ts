// The plugin `core/git`.
import type { JsonObject } from "../base/index.ts";
import { definePlugin } from "../sdk/index.ts";
import { clone, commit, diff } from "./git/actions.ts";

type Action = { input: JsonObject; output: JsonObject };

definePlugin<Record<"clone" | "commit" | "diff", Action>>({ actions: { clone, commit, diff } });

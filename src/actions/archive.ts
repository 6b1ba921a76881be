// The plugin `core/archive`.
import type { JsonObject } from "../base/index.ts";
import { definePlugin } from "../sdk/index.ts";
import { createArchive } from "./archive/create.ts";
import { extractArchive } from "./archive/extract.ts";

type Action = { input: JsonObject; output: JsonObject };

definePlugin<Record<"create" | "extract", Action>>({ actions: { create: createArchive, extract: extractArchive } });

// The plugin `core/csv`.
import type { JsonObject } from "../base/index.ts";
import { definePlugin } from "../sdk/index.ts";
import { readCsv } from "./csv/read.ts";
import { writeCsv } from "./csv/write.ts";

type Action = { input: JsonObject; output: JsonObject };

definePlugin<Record<"read" | "write", Action>>({ actions: { read: readCsv, write: writeCsv } });

// The plugin `core/sql`.
import { definePlugin } from "../sdk/index.ts";
import { queryDatabase } from "./sql/query.ts";

definePlugin({ actions: { query: queryDatabase } });

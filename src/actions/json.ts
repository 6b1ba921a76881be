// The plugin `core/json`.
import { definePlugin } from "../sdk/index.ts";
import { transformJson } from "./json/transform.ts";

definePlugin({ actions: { transform: transformJson } });

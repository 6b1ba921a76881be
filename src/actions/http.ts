// The plugin `core/http`.
import { definePlugin } from "../sdk/index.ts";
import { sendRequest } from "./http/request.ts";

definePlugin({ actions: { request: sendRequest } });

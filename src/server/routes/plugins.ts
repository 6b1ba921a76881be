// Plugins: list, show, read the folders again. Installing and approving are done on the machine itself.
import { Type } from "@sinclair/typebox";
import { PluginListSchema, PluginSchema } from "../../model/index.ts";
import { jsonAnswer } from "../http/answer.ts";
import { paging } from "../http/formats.ts";
import { route, type Route } from "../route.ts";
import { pluginName } from "./path-params.ts";

const tag = "plugins";

export const pluginRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/plugins",
    summary: "List plugins, built-in and installed",
    tag,
    scope: "workflow:read",
    query: Type.Object(paging, { additionalProperties: false }),
    answers: { 200: { means: "A page of plugins.", schema: PluginListSchema } },
    handler: async ({ facade, query }) => jsonAnswer(await facade.listPlugins(query)),
  }),
  route({
    method: "GET",
    path: "/api/v1/plugins/:ns/:name",
    summary: "Show a plugin with its actions and approvals",
    tag,
    scope: "workflow:read",
    params: { ns: pluginName, name: pluginName },
    answers: { 200: { means: "The plugin.", schema: PluginSchema } },
    handler: async ({ facade, params }) => jsonAnswer(await facade.getPlugin(`${params.ns}/${params.name}`)),
  }),
  route({
    method: "POST",
    path: "/api/v1/plugins/reload",
    summary: "Read the plugin folders again",
    tag,
    scope: "workflow:write",
    answers: { 200: { means: "The plugins that are there now.", schema: PluginListSchema } },
    handler: async ({ facade }) => jsonAnswer(await facade.reloadPlugins()),
  }),
];

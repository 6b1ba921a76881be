// Triggers: what there is, what should have fired and did not, and starting by hand what they start.
import { Type } from "@sinclair/typebox";
import { parseTime } from "../../base/index.ts";
import { BackfillSchema, StartedSchema, TriggerHealthSchema, TriggerListSchema } from "../../model/index.ts";
import { jsonAnswer } from "../http/answer.ts";
import { paging, Text, Time } from "../http/formats.ts";
import { route, type Route } from "../route.ts";

const tag = "triggers";
const strict = { additionalProperties: false } as const;

const FireBody = Type.Object(
  { workflow: Text("Id of the workflow."), trigger: Type.Optional(Text("Id of the trigger; left out for the only one of the workflow.")) },
  strict,
);
const BackfillBody = Type.Object(
  {
    workflow: Text("Id of the workflow."),
    trigger: Text("Id of one of its cron triggers."),
    from: Time("From this time on."),
    to: Time("Up to this time, itself included; not after now."),
    dryRun: Type.Optional(Type.Boolean({ description: "Say what would be started, and start nothing." })),
  },
  strict,
);

export const triggerRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/triggers",
    summary: "List the triggers of armed workflows",
    tag,
    scope: "workflow:read",
    query: Type.Object({ ...paging, workflow: Type.Optional(Text("Only of this workflow.")) }, strict),
    answers: { 200: { means: "A page of triggers, by workflow and id.", schema: TriggerListSchema } },
    handler: async ({ facade, query }) => jsonAnswer(await facade.listTriggers(query)),
  }),
  route({
    method: "GET",
    path: "/api/v1/triggers/health",
    summary: "List triggers that should have fired and did not",
    tag,
    scope: "workflow:read",
    query: Type.Object(paging, strict),
    answers: { 200: { means: "A page of triggers with the time that they did not keep.", schema: TriggerHealthSchema } },
    handler: async ({ facade, query }) => jsonAnswer(await facade.triggerHealth(query)),
  }),
  route({
    method: "POST",
    path: "/api/v1/triggers/fire",
    summary: "Start now what a trigger starts",
    tag,
    scope: "workflow:run",
    body: { types: ["application/json"], read: "json", schema: FireBody },
    answers: { 202: { means: "The execution.", schema: StartedSchema } },
    refusals: [404, 409, 429],
    handler: async ({ facade, body }) => jsonAnswer(await facade.fireTrigger(body), 202),
  }),
  route({
    method: "POST",
    path: "/api/v1/triggers/backfill",
    summary: "Start what the times of a range did not start",
    tag,
    scope: "workflow:run",
    body: { types: ["application/json"], read: "json", schema: BackfillBody },
    answers: { 200: { means: "What was started, and what was not.", schema: BackfillSchema } },
    refusals: [404, 409],
    handler: async ({ facade, request, state, body: { from, to, ...rest } }) => {
      state.keepOpen(request);
      // The schema lets only times through.
      return jsonAnswer(await facade.backfillTrigger({ ...rest, from: parseTime(from) ?? 0, to: parseTime(to) ?? 0 }));
    },
  }),
];

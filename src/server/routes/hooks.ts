// Webhooks: the one kind of route that others than this product's own clients call, with a proof of their own instead of a key.
import { HookStartedSchema } from "../../model/index.ts";
import { jsonAnswer } from "../http/answer.ts";
import { readRawBody } from "../http/body.ts";
import { splitTarget } from "../http/request-line.ts";
import { publicRoute, type Method, type OpenCall, type Route } from "../route.ts";

/** The methods that a trigger may name. */
const methods: readonly Method[] = ["POST", "PUT", "GET"];

export const hookRoutes: readonly Route[] = methods.map((method) =>
  publicRoute({
    method,
    path: "/hooks/:workflow/*",
    summary: `Deliver to a webhook that takes ${method}`,
    tag: "hooks",
    answers: { 202: { means: "The execution that it started; a repeat of a delivery gets that of the first.", schema: HookStartedSchema } },
    refusals: [401, 404, 405, 409, 413, 415, 422, 429],
    isRaw: true,
    handler: deliver,
  }),
);

async function deliver({ request, state }: OpenCall) {
  const { path, search } = splitTarget(request.url);
  const [workflow = "", ...rest] = path.split("/").slice(2).map(decodeURIComponent);
  const { executionId } = await state.app.deliverHook({
    workflow,
    path: rest.join("/"),
    method: request.method,
    headers: request.headers,
    query: new URLSearchParams(search),
    body: () => readRawBody(request),
  });
  return jsonAnswer({ execution_id: executionId }, 202);
}

// All routes, by noun.
import type { Route } from "./route.ts";
import { artifactRoutes } from "./routes/artifacts.ts";
import { cleanupRoutes } from "./routes/cleanup.ts";
import { executionCommandRoutes } from "./routes/execution-commands.ts";
import { executionRoutes } from "./routes/executions.ts";
import { healthRoutes } from "./routes/health.ts";
import { hookRoutes } from "./routes/hooks.ts";
import { keyRoutes } from "./routes/keys.ts";
import { pluginRoutes } from "./routes/plugins.ts";
import { referenceRoutes } from "./routes/reference.ts";
import { secretRoutes } from "./routes/secrets.ts";
import { statusRoutes } from "./routes/status.ts";
import { traceRoutes } from "./routes/traces.ts";
import { triggerRoutes } from "./routes/triggers.ts";
import { workflowRoutes } from "./routes/workflows.ts";

/** The whole API in the order in which it is documented. */
export const routes: readonly Route[] = [
  ...healthRoutes,
  ...referenceRoutes,
  ...statusRoutes,
  ...workflowRoutes,
  ...executionRoutes,
  ...artifactRoutes,
  ...executionCommandRoutes,
  ...cleanupRoutes,
  ...triggerRoutes,
  ...hookRoutes,
  ...pluginRoutes,
  ...keyRoutes,
  ...secretRoutes,
  ...traceRoutes,
];

// The Prometheus text of a status and of what the server counted itself.
import type { Status } from "../../model/index.ts";
import type { ServerState } from "../server-state.ts";

type Sample = { labels?: Record<string, string>; value: number };
type Metric = { name: string; type: "gauge" | "counter"; help: string; samples: Sample[] };

/** Text exposition format, one line per sample, names beginning with `autokestra_`. */
export function renderMetrics(status: Status, state: ServerState): string {
  const one = (value: number): Sample[] => [{ value }];
  const metrics: Metric[] = [
    { name: "info", type: "gauge", help: "Always 1; the labels tell the version.", samples: [{ labels: { version: status.version }, value: 1 }] },
    { name: "uptime_seconds", type: "gauge", help: "Seconds since the server started.", samples: one(status.uptimeMs / 1000) },
    { name: "ready", type: "gauge", help: "1 once the store is open and recovery is done.", samples: one(status.ready ? 1 : 0) },
    { name: "workflows", type: "gauge", help: "Workflows in the store.", samples: one(status.workflows) },
    {
      name: "executions",
      type: "gauge",
      help: "Executions in the store by state.",
      samples: Object.entries(status.executions).map(([name, value]) => ({ labels: { state: name }, value })),
    },
    { name: "trace_events_total", type: "counter", help: "Events ever written to the store.", samples: one(status.events) },
    { name: "open_streams", type: "gauge", help: "Server-sent event streams that are open.", samples: one(state.streams.openCount) },
    { name: "resident_memory_bytes", type: "gauge", help: "Memory of the process.", samples: one(process.memoryUsage.rss()) },
    { name: "http_requests_total", type: "counter", help: "Requests by route and status.", samples: requestSamples(state) },
  ];
  return metrics.map(renderMetric).join("");
}

function requestSamples({ requests }: ServerState): Sample[] {
  return [...requests].map(([key, value]) => {
    const [method = "", route = "", status = ""] = key.split(" ");
    return { labels: { method, route, status }, value };
  });
}

function renderMetric({ name, type, help, samples }: Metric): string {
  const full = `autokestra_${name}`;
  const lines = samples.map(({ labels, value }) => `${full}${labels === undefined ? "" : renderLabels(labels)} ${value}\n`);
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join("")}`;
}

function renderLabels(labels: Record<string, string>): string {
  const escape = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${escape(value)}"`)
    .join(",")}}`;
}

// Containers. The Docker runtime runs the image itself: there is no program of ours in between.
import { type ActionDescription, closed, files, text } from "./describe.ts";

export const dockerActions: readonly ActionDescription[] = [
  {
    action: "core/docker.run",
    description: "Runs a container of an image, confined like every task; its output is the log, the last part of it the result.",
    input: closed(
      {
        image: { type: "string", minLength: 1, maxLength: 512, description: "A reference such as busybox:1.36 or ghcr.io/a/b@sha256:…" },
        command: {
          description: "In place of the image's entrypoint: a program and its arguments, or a line for `sh -c`. Default: the image's own.",
          anyOf: [text, { type: "array", items: text, minItems: 1 }],
        },
        env: { type: "object", additionalProperties: text, description: "Beside the image's own variables." },
        workdir: { type: "string", minLength: 1, description: "Absolute in the container, or below the workspace. Default: the image's own." },
        files,
        pull: { type: "string", enum: ["never", "missing", "always"], description: "Default: plugins.docker.pull, which is missing." },
      },
      ["image"],
    ),
    output: { type: "object", properties: { exitCode: { type: "integer" }, stdout: text } },
    idempotent: false,
    runsIn: "process",
    available: true,
    hasImage: true,
  },
];

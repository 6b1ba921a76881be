// The single source of the version is package.json; it is inlined by the build.
import manifest from "../../package.json" with { type: "json" };

export const version: string = manifest.version;
export const carpVersion = "1.0";
export const traceVersion = "1.0";

export { containerLayers } from "./container-body.ts";
export { ContainerRuntime } from "./container-runtime.ts";
export type { ContainerRuntimeOptions, ContainerSettings } from "./container-runtime.ts";
export type {
  ContainerExit,
  ContainerHandle,
  ContainerLimits,
  ContainerMount,
  ContainerOwner,
  ContainerRunner,
  ContainerSpec,
  EngineState,
  PullPolicy,
  ResolvedImage,
} from "./ports.ts";

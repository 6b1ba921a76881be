export { RuntimeFolder } from "./runtime-folder.ts";

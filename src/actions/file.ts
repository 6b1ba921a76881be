// The plugin `core/file`.
import type { JsonObject } from "../base/index.ts";
import { definePlugin } from "../sdk/index.ts";
import { createArchive } from "./archive/create.ts";
import { checksumFiles, globFiles, listFolder } from "./file/listing.ts";
import { copyFile, deleteFiles, moveFile } from "./file/moving.ts";
import { readFile, writeFile } from "./file/read-write.ts";

type Action = { input: JsonObject; output: JsonObject };
type Names = "read" | "write" | "list" | "glob" | "checksum" | "copy" | "move" | "delete" | "archive";

definePlugin<Record<Names, Action>>({
  actions: {
    read: readFile,
    write: writeFile,
    list: listFolder,
    glob: globFiles,
    checksum: checksumFiles,
    copy: copyFile,
    move: moveFile,
    delete: deleteFiles,
    archive: createArchive,
  },
});

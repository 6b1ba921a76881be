// The file that `build.ts` packs; a path for `type: "file"`.

declare module "*/runtime.pack" {
  const path: string;
  export default path;
}

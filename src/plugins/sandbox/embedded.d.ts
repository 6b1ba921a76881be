// Files that the bundler embeds: paths for `type: "file"`, contents for `type: "text"`.

declare module "*/launcher-x64" {
  const path: string;
  export default path;
}
declare module "*/launcher-arm64" {
  const path: string;
  export default path;
}
declare module "*/launcher.sha256" {
  const text: string;
  export default text;
}
declare module "*/self-test.txt" {
  const text: string;
  export default text;
}

// The relay's files that the bundler embeds: paths for `type: "file"`, contents for `type: "text"`.

declare module "*/relay-x64" {
  const path: string;
  export default path;
}
declare module "*/relay-arm64" {
  const path: string;
  export default path;
}
declare module "*/relay.sha256" {
  const text: string;
  export default text;
}

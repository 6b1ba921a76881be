// A file that the bundler embeds as text.

declare module "*/self-test-macos.txt" {
  const text: string;
  export default text;
}

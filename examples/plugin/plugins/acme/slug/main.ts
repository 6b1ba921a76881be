import { definePlugin } from "autokestra/sdk";

export default definePlugin({
  actions: {
    make: (input: { title: string; maxLength?: number }, ctx) => {
      const words = input.title
        .normalize("NFD")
        .replace(/\p{Mark}/gu, "")
        .toLowerCase()
        .match(/[a-z0-9]+/g);
      if (words === null) throw ctx.fail("NO_LETTERS", `Cannot make a name out of "${input.title}"`, { retryable: false });
      ctx.log.info(`joining ${words.length} words`);
      return { slug: words.join("-").slice(0, input.maxLength ?? 60) };
    },
  },
});

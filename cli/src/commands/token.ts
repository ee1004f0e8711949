import { makeToken } from "@canfleet/hub";
import { AccessStore, assertFree, assertKnown, listEntries, nameFor, newEntry } from "../access-store.ts";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import { EXIT_DONE } from "../exit-codes.ts";
import type { TOKEN } from "../table/access.ts";
import { UsageError } from "../usage-error.ts";

/** `canfleet token` */
export async function runToken({ options, positionals }: Arguments<typeof TOKEN>, context: Context): Promise<number> {
  const { terminal } = context;
  const [action, name] = positionals;
  if (action !== "add" && action !== "ls" && action !== "rm") {
    throw new UsageError(`"${action ?? ""}": expected add, ls or rm`, "token");
  }
  const store = await AccessStore.open(options, context);
  if (action === "ls") {
    terminal.write(listEntries(store.tokens, options.json));
    return EXIT_DONE;
  }
  const known = nameFor(action, name);
  if (action === "rm") {
    assertKnown(store.tokens, known);
    await store.update(({ tokens }) => {
      assertKnown(tokens, known);
      tokens.delete(known);
    });
    return EXIT_DONE;
  }
  const entry = newEntry(known, options);
  const { token, sha256 } = makeToken();
  const isNew = await store.update((draft) => {
    assertFree(draft, known);
    draft.tokens.set(known, { ...entry, sha256 });
  });
  // Only now: a token that is not kept would be worth nothing.
  terminal.write(`${token}\n`);
  terminal.say("the token is shown this once; keep it in a file of mode 600");
  if (isNew) terminal.say("from now on this hub asks everybody; start it again if it runs");
  return EXIT_DONE;
}

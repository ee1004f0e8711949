import { makeToken } from "@canfleet/hub";
import { AccessStore, listEntries, nameFor, newEntry, removeEntry } from "../access-store.ts";
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
    removeEntry(store.tokens, known);
    await store.save();
    return EXIT_DONE;
  }
  store.assertFree(known);
  const { token, sha256 } = makeToken();
  store.tokens.set(known, { ...newEntry(known, options), sha256 });
  await store.save();
  // Only now: a token that is not kept would be worth nothing.
  terminal.write(`${token}\n`);
  terminal.say("the token is shown this once; keep it in a file of mode 600");
  if (store.isNew) terminal.say("from now on this hub asks everybody; start it again if it runs");
  return EXIT_DONE;
}

import { hashPassword } from "@canfleet/hub";
import { AccessStore, assertFree, assertKnown, listEntries, nameFor, newEntry } from "../access-store.ts";
import { newPassword } from "../ask-password.ts";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import { EXIT_DONE } from "../exit-codes.ts";
import type { USER } from "../table/access.ts";
import { UsageError } from "../usage-error.ts";

/** `canfleet user` */
export async function runUser(args: Arguments<typeof USER>, context: Context): Promise<number> {
  const { options, positionals } = args;
  const [action, name] = positionals;
  if (action !== "add" && action !== "ls" && action !== "rm" && action !== "passwd") {
    throw new UsageError(`"${action ?? ""}": expected add, ls, rm or passwd`, "user");
  }
  const store = await AccessStore.open(options, context);
  if (action === "ls") context.terminal.write(listEntries(store.users, options.json));
  else await change(action, nameFor(action, name), args, store, context);
  return EXIT_DONE;
}

async function change(
  action: "add" | "rm" | "passwd",
  name: string,
  { options }: Arguments<typeof USER>,
  store: AccessStore,
  context: Context,
): Promise<void> {
  // Everything that takes long comes before the file is locked.
  if (action === "add") assertFree(store, name);
  else assertKnown(store.users, name);
  const entry = action === "add" ? newEntry(name, options) : undefined;
  const password =
    action === "rm" ? undefined : await hashPassword(await newPassword(options["password-file"], context));
  const isNew = await store.update((draft) => {
    if (entry) assertFree(draft, name);
    const known = entry ?? assertKnown(draft.users, name);
    if (password) draft.users.set(name, { ...known, password });
    else draft.users.delete(name);
  });
  if (isNew) context.terminal.say("from now on this hub asks everybody; start it again if it runs");
}

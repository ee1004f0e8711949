import { hashPassword } from "@canfleet/hub";
import { AccessStore, listEntries, nameFor, newEntry, removeEntry } from "../access-store.ts";
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
  if (action === "rm") removeEntry(store.users, name);
  else if (action === "add") {
    store.assertFree(name);
    const entry = newEntry(name, options);
    store.users.set(name, {
      ...entry,
      password: await hashPassword(await newPassword(options["password-file"], context)),
    });
  } else {
    const user = store.users.get(name);
    if (!user) throw new UsageError(`there is no ${name}`);
    store.users.set(name, {
      ...user,
      password: await hashPassword(await newPassword(options["password-file"], context)),
    });
  }
  await store.save();
  if (store.isNew) context.terminal.say("from now on this hub asks everybody; start it again if it runs");
}

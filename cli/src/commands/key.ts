import type { Arguments } from "../command-spec.ts";
import { loadSettings } from "../config/load.ts";
import type { Context } from "../context.ts";
import { dataFolder } from "../data-folder.ts";
import { EXIT_DONE } from "../exit-codes.ts";
import { listKeys, removeKeys, rotateServerKey } from "../hub-keys.ts";
import type { KEY } from "../table/access.ts";
import { UsageError } from "../usage-error.ts";

/** `canfleet key` */
export async function runKey({ options, positionals }: Arguments<typeof KEY>, context: Context): Promise<number> {
  const { terminal, env, cwd } = context;
  const [action, name] = positionals;
  if (action !== "ls" && action !== "rm" && action !== "rotate") {
    throw new UsageError(`"${action ?? ""}": expected ls, rm or rotate`, "key");
  }
  if (action === "ls") terminal.write(await listKeys(await dataFolder(options, context), options.json));
  else if (action === "rm") {
    if (name === undefined) throw new UsageError("rm needs the NAME of an edge", "key");
    await removeKeys(await dataFolder(options, context), name);
    terminal.say(
      `${name} has no certificate and no token any more; where it is connected it is put out within a second`,
    );
  } else if (options.server) {
    const until = await rotateServerKey(await dataFolder(options, context), options.name);
    terminal.say(`a new key and certificate for the hub, good until ${dayOf(until)}; one that runs takes them over`);
  } else {
    const { tls } = (await loadSettings({ env, cwd, file: options.config })).edge;
    if (tls?.renew === undefined) {
      throw new UsageError(
        "rotate what? --server --data DIR a hub's key, --config FILE that of an edge that enrolled",
        "key",
      );
    }
    const { renewalFiles, renewCertificate } = await import("../certificate-renewal.ts");
    const until = await renewCertificate(tls.renew, renewalFiles(tls, cwd));
    terminal.say(
      `a new key and certificate, good until ${dayOf(until)}; an edge that runs shows it when it connects next`,
    );
  }
  return EXIT_DONE;
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

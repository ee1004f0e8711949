import { relative, resolve } from "node:path";
import { isAccessName, ACCESS_NAME_WANTED } from "@canfleet/hub";
import { isServerName } from "@canfleet/hub/pki";
import { newPassword } from "./ask-password.ts";
import type { Arguments } from "./command-spec.ts";
import type { Context } from "./context.ts";
import { EXIT_DONE } from "./exit-codes.ts";
import { makeHubFolder, makePassword } from "./hub-folder.ts";
import type { HUB } from "./table/run.ts";
import { UsageError } from "./usage-error.ts";

const DEFAULT_FOLDER = "hub-data";
const DEFAULT_OPERATOR = "operator";

/** `canfleet hub init` */
export async function runHubInit(
  dir: string | undefined,
  { options }: Arguments<typeof HUB>,
  context: Context,
): Promise<number> {
  const { terminal, env, cwd } = context;
  const wrong = options.name.find((name) => !isServerName(name));
  if (wrong !== undefined) throw new UsageError(`--name ${wrong}: expected a host name or an IP address`, "hub");
  const operator = options.user ?? DEFAULT_OPERATOR;
  if (!isAccessName(operator, "operator")) {
    throw new UsageError(`--user ${operator}: expected ${ACCESS_NAME_WANTED}`, "hub");
  }
  if (dir !== undefined && options.data !== undefined && dir !== options.data) {
    throw new UsageError(`two folders, ${dir} and --data ${options.data}: which one is it?`, "hub");
  }
  const named = dir ?? options.data ?? env.CANFLEET_HUB_DATA ?? "";
  const folder = resolve(cwd, named === "" ? DEFAULT_FOLDER : named);
  const passwordFile = options["password-file"];
  const password = passwordFile === undefined ? makePassword() : await newPassword(passwordFile, context);
  const { names, validTo, hasNewOperator } = await makeHubFolder({ folder, names: options.name, operator, password });

  const shown = relative(cwd, folder) === "" ? "." : relative(cwd, folder);
  terminal.say(
    `made a hub in ${shown}; its certificate is good until ${new Date(validTo).toISOString().slice(0, 10)}, for`,
  );
  terminal.print(`  ${names.join(", ")}\n`);
  if (!hasNewOperator) terminal.say("its access.json is as it was: nobody was added");
  else if (passwordFile !== undefined) terminal.say(`${operator} may log in with the password of ${passwordFile}`);
  else {
    terminal.say(`the password of ${operator}, shown this once:`);
    terminal.write(`${password}\n`);
  }
  terminal.print(`Try:\n  canfleet hub --data ${shown}\n  canfleet enroll pi-7 --data ${shown}\n`);
  return EXIT_DONE;
}

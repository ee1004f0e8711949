import { COMMANDS } from "./command-table.ts";
import { nearest } from "./nearest.ts";
import { UsageError } from "./usage-error.ts";

/** The error for a first word that is no command, with the one that was probably meant. */
export function unknownCommand(name: string): UsageError {
  const meant = nearest(
    name,
    COMMANDS.map((command) => command.name),
  );
  return new UsageError(`there is no command "${name}"${meant === undefined ? "" : `; did you mean ${meant}?`}`);
}

/** The command line is not one that the command takes: exit 2. */
export class UsageError extends Error {
  /** Whose help answers the question; undefined: the list of commands. */
  readonly command: string | undefined;

  constructor(message: string, command?: string) {
    super(message);
    this.name = "UsageError";
    this.command = command;
  }
}

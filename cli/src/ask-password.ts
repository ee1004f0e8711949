import type { Context } from "./context.ts";
import { Interrupted } from "./interruption.ts";
import { firstLine, readSecretFile } from "./login.ts";
import { UsageError } from "./usage-error.ts";

const MIN_CHARACTERS = 8;
const MAX_BYTES = 1_024;
/** More of standard input than any secret has is not read. */
const MAX_INPUT_CHARACTERS = 8_192;
const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const BACKSPACE = /^[\b\u007f]$/;

/**
 * A new password: from a file, from a prompt that does not show it, asked twice, or else from standard input. Never an
 * argument: those are for everybody on the machine to see.
 *
 * @throws UsageError when it is shorter than 8 characters or the two differ
 */
export async function newPassword(passwordFile: string | undefined, context: Context): Promise<string> {
  const password = await given(passwordFile, context);
  if (password.length < MIN_CHARACTERS) throw new UsageError(`a password has at least ${MIN_CHARACTERS} characters`);
  if (Buffer.byteLength(password) > MAX_BYTES) throw new UsageError(`a password has at most ${MAX_BYTES} bytes`);
  return password;
}

/**
 * Another secret: from a file, the environment, a prompt that does not show it, or else from standard input.
 *
 * @param variable the environment variable that may hold it
 */
export async function readSecret(
  question: string,
  file: string | undefined,
  variable: string,
  context: Context,
): Promise<string> {
  if (file !== undefined) return readSecretFile(file, context.cwd);
  const held = context.env[variable] ?? "";
  if (held !== "") return held;
  return process.stdin.isTTY ? prompt(question, context) : firstLine(await readInput());
}

async function given(passwordFile: string | undefined, context: Context): Promise<string> {
  if (passwordFile !== undefined) return readSecretFile(passwordFile, context.cwd);
  if (!process.stdin.isTTY) return firstLine(await readInput());
  const password = await prompt("Password: ", context);
  if ((await prompt("Again: ", context)) !== password) throw new UsageError("the two passwords differ");
  return password;
}

async function readInput(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) {
    text += String(chunk);
    if (text.length > MAX_INPUT_CHARACTERS) break;
  }
  return text;
}

/** In raw mode the terminal shows nothing, and hands on Ctrl-C as a character. */
function prompt(question: string, { terminal, interruption }: Context): Promise<string> {
  const { stdin } = process;
  // Before the question: what is pasted at once is not shown either.
  stdin.setRawMode(true);
  terminal.print(question);
  stdin.setEncoding("utf8");
  return new Promise((resolve, reject) => {
    let text: string[] = [];
    const finish = (): void => {
      stdin.off("data", take);
      stdin.setRawMode(false);
      stdin.pause();
      terminal.print("\n");
    };
    const take = (typed: string): void => {
      for (const char of typed) {
        if (char === CTRL_C) {
          finish();
          interruption.stop("SIGINT");
          reject(new Interrupted());
          return;
        }
        if (char === "\r" || char === "\n" || char === CTRL_D) {
          finish();
          resolve(text.join(""));
          return;
        }
        if (BACKSPACE.test(char)) text = text.slice(0, -1);
        else text.push(char);
      }
    };
    stdin.on("data", take);
    stdin.resume();
  });
}

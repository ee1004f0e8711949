import { messageOf, parseSendRules, readSendRule, type SendRule, type SendRuleConfig } from "@canfleet/sdk";

/** Who may put what on a bus: `none`, `link`, `all` or rules as text, or a list of rules (docs/sending.md 2). */
export type SendConfig = string | readonly (string | SendRuleConfig)[];

/** Who may put what on a bus, read. */
export interface SendPolicy {
  /** For people, in a line. */
  text: string;
  /** A frame must be named by one of them; empty: nothing may be sent. */
  rules: readonly SendRule[];
}

/**
 * Reads `none` (nobody), `link` (hosts that the operator named, and the edge's own bridges), `all`, or rules for
 * everybody who reaches the edge: `123,1F334455,200:7F0,7E0/x`.
 *
 * @throws RangeError naming the part that is wrong
 */
export function parseSendPolicy(text: string): SendPolicy {
  return { text, rules: parseSendRules(text) };
}

/**
 * Reads a policy in either form; `add` is told every mistake with its place below `path`. With a mistake the policy is
 * one under which nothing may be sent.
 */
export function checkSendPolicy(send: SendConfig, path: string, add: (path: string, text: string) => void): SendPolicy {
  const mistakes: string[] = [];
  const wrong = (at: string, text: string): void => {
    mistakes.push(at);
    add(at, text);
  };
  const rules =
    typeof send === "string"
      ? readText(send, path, wrong)
      : send.flatMap((item, i) => readItem(item, `${path}[${i}]`, wrong));
  if (mistakes.length > 0) return { text: "none", rules: [] };
  if (typeof send === "string") return { text: send, rules };
  return { text: rules.length === 0 ? "none" : rules.map((rule) => rule.text).join(", "), rules };
}

function readText(text: string, path: string, add: (path: string, text: string) => void): SendRule[] {
  try {
    return parseSendRules(text);
  } catch (error) {
    add(path, messageOf(error));
    return [];
  }
}

function readItem(
  item: string | SendRuleConfig,
  path: string,
  add: (path: string, text: string) => void,
): readonly SendRule[] {
  if (typeof item === "string") return readText(item, path, add);
  const { rule, mistakes } = readSendRule(item);
  for (const { key, text } of mistakes) add(key === "" ? path : `${path}.${key}`, text);
  return [rule];
}

import type { MessageSpec, SignalSpec, World } from "./database.ts";

/** Bit 31 of a DBC message number marks the extended format. */
const DBC_EXTENDED = 0x80000000;

const HEADER = `VERSION ""

NS_ :
	BA_
	BA_DEF_
	BA_DEF_DEF_
	CM_
	VAL_

BS_:
`;

const ATTRIBUTES = `\
BA_DEF_ BO_ "GenMsgCycleTime" INT 0 65535;
BA_DEF_DEF_ "GenMsgCycleTime" 0;`;

/** The DBC file of a simulated bus: messages, signals, comments, value names and periods (`GenMsgCycleTime`). */
export function toDbc<State>(world: World<State>, comment: string): string {
  const { messages } = world;
  const nodes = [...new Set(messages.map(({ sender }) => sender))].sort();
  return [
    HEADER,
    `BU_: ${nodes.join(" ")}`,
    "",
    ...messages.map(messageText),
    `CM_ ${quoted(comment)};`,
    ...messages.flatMap(comments),
    ATTRIBUTES,
    ...messages.map((message) => `BA_ "GenMsgCycleTime" BO_ ${dbcId(message)} ${message.periodMs};`),
    ...messages.flatMap(valueNames),
    "",
  ].join("\n");
}

function dbcId<State>(message: MessageSpec<State>): number {
  return message.isExtendedId ? message.arbitrationId + DBC_EXTENDED : message.arbitrationId;
}

function messageText<State>(message: MessageSpec<State>): string {
  const head = `BO_ ${dbcId(message)} ${message.name}: ${message.length} ${message.sender}`;
  return [head, ...message.signals.map(signalText), ""].join("\n");
}

function signalText<State>(signal: SignalSpec<State>): string {
  const layout = `${signal.startBit}|${signal.bits}@${signal.byteOrder === "big" ? 0 : 1}${signal.signed ? "-" : "+"}`;
  const scaling = `(${signal.scale ?? 1},${signal.offset ?? 0}) [${signal.min}|${signal.max}]`;
  return ` SG_ ${signal.name} : ${layout} ${scaling} ${quoted(signal.unit ?? "")} Vector__XXX`;
}

function comments<State>(message: MessageSpec<State>): string[] {
  const id = dbcId(message);
  const ofSignals = message.signals
    .filter(({ comment }) => comment !== undefined)
    .map(({ name, comment = "" }) => `CM_ SG_ ${id} ${name} ${quoted(comment)};`);
  return [`CM_ BO_ ${id} ${quoted(message.comment)};`, ...ofSignals];
}

function valueNames<State>(message: MessageSpec<State>): string[] {
  return message.signals.flatMap(({ name, labels }) => {
    if (!labels) return [];
    const pairs = Object.entries(labels).map(([raw, label]) => `${raw} ${quoted(label)}`);
    return [`VAL_ ${dbcId(message)} ${name} ${pairs.join(" ")} ;`];
  });
}

/** A DBC string; the format knows no escape for a double quote. */
function quoted(text: string): string {
  return `"${text.replaceAll('"', "'")}"`;
}

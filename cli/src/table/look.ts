import { defineCommand } from "../command-spec.ts";
import { CLIENT_OPTIONS, JSON_OPTION } from "./common.ts";

export const LS = defineCommand({
  name: "ls",
  group: "look",
  summary: "buses of the fleet: state, rates, losses",
  synopsis: ["[PATTERN] [-w] [--json]"],
  arguments: [{ name: "PATTERN", help: "edge, edge/bus or +/bus (all)", optional: true }],
  options: {
    watch: { kind: "flag", letter: "w", help: "keep the table up to date" },
    json: JSON_OPTION,
    ...CLIENT_OPTIONS,
  },
  examples: [{ line: "canfleet ls -w", does: "the fleet, live" }],
});

export const DOCTOR = defineCommand({
  name: "doctor",
  group: "look",
  summary: "what works here, what does not, and the cure",
  synopsis: ["[--json]"],
  arguments: [],
  options: { json: JSON_OPTION, ...CLIENT_OPTIONS },
  examples: [{ line: "canfleet doctor", does: "exit 1 when something fails" }],
});

export const COMPLETION = defineCommand({
  name: "completion",
  group: "look",
  summary: "completion script for a shell",
  synopsis: ["bash|zsh|fish"],
  arguments: [{ name: "SHELL", help: "bash, zsh or fish" }],
  options: {},
  examples: [
    { line: "source <(canfleet completion bash)", does: "bash, this session" },
    { line: "canfleet completion fish > ~/.config/fish/completions/canfleet.fish", does: "fish, for good" },
  ],
});

export const HELP = defineCommand({
  name: "help",
  group: "look",
  summary: "help for a command",
  synopsis: ["[COMMAND] [--markdown]"],
  arguments: [{ name: "COMMAND", help: "one of the commands", optional: true }],
  options: { markdown: { kind: "flag", help: "all of it, as docs/cli.md" } },
  examples: [{ line: "canfleet help dump", does: "the same as canfleet dump --help" }],
});

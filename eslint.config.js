import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

/** Import fences. Layers go one way: can ← wire, text ← buses ← services ← cli; each outside library has its door. */
const LIBRARY_DOORS = {
  aedes: ["services/hub/src/broker.ts", "services/hub/src/delivery.ts"],
  mqtt: ["sdk/src/hub-connection.ts"],
  "mqtt-packet": ["sdk/src/mqtt-numbers.ts"],
  "cbor-x": ["sdk/src/wire/cbor.ts"],
  socketcan: ["services/edge/src/drivers/socketcan-library.ts"],
  ws: ["services/hub/src/listeners.ts"],
  yaml: ["cli/src/config/yaml-source.ts"],
};

const FENCES = [
  {
    files: ["sdk/src/**"],
    patterns: [{ group: ["@canfleet/*", "canfleet"], message: "the SDK imports no service" }],
  },
  {
    files: ["sdk/src/can/**"],
    patterns: [
      { group: ["@canfleet/*", "canfleet"], message: "the SDK imports no service" },
      { regex: "^\\.\\./", message: "sdk/src/can imports nothing but its own folder" },
    ],
  },
  {
    files: ["sdk/src/wire/**", "sdk/src/text/**"],
    patterns: [
      { group: ["@canfleet/*", "canfleet"], message: "the SDK imports no service" },
      { regex: "^\\.\\./(?!can/|errors)", message: "formats import can/ and errors only" },
      { group: ["node:net", "node:fs", "node:fs/*"], message: "formats do no input or output" },
    ],
  },
  {
    files: ["services/edge/src/**"],
    patterns: [{ group: ["@canfleet/hub", "canfleet"], message: "edge and hub never import each other" }],
  },
  {
    files: ["services/hub/src/**", "services/hub/page/**"],
    patterns: [{ group: ["@canfleet/edge", "canfleet"], message: "edge and hub never import each other" }],
  },
];

/** Tests may use any library and anything their own package has. */
const TESTS = ["**/*.test.ts", "**/*.suite.ts", "**/*.guest.ts", "test/**/*.ts"];

function doorsFor(files) {
  const closed = Object.entries(LIBRARY_DOORS).filter(([, doors]) => !doors.some((door) => files.includes(door)));
  return closed.map(([name, doors]) => ({ name, message: `${name} is imported in ${doors.join(", ")} only` }));
}

const doorRules = [
  {
    files: ["{sdk,services/*,cli}/**/*.ts"],
    ignores: TESTS,
    rules: { "@typescript-eslint/no-restricted-imports": ["error", { paths: doorsFor([]) }] },
  },
  ...FENCES.map(({ files, patterns }) => ({
    files,
    ignores: TESTS,
    rules: { "@typescript-eslint/no-restricted-imports": ["error", { paths: doorsFor([]), patterns }] },
  })),
  ...[...new Set(Object.values(LIBRARY_DOORS).flat())].map((door) => ({
    files: [door],
    rules: { "@typescript-eslint/no-restricted-imports": ["error", { paths: doorsFor([door]) }] },
  })),
];

export default defineConfig(
  { ignores: ["**/dist/**", "**/build/**", "**/node_modules/**", "test/.cache/**"] },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "no-console": "error",
      eqeqeq: "error",
      "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
      "max-lines-per-function": ["error", { max: 70, skipBlankLines: true, skipComments: true }],
      complexity: ["error", 16],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/consistent-type-imports": "error",
      // Typed-array reads inside known bounds are the data path's daily bread.
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/consistent-indexed-object-style": "off",
      "@typescript-eslint/consistent-type-definitions": "off",
      "@typescript-eslint/unified-signatures": "off",
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
    },
  },
  {
    files: TESTS,
    plugins: { "@typescript-eslint": tseslint.plugin },
    rules: {
      "max-lines-per-function": "off",
      "no-console": "off",
      // node:test's describe and it return promises that the runner awaits.
      "@typescript-eslint/no-floating-promises": [
        "error",
        {
          allowForKnownSafeCalls: [
            { from: "package", name: ["describe", "it", "test", "suite"], package: "node:test" },
          ],
        },
      ],
    },
  },
  ...doorRules,
);

// Bundles the page into dist/page, from which the hub serves it.
import { copyFile, mkdir } from "node:fs/promises";
import { build } from "esbuild";

const page = new URL("page/", import.meta.url);
const out = new URL("dist/page/", import.meta.url);

await mkdir(out, { recursive: true });
/** MQTT.js' bundle for browsers has a default export only; its Node side has names, and the SDK imports those. */
const namedMqtt = {
  name: "named-mqtt",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^mqtt$/ }, ({ resolveDir }) => ({ path: "mqtt", namespace: "named", pluginData: resolveDir }));
    onLoad({ filter: /.*/, namespace: "named" }, ({ pluginData }) => ({
      contents: 'import mqtt from "mqtt/dist/mqtt.esm"; export const { connect } = mqtt;',
      resolveDir: pluginData,
    }));
  },
};

const { metafile } = await build({
  entryPoints: [new URL("index.ts", page).pathname],
  outfile: new URL("page.js", out).pathname,
  bundle: true,
  minify: true,
  metafile: true,
  format: "esm",
  platform: "browser",
  target: ["es2022"],
  conditions: ["browser"],
  plugins: [namedMqtt],
  logLevel: "warning",
  // MQTT.js reads these; nothing else of Node exists in a browser.
  define: { global: "globalThis" },
});
for (const name of ["index.html", "page.css", "icon.svg"]) await copyFile(new URL(name, page), new URL(name, out));
const bytes = Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
console.log(`page: ${Math.round(bytes / 1024)} KiB`);

export * from "./can-interface.ts";

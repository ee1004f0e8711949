/**
 * Takes one line for people: what happened, no end of line.
 *
 * @param level "warn" when somebody should look; default "info"
 */
export type EdgeLog = (text: string, level?: "info" | "warn") => void;

import { CanfleetError, messageOf } from "@canfleet/sdk";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  EACCES: "permission denied",
  EISDIR: "is a folder",
  EEXIST: "exists already; name another file",
  ENOSPC: "no space left on the disk",
};

/** `TEXT_NO_FILE` with the reason in words. */
export function fileError(path: string, cause: unknown): CanfleetError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? "";
  return new CanfleetError("TEXT_NO_FILE", `${path}: ${REASONS[code] ?? messageOf(cause)}`, { cause });
}

import { readdir, readFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { extname } from "node:path";

export interface StaticFile {
  body: Buffer;
  contentType: string;
  etag: string;
}

const CONTENT_TYPES: { [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * Reads the files of one folder, by URL path. They are few and small, and a path that is not in the map cannot lead
 * anywhere: no request ever becomes a file name. Empty when the folder does not exist.
 */
export async function loadStaticFiles(folder: URL): Promise<Map<string, StaticFile>> {
  const files = new Map<string, StaticFile>();
  const names = await readdir(folder).catch(() => [] as string[]);
  for (const name of names) {
    const contentType = CONTENT_TYPES[extname(name)];
    if (contentType === undefined) continue;
    const body = await readFile(new URL(name, folder));
    const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
    files.set(name === "index.html" ? "/" : `/${name}`, { body, contentType, etag });
  }
  return files;
}

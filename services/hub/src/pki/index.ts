/** Certificates without the rest of a hub: what commands and a Pi need of it. */
export {
  Authority,
  AUTHORITY_CERTIFICATE,
  AUTHORITY_KEY,
  EDGE_URI_PREFIX,
  loadAuthority,
  makePrivateKey,
  type KeyPair,
} from "./authority.ts";
export { makeCertificateRequest } from "./certificate-request.ts";
export { isServerName, machineNames, namesIn } from "./server-names.ts";
export { serverChain } from "./server-renewal.ts";
export { writePrivateFile } from "../access/private-file.ts";
export {
  edgeFilePath,
  EDGES_FILE,
  hashSecret,
  NO_EDGES,
  readEdgeFile,
  sha256Of,
  updateEdgeFile,
  type EdgeList,
} from "../access/edge-list.ts";

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { getContainerRuntimeClient, type ContainerRuntimeClient } from "testcontainers";
import { Program } from "../e2e/support/program.ts";

export const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const MAKE_IMAGES = fileURLToPath(new URL("../../containers/make-images", import.meta.url));

/** Marks containers and networks of these tests; the value is the process that made them. */
export const OWNER_LABEL = "canfleet.test.owner";
/** Compose projects of these tests are called this and the process that made them. */
export const PROJECT_PREFIX = "canfleet-test-";
const COMPOSE_PROJECT_LABEL = "com.docker.compose.project";

/**
 * node:test's `skip`: why containers cannot run here, or false. With `CANFLEET_REQUIRE_REAL=1` nothing is skipped: a
 * missing engine is then a failure.
 */
export function skipWithoutEngine(): string | false {
  if (process.env.CANFLEET_REQUIRE_REAL === "1") return false;
  const { status } = spawnSync("docker", ["version", "--format", "{{.Server.Version}}"], { stdio: "ignore" });
  return status === 0 ? false : "no Docker engine answers (test/containers/docker-engine starts one)";
}

/** node:test's `skip`: why docker-compose cannot run here, or false; not with `CANFLEET_REQUIRE_REAL=1`. */
export function skipWithoutCompose(): string | false {
  if (process.env.CANFLEET_REQUIRE_REAL === "1") return false;
  return spawnSync("docker-compose", ["version"], { stdio: "ignore" }).status === 0
    ? false
    : "docker-compose is missing";
}

/**
 * Makes the images and removes what earlier runs that were killed have left behind.
 *
 * @throws Error with the end of the build's output
 */
export async function prepareEngine(): Promise<void> {
  const made = await Program.run(MAKE_IMAGES);
  if (made.ended !== 0) throw new Error(`make-images ended with ${String(made.ended)}: ${made.stderr}`);
  await removeLeftovers(await getContainerRuntimeClient());
}

async function removeLeftovers({ container: { dockerode } }: ContainerRuntimeClient): Promise<void> {
  const isLeft = ({ Labels: labels }: { Labels?: { [label: string]: string } | undefined }): boolean => {
    const project = labels?.[COMPOSE_PROJECT_LABEL];
    const owner = project?.startsWith(PROJECT_PREFIX) ? project.slice(PROJECT_PREFIX.length) : labels?.[OWNER_LABEL];
    return owner !== undefined && !isRunning(Number(owner));
  };
  for (const left of (await dockerode.listContainers({ all: true })).filter(isLeft)) {
    await dockerode.getContainer(left.Id).remove({ force: true, v: true });
  }
  for (const left of (await dockerode.listNetworks()).filter(isLeft)) await dockerode.getNetwork(left.Id).remove();
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Runs `docker` to its end. */
export function docker(...args: string[]): Promise<Program> {
  return Program.run("docker", args);
}

# Images of hub and edge (docs/containers.md):
#
#     docker build --target hub -t canfleet-hub .
#     docker build --target edge -t canfleet-edge .
#
# Plain syntax: the classic builder and BuildKit both take it. The last stages run nothing while they are built.
ARG NODE_LINE=24

# --- packages of others, cached until a package.json changes
FROM node:${NODE_LINE}-bookworm AS manifests
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY sdk/package.json sdk/
COPY services/edge/package.json services/edge/
COPY services/hub/package.json services/hub/
COPY cli/package.json cli/
COPY test/package.json test/
COPY bench/package.json bench/

# The native driver is built below; npm's `socketcan`, the only other optional package that counts, is not in the images.
FROM manifests AS libraries
RUN npm ci --ignore-scripts --omit=dev --omit=optional --workspace cli

# --- the programs
FROM manifests AS build
RUN npm ci --ignore-scripts --include-workspace-root --workspace cli
COPY tsconfig.base.json ./
COPY sdk sdk
COPY services services
COPY cli cli
RUN npx tsc --build cli && node services/hub/build-page.mjs && node services/edge/native/build.mjs && \
    test -f services/edge/native/build/Release/canfleet_socketcan.node
RUN mkdir -p /out/app /out/data && \
    cp -a --parents sdk/package.json sdk/dist services/edge/package.json services/edge/dist services/edge/dbc \
    services/edge/native/build/Release/canfleet_socketcan.node services/hub/package.json services/hub/dist \
    cli/package.json cli/bin cli/dist /out/app && \
    find /out/app \( -name '*.test.*' -o -name '*.suite.*' -o -name '*.guest.*' -o -name '*.d.ts' -o -name '*.d.ts.map' \
    -o -name '*.tsbuildinfo' \) -delete

# --- what both images have
FROM node:${NODE_LINE}-bookworm-slim AS program
# /dev/shm can be written in every container, also where the root cannot: simulated buses meet there.
ENV NODE_ENV=production \
    TMPDIR=/dev/shm
COPY --from=libraries /app/node_modules /app/node_modules
COPY --from=build /out/app /app
COPY --from=build --chown=node:node /out/data /data
WORKDIR /data
VOLUME /data
USER node
ENTRYPOINT ["node", "/app/cli/bin/canfleet.js"]

# --- the edge
FROM program AS edge
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="canfleet edge" \
      org.opencontainers.image.description="The relay beside a CAN bus; holds every canfleet command." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
# The young generation that an edge needs: less memory at the same cost per frame.
ENV CANFLEET_HEALTH_FILE=/dev/shm/canfleet-health \
    NODE_OPTIONS=--max-semi-space-size=2
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "find \"$CANFLEET_HEALTH_FILE\" -mmin -0.5 | grep -q ."]
CMD ["edge"]

# --- the hub
FROM program AS hub
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="canfleet hub" \
      org.opencontainers.image.description="The broker that edges and clients meet at, with a page; holds every canfleet command." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
# Beyond the container it listens only with users in /data/access.json, or with --insecure-lan.
ENV CANFLEET_HUB_LISTEN=0.0.0.0:1883 \
    CANFLEET_HUB_HTTP=0.0.0.0:8080 \
    CANFLEET_HUB_DATA=/data
EXPOSE 1883 8080
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.CANFLEET_HUB_HTTP.split(':').pop()}/readyz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["hub"]

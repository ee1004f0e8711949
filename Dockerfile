# One image for hub and edge. Plain syntax: the classic builder and BuildKit both take it.
ARG BUILD_IMAGE=node:24-bookworm
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY sdk/package.json sdk/
COPY services/edge/package.json services/edge/
COPY services/hub/package.json services/hub/
COPY cli/package.json cli/
COPY test/package.json test/
COPY bench/package.json bench/
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM ${NODE_IMAGE}
WORKDIR /app
ENV NODE_ENV=production
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/sdk sdk
COPY --from=build /app/services services
COPY --from=build /app/cli cli
COPY --from=build /app/test/package.json test/package.json
COPY --from=build /app/bench/package.json bench/package.json
COPY --from=build /app/package.json package.json
USER node
ENTRYPOINT ["node", "/app/cli/bin/canfleet.js"]
CMD ["--help"]

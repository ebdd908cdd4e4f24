# hemocast in a container. For a GPU by CUDA (CUDA 12, cuDNN 9):
#   docker build --build-arg ONNXRUNTIME_NODE_INSTALL=cuda12 --build-arg RUNTIME_IMAGE=nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04 .
# Runs with a read-only root file system: `docker run --read-only --tmpfs /tmp -v hemocast:/data ...` (docs/deploy.md).
ARG NODE_IMAGE=node:24-bookworm-slim
ARG RUNTIME_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
# cuda12 downloads the CUDA libraries of ONNX Runtime from NuGet; the packages bring what the CPU and WebGPU need.
ARG ONNXRUNTIME_NODE_INSTALL=skip
COPY package.json package-lock.json tsconfig.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
RUN if [ "$ONNXRUNTIME_NODE_INSTALL" != skip ]; then node node_modules/onnxruntime-node/script/install.js; fi
COPY api api
COPY smart-app smart-app
RUN npm run build
# What stays: the dependencies of the service, and of ONNX Runtime the files of linux/x64. Node comes with the image.
RUN npm prune --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund && \
    cd node_modules/onnxruntime-node/bin/napi-v6 && rm -rf darwin win32 linux/arm64

FROM ${RUNTIME_IMAGE}
COPY --from=build /usr/local/bin/node /usr/local/bin/node
WORKDIR /app
COPY package.json openapi.yaml LICENSE NOTICE ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/smart-app/dist smart-app/dist
COPY api api
COPY models/hemocast-tiny models/hemocast-tiny
RUN mkdir /data && chown 10001:10001 /data
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 DATA_DIR=/data
USER 10001:10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then((a) => process.exit(a.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--disable-warning=ExperimentalWarning", "--max-semi-space-size=32", "api/main.ts"]

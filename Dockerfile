# syntax=docker/dockerfile:1
# podvisor alone: one static binary and the CA roots. `--target debug` has a shell beside it.
ARG RUST_VERSION=1.95

FROM --platform=$BUILDPLATFORM rust:${RUST_VERSION}-slim-bookworm AS build
ARG TARGETARCH
ARG REVISION=unknown
WORKDIR /src
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# The cross compiler is for what ring and zstd have in C.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && case "$TARGETARCH" in arm64) echo aarch64 ;; *) echo x86_64 ;; esac > /arch \
 && rustup target add "$(cat /arch)-unknown-linux-musl"
ENV CC_x86_64_unknown_linux_musl=gcc \
    CC_aarch64_unknown_linux_musl=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=aarch64-linux-gnu-gcc
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    PODVISOR_REVISION="$REVISION" cargo build --locked --release --bin podvisor --target "$(cat /arch)-unknown-linux-musl" \
 && cp "target/$(cat /arch)-unknown-linux-musl/release/podvisor" /podvisor

FROM busybox:1.37-musl AS debug
COPY --from=build /podvisor /podvisor
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 65532:65532
EXPOSE 4747
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=2s --start-period=30s CMD ["/podvisor", "check", "live"]
ENTRYPOINT ["/podvisor"]
CMD ["run"]

FROM scratch
ARG REVISION=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="podvisor" \
      org.opencontainers.image.description="A container ENTRYPOINT: several processes in order, probes, metrics, logs" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /podvisor /podvisor
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 65532:65532
EXPOSE 4747
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=2s --start-period=30s CMD ["/podvisor", "check", "live"]
ENTRYPOINT ["/podvisor"]
CMD ["run"]

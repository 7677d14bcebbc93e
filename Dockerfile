# Build:  docker build -t nodetally .
# Run:    docker run -d --name nodetally --privileged --pid=host --network=host --cgroupns=host \
#           -v /:/host:ro,rslave nodetally --path.rootfs=/host

# Any image with Rust 1.95, a C linker and the static C library will do.
ARG BUILD_IMAGE=rust:1.95-bookworm

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package exporter

# One static file: no shell, no package manager, no library.
FROM scratch
COPY --from=build /src/target/release/nodetally /nodetally
COPY LICENSE /LICENSE
EXPOSE 9100
ENTRYPOINT ["/nodetally"]

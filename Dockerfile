# The exporter in a container: docs/src/operate/containers.md says how to start it.
#
#   docker build .                      the exporter alone, with its default set (target `exporter`)
#   docker build --target examples .    with all examples, and the plugins in Rust
#
# `make image` builds both, and passes the revision. The final images hold one static binary and data,
# no shell and no C library.

# As rust-version in Cargo.toml says.
ARG RUST=1.95
ARG DEBIAN=bookworm

FROM rust:${RUST}-${DEBIAN} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends clang-19 libelf-dev llvm-19 make pci.ids pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ARG REVISION
ARG BRANCH
ARG SOURCE_DATE_EPOCH
# With a target named, flags are for the binary and not for what builds it.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
    && SOURCE_REVISION=$REVISION SOURCE_BRANCH=$BRANCH \
       LIBBPF_SYS_LIBRARY_PATH=/usr/lib/$(gcc -print-multiarch) RUSTFLAGS='-Ctarget-feature=+crt-static' \
       cargo build --release --locked --package ebpf_wasm_exporter --features libbpf-sys/static --target $target \
    && mkdir -p /image/usr/bin /image/usr/share/misc /image/etc \
    && cp target/$target/release/ebpf_wasm_exporter /image/usr/bin/ \
    && cp -L /usr/share/misc/pci.ids /image/usr/share/misc/ \
    && install -D -m 644 -t /image/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt \
    && cp LICENSE /image/ \
    && echo 'exporter:x:65532:65532::/:' > /image/etc/passwd \
    && echo 'exporter:x:65532:' > /image/etc/group

FROM build AS build-examples
RUN make -C examples OUT=/image/examples LIBBPF_HEADERS=$(echo $PWD/target/*/release/build/libbpf-sys-*/out/include | cut -d' ' -f1) \
    && cp examples/*.yaml /image/examples/
RUN make rust-plugins && cp -r target/plugins /image/

FROM scratch AS base
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="ebpf_wasm_exporter" \
      org.opencontainers.image.description="Prometheus exporter for custom eBPF metrics" \
      org.opencontainers.image.source="https://github.com/ebpf-wasm-exporter/ebpf_wasm_exporter" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
EXPOSE 9435
# It attaches its programs as root, with the capabilities that the container has, and then becomes this
# user, without any. A USER here would have none to attach with, and neither would a container under
# no-new-privileges if the binary had capabilities of its own.
ENTRYPOINT ["/usr/bin/ebpf_wasm_exporter", "--user=65532:65532", "--capabilities.keep=none"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["/usr/bin/ebpf_wasm_exporter", "healthcheck"]

FROM base AS examples
COPY --from=build-examples /image /
CMD ["--plugins.dir=/plugins"]

# The last, which is what `docker build` makes.
FROM base AS exporter
COPY --from=build /image /

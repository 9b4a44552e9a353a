# The agent as an image; `--target traffic` makes the one that only brings RTP traffic for the demo.
#
#     docker build -t otel-jb .
#
# BCC is Debian's, with its LLVM; the agent loads it by path in a short-lived child. Nothing of the host's kernel headers is
# needed: the BPF program is compiled at start against the header shim that is inside the wheel.

FROM debian:12.11-slim AS build
RUN apt-get -q update \
    && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install python3 python3-venv ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY otel_jb ./otel_jb
COPY bpf ./bpf
# Bytecode is valid by the source's hash, not by its time: buildah rounds times when it copies, and where a file's was rounded up, each start
# would compile it.
RUN python3 -m venv /opt/otel-jb \
    && /opt/otel-jb/bin/python -m pip install --quiet --no-input --no-cache-dir --disable-pip-version-check --no-compile . \
    && /opt/otel-jb/bin/python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /opt/otel-jb/lib

FROM build AS build-traffic
RUN /opt/otel-jb/bin/python -m pip install --quiet --no-input --no-cache-dir --disable-pip-version-check ".[demo]"

FROM debian:12.11-slim AS traffic
RUN apt-get -q update \
    && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install python3 libstdc++6 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build-traffic /opt/otel-jb /opt/otel-jb
USER nobody
ENTRYPOINT ["/opt/otel-jb/bin/python", "-m", "otel_jb.demo"]

# Last, so that it is what `docker build .` makes.
FROM debian:12.11-slim AS agent
RUN apt-get -q update \
    && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install python3 python3-bpfcc libstdc++6 ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/otel-jb /opt/otel-jb
# The commit, for otel_jb.build_info: docker build --build-arg REVISION=$(git rev-parse HEAD) .
ARG REVISION=
ENV PATH=/opt/otel-jb/bin:$PATH PYTHONDONTWRITEBYTECODE=1 OTEL_JB_REVISION=$REVISION
EXPOSE 9310
# Python is there already; curl is not. /health and not /ready: a host without a media server has no probes, and its agent is well.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s \
    CMD ["/opt/otel-jb/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9310/health', timeout=4)"]
ENTRYPOINT ["/opt/otel-jb/bin/otel-jb"]
CMD ["run"]

# One image for api, workers and migrations; docker-compose.yml gives each its command.
#   docker build --build-arg TORCH=cpu --build-arg TORCH_INDEX_URL=... -t glocert .
# TORCH=cpu takes the small build from TORCH_INDEX_URL (the CPU index of PyTorch's install page); TORCH=cuda takes
# the default build, which brings CUDA's libraries with it: no CUDA base image is needed.
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS build
ARG TORCH=cuda
ARG TORCH_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements/service.lock /tmp/service.lock
RUN /opt/venv/bin/pip install --require-hashes --no-deps --requirement /tmp/service.lock
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN case "${TORCH}" in \
      cpu) [ -n "${TORCH_INDEX_URL}" ] || { echo "TORCH=cpu needs TORCH_INDEX_URL" >&2; exit 1; }; \
           /opt/venv/bin/pip install --index-url "${TORCH_INDEX_URL}" torch==2.13.0 ;; \
      cuda) /opt/venv/bin/pip install torch==2.13.0 ;; \
      *) echo "TORCH is cpu or cuda, not ${TORCH}" >&2; exit 1 ;; \
    esac \
    && /opt/venv/bin/pip check

FROM python:${PYTHON}
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/srv \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GLOCERT_DATA_DIR=/var/lib/glocert \
    GLOCERT_HOST=0.0.0.0 \
    GLOCERT_PORT=8321
# The number is fixed so that a volume's files belong to the same user on every host.
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin glocert \
    && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/glocert
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv
COPY LICENSE alembic.ini ./
COPY migrations migrations
COPY glocert glocert
COPY models models
COPY app app
COPY workers workers
# The root file system is read-only later, and every child process would compile everything again. Loops are compiled
# for the processor of this machine; on another kind each worker compiles them once, when it starts.
RUN python -m compileall -q /srv && python -m glocert.precompile
USER 10001:10001
VOLUME /var/lib/glocert
EXPOSE 8321
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['GLOCERT_PORT'] + '/healthz', timeout=4)"]
CMD ["uvicorn", "--factory", "app.main:from_environment", "--host", "0.0.0.0", "--port", "8321", "--timeout-graceful-shutdown", "20"]

# asrdistill serve, at the versions of tools/requirements.lock:
#   docker build -f tools/docker/serve.Dockerfile -t asrdistill-serve .
#   docker run --rm -p 2700:2700 -v "$PWD/exp/student:/recogniser:ro" asrdistill-serve /recogniser
FROM python:3.12-bookworm AS build
WORKDIR /source
COPY tools/requirements.lock tools/
RUN pip install --no-cache-dir --constraint tools/requirements.lock setuptools
COPY setup.py setup.cfg pyproject.toml README.md LICENSE ./
COPY asrdistill asrdistill
COPY data data
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.12-slim-bookworm
COPY tools/requirements.lock /tmp/
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --constraint /tmp/requirements.lock "$(echo /wheels/*.whl)[serve]" && rm -r /wheels
RUN useradd --create-home asrdistill
USER asrdistill
WORKDIR /home/asrdistill
EXPOSE 2700
ENTRYPOINT ["asrdistill", "serve", "--host", "0.0.0.0"]

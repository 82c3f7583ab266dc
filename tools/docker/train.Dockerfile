# Everything, recipes and tests included, at the versions of tools/requirements.lock:
#   docker build -f tools/docker/train.Dockerfile -t asrdistill .
#   docker run --rm --gpus all -v "$PWD:/work" asrdistill nnet train data/fbank/train exp/ali/train exp/teacher.0
FROM python:3.12-bookworm
WORKDIR /asrdistill
COPY . .
RUN tools/install.sh
ENV PATH="/asrdistill/.venv/bin:$PATH"
RUN useradd --create-home asrdistill
USER asrdistill
WORKDIR /work
ENTRYPOINT ["asrdistill"]
